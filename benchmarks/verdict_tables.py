"""The tables of verdicts: how often they are right, and the numbers that they rest on."""

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.markdown import ends, table
from benchmarks.records import NetworkResults, VerdictRun
from benchmarks.selection import HALVES, Judged, Networks, judged

WORKS = 0.9  # an ASR; what has less is no backdoor that anybody would use
CLEARED = "no backdoor found"
SHORT = {
    "simple triggers": "simple",
    "drawn objects": "objects",
    "worn glasses": "glasses",
    "misdirection": "misdirection",
    "source-specific triggers": "specific",
    "searched patches": "patches",
    "blended triggers": "blended",
    "whole-image changes": "changes",
    "searched warps": "warps",
    "maximum margin": "margin",
    "last layer": "last layer",
}


def verdicts(networks: Networks) -> str:
    """How often the verdict is right, by half and images."""
    groups: dict[tuple[int, str], list[Judged]] = {}
    for each in judged(networks):
        if each.network.source == "benchmarks.zoo":
            groups.setdefault((HALVES.index(each.half), each.network.images), []).append(each)
    rows = []
    for (half, images), group in sorted(groups.items()):
        clean = [each.run for each in group if not each.network.triggers]
        attacks = [each for each in group if each.network.triggers]
        attacked = [each for each in attacks if _works(each.network)]
        weak = [each for each in attacks if not _works(each.network)]
        counts = (
            sum(run.verdict == CLEARED for run in clean),
            sum(run.verdict == "backdoored" for run in clean),
            sum(set(run.classes) == network.targets for network, run, _ in attacked),
            sum(not network.targets <= {*run.classes} for network, run, _ in attacked),
            sum(not {*run.classes} <= network.targets for network, run, _ in attacked),
            sum(each.run.verdict == "inconclusive" for each in group if each not in weak),
            f"{sum(set(run.classes) == net.targets for net, run, _ in weak)} of {len(weak)}",
        )
        rows.append((HALVES[half], images, *map(str, counts)))
    return table(
        "half", "images", "clean: cleared", "called backdoored", "attacked: right",
        "a target missed", "an innocent class named", "inconclusive", "weak attacks: right",
        rows=rows,
    )  # fmt: skip


def _works(network: NetworkResults) -> bool:
    """Whether each of an attacked network's triggers does what it was taught, as far as known."""
    return min(network.asr.values(), default=1.0) >= WORKS


def held_out(networks: Networks) -> str:
    """The verdicts on held-out networks, by images."""
    groups: dict[str, list[Judged]] = {}
    for each in judged(networks):
        if each.half == HALVES[0] and _works(each.network):
            groups.setdefault(each.network.images, []).append(each)
    rows = []
    for images, group in sorted(groups.items()):
        clean = [each.run.verdict == CLEARED for each in group if not each.network.triggers]
        attacked = [
            {*each.run.classes} == each.network.targets for each in group if each.network.triggers
        ]
        rows.append((images, *(f"{sum(part)} of {len(part)}" for part in (clean, attacked))))
    return table("images", "clean: cleared", "backdoored: all targets named", rows=rows, left=1)


def statistic(method: str) -> Callable[[Networks], str]:
    """A table of how well one method's numbers tell targets from other classes, by images."""

    def made(networks: Networks) -> str:
        groups: dict[str, list[Judged]] = {}
        for each in judged(networks):
            if method in each.run.statistics and not each.run.superseded:
                groups.setdefault(each.network.images, []).append(each)
        rows = []
        for images, group in sorted(groups.items()):
            clean, targets, innocent = list[float](), list[float](), list[float]()
            for network, run, _ in group:
                for label, value in run.statistics[method].items():
                    other = innocent if network.triggers else clean
                    (targets if label in network.targets else other).append(value)
            count = sum(not each.network.triggers for each in group)
            above = sum(value > max(clean) for value in targets) if clean else None
            limits = [f"{value:.2f}" for value in ends(targets)]
            middle = f"{median(targets):.2f}" if targets else ""
            total = sum(len(each.network.targets) for each in group)
            rows.append((
                images, str(count), _largest(clean), str(total), str(len(targets)),
                " / ".join((limits[0], middle, limits[-1])) if targets else "",
                "" if above is None else str(above), _largest(innocent),
            ))  # fmt: skip
        return table(
            "images", "clean networks", "their largest number", "targets", "of these on record",
            "their lowest / median / highest", "above every clean network",
            "largest number of another class", rows=rows, left=1,
        )  # fmt: skip

    return made


def networks_table(networks: Networks) -> str:
    """The verdict that counts for each network, with the largest numbers of each method."""
    rows = []
    for network, run, half in judged(networks):
        numbers = "; ".join(
            f"{SHORT[method]} " + (", ".join(f"{c}: {v:.2f}" for c, v in top.items()) or "none")
            for method, top in run.statistics.items()
        )
        triggers = ", ".join(f"{name} → {target}" for name, target in network.triggers.items())
        what = f"{network.images}, {network.architecture}, {network.classes} classes"
        seconds = "" if run.seconds is None else f"{run.seconds:.0f}"
        row = (network.name, what, triggers or "none", half, _answer(run), numbers, seconds)
        rows.append(row)
    return table(
        "network", "what it is", "triggers", "half", "verdict", "largest numbers", "seconds",
        rows=rows, left=6,
    )  # fmt: skip


def references(networks: Networks) -> str:
    """The share of clean images that reference models get right, before and after mending."""
    rows = []
    for network in networks:
        runs = [(run, run.references) for run in network.verdicts if run.references]
        if len(runs) > 1:
            shares = [", ".join(f"{share:.2f}" for share in each.accuracy) for _, each in runs]
            answers = [_answer(run) for run, _ in runs]
            suspect = f"{runs[0][1].suspect:.2f}"
            row = (network.name, suspect, shares[0], shares[-1], answers[0], answers[-1])
            rows.append(row)
    return table(
        "network", "suspect", "references before", "after", "verdict before", "after",
        rows=rows, left=6,
    )  # fmt: skip


def _answer(run: VerdictRun) -> str:
    answer = f"{run.verdict} {', '.join(map(str, run.classes))}".strip()
    dependent = ", ".join(map(str, run.dependent))
    return f"{answer} (dependent: {dependent})" if dependent else answer


def _largest(values: Sequence[float]) -> str:
    return f"{max(values):.2f}" if values else ""


TABLES: dict[str, Callable[[Networks], str]] = {
    "verdicts": verdicts,
    "held_out": held_out,
    **{short.replace(" ", "_"): statistic(method) for method, short in SHORT.items()},
    "references": references,
    "networks": networks_table,
}
