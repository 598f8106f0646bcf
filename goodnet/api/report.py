"""The folder that a repair leaves, written without Prefect."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from goodnet.api.arrays import IN_MEMORY
from goodnet.api.model import Model
from goodnet.api.networks import Evaluation, RepairedNetwork
from goodnet.datasets.dataset import CleanDataset, Dataset
from goodnet.datasets.images import CleanImages
from goodnet.detection.verdict import Verdict
from goodnet.errors import InputRefused, one_line
from goodnet.files import folders, models, paths, storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_TEST, CLEAN_VALID, POISONED_TEST, POISONED_VALID
from goodnet.job.request import Request
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.recheck import best_successes, recheck
from goodnet.network.classifier import Classifier
from goodnet.network.save import save_network
from goodnet.pruning.curve import Curve
from goodnet.report.conclusion import recommended_files
from goodnet.report.extras import extra_files
from goodnet.report.findings import ModelInfo, ModelRecheck, PruningResult, RepairResult
from goodnet.report.folder import origin_files, pruning_files, report_files
from goodnet.report.inspection import describe_model, describe_set
from goodnet.report.manifest import manifest
from goodnet.report.pictures import FIGURES, Samples


def write_report(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    curves: Curve | Sequence[Curve],
    evaluation: Evaluation,
    *,
    folder: str | Path,
    poisoned: Dataset | None = None,
    budget: float = 2,
    stored: Sequence[StoredFile] = (),
) -> RepairResult:
    """Leave in a folder what a repair leaves: networks, GoodNets, figures, tables, the report.

    The manifest is written last: a folder without it is unfinished.

    Args:
        model: the suspect.
        clean: the clean validation images.
        verdict: from `detect`.
        curves: from `sweep`, one for each order.
        evaluation: from `evaluate`.
        folder: a local path or an `s3://` URI; made if it is not there.
        poisoned: the poisoned validation images, if a curve has a line of the attack.
        budget: points of clean test accuracy that a network which is recommended may lose.
        stored: networks that are in the folder already, from `write_pruning`.

    Returns:
        All that the report says, `recommend` and `headline` can be asked about it.
    """
    every = (curves,) if isinstance(curves, Curve) else tuple(curves)
    given = _by_role(clean, evaluation, poisoned)
    findings = _findings(model, clean, verdict, every, evaluation, given, budget)
    samples = Samples(lambda: clean, (lambda: poisoned) if poisoned else None)
    pictures = [picture for draw in FIGURES.values() for picture in draw(findings, samples)]
    files = _put_all(report_files(findings, pictures, extras=extra_files()), folder)
    there = {file.uri for file in stored}
    missing = [n for n in evaluation.repaired if _uri(n.identity.model_file, folder) not in there]
    networks = [*stored, *_store_networks(missing, str(folder))]
    networks += _store_recommended(findings, networks, str(folder))
    suspect = models.identify(model.suspect.source)
    inputs = {role: DataFile(_stored(images), images.reading) for role, images in given.items()}
    origins = origin_files(str(folder), suspect, inputs, findings, networks, extra_files())
    files += networks + _put_all(origins, folder)
    request = _request(model, findings)
    text = manifest(str(folder), suspect, inputs, request, None, findings, files)
    storage.put(text, storage.join(str(folder), paths.MANIFEST))
    return findings


def write_pruning(
    model: Model, curves: Sequence[Curve], evaluation: Evaluation, *, folder: str | Path
) -> list[StoredFile]:
    """Leave in a folder what pruning came to, before the verdict begins.

    The figures and tables are those of `write_report`, which takes their place when all is done.

    Args:
        model: the suspect.
        curves: from `sweep`, one for each order.
        evaluation: of the pruned networks, from `evaluate`.
        folder: a local path or an `s3://` URI; made if it is not there.

    Returns:
        The networks and their GoodNets.
    """
    result = PruningResult(_described(model), tuple(curves), evaluation.every_row)
    _put_all(pruning_files(result), folder)
    return _store_networks(evaluation.repaired, str(folder))


def _by_role(
    clean: CleanDataset, evaluation: Evaluation, poisoned: Dataset | None
) -> dict[str, Dataset]:
    """The data sets that there are."""
    sets: dict[str, Dataset | None] = {
        CLEAN_VALID: clean,
        CLEAN_TEST: evaluation.clean,
        POISONED_VALID: poisoned,
        POISONED_TEST: evaluation.poisoned,
    }
    return {role: images for role, images in sets.items() if images}


def _uri(name: str, folder: str | Path) -> str:
    return storage.join(str(folder), name)


def _put_all(contents: Mapping[str, bytes], folder: str | Path) -> list[StoredFile]:
    return [storage.put(content, _uri(name, folder)) for name, content in contents.items()]


def _described(model: Model) -> ModelInfo:
    name = paths.safe_name(model.uri)
    return describe_model(model.suspect, layer=model.layer_request, name=name)


def _stored(images: Dataset) -> StoredFile:
    """The data set by its digest; one in memory by that which it was opened with."""
    if images.source == IN_MEMORY:
        return StoredFile(IN_MEMORY, images.sha256, images.pixels.nbytes)
    return folders.identify(images.source)


def _findings(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    curves: tuple[Curve, ...],
    evaluation: Evaluation,
    sets: Mapping[str, Dataset],
    budget: float,
) -> RepairResult:
    """All that was found out, as a flow has it."""
    mitigated = [network.account for network in evaluation.repaired if network.account]
    return RepairResult(
        model=_described(model),
        sets=tuple(describe_set(images, role) for role, images in sets.items()),
        preprocessing=model.settle_preprocessing(clean),
        points=tuple(drop.points for drop in curves[0].drops),
        curves=curves,
        evaluation=evaluation.every_row,
        verdict=verdict,
        method="auto",
        mitigation=mitigated[0] if mitigated else None,
        budget=budget,
        rechecks=tuple(_rechecks(model, clean, verdict, evaluation.repaired)),
        brought=_brought(model, sets),
    )


def _brought(model: Model, sets: Mapping[str, Dataset]) -> tuple[str, ...]:
    """What came with the suspect and is used, in words."""
    own = set[str]()
    with suppress(InputRefused):  # whose images lie where they may not: none of them was loaded
        own = {one_line(source.uri) for source in model.own_sets.values()}
    used = any(images.source in own for images in sets.values())
    return (*(["images"] if used else []), *model.own.in_words)


def _store_networks(networks: Sequence[RepairedNetwork], folder: str) -> list[StoredFile]:
    """The networks and their GoodNets under their names."""
    files = []
    with tempfile.TemporaryDirectory(prefix="goodnet-") as local:
        for network in networks:
            names = network.identity.model_file, network.identity.goodnet_file
            for name, saved in zip(names, (network.keras, network.joined), strict=True):
                path = Path(local) / Path(name).name
                save_network(saved, path)
                files.append(storage.put(path, _uri(name, folder)))
    return files


def _store_recommended(
    findings: RepairResult, networks: Sequence[StoredFile], folder: str
) -> list[StoredFile]:
    """Copies of what is recommended, where a script finds them; none where nothing is."""
    stored = {network.uri: network for network in networks}
    return [
        storage.copy(stored[_uri(source, folder)], _uri(name, folder))
        for name, source in recommended_files(findings).items()
    ]


def _request(model: Model, findings: RepairResult) -> Request:
    """What a flow would have been asked for, for the manifest."""
    mitigation = findings.mitigation
    return Request(
        directions=tuple(curve.order.direction for curve in findings.curves),
        points=findings.points,
        layer=model.layer_request,
        preprocessing=model.preprocessing_request,
        architecture="auto",
        method=mitigation.model.method if mitigation else "pruning",
        budget=findings.budget,
        minutes=findings.verdict.minutes,
        class_names=model.own.class_names,
    )


def _rechecks(
    model: Model, clean: CleanDataset, verdict: Verdict, networks: Sequence[RepairedNetwork]
) -> Iterator[ModelRecheck]:
    """What the verdict's triggers do to each network, on the held-out clean images."""
    triggers = verdict.recovered_triggers()
    pruned = [network for network in networks if network.account is None]
    if pruned and triggers:
        images = hold_out(CleanImages.of(clean)).held_out
        suspect = Classifier(model.suspect.network, model.preprocessing)
        before = best_successes(suspect, images, triggers)
        for network in pruned:
            repaired = Classifier(network.network, model.preprocessing)
            tried = recheck(before, repaired, images, triggers)
            yield ModelRecheck(network.identity, tried, None)
    for network in networks:
        if network.account:
            account = network.account
            yield ModelRecheck(network.identity, account.triggers, account.flagged_classes)
