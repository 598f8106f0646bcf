"""What a repair leaves behind: models, figures, tables, report, and the manifest last."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.detection.verdict import Verdict
from goodnet.evaluation.results import RepairedModel
from goodnet.files import paths, storage
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_VALID, POISONED_VALID
from goodnet.job.request import Request
from goodnet.report.findings import RepairResult
from tasks import opened
from tasks.caching import cached_task

if TYPE_CHECKING:
    from goodnet.backend import keras

SAMPLES = 512  # images that the trigger's place is measured on


@cached_task(name="prune", run_name="prune {name} {repaired.direction}, drop {repaired.points}")
def store_repaired(
    name: str,
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    repaired: RepairedModel,
    channels: Sequence[int],
    folder: str,
) -> list[StoredFile]:
    """The repaired model and its GoodNet.

    Args:
        name: the suspect's name, for the task run's name.
        channels: the channels to prune.
        folder: the repair's folder.
    """
    from goodnet.network.goodnet import join
    from goodnet.pruning.zeroing import prune
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    network = prune(suspect, layer, channels)
    place = repaired.direction, repaired.points
    names = paths.repaired_model(*place, suspect.format), paths.goodnet(*place)
    return store_networks([network, join(suspect, network, Scale(scale))], names, folder)


def store_networks(
    networks: Sequence["keras.Model"], names: Sequence[str], folder: str
) -> list[StoredFile]:
    """Leave networks in the repair's folder under these names."""
    from goodnet.network.save import save_network

    stored = []
    with tempfile.TemporaryDirectory(prefix="goodnet-") as local:
        for network, name in zip(networks, names, strict=True):
            path = Path(local) / Path(name).name
            save_network(network, path)
            stored.append(storage.put(path, storage.inside(folder, name)))
    return stored


@cached_task(name="copy", run_name="copy to {uri}")
def store_copy(file: StoredFile, uri: str) -> StoredFile:
    """The copy of a stored file at another place."""
    return storage.copy(file, uri)


@cached_task(name="draw samples", run_name="draw samples of {name}")
def store_samples(
    name: str,
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    data: Mapping[str, StoredFile],
    folder: str,
) -> list[StoredFile]:
    """Sample images, clean and, where there are any, poisoned beside them."""
    from goodnet.report.figures import sample_grid, trigger_grid

    suspect = opened.suspect(model, architecture)
    clean = opened.dataset(data[CLEAN_VALID], suspect)
    rows = clean.spread(SAMPLES)
    pictures = clean.pictures(rows)
    drawn = {paths.CLEAN_SAMPLES: sample_grid(pictures, clean.labels[rows])}
    if POISONED_VALID in data:
        poisoned = opened.dataset(data[POISONED_VALID], suspect)
        rows = poisoned.spread(SAMPLES)
        true = None if poisoned.true_labels is None else poisoned.true_labels[rows]
        drawn[paths.POISONED_SAMPLES] = trigger_grid(
            pictures, poisoned.pictures(rows), poisoned.labels[rows], true
        )
    return _put_all(drawn, folder)


@cached_task(name="draw triggers", run_name="draw verdict of {name}")
def store_triggers(
    name: str,
    model: StoredFile,
    architecture: StoredFile | str,
    verdict: Verdict,
    valid: StoredFile,
    folder: str,
) -> list[StoredFile]:
    """The verdict's numbers, and each recovered trigger over sample images."""
    from goodnet.report.verdict_figures import trigger_figure, verdict_figure

    drawn = {paths.VERDICT_FIGURE: verdict_figure(verdict, name)}
    if verdict.triggers:
        clean = opened.dataset(valid, opened.suspect(model, architecture))
        rows = clean.spread(SAMPLES)
        pictures, labels = clean.pictures(rows), clean.labels[rows]
        for found in verdict.triggers:
            figure = trigger_figure(found.trigger(), pictures, labels)
            drawn[paths.trigger_figure(found.target)] = figure
    return _put_all(drawn, folder)


@cached_task(name="draw figures", run_name="draw curves and evaluation of {findings.model.name}")
def store_figures(findings: RepairResult, folder: str) -> list[StoredFile]:
    """The curve of each order, and the evaluation as bars."""
    from goodnet.report.charts import curve_figure, evaluation_figure

    name = findings.model.name
    drawn = {
        paths.curve_figure(curve.order.direction): curve_figure(curve, name)
        for curve in findings.curves
    }
    drawn[paths.EVALUATION_FIGURE] = evaluation_figure(findings.results, name)
    return _put_all(drawn, folder)


@cached_task(name="write report", run_name="write tables and report of {findings.model.name}")
def store_report(
    findings: RepairResult, figures: Sequence[StoredFile], folder: str
) -> list[StoredFile]:
    """The tables, and the report as Markdown and as one self-contained page."""
    from goodnet.report.document import report_html, report_markdown
    from goodnet.report.tables import curves_csv, evaluation_csv

    pictures = {figure.uri.rsplit("/", 1)[-1]: storage.read(figure) for figure in figures}
    text = report_markdown(findings, pictures)
    written = {
        paths.CURVES_CSV: curves_csv(findings.curves).encode(),
        paths.EVALUATION_CSV: evaluation_csv(findings.results).encode(),
        paths.REPORT_MD: text.encode(),
        paths.REPORT_HTML: report_html(text, pictures).encode(),
    }
    return _put_all(written, folder)


@cached_task(
    name="write manifest",
    run_name="write manifest of {findings.model.name}",
    places=("model", "data", "request"),
)
def store_manifest(
    model: StoredFile,
    data: Mapping[str, StoredFile],
    request: Request,
    method: str,
    findings: RepairResult,
    files: Sequence[StoredFile],
    folder: str,
) -> list[StoredFile]:
    """The manifest, last of all: from then on the folder is a result."""
    from goodnet.report.manifest import manifest

    text = manifest(folder, model, data, request, method, findings, files)
    return [storage.put(text, storage.inside(folder, paths.MANIFEST))]


def _put_all(contents: Mapping[str, bytes], folder: str) -> list[StoredFile]:
    return [storage.put(data, storage.inside(folder, name)) for name, data in contents.items()]
