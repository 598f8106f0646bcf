"""The steps of pruning as cached tasks. TensorFlow is imported when one really runs."""

from collections.abc import Sequence

import numpy as np
from prefect.logging import get_run_logger

from goodnet.evaluation.results import SUSPECT, RepairedModel
from goodnet.files.data_files import DataFile
from goodnet.metrics import Counts
from goodnet.preprocessing import PreprocessingInfo
from goodnet.pruning.curve import Curve
from goodnet.pruning.order import Order
from goodnet.report.findings import DatasetInfo, ModelInfo
from tasks import opened
from tasks.caching import cached_task
from tasks.progress import reporter
from tasks.references import SplitSuspect, SuspectFile


@cached_task(name="open suspect", run_name="open suspect", places=("suspect",))
def describe_suspect(suspect: SuspectFile, layer: str, name: str) -> ModelInfo:
    """The suspect, opened under every check; `name` is what it is called."""
    from goodnet.report.inspection import describe_model

    opened_suspect, uri = opened.suspect(suspect), suspect.model.uri
    return describe_model(opened_suspect, layer=layer, uri=uri, name=name)


@cached_task(name="open data set", run_name="open {role}", places=("data",))
def describe_data(suspect: SuspectFile, data: DataFile, role: str) -> DatasetInfo:
    """The data set, opened under every check."""
    from goodnet.report.inspection import describe_set

    return describe_set(opened.dataset(data, opened.suspect(suspect), role), role, data.uri)


@cached_task(name="find preprocessing", run_name="find preprocessing, {request}")
def find_preprocessing(
    suspect: SuspectFile, layer: str, request: str, valid: DataFile
) -> PreprocessingInfo:
    """The preprocessing asked for, or the one clean images are answered best with."""
    from goodnet.pruning.sweep import find_preprocessing

    split = opened.split(suspect, layer)
    clean = opened.clean_valid(valid, opened.suspect(suspect))
    progress = reporter("finding the preprocessing")
    return find_preprocessing(split, clean, request, source=suspect.model.uri, progress=progress)


@cached_task(name="measure activations", run_name="measure activations of {split.layer}")
def measure_activations(split: SplitSuspect, valid: DataFile) -> list[float]:
    """Mean activation of each channel of the layer over the clean validation images."""
    from goodnet.pruning.sweep import mean_activations

    clean = opened.clean_valid(valid, opened.suspect(split.suspect))
    progress = reporter("measuring activations")
    network = opened.split(split.suspect, split.layer)
    means: list[float] = mean_activations(network, clean, split.preprocessing, progress).tolist()
    return means


@cached_task(name="sweep", run_name="sweep {role}")
def sweep(
    split: SplitSuspect, orders: Sequence[Order], data: DataFile, role: str
) -> list[list[Counts]]:
    """For each order, what the network does with the images at k = 0, 1, ... channels pruned."""
    from goodnet.pruning.sweep import tally

    network = opened.split(split.suspect, split.layer)
    dataset = opened.dataset(data, opened.suspect(split.suspect), role)
    states = np.concatenate([order.kept() for order in orders])
    get_run_logger().info("%d states of %s, %s", len(states), split.layer, network.form)
    progress = reporter(f"sweeping {role} images")
    counts = tally(network, dataset, split.preprocessing, states, progress)
    steps = len(counts) // len(orders)
    return [counts[start : start + steps] for start in range(0, len(counts), steps)]


@cached_task(name="evaluate", run_name="evaluate on {role}")
def evaluate(
    split: SplitSuspect,
    curves: Sequence[Curve],
    models: Sequence[RepairedModel],
    data: DataFile,
    role: str,
) -> dict[str, Counts]:
    """What the suspect and each pruned model do on a test set, by the models' names."""
    from goodnet.evaluation.results import states_of
    from goodnet.pruning.sweep import tally

    network = opened.split(split.suspect, split.layer)
    dataset = opened.dataset(data, opened.suspect(split.suspect), role)
    progress = reporter(f"evaluating on {role} images")
    counts = tally(network, dataset, split.preprocessing, states_of(curves, models), progress)
    return dict(zip([SUSPECT, *(model.name for model in models)], counts, strict=True))
