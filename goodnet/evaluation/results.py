"""Suspect, repaired models and GoodNets on test sets that nothing before has seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.metrics import Counts, Proportion
from goodnet.pruning.curve import Curve
from goodnet.pruning.order import Order


class RepairedModel(NamedTuple):
    """One repaired model: where on which curve it was taken, or that it is a second repair.

    Attributes:
        direction: the order its channels were pruned in, or how a second repair was made.
        points: the drop it was taken at, in points; empty for a second repair.
        k: how many channels are pruned: the first k of the order.
    """

    direction: str
    points: str
    k: int

    @property
    def by_pruning(self) -> bool:
        """Whether it was made by pruning alone."""
        return bool(self.points)


class EvaluationRow(NamedTuple):
    """One line of the evaluation. Shares of poisoned images are None without a poisoned set.

    Attributes:
        model: "suspect", "repaired" or "goodnet".
        repaired: which repaired model it is, or is joined from; None for the suspect.
        clean_accuracy: clean images answered with their label; what a GoodNet flags is wrong.
        clean_flagged: clean images a GoodNet flags; None for other models.
        attack_success: poisoned images answered with the attacker's target.
        poisoned_flagged: poisoned images a GoodNet flags; None for other models.
        poisoned_accuracy: poisoned images answered with what they really show, if known.
    """

    model: str
    repaired: RepairedModel | None
    clean_accuracy: Proportion
    clean_flagged: Proportion | None
    attack_success: Proportion | None
    poisoned_flagged: Proportion | None
    poisoned_accuracy: Proportion | None


def repaired_models(curves: Sequence[Curve]) -> tuple[RepairedModel, ...]:
    """A repaired model for each drop that a curve reaches, in the curves' order."""
    return tuple(
        RepairedModel(curve.order.direction, drop.points, drop.k)
        for curve in curves
        for drop in curve.drops
        if drop.k is not None
    )


def states_of(curves: Sequence[Curve], models: Sequence[RepairedModel]) -> NDArray[np.bool_]:
    """The channels kept in the suspect and then in each repaired model, (1 + models, channels)."""
    orders: dict[str, Order] = {curve.order.direction: curve.order for curve in curves}
    kept = [orders[model.direction].kept()[model.k] for model in models]
    everything = np.ones(len(curves[0].order.channels), dtype=bool)
    return np.stack([everything, *kept])


def results_of(
    models: Sequence[RepairedModel], clean: Sequence[Counts], poisoned: Sequence[Counts] | None
) -> tuple[EvaluationRow, ...]:
    """The evaluation: suspect, then each repaired model, then each GoodNet.

    Args:
        models: the repaired models.
        clean: counts on the clean test set, the suspect's first; (1 + models,).
        poisoned: counts on the poisoned test set likewise, None without one.
    """
    sets = [(clean[i], poisoned[i] if poisoned else None) for i in range(1 + len(models))]
    results = [_plain("suspect", None, *sets[0])]
    results += [_plain("repaired", model, *s) for model, s in zip(models, sets[1:], strict=True)]
    results += [_joined(model, *s) for model, s in zip(models, sets[1:], strict=True)]
    return tuple(results)


def _plain(
    name: str, model: RepairedModel | None, clean: Counts, poisoned: Counts | None
) -> EvaluationRow:
    accuracy = Proportion(clean.correct, clean.count)
    if poisoned is None:
        return EvaluationRow(name, model, accuracy, None, None, None, None)
    success = Proportion(poisoned.correct, poisoned.count)
    return EvaluationRow(
        name, model, accuracy, None, success, None, _share(poisoned.true_correct, poisoned.count)
    )


def _joined(model: RepairedModel, clean: Counts, poisoned: Counts | None) -> EvaluationRow:
    accuracy, flagged = (
        Proportion(clean.agreed, clean.count),
        Proportion(clean.flagged, clean.count),
    )
    if poisoned is None:
        return EvaluationRow("goodnet", model, accuracy, flagged, None, None, None)
    return EvaluationRow(
        "goodnet",
        model,
        accuracy,
        flagged,
        Proportion(poisoned.agreed, poisoned.count),
        Proportion(poisoned.flagged, poisoned.count),
        _share(poisoned.agreed_true, poisoned.count),
    )


def _share(hits: int | None, count: int) -> Proportion | None:
    return None if hits is None else Proportion(hits, count)
