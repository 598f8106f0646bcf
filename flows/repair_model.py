"""Repair one suspect: prune, join, evaluate, report.

Method: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from prefect import flow, runtime
from prefect.states import Completed, Failed

from goodnet import paths, storage
from goodnet.channels import order_channels
from goodnet.conclusion import conclude
from goodnet.curve import Curve, make_curve
from goodnet.evaluation import Repaired, repaired_models, results_of
from goodnet.faults import InputRefused
from goodnet.findings import Findings
from goodnet.inputs import (
    CLEAN_TEST,
    CLEAN_VALID,
    POISONED_TEST,
    POISONED_VALID,
    identify_model,
)
from goodnet.manifest import repair_key
from goodnet.metrics import Share
from goodnet.request import Request
from goodnet.storage import Stored
from tasks.method import (
    describe_data,
    describe_suspect,
    evaluate,
    find_scale,
    measure_activations,
    sweep,
)
from tasks.outputs import (
    store_figures,
    store_manifest,
    store_repaired,
    store_report,
    store_samples,
)
from tasks.runs import REFUSED
from tasks.shown import show, tag_run


def _name_of_run() -> str:
    return paths.run_name(runtime.flow_run.parameters["uri"])


@flow(name="repair-model", flow_run_name=_name_of_run, validate_parameters=False)
def repair_model(uri: str, data: dict[str, Stored], request: Request, output: str) -> Any:
    """What was found out about one suspect, and the folder where it is.

    Args:
        uri: the suspect.
        data: the data sets by role; without poisoned ones nothing is said of the attack.
        request: what was asked for.
        output: the folder under which the repair's own folder is made.
    """
    try:
        model = identify_model(uri)
        key = repair_key(model, data, request)
        folder = storage.inside(output, paths.repair_folder(uri, key))
        findings, models = investigate(model, data, request)
        store(model, data, request, findings, models, folder)
        tag_run(paths.verdict_tag(conclude(findings)[0]))
    except InputRefused as refused:  # the state says it in one line
        return Failed(name=REFUSED, message=str(refused), data=refused)
    return Completed(message=conclude(findings)[0], data=(folder, findings))


def investigate(
    model: Stored, data: dict[str, Stored], request: Request
) -> tuple[Findings, tuple[Repaired, ...]]:
    """What there is to know of a suspect, and which repaired models to take from it."""
    suspect = {"model": model, "architecture": request.architecture}
    found = describe_suspect(**suspect, layer=request.layer)
    sets = [describe_data.start(**suspect, data=stored, role=role) for role, stored in data.items()]

    split = {**suspect, "layer": found.layer}
    scale = find_scale(**split, asked=request.scale, valid=data[CLEAN_VALID])
    split["scale"] = scale.name
    activations = np.array(measure_activations(**split, valid=data[CLEAN_VALID]))
    orders = [order_channels(activations, direction) for direction in request.directions]

    swept = {
        role: sweep.start(**split, orders=orders, data=data[role], role=role)
        for role in (CLEAN_VALID, POISONED_VALID)
        if role in data
    }
    clean = swept[CLEAN_VALID].result()
    poisoned = swept[POISONED_VALID].result() if POISONED_VALID in swept else [None] * len(orders)
    curves = tuple(
        make_curve(order, *counts, request.points)
        for order, *counts in zip(orders, clean, poisoned, strict=True)
    )
    models = repaired_models(curves)

    tests = {
        role: evaluate.start(**split, curves=curves, models=models, data=data[role], role=role)
        for role in (CLEAN_TEST, POISONED_TEST)
        if role in data
    }
    counts = {role: test.result() for role, test in tests.items()}
    findings = Findings(
        model=found,
        sets=tuple(opened.result() for opened in sets),
        scale=scale,
        points=request.points,
        curves=curves,
        baseline_clean=Share(curves[0].clean_correct[0], curves[0].clean_count),
        baseline_attack=_baseline_attack(curves[0]),
        results=results_of(models, counts[CLEAN_TEST], counts.get(POISONED_TEST)),
    )
    return findings, models


def store(
    model: Stored,
    data: dict[str, Stored],
    request: Request,
    findings: Findings,
    models: Sequence[Repaired],
    folder: str,
) -> None:
    """Leave everything in the repair's folder, the manifest last."""
    name = findings.model.name
    split = {
        "model": model,
        "architecture": request.architecture,
        "layer": findings.model.layer,
        "scale": findings.scale.name,
    }
    orders = {curve.order.direction: curve.order.channels for curve in findings.curves}
    started = [
        store_repaired.start(
            **split,
            name=name,
            repaired=repaired,
            channels=orders[repaired.direction][: repaired.k],
            folder=folder,
        )
        for repaired in models
    ]
    samples = store_samples.start(**split, name=name, data=data, folder=folder)
    figures = store_figures.start(findings=findings, folder=folder)
    pictures = [*samples.result(), *figures.result()]
    report = store_report(findings=findings, figures=pictures, folder=folder)
    networks = [file for task in started for file in task.result()]
    files = [*networks, *pictures, *report]
    written = store_manifest(
        model=model, data=data, request=request, findings=findings, files=files, folder=folder
    )
    show(findings, pictures, [*report, *pictures, *networks, *written], folder)


def _baseline_attack(curve: Curve) -> Share | None:
    hits = curve.attack_hits
    return None if hits is None else Share(hits[0], curve.poisoned_count)
