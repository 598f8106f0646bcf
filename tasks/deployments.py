"""Repairs as runs of their own: started on the server, picked up by whichever worker is free."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from goodnet.errors import RequestRefused
from goodnet.files import paths

ON_ARRIVAL = "repair/on-arrival"
REFUSED = "Refused"  # the name of the state of a run whose model cannot be used
ATTEMPTS = 3
TOLD = "told"  # the tag of a crash that somebody was told of
PAGE = 200  # runs that the server names in one answer


def key_of(sha256: str, method: str, attempt: int = 0) -> str:
    """What the server starts no more than one run for: a content, the method, the attempt."""
    return f"{sha256}:{method}" + (f":{attempt}" if attempt else "")


def start_repair(uri: str, key: str, parameters: dict[str, Any]) -> FlowRun:
    """The run that repairs the model; the one there is already for the key.

    Raises:
        RequestRefused: the server has no such deployment.
    """
    try:
        return run_deployment(
            ON_ARRIVAL,
            parameters={**parameters, "models": [uri]},
            timeout=0,
            idempotency_key=key,
            flow_run_name=paths.run_name(uri),
            tags=[paths.model_tag(uri)],
            as_subflow=False,  # it outlives the run that starts it
        )
    except ObjectNotFound:
        raise RequestRefused(
            ON_ARRIVAL, "there is no such deployment on this server; run `prefect deploy --all`"
        ) from None


def due(contents: Collection[str], method: str) -> dict[str, str]:
    """The contents that a run is to be started for, each with that run's key.

    One that ended by a crash, or by a fault that may have passed, is due again, `ATTEMPTS` times
    in all; one that was refused never is.

    Args:
        contents: sha256 of models.
        method: a digest of the source that a repair computes with.
    """
    runs = {run.idempotency_key: run for run in _runs(contents, method)}
    found = {}
    for sha256 in contents:
        for attempt in range(ATTEMPTS):
            key = key_of(sha256, method, attempt)
            if key not in runs:
                found[sha256] = key
                break
            if not _worth_another(runs[key]):
                break
    return found


def crashed_for_good() -> Iterator[FlowRun]:
    """The repairs that crashed within a day and that no look into an inbox tries again; once each.

    Nobody else can tell of them: their processes are gone.
    """
    crashed = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        end_time=FlowRunFilterEndTime(after_=datetime.now(UTC) - timedelta(days=1)),
    )
    of_repairs = DeploymentFilter(name=DeploymentFilterName(any_=[ON_ARRIVAL.partition("/")[2]]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=crashed, deployment_filter=of_repairs, limit=PAGE
        )
        for run in runs:
            if TOLD not in run.tags and not _tried_again(str(run.idempotency_key)):
                yield run
                client.update_flow_run(run.id, tags=[*run.tags, TOLD])


def _tried_again(key: str) -> bool:
    """Whether it is the key of an inbox' content, and not that of its last attempt."""
    known = re.fullmatch(r"[0-9a-f]{64}:[^:]+(?::(\d))?", key)
    return known is not None and int(known[1] or 0) < ATTEMPTS - 1


def _worth_another(run: FlowRun) -> bool:
    return run.state_name != REFUSED and run.state_type in (StateType.CRASHED, StateType.FAILED)


def _runs(contents: Collection[str], method: str) -> Iterator[FlowRun]:
    keys = [key_of(sha256, method, attempt) for sha256 in contents for attempt in range(ATTEMPTS)]
    with get_client(sync_client=True) as client:
        for start in range(0, len(keys), PAGE):
            wanted = FlowRunFilterIdempotencyKey(any_=keys[start : start + PAGE])
            yield from client.read_flow_runs(
                flow_run_filter=FlowRunFilter(idempotency_key=wanted), limit=PAGE
            )
