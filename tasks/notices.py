"""What somebody is told of: that a suspect is backdoored, or that a repair came to nothing.

A notice is a run of the flow `notice`, which ends as it begins: its name is the subject and its
state the text. The server makes one for a content and a kind, however often, and by however many
workers, it is asked to; an automation that waits for such states sends it on, see flows/notify.py.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

from prefect import get_client, runtime
from prefect.client.schemas.actions import FlowRunCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, to_state_create
from prefect.utilities.urls import url_for

from goodnet.errors import InputRefused
from goodnet.files import paths, storage
from goodnet.job.inputs import identify_model
from goodnet.job.suspects import locate
from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import recommend

FLOW: Final = "notice"
BACKDOORED, UNREPAIRED = "Backdoored", "Unrepaired"  # states, by which an automation knows them


def tell_of_verdict(findings: RepairResult, conclusion: str, folder: str) -> None:
    """Leave a notice where the run of a deployment found a backdoor.

    Args:
        findings: what was found.
        conclusion: its first sentence.
        folder: the repair's folder.
    """
    if runtime.deployment.id and recommend(findings).answer == "backdoored":
        report = f"Report: {storage.join(folder, paths.REPORT_HTML)}"
        text = "\n".join([conclusion, report, _page(runtime.flow_run.id)])
        _leave(findings.model.sha256, BACKDOORED, f"{findings.model.name}: backdoored", text)


def tell_of_failure(uri: str, fault: str, run: FlowRun | None = None) -> None:
    """Leave a notice of what could not be repaired.

    Args:
        uri: of the suspect; empty where nothing at all could be repaired.
        fault: why not.
        run: which run says so; without one this run, where it is a deployment's.
    """
    if run is None and not runtime.deployment.id:
        return  # whoever started it sees how it ended
    name = paths.safe_name(uri) if uri else "repair"
    text = f"{fault}\n{_page(run.id if run else runtime.flow_run.id)}"
    _leave(_content(uri, fault), UNREPAIRED, f"{name}: not repaired", text)


def _content(uri: str, fault: str) -> str:
    """The sha256 of the suspect; where it has none, what stands for it today."""
    try:
        return identify_model(locate(uri).model).sha256
    except (InputRefused, OSError):
        today = f"{datetime.now(UTC).date()} {uri} {fault}"
        return hashlib.sha256(today.encode(errors="surrogateescape")).hexdigest()


def _page(run: object) -> str:
    """Where the run is seen."""
    return f"Run: {url_for('flow-run', obj_id=str(run))}"


def _leave(content: str, kind: str, subject: str, text: str) -> None:
    """Have the server make the notice, unless it has one of the kind for the content."""
    with get_client(sync_client=True) as client:
        notice = FlowRunCreate(
            flow_id=client.create_flow_from_name(FLOW),
            name=subject,
            state=to_state_create(Completed(name=kind, message=text)),
            idempotency_key=f"{kind}:{content}",
        )
        client.request(
            "POST", "/flow_runs/", json=notice.model_dump(mode="json", exclude_unset=True)
        )
