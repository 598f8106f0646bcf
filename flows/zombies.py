"""Runs whose process is gone are marked Crashed, by automations of the Prefect server.

    python -m flows.zombies

A run says every few seconds that it lives (`[flows] heartbeat_frequency` in prefect.toml). Where
worker and process die together nobody else would notice, and it would stay Running for ever.
What the server waited for it may have forgotten when it was down: so all are asked again.
"""

import sys
from datetime import timedelta

from prefect import get_client
from prefect.automations import Automation
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.automations import install_automation
from flows.preconditions import check_prefect, refuse
from goodnet.errors import InputRefused

HEARTBEATS_MISSED = timedelta(seconds=120)  # four of them
NEVER_STARTED = timedelta(minutes=15)  # an image may have to be pulled first
ASKED = {StateType.RUNNING: "goodnet.asked.running", StateType.PENDING: "goodnet.asked.pending"}


def automations() -> list[Automation]:
    """One for runs that fall silent, one for runs that were taken and never started."""
    return [
        _crashed(
            "Crash runs that fall silent",
            after={
                "prefect.flow-run.heartbeat",
                "prefect.flow-run.Running",
                ASKED[StateType.RUNNING],
            },
            within=HEARTBEATS_MISSED,
            message="its process is gone: no heartbeat for two minutes",
        ),
        _crashed(
            "Crash runs that never start",
            after={"prefect.flow-run.Pending", ASKED[StateType.PENDING]},
            within=NEVER_STARTED,
            message="its process never started",
        ),
    ]


def install() -> None:
    """Put both in place."""
    for automation in automations():
        install_automation(automation)


def ask() -> None:
    """Have every run that is said to run, or to start, show a sign of life from now on."""
    for kind, event in ASKED.items():
        specification = FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind]))
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=specification), limit=200
            )
        for run in runs:
            emit_event(event, resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"})


def _crashed(name: str, after: set[str], within: timedelta, message: str) -> Automation:
    return Automation(
        name=name,
        description="Ends what would otherwise stay as it is for ever.",
        trigger=EventTrigger(
            after=after,
            expect={"prefect.flow-run.*"},  # any sign of life, and any end
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def main() -> int:
    """The exit status: 0, or 2 with one line on standard error."""
    try:
        check_prefect()
    except InputRefused as refused:
        return refuse(refused)
    install()
    ask()
    return 0


if __name__ == "__main__":
    sys.exit(main())
