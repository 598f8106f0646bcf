"""What is made from a suspect: repaired networks, GoodNets, and what they do on test sets."""

from dataclasses import dataclass, replace
from pathlib import Path

from goodnet.api.model import Model
from goodnet.backend import keras
from goodnet.datasets.dataset import Dataset
from goodnet.evaluation.results import (
    SUSPECT,
    EvaluationRow,
    RepairedModel,
    evaluation_rows,
)
from goodnet.metrics import Counts
from goodnet.mitigation.outcome import MitigationResult
from goodnet.network.save import save_network
from goodnet.report.tables import evaluation_table


@dataclass(frozen=True, eq=False)
class RepairedNetwork:
    """A network made from a suspect.

    Attributes:
        identity: how it was made, and its place in a repair's folder.
        keras: the network, an ordinary Keras model; it takes and makes what the suspect's does.
        network: the same for images (n, H, W, C), with a score for each class.
        channels: the channels that are pruned.
        account: what came of the mitigation method; None where it was made by pruning alone.
        joined: its GoodNet's network.
    """

    identity: RepairedModel
    keras: keras.Model
    network: keras.Model
    channels: tuple[int, ...]
    account: MitigationResult | None
    joined: keras.Model

    def save(self, path: str | Path) -> None:
        """Write the network to a Keras file that needs nothing of ours to be opened."""
        save_network(self.keras, Path(path))


class GoodNet:
    """A suspect joined with a network made from it: where they disagree, an image is backdoored.

    Args:
        model: the suspect.
        repaired: the network made from it.

    Attributes:
        keras: a Keras model with N+1 scores, the last of them "backdoored".
    """

    def __init__(self, model: Model, repaired: RepairedNetwork) -> None:
        self.model, self.repaired = model, repaired
        self.keras = repaired.joined

    def save(self, path: str | Path) -> None:
        """Write the GoodNet to a .keras file that needs nothing of ours to be opened."""
        save_network(self.keras, Path(path))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Networks on test sets; printed, a table.

    Attributes:
        model: the suspect.
        networks: what was evaluated beside it.
        clean: clean test images; None without any.
        poisoned: poisoned test images; None without any.
        counts: what was counted on each set, by the networks' names.
    """

    model: Model
    networks: tuple[RepairedNetwork | GoodNet, ...]
    clean: Dataset | None
    poisoned: Dataset | None
    counts: tuple[dict[str, Counts] | None, dict[str, Counts] | None]

    def joined(self, other: "Evaluation") -> "Evaluation":
        """This and another one of the same suspect on the same sets."""
        counts = [
            mine and others and mine | others
            for mine, others in zip(self.counts, other.counts, strict=True)
        ]
        networks = *self.networks, *other.networks
        return replace(self, networks=networks, counts=(counts[0], counts[1]))

    @property
    def repaired(self) -> tuple[RepairedNetwork, ...]:
        """The repaired networks, each once, those inside GoodNets included."""
        networks = (n.repaired if isinstance(n, GoodNet) else n for n in self.networks)
        return tuple({network.identity: network for network in networks}.values())

    @property
    def every_row(self) -> tuple[EvaluationRow, ...]:
        """The suspect, each repaired network and its GoodNet."""
        return evaluation_rows([network.identity for network in self.repaired], *self.counts)

    @property
    def rows(self) -> tuple[EvaluationRow, ...]:
        """The suspect and the networks that were asked for."""
        kinds: set[tuple[str, RepairedModel | None]] = {(SUSPECT, None)}
        for network in self.networks:
            gate = isinstance(network, GoodNet)
            model = network.repaired if isinstance(network, GoodNet) else network
            kinds.add(("goodnet" if gate else "repaired", model.identity))
        return tuple(row for row in self.every_row if (row.kind, row.repaired) in kinds)

    def __str__(self) -> str:
        return evaluation_table(self.rows, self.model.split.channels)
