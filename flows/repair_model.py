"""Repair one suspect: prune, judge, mitigate where that calls for it, evaluate, report.

Method: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import flow, runtime
from prefect.states import Completed, Failed

from flows.pruning import TESTS, Data, draw_curves, prune
from goodnet.datasets.class_names import known_names
from goodnet.detection.verdict import Verdict
from goodnet.errors import InputRefused
from goodnet.evaluation.results import (
    RepairedModel,
    evaluation_rows,
    pruned_channels,
)
from goodnet.files import paths, storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import (
    CLEAN_TEST,
    CLEAN_VALID,
    POISONED_TEST,
    find_output,
    identify_model,
)
from goodnet.job.plan import Job
from goodnet.job.request import Request, with_architecture_beside
from goodnet.metrics import Counts
from goodnet.mitigation.policy import FIRST, channels_pruned_first, choose_method
from goodnet.pruning.curve import Curve
from goodnet.report.conclusion import headline, recommended_files
from goodnet.report.extras import extra_files
from goodnet.report.findings import ModelRecheck, RepairResult
from goodnet.report.manifest import repair_key
from goodnet.report.pictures import FIGURES, Picture
from goodnet.report.recommendation import recommend
from tasks.alone import alone
from tasks.artifacts import show, show_index, tag_run
from tasks.caching import Folder
from tasks.deployments import REFUSED
from tasks.detection import judge
from tasks.mitigation import MitigatedFiles, evaluate_mitigation, mitigate, try_triggers
from tasks.outputs import (
    draw,
    store_copy,
    store_manifest,
    store_origins,
    store_report,
)
from tasks.pruning import (
    describe_data,
    describe_suspect,
    find_preprocessing,
)
from tasks.references import SplitSuspect, SuspectFile
from tasks.source import source_digest


def _name_of_run() -> str:
    return paths.run_name(runtime.flow_run.parameters["job"].uri)


@flow(name="repair-model", flow_run_name=_name_of_run, validate_parameters=False)
def repair_model(job: Job, data: dict[str, DataFile], output: str) -> Any:
    """What was found out about one suspect, and the folder where it is.

    Args:
        job: the suspect, and what is asked for.
        data: the data sets by role; without a clean test set nothing is recommended, and without
            poisoned ones nothing is said of the attack.
        output: the folder under which the repair's own folder is made.
    """
    try:
        request = with_architecture_beside(job.request, job.model)
        suspect = SuspectFile(identify_model(job.model), request.architecture)
        code = source_digest(repair_model.fn)
        key = repair_key(suspect.model, data, request, code)
        folder = storage.join(output, paths.repair_folder(job.uri, key))
        if not storage.is_remote(folder):
            find_output(folder)  # it may be there, and not be ours
        with alone(suspect.model.sha256):
            findings, networks = investigate(suspect, data, job, folder)
            networks += store_recommended(findings, networks, folder)
            pictures = draw_all(findings, suspect, data)
            report = store_report(findings, pictures, extra_files(), folder)
            report += store_origins(suspect.model, data, findings, networks, extra_files(), folder)
            written = store_manifest(
                suspect.model, data, request, code, findings, [*networks, *report], folder
            )
        show(findings, pictures, [*report, *networks, *written], folder)
        tag_run(paths.verdict_tag(recommend(findings).answer))
        show_index(output)
    except InputRefused as refused:  # the state says it in one line
        return Failed(name=REFUSED, message=str(refused), data=refused)
    return Completed(message=headline(findings), data=(folder, findings))


def investigate(
    suspect: SuspectFile, data: Data, job: Job, folder: str
) -> tuple[RepairResult, list[StoredFile]]:
    """What there is to know of a suspect, and the networks made from it.

    What pruning asks for comes first; then the verdict has the machine, and what follows from it.
    What does not depend on each other runs side by side: a task that is started is waited for where
    its result is needed.
    """
    valid, tests = data[CLEAN_VALID], {role: data[role] for role in TESTS if role in data}
    request = job.request
    model = describe_suspect(suspect, request.layer, paths.safe_name(job.uri))
    sets = {role: describe_data.start(suspect, data[role], role) for role in data}
    preprocessing = find_preprocessing(suspect, model.layer, request.preprocessing, valid)
    folders = sets[CLEAN_VALID].result().class_names
    names = known_names(request.class_names, folders, model.classes, model.uri)
    split = SplitSuspect(suspect, preprocessing.preprocessing, model.layer)

    curves, models, counts, networks = prune(model, split, data, request, folder)
    verdict = judge(suspect, preprocessing.preprocessing, valid, request.minutes)
    verdict = replace(verdict, class_names=names)
    rechecks = recheck_pruned(split, curves, models, verdict, valid)
    mitigation = mitigate_where_needed(split, curves, verdict, request, valid, folder)

    if mitigation:
        account = mitigation.account
        for role, count in evaluate_again(split, mitigation, tests).items():
            counts[role][account.model.name] = count
        again = ModelRecheck(account.model, account.triggers, account.flagged_classes)
        models, rechecks = (*models, account.model), (*rechecks, again)
        networks += mitigation.model, mitigation.goodnet
    findings = RepairResult(
        model=model,
        sets=tuple(task.result() for task in sets.values()),
        preprocessing=preprocessing,
        points=request.points,
        curves=curves,
        evaluation=evaluation_rows(models, counts.get(CLEAN_TEST), counts.get(POISONED_TEST)),
        verdict=verdict,
        method=request.method,
        mitigation=mitigation.account if mitigation else None,
        budget=request.budget,
        rechecks=rechecks,
        brought=job.brought,
    )
    return findings, networks


def recheck_pruned(
    split: SplitSuspect,
    curves: Sequence[Curve],
    models: Sequence[RepairedModel],
    verdict: Verdict,
    valid: DataFile,
) -> tuple[ModelRecheck, ...]:
    """What the verdict's triggers do to the pruned models; nothing where there is none of both."""
    if not models or not verdict.triggers:
        return ()
    pruned = [pruned_channels(curves, model) for model in models]
    tried = try_triggers(split, verdict, pruned, valid)
    pairs = zip(models, tried, strict=True)
    return tuple(ModelRecheck(model, triggers, None) for model, triggers in pairs)


def mitigate_where_needed(
    split: SplitSuspect,
    curves: Sequence[Curve],
    verdict: Verdict,
    request: Request,
    valid: DataFile,
    folder: str,
) -> MitigatedFiles | None:
    """What the verdict, or the request, calls for beside pruning. It sees no poisoned image."""
    method = choose_method(request.method, verdict)
    if method is None:
        return None
    channels = quietest_channels(split, curves, valid) if method.prunes_first else ()
    files = mitigate(split, method.name, verdict, channels, valid, Folder(folder))
    model = put_in_place(files.model, folder, files.account.model.model_file)
    goodnet = put_in_place(files.goodnet, folder, files.account.model.goodnet_file)
    return MitigatedFiles(files.account, model, goodnet)


def quietest_channels(
    split: SplitSuspect, curves: Sequence[Curve], valid: DataFile
) -> tuple[int, ...]:
    """The channels that a method prunes first, whichever orders were asked for."""
    ascending = [curve for curve in curves if curve.order.direction == "ascending"]
    if not ascending:
        ascending = [*draw_curves(split, {CLEAN_VALID: valid}, ["ascending"], [FIRST])]
    return channels_pruned_first(ascending[0])


def put_in_place(file: StoredFile, folder: str, name: str) -> StoredFile:
    """The file under its name in the folder, copied if an earlier repair left it in another one."""
    uri = storage.join(folder, name)
    return file if file.uri == uri else store_copy(file, uri)


def evaluate_again(
    split: SplitSuspect, mitigation: MitigatedFiles, tests: Data
) -> dict[str, Counts]:
    """What the mitigated model, and its GoodNet, do on the test sets, by role."""
    return {
        role: evaluate_mitigation(split.suspect, split.preprocessing, mitigation.model, test, role)
        for role, test in tests.items()
    }


def store_recommended(
    findings: RepairResult, networks: Sequence[StoredFile], folder: str
) -> list[StoredFile]:
    """Copies of what is recommended, where a script finds them; none where nothing is."""
    stored = {network.uri: network for network in networks}
    return [
        store_copy(stored[storage.join(folder, source)], storage.join(folder, name))
        for name, source in recommended_files(findings).items()
    ]


def draw_all(findings: RepairResult, suspect: SuspectFile, data: Data) -> list[Picture]:
    """The pictures of every figure."""
    drawing = [draw.start(figure, findings, suspect, data) for figure in FIGURES]
    return [picture for task in drawing for picture in task.result()]
