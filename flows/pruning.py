"""What pruning of a suspect comes to, shown before the verdict has the machine."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from goodnet.evaluation.results import (
    RepairedModel,
    evaluation_rows,
    pruned_channels,
    pruned_models,
)
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_TEST, CLEAN_VALID, POISONED_TEST, POISONED_VALID
from goodnet.job.request import Request
from goodnet.metrics import Counts
from goodnet.pruning.curve import Curve, make_curve
from goodnet.pruning.order import Direction, order_channels
from goodnet.report.findings import ModelInfo, PruningResult
from tasks.artifacts import show_pruning
from tasks.caching import RunningTask
from tasks.outputs import store_pruned, store_pruning
from tasks.pruning import evaluate, measure_activations, sweep
from tasks.references import SplitSuspect

Data = Mapping[str, DataFile]  # the data sets by role
TESTS = (CLEAN_TEST, POISONED_TEST)


class PrunedSuspect(NamedTuple):
    """What pruning came to.

    Attributes:
        curves: one for each order.
        models: the pruned models.
        counts: what these do on the test sets, by role and model.
        networks: their files, and those of their GoodNets.
    """

    curves: tuple[Curve, ...]
    models: tuple[RepairedModel, ...]
    counts: dict[str, dict[str, Counts]]
    networks: list[StoredFile]


def prune(
    model: ModelInfo, split: SplitSuspect, data: Data, request: Request, folder: str
) -> PrunedSuspect:
    """What pruning came to, written and shown before the verdict begins."""
    tests = {role: data[role] for role in TESTS if role in data}
    curves = draw_curves(split, data, request.directions, request.points)
    models = pruned_models(curves, model.format)
    counting = start_evaluation(split, curves, models, tests)
    pruning = start_pruning(model.name, split, curves, models, folder)

    counts = {role: task.result() for role, task in counting.items()}
    networks = [file for task in pruning for file in task.result()]
    rows = evaluation_rows(models, counts.get(CLEAN_TEST), counts.get(POISONED_TEST))
    result = PruningResult(model, curves, rows)
    written = [*store_pruning(result, folder), *(file.uri for file in networks)]
    show_pruning(result, written, folder)
    return PrunedSuspect(curves, models, counts, networks)


def draw_curves(
    split: SplitSuspect, data: Data, directions: Sequence[Direction], points: Sequence[str]
) -> tuple[Curve, ...]:
    """The curve of each order, on the validation sets that there are."""
    activations = np.array(measure_activations(split, data[CLEAN_VALID]))
    orders = [order_channels(activations, direction) for direction in directions]
    swept = {
        role: sweep.start(split, orders, data[role], role)
        for role in (CLEAN_VALID, POISONED_VALID)
        if role in data
    }
    clean = swept[CLEAN_VALID].result()
    poisoned = swept[POISONED_VALID].result() if POISONED_VALID in swept else [None] * len(orders)
    return tuple(
        make_curve(order, counts, attacked, points)
        for order, counts, attacked in zip(orders, clean, poisoned, strict=True)
    )


def start_evaluation(
    split: SplitSuspect, curves: Sequence[Curve], models: Sequence[RepairedModel], tests: Data
) -> dict[str, RunningTask[dict[str, Counts]]]:
    """What the suspect and the pruned models do on the test sets, by role; begun."""
    return {role: evaluate.start(split, curves, models, test, role) for role, test in tests.items()}


def start_pruning(
    name: str,
    split: SplitSuspect,
    curves: Sequence[Curve],
    models: Sequence[RepairedModel],
    folder: str,
) -> list[RunningTask[list[StoredFile]]]:
    """The making of each pruned model and its GoodNet; begun."""
    return [
        store_pruned.start(name, split, model, pruned_channels(curves, model), folder)
        for model in models
    ]
