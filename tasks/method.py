"""The steps of the method as cached tasks. TensorFlow is imported when one really runs."""

from collections.abc import Sequence

import numpy as np
from prefect.logging import get_run_logger

from goodnet.evaluation.results import RepairedModel
from goodnet.files.storage import StoredFile
from goodnet.metrics import Counts
from goodnet.pruning.curve import Curve, Swept
from goodnet.pruning.order import Order
from goodnet.report.findings import DatasetInfo, ModelInfo, PixelScaleInfo
from tasks import opened
from tasks.caching import cached_task
from tasks.progress import reporter


@cached_task(name="open suspect", run_name="open suspect", places=("model", "architecture"))
def describe_suspect(model: StoredFile, architecture: StoredFile | str, layer: str) -> ModelInfo:
    """The suspect, opened under every check."""
    from goodnet.report.inspection import describe_model

    suspect = opened.suspect(model, architecture)
    return describe_model(suspect, layer=layer, uri=model.uri)


@cached_task(name="open data set", run_name="open {role}", places=("data",))
def describe_data(
    model: StoredFile, architecture: StoredFile | str, data: StoredFile, role: str
) -> DatasetInfo:
    """The data set, opened under every check."""
    from goodnet.report.inspection import describe_set

    dataset = opened.dataset(data, opened.suspect(model, architecture))
    return describe_set(dataset, role, data.uri)


@cached_task(name="find pixel scale", run_name="find pixel scale, {asked}")
def find_scale(
    model: StoredFile, architecture: StoredFile | str, layer: str, asked: str, valid: StoredFile
) -> PixelScaleInfo:
    """The scale asked for, or the one clean images are answered better at."""
    from goodnet.pruning.sweep import clean_accuracy, find_scale
    from goodnet.scale import Scale

    split = opened.split(model, architecture, layer)
    clean = opened.dataset(valid, opened.suspect(model, architecture))
    progress = reporter("finding the pixel scale")
    if asked == "auto":
        found = find_scale(split, clean, source=model.uri, progress=progress)
        tried = {scale.value: share for scale, share in found.tried.items()}
        return PixelScaleInfo(found.scale.value, "found", tried)
    accuracy = clean_accuracy(split, clean, Scale(asked), progress)
    return PixelScaleInfo(asked, "given", {asked: accuracy})


@cached_task(name="measure activations", run_name="measure activations of {layer}")
def measure_activations(
    model: StoredFile, architecture: StoredFile | str, layer: str, scale: str, valid: StoredFile
) -> list[float]:
    """Mean activation of each channel of the layer over the clean validation images."""
    from goodnet.pruning.sweep import mean_activations
    from goodnet.scale import Scale

    split = opened.split(model, architecture, layer)
    clean = opened.dataset(valid, opened.suspect(model, architecture))
    progress = reporter("measuring activations")
    means: list[float] = mean_activations(split, clean, Scale(scale), progress).tolist()
    return means


@cached_task(name="sweep", run_name="sweep {role}")
def sweep(
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    orders: Sequence[Order],
    data: StoredFile,
    role: str,
) -> list[Swept]:
    """For each order, the images answered with their label at k = 0, 1, ... channels pruned."""
    from goodnet.pruning.sweep import tally
    from goodnet.scale import Scale

    split = opened.split(model, architecture, layer)
    dataset = opened.dataset(data, opened.suspect(model, architecture))
    states = np.concatenate([order.kept() for order in orders])
    get_run_logger().info("%d states of %s, %s", len(states), layer, split.form)
    swept = tally(split, dataset, Scale(scale), states, reporter(f"sweeping {role} images")).swept()
    steps = len(swept.hits) // len(orders)
    starts = range(0, len(swept.hits), steps)
    return [Swept(swept.hits[start : start + steps], swept.count) for start in starts]


@cached_task(name="evaluate", run_name="evaluate on {role}")
def evaluate(
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    curves: Sequence[Curve],
    models: Sequence[RepairedModel],
    data: StoredFile,
    role: str,
) -> list[Counts]:
    """What the suspect and each repaired model do on a test set."""
    from goodnet.evaluation.results import states_of
    from goodnet.pruning.sweep import tally
    from goodnet.scale import Scale

    split = opened.split(model, architecture, layer)
    dataset = opened.dataset(data, opened.suspect(model, architecture))
    progress = reporter(f"evaluating on {role} images")
    return tally(split, dataset, Scale(scale), states_of(curves, models), progress).by_state()
