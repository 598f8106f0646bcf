"""The `watch` flow against a real Prefect server: one repair for each content."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Toy
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Failed

import flows.watch
from flows.preconditions import NOTHING_STARTED
from flows.repair import repair
from flows.repair_model import repair_model
from flows.watch import watch
from goodnet.files import storage
from tasks import deployments
from tasks.source import source_digest

METHOD = source_digest(repair_model.fn)

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module", autouse=True)
def deployment(prefect_server: None) -> Iterator[str]:
    """`repair/on-arrival` on the tests' server, without a worker: runs are started and wait."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(repair)
        made = client.create_deployment(
            flow_id, "on-arrival", parameter_openapi_schema=repair.parameters.model_dump()
        )
        yield str(made)
        client.request("DELETE", "/deployments/{id}", path_params={"id": made})


@pytest.fixture
def inbox(small: Toy) -> Path:
    """An empty inbox beside the small job's data."""
    folder = small.folder / "inbox"
    folder.mkdir()
    return folder


def look(small: Toy) -> Any:
    """The state in which one look ends."""
    return watch(
        str(small.folder / "inbox"),
        str(small.data),
        str(small.folder / "artifacts"),
        settle=0,
        return_state=True,
    )


def started(small: Toy) -> list[FlowRun]:
    """The repairs that were started for this inbox, the oldest first."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["on-arrival"])),
            limit=200,
        )
    mine = [run for run in found if str(small.folder) in str(run.parameters["models"])]
    return sorted(mine, key=lambda run: run.created)


def end(run: FlowRun, state: Any) -> None:
    """End the run in a state."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_each_content_is_repaired_once_whatever_it_is_called(small: Toy, inbox: Path) -> None:
    hostile = "a <b>\n\x1b[31m$(x).h5"
    one, two = uuid4().bytes, uuid4().bytes
    (inbox / hostile).write_bytes(one)
    (inbox / "z.h5").write_bytes(one)
    (inbox / "other.h5").write_bytes(two)
    assert look(small).message == "2 started, 0 refused, 3 models in the inbox"
    found = {run.name: run for run in started(small)}
    assert set(found) == {"repair a_b_31m_x", "repair other"}
    run = found["repair a_b_31m_x"]
    assert run.parameters["models"] == [str(inbox / hostile)]
    assert run.tags == ["model:a_b_31m_x"]
    assert run.idempotency_key == deployments.key_of(
        storage.identify(str(inbox / "z.h5")).sha256, METHOD
    )

    assert look(small).message == "0 started, 0 refused, 3 models in the inbox"
    for record in (small.folder / "artifacts").iterdir():  # the server remembers too
        record.unlink()
    look(small)
    assert len(started(small)) == 2
    (inbox / "z.h5").write_bytes(uuid4().bytes)
    look(small)
    assert len(started(small)) == 3


def test_what_a_suspect_brings_makes_it_another_and_is_all_that_it_needs(
    small: Toy, inbox: Path
) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    assert look(small).message == "1 started, 0 refused, 1 models in the inbox"
    (inbox / "net.toml").write_text('layer = "pool"')
    assert look(small).message == "1 started, 0 refused, 1 models in the inbox"
    assert look(small).message == "0 started, 0 refused, 1 models in the inbox"
    (inbox / "net.toml").write_text('data = "/etc"')
    assert look(small).message == "0 started, 1 refused, 1 models in the inbox"
    (inbox / "stop").mkdir()
    (inbox / "stop" / "model.h5").write_bytes(uuid4().bytes)
    small.data.rename(inbox / "stop" / "data")  # nobody else's is left
    assert look(small).message == "1 started, 0 refused, 2 models in the inbox"
    found = [(run.name, run.parameters["models"]) for run in started(small)]
    net = ("repair net", [str(inbox / "net.h5")])
    assert found == [net, net, ("repair stop", [str(inbox / "stop")])]


def test_concurrent_watchers_start_one_run(small: Toy, inbox: Path) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    sha256 = storage.identify(str(inbox / "net.h5")).sha256

    def start(number: int) -> str:
        return str(
            deployments.start_repair(
                str(inbox / "net.h5"), deployments.key_of(sha256, METHOD), {}
            ).id
        )

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(start, range(8)))
    assert ids == {str(run.id) for run in started(small)}
    assert len(ids) == 1


@pytest.mark.slow
def test_what_crashed_is_tried_again_but_not_for_ever(small: Toy, inbox: Path) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    for attempt in range(deployments.ATTEMPTS):
        look(small)
        look(small)
        assert len(started(small)) == attempt + 1
        end(started(small)[-1], Crashed())
    look(small)
    assert len(started(small)) == deployments.ATTEMPTS


def test_what_was_refused_is_not_tried_again_until_the_method_is_another(
    small: Toy, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    look(small)
    end(started(small)[0], Failed(name=deployments.REFUSED))
    look(small)
    assert len(started(small)) == 1
    monkeypatch.setattr(flows.watch, "source_digest", lambda function: "another")
    look(small)
    assert len(started(small)) == 2


def test_what_is_no_file_is_reported_once(small: Toy, inbox: Path) -> None:
    (inbox / "link.h5").symlink_to(small.model)
    assert look(small).message == "0 started, 1 refused, 1 models in the inbox"
    with get_client(sync_client=True) as client:
        response = client.request("POST", "/artifacts/filter", json={"sort": "CREATED_DESC"})
    shown = next(found for found in response.json() if found["key"] == "inbox")
    assert "is a symbolic link" in shown["data"]
    assert look(small).message == "0 started, 0 refused, 1 models in the inbox"


def test_without_inbox_data_or_deployment_nothing_is_started_and_one_line_says_why(
    small: Toy, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    (small.data / "clean").rename(small.folder / "clean")
    state = look(small)
    assert state.is_failed()
    assert (
        state.message
        == f"{small.data}: has no clean/valid.h5, no valid/ and no class folders with pictures"
    )
    (small.folder / "clean").rename(small.data / "clean")
    with monkeypatch.context() as patched:
        patched.setattr(deployments, "ON_ARRIVAL", "repair/nowhere")
        assert "no such deployment" in str(look(small).message)
    inbox.rename(small.folder / "gone")
    assert look(small).message == f"{inbox}: no such folder"
    inbox.mkdir()
    assert started(small) == []


ASKED: dict[str, Any] = {
    "poisoned": "bad",
    "target": "2",
    "keys": "data,label",
    "resize": "nearest,crop",
    "order": "ascending",
    "drop": (3, 5),
    "layer": "conv",
    "preprocessing": "unit",
    "architecture": "deepid",
    "method": "pruning",
    "budget": 1,
    "minutes": 2,
    "verdict": "off",
    "task_runner": "dask",
}


def test_all_that_can_be_asked_of_a_repair_can_be_asked_of_those_of_an_inbox(
    small: Toy, inbox: Path
) -> None:
    """By the same names, with the same defaults, and it reaches the run."""
    parameters = {name: each.default for name, each in signature(watch.fn).parameters.items()}
    repairs = {name: each.default for name, each in signature(repair.fn).parameters.items()}
    assert {name: parameters.get(name, "missing") for name in repairs} == {
        **repairs, "models": "missing", "separately": "missing",
    }  # fmt: skip
    assert set(ASKED) == set(repairs) - {"models", "separately", "data", "output"}
    assert all(ASKED[name] != repairs[name] for name in ASKED)
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    places = {"data": str(small.data), "output": str(small.folder / "artifacts")}
    watch(str(inbox), settle=0, **places, **ASKED, return_state=True)
    [run] = started(small)
    expected = {**ASKED, **places, "drop": [3, 5]}
    assert {name: run.parameters[name] for name in expected} == expected


def test_what_is_not_asked_for_is_left_to_the_deployment(small: Toy, inbox: Path) -> None:
    """Else parameters that it has in prefect.yaml would be overwritten by defaults."""
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    output = small.folder / "artifacts"
    places = [f"--inbox={inbox}", f"--data={small.data}", f"--output={output}"]
    assert flows.watch.main([*places, "--settle=0"]) == 0
    [run] = started(small)
    assert set(run.parameters) == {"models", "data", "output"}


def test_what_makes_no_sense_for_a_repair_is_refused_at_the_look(
    small: Toy, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inbox / "net.h5").write_bytes(uuid4().bytes)
    places = [f"--inbox={inbox}", f"--data={small.data}", "--settle=0"]
    for wrong in ("--keys=a,b,c", "--resize=no", "--drop=x", "--preprocessing=no", "--minutes=-1"):
        assert flows.watch.main([*places, wrong]) == NOTHING_STARTED
        assert wrong.partition("=")[0] in capsys.readouterr().err
    state = watch(str(inbox), str(small.data), settle=0, target="hope", return_state=True)
    assert "--target: 'hope' is no class folder" in str(state.message)
    assert started(small) == []


def test_the_command_says_what_came_of_the_look(
    small: Toy, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"--data={small.data}", f"--output={small.folder / 'artifacts'}", "--settle=0"]
    assert flows.watch.main([f"--inbox={inbox}", *places]) == 0
    assert capsys.readouterr().out == "0 started, 0 refused, 0 models in the inbox\n"
    assert flows.watch.main([f"--inbox={inbox}/nowhere", *places]) == NOTHING_STARTED
    assert capsys.readouterr().err == f"failed: {inbox}/nowhere: no such folder\n"


def test_separately_starts_a_run_for_each_model_once(small: Toy) -> None:
    small.model.with_name("second.h5").write_bytes(uuid4().bytes)
    state: Any = repair(
        (str(small.model.parent),),
        str(small.data),
        str(small.folder / "artifacts"),
        drop=(3,),
        separately=True,
        return_state=True,
    )
    assert state.message == "started 2 runs"
    found = started(small)
    assert {run.name for run in found} == {"repair small", "repair second"}
    assert all(run.parameters["drop"] == [3] for run in found)
    assert not (small.folder / "artifacts").exists()
