"""The repair of one suspect without Prefect: the steps of flows/repair_model.py, by the API."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from goodnet.api.model import Model, load_images, load_model
from goodnet.api.networks import Evaluation, RepairedNetwork
from goodnet.api.report import write_pruning, write_report
from goodnet.api.verbs import detect, evaluate, prune, repair, sweep
from goodnet.command.main import version
from goodnet.command.progress_bar import saying, shown_progress
from goodnet.datasets.class_names import known_names
from goodnet.detection.verdict import Verdict
from goodnet.files import paths, storage
from goodnet.files.data_files import DataFile
from goodnet.job.inputs import (
    CLEAN_TEST,
    CLEAN_VALID,
    POISONED_TEST,
    POISONED_VALID,
    find_data,
    find_output,
    identify_model,
)
from goodnet.job.plan import Job
from goodnet.job.request import Request, with_architecture_beside
from goodnet.mitigation.policy import choose_method
from goodnet.pruning.curve import Curve
from goodnet.pruning.order import Direction
from goodnet.report.conclusion import headline
from goodnet.report.extras import missing_files
from goodnet.report.manifest import repair_key
from goodnet.report.tables import results_table


def repair_suspect(job: Job, output: str) -> list[str]:
    """Leave a repair's folder; the lines that say what came of it.

    Args:
        job: the suspect, and what is asked for.
        output: the folder under which the repair's own folder is made.

    Raises:
        InputRefused: the suspect, or the images, cannot be used.
        OSError: something could not be read or written.
    """
    request = with_architecture_beside(job.request, job.model)
    data = find_data(*job.data)
    code = f"goodnet {version()}"
    key = repair_key(identify_model(job.model), data, request, code)
    folder = storage.join(output, paths.repair_folder(job.uri, key))
    if not storage.is_remote(folder):
        find_output(folder)  # it may be there, and not be ours
    model = _opened(job, request)
    # The first clean set is what the preprocessing is found by: never the test images.
    order = [CLEAN_VALID, *(role for role in data if role != CLEAN_VALID)]
    images = {role: _load(model, role, data[role]) for role in order}
    clean, poisoned = images[CLEAN_VALID], images.get(POISONED_VALID)
    curves = [
        _curve(model, direction, request, clean, poisoned) for direction in request.directions
    ]
    tests = {"clean": images.get(CLEAN_TEST), "poisoned": images.get(POISONED_TEST)}
    pruned = list(_pruned(model, curves))
    table = _evaluated(model, pruned, tests)
    stored = write_pruning(model, curves, table, folder=folder)
    print(f"{paths.safe_name(job.uri)}, pruned:\n{table}", file=sys.stderr, flush=True)
    names = known_names(request.class_names, clean.class_names, model.classes, job.model)
    verdict = replace(_judged(model, clean, request), class_names=names)
    if mitigated := list(_mitigated(model, clean, verdict, request)):
        table = table.joined(_evaluated(model, mitigated, tests))
    findings = write_report(
        *(model, clean, verdict, curves, table),
        folder=folder,
        poisoned=poisoned,
        budget=request.budget,
        stored=stored,
    )
    return [
        f"\n{paths.safe_name(job.uri)}: {headline(findings)}\n",
        results_table(findings),
        f"report: {storage.join(folder, paths.REPORT_HTML)}",
        *missing_files(),
        f"\nwrote {folder}",
    ]


def _opened(job: Job, request: Request) -> Model:
    """The suspect."""
    architecture = request.architecture
    return load_model(
        job.model,
        architecture=architecture if isinstance(architecture, str) else architecture.uri,
        layer=request.layer,
        preprocessing=request.preprocessing,
    )


def _load(model: Model, role: str, file: DataFile) -> Any:
    """The images of a data set; clean or poisoned, as its role says."""
    reading = file.reading
    how: dict[str, Any] = {"part": reading.part, "resize": reading.resize}
    how["keys"] = ",".join(reading.keys)
    if role in (CLEAN_VALID, CLEAN_TEST):
        return load_images(file.uri, model, **how)
    how["target"] = reading.target
    return load_images(file.uri, model, poisoned=True, **how)


def _curve(
    model: Model, direction: Direction, request: Request, clean: Any, poisoned: Any
) -> Curve:
    """The curve of one order."""
    with shown_progress(f"sweep, {direction}") as progress:
        how: dict[str, Any] = {"poisoned": poisoned, "progress": progress}
        return sweep(model, clean, order=direction, drops=request.points, **how)


def _pruned(model: Model, curves: list[Curve]) -> Iterator[RepairedNetwork]:
    """A network for each drop that a curve reaches."""
    for curve in curves:
        for drop in curve.drops:
            if drop.k is not None:
                yield prune(model, curve, drop=drop.points)


def _evaluated(model: Model, networks: list[RepairedNetwork], tests: dict[str, Any]) -> Evaluation:
    """What networks do on the test sets."""
    with shown_progress("evaluate") as progress:
        return evaluate(model, networks, **tests, progress=progress)


def _judged(model: Model, clean: Any, request: Request) -> Verdict:
    """The verdict."""
    with shown_progress("detect") as progress:
        say = saying("detect")
        return detect(model, clean, minutes=request.minutes, progress=progress, say=say)


def _mitigated(
    model: Model, clean: Any, verdict: Verdict, request: Request
) -> Iterator[RepairedNetwork]:
    """What the verdict, or the request, calls for beside pruning."""
    if choose_method(request.method, verdict):
        with shown_progress("repair") as progress:
            yield repair(model, clean, verdict, method=request.method, progress=progress)
