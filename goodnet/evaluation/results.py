"""Suspect, repaired models and GoodNets on test sets that nothing before has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.evaluation import columns
from goodnet.evaluation.columns import Kind
from goodnet.files import paths
from goodnet.metrics import Counts, Proportion
from goodnet.pruning.curve import Curve
from goodnet.pruning.order import Direction, Order

SUSPECT: Final = "suspect"
PRUNING: Final = "pruning"


@dataclass(frozen=True)
class RepairedModel:
    """A repaired model's identity, and where it and its GoodNet are.

    Attributes:
        method: "pruning", or the mitigation method that made it.
        title: that method in words.
        label: in tables: the order its channels were pruned in, or for example "unlearned".
        drop: the drop it was taken at, in points; None where it was not made by pruning alone.
        pruned: how many channels are pruned.
        model_file: its file, below the repair's folder.
        goodnet_file: its GoodNet's, likewise.
    """

    method: str
    title: str
    label: str
    drop: str | None
    pruned: int
    model_file: str
    goodnet_file: str

    @property
    def name(self) -> str:
        """What it is called; no two models of a repair are called the same."""
        return self.label if self.drop is None else f"{self.label}, drop {self.drop}"

    @property
    def by_pruning(self) -> bool:
        """Whether it was made by pruning alone."""
        return self.method == PRUNING


@dataclass(frozen=True)
class EvaluationRow:
    """One network on the test sets.

    Attributes:
        kind: what it is.
        repaired: which repaired model it is, or is joined from; None for the suspect.
        shares: each column's share by the column's name; None where it is not known, or says
            nothing of such a network.
    """

    kind: Kind
    repaired: RepairedModel | None
    shares: Mapping[str, Proportion | None]

    @property
    def clean_accuracy(self) -> Proportion:
        """Clean images answered with their label, where there is a clean test set; what a GoodNet
        flags is wrong."""
        accuracy = self.shares["clean_accuracy"]
        if accuracy is None:
            raise ValueError(f"no clean test set was given: {self}")
        return accuracy

    @property
    def clean_flagged(self) -> Proportion | None:
        """Clean images that a GoodNet flags."""
        return self.shares["clean_flagged"]

    @property
    def attack_success(self) -> Proportion | None:
        """Poisoned images answered with the attacker's target."""
        return self.shares["attack_success"]

    @property
    def poisoned_flagged(self) -> Proportion | None:
        """Poisoned images that a GoodNet flags."""
        return self.shares["poisoned_flagged"]

    @property
    def poisoned_true_accuracy(self) -> Proportion | None:
        """Poisoned images answered with what they really show."""
        return self.shares["poisoned_true_accuracy"]


def pruned_models(curves: Sequence[Curve], suffix: str) -> tuple[RepairedModel, ...]:
    """A repaired model for each drop that a curve reaches, in the curves' order.

    Args:
        curves: one for each order.
        suffix: the suspect's format, ".h5" or ".keras".
    """
    return tuple(
        pruned_model(curve.order.direction, drop.points, drop.k, suffix)
        for curve in curves
        for drop in curve.drops
        if drop.k is not None
    )


def pruned_model(direction: Direction, points: str, k: int, suffix: str) -> RepairedModel:
    """The model in which the first k channels of an order are pruned, at a drop."""
    return RepairedModel(
        method=PRUNING,
        title="Pruning",
        label=direction,
        drop=points,
        pruned=k,
        model_file=paths.pruned_model(direction, points, suffix),
        goodnet_file=paths.pruned_goodnet(direction, points),
    )


def pruned_channels(curves: Sequence[Curve], model: RepairedModel) -> tuple[int, ...]:
    """The channels that are pruned in a model that was made by pruning."""
    return _order(curves, model).channels[: model.pruned]


def states_of(curves: Sequence[Curve], models: Sequence[RepairedModel]) -> NDArray[np.bool_]:
    """The channels left in the suspect and then in each pruned model, (1 + models, channels)."""
    left = [_order(curves, model).kept()[model.pruned] for model in models]
    everything = np.ones(len(curves[0].order.channels), dtype=bool)
    return np.stack([everything, *left])


def _order(curves: Sequence[Curve], model: RepairedModel) -> Order:
    return next(curve.order for curve in curves if curve.order.direction == model.label)


def evaluation_rows(
    models: Sequence[RepairedModel],
    clean: Mapping[str, Counts] | None,
    poisoned: Mapping[str, Counts] | None,
) -> tuple[EvaluationRow, ...]:
    """The evaluation: suspect, then each repaired model, then each GoodNet.

    Args:
        models: the repaired models.
        clean: counts on the clean test set, by SUSPECT and the models' names; None without one.
        poisoned: counts on the poisoned test set likewise, None without one.
    """
    counts = {"clean": clean or {}, "poisoned": poisoned or {}}
    rows = [_row("suspect", None, counts)]
    rows += [_row("repaired", model, counts) for model in models]
    rows += [_row("goodnet", model, counts) for model in models]
    return tuple(rows)


def _row(
    kind: Kind, model: RepairedModel | None, counts: Mapping[str, Mapping[str, Counts]]
) -> EvaluationRow:
    shares: dict[str, Proportion | None] = {}
    for column in columns.COLUMNS:
        count = counts[column.images].get(model.name if model else SUSPECT)
        hits = column.hits(count, kind) if count else None
        shares[column.name] = Proportion(hits, count.count) if count and hits is not None else None
    return EvaluationRow(kind, model, shares)
