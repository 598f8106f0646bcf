"""Look into an inbox, and start a repair for each model that has arrived.

    python -m flows.watch [--inbox DIR] [--data DIR] [--output DIR]

It takes all else that `flows.repair` takes, and hands it on to each repair; what is not given is
as the deployment has it. It needs a Prefect server that knows the deployment `repair/on-arrival`:
see `make serve`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Literal, NamedTuple

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed, State

from flows.preconditions import check_prefect, refuse
from flows.repair_model import repair_model
from goodnet.command.repair import add_request
from goodnet.errors import InputRefused, RequestRefused, fault_line
from goodnet.files import formats, listings
from goodnet.files.paths import safe_name
from goodnet.job import inbox as inboxes
from goodnet.job.inbox import InboxEntry
from goodnet.job.inputs import find_output, locate_data, parse_reading
from goodnet.job.plan import own_data
from goodnet.job.request import MethodChoice, parse_request
from tasks import deployments
from tasks.notices import tell_of_failure
from tasks.runners import task_runner_of
from tasks.source import source_digest

LONGEST = 3600  # seconds that one look may wait
PLACES = ("data", "output")  # every run is told


@flow(name="watch", flow_run_name="look into {inbox}")
def watch(
    inbox: str = "models",
    data: str = "data",
    output: str = "artifacts",
    settle: float = 10,
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
) -> Any:
    """Start one repair for each model that has arrived, once for each content.

    What a model brings, in NAME.toml or a folder NAME/ of its own, is part of its content.

    A file that still grows waits for the next look. A model that was refused is not tried again;
    a repair that crashed is, three times in all. Where the code of a repair has changed, all are
    repaired again.

    Args:
        inbox: the folder that models arrive in; a path or an s3:// URI.
        data: the folder of data sets for models that bring none, as seen by the workers.
        output: the folder under which each repair gets a folder of its own.
        settle: seconds that a file must have stayed the same before it is taken.
        poisoned: for each repair: poisoned test images, if they are not in the data folder.
        target: for each repair: the class that poisoned images lead to, number or class folder.
        keys: for each repair: what images and labels are called in files, like X,Y.
        resize: for each repair: how pictures are brought to the model's size, bilinear,crop say.
        order: for each repair: prune the quietest channels first, the loudest, or try both.
        drop: for each repair: the points of clean accuracy to take repaired models at.
        layer: for each repair: the layer to prune, where a suspect names none.
        preprocessing: for each repair: what is done to pixels, where a suspect does not say.
        architecture: for each repair: for weights only, auto, deepid, or a Keras JSON file.
        method: for each repair: what is done beside pruning, auto for what the verdict calls for.
        budget: for each repair: points of clean accuracy a recommended model may lose.
        verdict: for each repair: off leaves it out, and what it would call for.
        minutes: for each repair: that a verdict may take, about, on two cores.
        task_runner: for each repair: what runs its tasks, threads, dask, or a scheduler's address.
    """
    options: dict[str, Any] = {"order": order, "drop": drop, "layer": layer}
    options |= {"preprocessing": preprocessing, "architecture": architecture}
    options |= {"method": method, "budget": budget, "verdict": verdict, "minutes": minutes}
    ways = {"keys": keys, "resize": resize, "target": target}
    places = {"data": data, "poisoned": poisoned, "output": output, "task_runner": task_runner}
    asked = {**options, **ways, **places}
    try:
        check(inbox, settle, **asked)
        look = look_into(inbox, settle, asked)
    except (InputRefused, OSError) as fault:
        return Failed(message=fault_line(fault))
    return remember(inbox, output, look)


class Look(NamedTuple):
    """One look into an inbox.

    Attributes:
        record: what was there at the look before.
        seen: what is there, by URI.
        run_ids: the repairs that were started, by the URI of their model.
    """

    record: dict[str, InboxEntry]
    seen: dict[str, InboxEntry]
    run_ids: dict[str, str]


def look_into(inbox: str, settle: float, asked: dict[str, Any]) -> Look:
    """Start what is due; and tell of repairs that will not be tried again.

    Args:
        inbox: the folder that models arrive in.
        settle: seconds that a file must have stayed the same before it is taken.
        asked: the parameters of each repair.

    Raises:
        InputRefused, OSError: nothing can be looked at, or started.
    """
    log, data = get_run_logger(), asked["data"]
    record = inboxes.read_record(asked["output"], inbox)
    entries = inboxes.settled_files(inbox, record, quiet_seconds=settle, data=data)
    seen = inboxes.read_arrivals(entries, record, lambda fault: log.warning("%s", fault), data)
    run_ids = start_due(seen, asked)
    for run in deployments.crashed_for_good():
        tell_of_failure(run.parameters.get("models", [""])[0], str(run.state.message), run)
    return Look(record, seen, run_ids)


def remember(inbox: str, output: str, look: Look) -> State[Any]:
    """Record and show what came of a look."""
    record, seen, run_ids = look
    refused = [s.refused for uri, s in seen.items() if s.refused and record.get(uri) != s]
    for refusal in refused:
        get_run_logger().error("%s", refusal)
    if seen != record:
        inboxes.write_record(output, inbox, seen)
    if run_ids or refused:
        show(run_ids, refused)
    waiting = f"{len(run_ids)} started, {len(refused)} refused, {len(seen)} models in the inbox"
    return Completed(message=waiting)


def check(
    inbox: str,
    settle: float,
    *,
    output: str,
    task_runner: str,
    data: str,
    poisoned: str,
    keys: str,
    resize: str,
    target: str,
    **options: Any,
) -> None:
    """Nothing: there is an inbox, a place for what was seen in it, and repairs make sense so.

    Raises:
        RequestRefused: there is not, or they do not.
        OSError: object storage does not answer, or does not let us in.
    """
    if not 0 <= settle <= LONGEST:
        raise RequestRefused("--settle", f"{settle} is not 0 to {LONGEST} seconds")
    parse_request(**options)
    parse_reading(keys=keys, resize=resize, target=target)
    task_runner_of(task_runner)
    listings.list_files(inbox, formats.suffixes("model"))
    find_output(output)


def start_due(seen: Mapping[str, InboxEntry], asked: dict[str, Any]) -> dict[str, str]:
    """The runs that were started, by the URI of their model.

    Args:
        seen: what is in the inbox.
        asked: the parameters of each repair.

    Raises:
        InputRefused: there are no data sets to repair with, or no deployment.
    """
    given = handed_on(asked)
    by_content = {s.sha256: uri for uri, s in sorted(seen.items(), reverse=True) if s.sha256}
    keys = deployments.due(by_content, source_digest(repair_model.fn))
    if any(not own_data(by_content[sha256], asked["data"]) for sha256 in keys):
        reading = parse_reading(**{name: asked[name] for name in ("keys", "resize", "target")})
        locate_data(asked["data"], asked["poisoned"], reading)
    return {
        by_content[sha256]: str(deployments.start_repair(by_content[sha256], key, given).id)
        for sha256, key in keys.items()
    }


def handed_on(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that each run gets: places, and what was asked for beside the defaults.

    For all else the deployment may have values of its own, see prefect.yaml.
    """
    usual = {name: each.default for name, each in signature(watch.fn).parameters.items()}
    return {name: value for name, value in asked.items() if name in PLACES or value != usual[name]}


def show(run_ids: Mapping[str, str], refused: Sequence[str]) -> None:
    """Leave what came of this look as an artifact of the flow run."""
    rows = [
        {"model": safe_name(uri), "run": f"[{run}](/runs/flow-run/{run})"}
        for uri, run in run_ids.items()
    ]
    create_table_artifact(
        key="inbox",
        description="Repairs started, and files refused, at one look into the inbox",
        table=rows + [{"model": "", "run": f"refused: {fault}"} for fault in refused],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 looked, 1 could not, 2 nothing could be started."""
    parser = argparse.ArgumentParser(prog="python -m flows.watch", description=watch.description)
    parser.add_argument("--inbox", default="models", help="folder that models arrive in")
    parser.add_argument("--settle", type=float, default=10, help="seconds without a change")
    add_request(parser)
    options = vars(parser.parse_args(arguments))
    try:
        check(**options)
        check_prefect()
    except (InputRefused, OSError) as fault:
        return refuse(fault)
    state = watch(**{**options, "drop": tuple(options["drop"])}, return_state=True)
    print(state.message, file=sys.stdout if state.is_completed() else sys.stderr)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main())
