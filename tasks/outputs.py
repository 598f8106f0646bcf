"""What a repair leaves behind: models, figures, tables, report, and the manifest last."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.evaluation.results import RepairedModel
from goodnet.files import paths, storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_VALID, POISONED_VALID
from goodnet.job.request import Request
from goodnet.report.findings import PruningResult, RepairResult
from goodnet.report.pictures import FIGURES, Picture, Samples
from tasks import opened
from tasks.caching import cached_task
from tasks.references import SplitSuspect, SuspectFile

if TYPE_CHECKING:
    from goodnet.backend import keras


@cached_task(name="prune", run_name="prune {name} {model.name}")
def store_pruned(
    name: str, split: SplitSuspect, model: RepairedModel, channels: Sequence[int], folder: str
) -> list[StoredFile]:
    """A pruned model and its GoodNet.

    Args:
        name: the suspect's name, for the task run's name.
        model: which one it is.
        channels: the channels to prune.
        folder: the repair's folder.
    """
    from goodnet.network.goodnet import join
    from goodnet.network.suspect import as_written
    from goodnet.pruning.zeroing import prune

    suspect = opened.suspect(split.suspect)
    network = prune(suspect, split.layer, channels)
    networks = as_written(suspect, network), join(suspect, network, split.preprocessing)
    return store_networks(networks, (model.model_file, model.goodnet_file), folder)


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
            stored.append(storage.put(path, storage.join(folder, name)))
    return stored


@cached_task(name="copy", run_name="copy to {uri}")
def store_copy(file: StoredFile, uri: str) -> StoredFile:
    """The copy of a stored file at another place."""
    return storage.copy(file, uri)


@cached_task(name="draw", run_name="draw {figure} of {findings.model.name}")
def draw(
    figure: str, findings: RepairResult, suspect: SuspectFile, data: Mapping[str, DataFile]
) -> list[Picture]:
    """The pictures of a figure.

    Args:
        figure: its name in FIGURES.
        findings: what was found.
        suspect: the suspect.
        data: the data sets by role.
    """
    clean, poisoned = (
        lambda: opened.clean_valid(data[CLEAN_VALID], opened.suspect(suspect)),
        lambda: opened.dataset(data[POISONED_VALID], opened.suspect(suspect), POISONED_VALID),
    )
    samples = Samples(clean, poisoned if POISONED_VALID in data else None)
    return list(FIGURES[figure](findings, samples))


@cached_task(name="write report", run_name="write tables and report of {findings.model.name}")
def store_report(
    findings: RepairResult, pictures: Sequence[Picture], extras: Sequence[str], folder: str
) -> list[StoredFile]:
    """The pictures, the tables, and the report as Markdown and as one self-contained page.

    Args:
        findings: what was found.
        pictures: those of the report.
        extras: the files to make that need an extra.
        folder: the repair's folder.
    """
    from goodnet.report.folder import report_files

    files = report_files(findings, pictures, extras=extras)
    return [storage.put(file, storage.join(folder, name)) for name, file in files.items()]


@cached_task(
    name="write origins",
    run_name="write where the networks of {findings.model.name} come from",
    places=("model", "data", "networks"),
)
def store_origins(
    model: StoredFile,
    data: Mapping[str, DataFile],
    findings: RepairResult,
    networks: Sequence[StoredFile],
    extras: Sequence[str],
    folder: str,
) -> list[StoredFile]:
    """The model card of what is recommended, and the bill of materials."""
    from goodnet.report.folder import origin_files

    files = origin_files(folder, model, data, findings, networks, extras)
    return [storage.put(file, storage.join(folder, name)) for name, file in files.items()]


@cached_task(name="write pruning", run_name="write what pruning of {result.model.name} came to")
def store_pruning(result: PruningResult, folder: str) -> list[str]:
    """The URIs of the figures and tables of pruning.

    The report's take their place when all is done: so nobody is to miss them then, and no record
    says what is in them.
    """
    from goodnet.report.folder import pruning_files

    files = pruning_files(result)
    return [storage.put(file, storage.join(folder, name)).uri for name, file in files.items()]


@cached_task(
    name="write manifest",
    run_name="write manifest of {findings.model.name}",
    places=("model", "data", "request"),
)
def store_manifest(
    model: StoredFile,
    data: Mapping[str, DataFile],
    request: Request,
    code: str,
    findings: RepairResult,
    files: Sequence[StoredFile],
    folder: str,
) -> list[StoredFile]:
    """The manifest, last of all: from then on the folder is a result."""
    from goodnet.report.manifest import manifest

    text = manifest(folder, model, data, request, code, findings, files)
    return [storage.put(text, storage.join(folder, paths.MANIFEST))]
