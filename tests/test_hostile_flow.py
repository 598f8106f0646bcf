"""The kit of bad models through the flow: each run fails with the message, the others go on."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Toy, repairs_in
from hostile import MARKER, MODELS, Bad
from prefect.client.orchestration import get_client

from flows.outcomes import Outcome
from flows.repair import repair

pytestmark = pytest.mark.usefixtures("prefect_server")

FOLDERS = ("folder", "folder_none")  # stand for the models in them, and there are none


def repaired_beside(small: Toy, kit: list[Bad], tmp_path: Path) -> list[Outcome]:
    """How the flow ends for each of the bad models and, last, for the small job."""
    paths = []
    for bad in kit:
        folder = tmp_path / bad.name
        folder.mkdir()
        paths.append(str(bad.build(folder)))
    models = (*paths, str(small.model))
    state: Any = repair(
        models,
        str(small.data),
        str(tmp_path / "artifacts"),
        order="ascending",
        method="pruning",
        return_state=True,
    )
    assert state.is_failed()
    outcomes: list[Outcome] = state.result(raise_on_failure=False)
    assert [outcome.model for outcome in outcomes] == list(models)
    return outcomes


def check(small: Toy, kit: list[Bad], tmp_path: Path) -> None:
    """Each bad model failed with its message, and the small job was repaired."""
    *refused, good = repaired_beside(small, kit, tmp_path)
    for bad, outcome in zip(kit, refused, strict=True):
        assert outcome.folder is None
        assert outcome.refused
        assert bad.says in outcome.message, bad.name
        assert len(outcome.message.splitlines()) == 1
    assert good.folder is not None
    assert [str(p) for p in repairs_in(tmp_path / "artifacts")] == [good.folder]
    assert not list(tmp_path.rglob(MARKER))
    with get_client(sync_client=True) as client:
        pages = [client.read_flow_runs(limit=200, offset=start) for start in range(0, 1000, 200)]
    runs = [run for page in pages for run in page]
    states = [run.state for run in runs if run.parent_task_run_id and run.state]
    messages = {str(state.message) for state in states if state.type.value == "FAILED"}
    assert {outcome.message for outcome in refused} <= messages


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_bad_model_fails_with_its_message(small: Toy, tmp_path: Path) -> None:
    check(small, [bad for bad in MODELS if bad.name not in FOLDERS], tmp_path)
