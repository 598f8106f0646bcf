"""Repair suspects, each in a run of its own.

python -m flows.repair MODEL... --data DIR --output DIR
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from prefect import flow, runtime, tags
from prefect.logging import get_run_logger
from prefect.states import Completed, State
from prefect.task_runners import TaskRunner

from flows.options import parser_of_repair
from flows.outcomes import Outcome, failure_state, report_state, success_state
from flows.preconditions import check_prefect, check_results, refuse
from flows.repair_model import repair_model
from goodnet.errors import DataRefused, InputRefused, fault_line, one_line
from goodnet.files import paths
from goodnet.files.data_files import DataFile, DataSource
from goodnet.job.inputs import find_data, find_output, glance, locate_data, parse_reading
from goodnet.job.plan import DataRequest, Job, plan_job
from goodnet.job.request import (
    MethodChoice,
    Request,
    parse_request,
)
from goodnet.job.suspects import find_models
from tasks.artifacts import show_index, show_repaired
from tasks.deployments import REFUSED, start_repair
from tasks.notices import tell_of_failure, tell_of_verdict
from tasks.runners import task_runner_of


def _name_of_run() -> str:
    models = runtime.flow_run.parameters["models"]
    more = f" and {len(models) - 1} more" if len(models) > 1 else ""
    return paths.run_name(models[0] if models else "nothing") + more


@flow(name="repair", flow_run_name=_name_of_run)
def repair(
    models: tuple[str, ...] = ("models",),
    data: str = "data",
    output: str = "artifacts",
    poisoned: str = "",
    target: str = "",
    keys: str = "",
    resize: str = "auto",
    order: Literal["ascending", "descending", "both"] = "both",
    drop: tuple[float, ...] = (2, 4, 10),
    layer: str = "auto",
    preprocessing: str = "auto",
    architecture: str = "auto",
    method: MethodChoice = "auto",
    budget: float = 2,
    verdict: Literal["on", "off"] = "on",
    minutes: float = 5,
    task_runner: str = "threads",
    separately: bool = False,
) -> Any:
    """Repair suspects, each in a run of its own; one that fails does not stop the others.

    Args:
        models: models, or folders of them; paths or s3:// URIs. What a suspect brings, in NAME.toml
            or a folder NAME/ of its own, takes the place of all below.
        data: the folder with clean images in valid/ and test/ (class folders) or clean/valid.h5 and
            clean/test.h5 and, if there are any, poisoned ones in bd/; or a single set of class
            folders or in a file, which is split in two.
        output: the folder under which each repair gets a folder of its own.
        poisoned: poisoned test images, if they are not in the data folder; in any form.
        target: number or class folder of the class that poisoned images lead to, where their set
            does not say it: then it may be a folder of pictures.
        keys: what images and labels are called in files, like X,Y, where that cannot be guessed.
        resize: how images are brought to the model's size: bilinear, nearest, bicubic, area,
            lanczos3 or lanczos5, with ,crop or ,pad to keep their shape; auto is bilinear for
            pictures, and arrays in files must fit then.
        order: prune the quietest channels first (ascending), the loudest, or try both.
        drop: take a repaired model where clean accuracy has fallen by so many points.
        layer: the layer to prune; auto takes the last pooling layer before the class scores.
        preprocessing: what is done to pixels before the model sees them: auto, a name, or numbers
            like mean=104,117,123,std=1,order=bgr.
        architecture: for files that hold weights only: auto, deepid, or a Keras JSON file. auto
            takes a JSON beside the file, and knows DeepID and the networks of keras.applications.
        method: what is done beside pruning: auto does what the verdict calls for, pruning nothing.
        budget: how many points of clean test accuracy a model that is recommended may lose.
        verdict: off leaves the verdict out, and what it would call for: pruning alone is fast.
        minutes: that a verdict may take, about, on two cores; a network that is too large for that
            is searched with less, and never cleared.
        task_runner: where a run's tasks run: threads of its process, dask (a cluster of processes
            on this machine), or the address of a Dask scheduler, tcp://host:8786.
        separately: start a run of the deployment repair/on-arrival for each model, which any
            free worker picks up, and do not wait for it.
    """
    options: dict[str, Any] = {"order": order, "drop": drop, "layer": layer}
    options |= {"preprocessing": preprocessing, "architecture": architecture}
    options |= {"method": method, "budget": budget, "verdict": verdict, "minutes": minutes}
    ways = {"keys": keys, "resize": resize, "target": target}
    places = {"data": data, "poisoned": poisoned, "output": output, "task_runner": task_runner}
    try:
        plan = check(models, **places, **ways, **options)
        if separately:
            show_index(output, pictures=True)
            return start_each(plan.models, {**options, **ways, **places})
        request = DataRequest(data, poisoned, parse_reading(**ways))
        shared = {request: find_data(*request)} if plan.shared else {}
    except (InputRefused, OSError) as fault:
        tell_of_failure("", fault_line(fault))
        return failure_state(fault_line(fault), [Outcome("", None, None, True, fault_line(fault))])
    return repair_each(plan, shared, output)


class Plan(NamedTuple):
    """What a repair is to do, as far as it is known before anything is read.

    Attributes:
        request: what is asked for of suspects that bring nothing.
        runner: what runs the tasks.
        models: the URIs of all suspects.
        jobs: what is done to each, by its URI.
        faults: why nothing can be done to the others, likewise.
        shared: by role, the data sets of suspects that bring none; empty where all do.
    """

    request: Request
    runner: TaskRunner[Any]
    models: tuple[str, ...]
    jobs: dict[str, Job]
    faults: dict[str, InputRefused]
    shared: dict[str, DataSource]


def check(
    models: Sequence[str],
    data: str,
    output: str,
    task_runner: str,
    poisoned: str,
    keys: str,
    resize: str,
    target: str,
    **options: Any,
) -> Plan:
    """What is asked for, which makes sense and is there; the parameters are those of `repair`.

    Raises:
        InputRefused: something is not there, or makes no sense.
        OSError: object storage does not answer, or does not let us in.
    """
    request, runner, uris = (
        parse_request(**options),
        task_runner_of(task_runner),
        find_models(models),
    )
    ways = {"keys": keys, "resize": resize, "target": target}
    shared = DataRequest(data, poisoned, parse_reading(**ways))
    plan = Plan(request, runner, uris, {}, {}, {})
    for uri in uris:
        try:
            plan.jobs[uri] = plan_job(uri, options, data, poisoned, ways)
        except InputRefused as fault:
            plan.faults[uri] = fault
    sharing = [uri for uri, job in plan.jobs.items() if job.data == shared]
    if sharing:
        try:
            plan.shared.update(locate_data(*shared))
        except DataRefused as fault:
            if len(sharing) == len(uris):
                raise
            plan.faults.update(dict.fromkeys(sharing, fault))
    find_output(output)
    return plan


def start_each(suspects: Sequence[str], parameters: dict[str, Any]) -> State[Any]:
    """Start a run for each suspect; once, however often this run itself is tried.

    Raises:
        RequestRefused: the server has no deployment for it.
    """
    for uri in suspects:
        run = start_repair(uri, f"{runtime.flow_run.id}:{uri}", parameters)
        get_run_logger().info("started %s for %s", run.name, one_line(uri))
    return Completed(message=f"started {len(suspects)} runs", data=[])


def repair_each(plan: Plan, shared: Mapping[DataRequest, dict[str, DataFile]], output: str) -> Any:
    """How the repair of each suspect ended, one after the other.

    Args:
        plan: from `check`.
        shared: the data sets that suspects use which bring none.
        output: the folder under which each repair gets a folder of its own.
    """
    repair_one, outcomes = repair_model.with_options(task_runner=plan.runner), []
    for uri in plan.models:
        try:
            if uri in plan.faults:
                raise plan.faults[uri]
            job = plan.jobs[uri]
            sets = shared[job.data] if job.data in shared else find_data(*job.data)
            with tags(paths.model_tag(uri)):
                outcome = _outcome(uri, repair_one(job, sets, output, return_state=True))
        except (InputRefused, OSError) as fault:
            refused = isinstance(fault, InputRefused)
            outcome = Outcome(uri, None, None, refused, fault_line(fault))
        if outcome.folder is None:
            get_run_logger().error("%s", outcome.message)
            tell_of_failure(uri, outcome.message)
        outcomes.append(outcome)
    faults = [outcome.message for outcome in outcomes if outcome.folder is None]
    if faults:
        message = f"{len(faults)} of {len(outcomes)} models failed: {'; '.join(faults[:5])}"
        refused = all(outcome.refused for outcome in outcomes)
        return failure_state(message, outcomes, REFUSED if refused else "Failed")
    return success_state(outcomes)


def _outcome(uri: str, state: State[Any]) -> Outcome:
    """How a repair ended, which is shown where it is done."""
    message = str(state.message)
    if not state.is_completed():
        return Outcome(uri, None, None, state.name == REFUSED, message)
    folder, findings = state.result()
    show_repaired(findings, message, folder, state.state_details.flow_run_id)
    get_run_logger().info("repaired %s: %s", findings.model.name, folder)
    tell_of_verdict(findings, message, folder)
    return Outcome(uri, folder, findings, False, message)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 all repaired, 1 some failed, 2 nothing could be started."""
    options = vars(parser_of_repair().parse_args(arguments))
    options = {name: _immutable(value) for name, value in options.items()}
    try:
        plan = check(**options)
        jobs = [job for uri, job in plan.jobs.items() if uri not in plan.faults]
        unusable = [fault for job in jobs if (fault := fault_of(job.model))]
        if len(unusable) == len(jobs):
            return refuse(*plan.faults.values(), *unusable)
        for uri, reading in dict.fromkeys(plan.shared.values()):
            glance(uri, "dataset", loose=reading.target is not None)
        check_prefect()
        check_results()
    except (InputRefused, OSError) as fault:
        return refuse(fault)
    options["drop"] = plan.request.points
    return report_state(repair(**options, return_state=True))


def fault_of(uri: str) -> Exception | None:
    """Why the model cannot be used, as far as its first bytes say; the others then go on."""
    try:
        glance(uri, "model")
    except (InputRefused, OSError) as fault:
        return fault
    return None


def _immutable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
