"""Repair one suspect: prune, judge, repair again where that calls for it, evaluate, report.

Method: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from prefect import flow, runtime
from prefect.states import Completed, Failed

from goodnet.detection.verdict import Verdict
from goodnet.errors import InputRefused
from goodnet.evaluation.results import RepairedModel, repaired_models, results_of
from goodnet.files import paths, storage
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import (
    CLEAN_TEST,
    CLEAN_VALID,
    POISONED_TEST,
    POISONED_VALID,
    identify_model,
)
from goodnet.job.request import Request
from goodnet.metrics import Counts, Proportion
from goodnet.mitigation.policy import FIRST, channels_pruned_first, choose_method
from goodnet.pruning.curve import Curve, make_curve
from goodnet.pruning.order import Direction, order_channels
from goodnet.report.conclusion import headline, recommended_files
from goodnet.report.findings import ModelInfo, Recheck, RepairResult
from goodnet.report.manifest import repair_key
from goodnet.report.recommendation import recommend
from tasks.caching import Folder, RunningTask
from tasks.detection import Mitigation, evaluate_second, judge, mitigate, try_triggers
from tasks.method import (
    describe_data,
    describe_suspect,
    evaluate,
    find_scale,
    measure_activations,
    sweep,
)
from tasks.outputs import (
    store_copy,
    store_figures,
    store_manifest,
    store_repaired,
    store_report,
    store_samples,
    store_triggers,
)
from tasks.runs import REFUSED
from tasks.shown import show, tag_run
from tasks.source import source_digest


def _name_of_run() -> str:
    return paths.run_name(runtime.flow_run.parameters["uri"])


@flow(name="repair-model", flow_run_name=_name_of_run, validate_parameters=False)
def repair_model(uri: str, data: dict[str, StoredFile], request: Request, output: str) -> Any:
    """What was found out about one suspect, and the folder where it is.

    Args:
        uri: the suspect.
        data: the data sets by role; without poisoned ones nothing is said of the attack.
        request: what was asked for.
        output: the folder under which the repair's own folder is made.
    """
    try:
        model = identify_model(uri)
        method = source_digest(repair_model.fn)
        key = repair_key(model, data, request, method)
        folder = storage.inside(output, paths.repair_folder(uri, key))
        findings, repaired = investigate(model, data, request, folder)
        store(model, data, request, method, findings, repaired, folder)
        tag_run(paths.verdict_tag(recommend(findings).answer))
    except InputRefused as refused:  # the state says it in one line
        return Failed(name=REFUSED, message=str(refused), data=refused)
    return Completed(message=headline(findings), data=(folder, findings))


def investigate(
    model: StoredFile, data: dict[str, StoredFile], request: Request, folder: str
) -> tuple[RepairResult, list[StoredFile]]:
    """What there is to know of a suspect, and the networks made from it."""
    suspect = {"model": model, "architecture": request.architecture}
    found = describe_suspect(**suspect, layer=request.layer)
    sets = [describe_data.start(**suspect, data=stored, role=role) for role, stored in data.items()]
    valid = data[CLEAN_VALID]
    split = {**suspect, "layer": found.layer}
    scale = find_scale(**split, asked=request.scale, valid=valid)
    split["scale"] = scale.name

    judging = judge.start(**suspect, scale=scale.name, valid=valid)
    curves = draw_curves(split, data, request.directions, request.points)
    models = repaired_models(curves)
    tests = {role: data[role] for role in (CLEAN_TEST, POISONED_TEST) if role in data}
    evaluated = [
        evaluate.start(**split, curves=curves, models=models, data=test, role=role)
        for role, test in tests.items()
    ]
    stored = [prune(found, split, curves, repaired, folder) for repaired in models]
    verdict = judging.result()
    rechecks = recheck_pruned(split, curves, models, verdict, valid)
    second = repair_again(found, split, curves, verdict, request, valid, folder)
    counts = {role: task.result() for role, task in zip(tests, evaluated, strict=True)}
    networks = [file for task in stored for file in task.result()]
    if second:
        mitigated = second.mitigated
        repaired = RepairedModel(mitigated.name, "", mitigated.pruned)
        models = (*models, repaired)
        rechecks = (*rechecks, Recheck(repaired, mitigated.recovered, mitigated.named))
        for role, count in evaluate_again(second, split, tests).items():
            counts[role].append(count)
        networks += second.model, second.goodnet
    findings = RepairResult(
        model=found,
        sets=tuple(opened.result() for opened in sets),
        scale=scale,
        points=request.points,
        curves=curves,
        baseline_clean=Proportion(curves[0].clean_correct[0], curves[0].clean_count),
        baseline_attack=_baseline_attack(curves[0]),
        results=results_of(models, counts[CLEAN_TEST], counts.get(POISONED_TEST)),
        verdict=verdict,
        method=request.method,
        mitigated=second.mitigated if second else None,
        budget=request.budget,
        rechecks=rechecks,
    )
    return findings, networks


def draw_curves(
    split: dict[str, Any],
    data: dict[str, StoredFile],
    directions: Sequence[Direction],
    points: Sequence[str],
) -> tuple[Curve, ...]:
    """The curve of each order, on the validation sets that there are."""
    activations = np.array(measure_activations(**split, valid=data[CLEAN_VALID]))
    orders = [order_channels(activations, direction) for direction in directions]
    swept = {
        role: sweep.start(**split, orders=orders, data=data[role], role=role)
        for role in (CLEAN_VALID, POISONED_VALID)
        if role in data
    }
    clean = swept[CLEAN_VALID].result()
    poisoned = swept[POISONED_VALID].result() if POISONED_VALID in swept else [None] * len(orders)
    return tuple(
        make_curve(order, *counts, points)
        for order, *counts in zip(orders, clean, poisoned, strict=True)
    )


def prune(
    found: ModelInfo,
    split: dict[str, Any],
    curves: Sequence[Curve],
    repaired: RepairedModel,
    folder: str,
) -> RunningTask[list[StoredFile]]:
    """The making of a repaired model and its GoodNet, begun."""
    return store_repaired.start(
        **split,
        name=found.name,
        repaired=repaired,
        channels=channels_of(curves, repaired),
        folder=folder,
    )


def channels_of(curves: Sequence[Curve], repaired: RepairedModel) -> tuple[int, ...]:
    """The channels that are pruned in a repaired model."""
    order = next(c.order for c in curves if c.order.direction == repaired.direction)
    return order.channels[: repaired.k]


def recheck_pruned(
    split: dict[str, Any],
    curves: Sequence[Curve],
    models: Sequence[RepairedModel],
    verdict: Verdict,
    valid: StoredFile,
) -> tuple[Recheck, ...]:
    """What the verdict's triggers do to the pruned models; nothing where there is none of both."""
    if not models or not verdict.triggers:
        return ()
    pruned = [channels_of(curves, repaired) for repaired in models]
    tried = try_triggers(**split, verdict=verdict, pruned=pruned, valid=valid)
    return tuple(Recheck(m, recovered, None) for m, recovered in zip(models, tried, strict=True))


def repair_again(
    found: ModelInfo,
    split: dict[str, Any],
    curves: Sequence[Curve],
    verdict: Verdict,
    request: Request,
    valid: StoredFile,
    folder: str,
) -> Mitigation | None:
    """What the verdict, or the request, calls for beside pruning. It sees no poisoned image."""
    how = choose_method(request.method, verdict)
    if how is None:
        return None
    pruned_first = quietest_channels(split, curves, valid) if how == "finepruned" else ()
    second = mitigate(
        **split,
        how=how,
        verdict=verdict,
        channels=pruned_first,
        valid=valid,
        folder=Folder(folder),
    )
    model = put_in_place(second.model, folder, paths.repaired_model(how, "", found.format))
    return Mitigation(
        second.mitigated, model, put_in_place(second.goodnet, folder, paths.goodnet(how, ""))
    )


def quietest_channels(
    split: dict[str, Any], curves: Sequence[Curve], valid: StoredFile
) -> tuple[int, ...]:
    """The channels that fine-pruning prunes first, whichever orders were asked for."""
    ascending = [curve for curve in curves if curve.order.direction == "ascending"]
    if not ascending:
        ascending = [*draw_curves(split, {CLEAN_VALID: valid}, ["ascending"], [FIRST])]
    return channels_pruned_first(ascending[0])


def put_in_place(file: StoredFile, folder: str, name: str) -> StoredFile:
    """The file under its name in the folder, copied if an earlier repair left it in another one."""
    uri = storage.inside(folder, name)
    return file if file.uri == uri else store_copy(file=file, uri=uri)


def evaluate_again(
    second: Mitigation, split: dict[str, Any], tests: dict[str, StoredFile]
) -> dict[str, Counts]:
    """What the second repaired model, and its GoodNet, do on the test sets, by role."""
    given = {name: split[name] for name in ("model", "architecture", "scale")}
    return {
        role: evaluate_second(**given, repaired=second.model, data=test, role=role)
        for role, test in tests.items()
    }


def store_recommended(
    findings: RepairResult, networks: Sequence[StoredFile], folder: str
) -> list[StoredFile]:
    """Copies of what is recommended, where a script finds them; none where nothing is."""
    stored = {network.uri: network for network in networks}
    return [
        store_copy(file=stored[storage.inside(folder, source)], uri=storage.inside(folder, name))
        for name, source in recommended_files(findings).items()
    ]


def store(
    model: StoredFile,
    data: dict[str, StoredFile],
    request: Request,
    method: str,
    findings: RepairResult,
    networks: Sequence[StoredFile],
    folder: str,
) -> None:
    """Leave everything else in the repair's folder, the manifest last."""
    name = findings.model.name
    suspect = {"model": model, "architecture": request.architecture, "name": name}
    split = {"layer": findings.model.layer, "scale": findings.scale.name}
    samples = store_samples.start(**suspect, **split, data=data, folder=folder)
    figures = store_figures.start(findings=findings, folder=folder)
    triggers = store_triggers.start(
        **suspect, verdict=findings.verdict, valid=data[CLEAN_VALID], folder=folder
    )
    pictures = [*samples.result(), *figures.result(), *triggers.result()]
    networks = [*networks, *store_recommended(findings, networks, folder)]
    report = store_report(findings=findings, figures=pictures, folder=folder)
    files = [*networks, *pictures, *report]
    written = store_manifest(
        model=model,
        data=data,
        request=request,
        method=method,
        findings=findings,
        files=files,
        folder=folder,
    )
    show(findings, pictures, [*report, *pictures, *networks, *written], folder)


def _baseline_attack(curve: Curve) -> Proportion | None:
    hits = curve.attack_hits
    return None if hits is None else Proportion(hits[0], curve.poisoned_count)
