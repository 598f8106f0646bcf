"""Which of the runs on record count in a table."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.records import NetworkResults, RepairRun, VerdictRun

HALVES = ("held out", "tune, seen", "superseded")

Networks = Sequence[NetworkResults]


class Judged(NamedTuple):
    """A network with the verdict that counts for it, and the half that this verdict counts in."""

    network: NetworkResults
    run: VerdictRun
    half: str


def judged(networks: Networks) -> Iterator[Judged]:
    """Each network with its last verdict: a held-out one if there is any, else one of today's."""
    for network in networks:
        valid = [run for run in network.verdicts if not run.superseded]
        held_out = [run for run in valid if run.half == "held out"]
        for half, runs in zip(HALVES, (held_out, valid, network.verdicts), strict=True):
            if runs:
                yield Judged(network, runs[-1], half)
                break


class Repaired(NamedTuple):
    """A network with one of its repairs."""

    network: NetworkResults
    run: RepairRun

    @property
    def lost(self) -> float | None:
        """Clean test accuracy lost."""
        suspect = next(run for run in self.network.repairs if run.method == "suspect")
        if suspect.clean_accuracy is None or self.run.clean_accuracy is None:
            return None
        return suspect.clean_accuracy - self.run.clean_accuracy


def repaired(networks: Networks) -> list[Repaired]:
    """All repairs that today's methods would make."""
    return [Repaired(n, run) for n in networks for run in n.repairs if not run.superseded]
