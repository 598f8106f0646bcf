"""What people are told of, once for each content: on a real server, and by a real automation."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from conftest import PROJECT, Toy
from object_stores import free_port
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed
from service import Service, serving, variant, wait_for

from flows import notify, serve
from flows.repair import repair
from goodnet.errors import RequestRefused
from goodnet.files import storage
from tasks import deployments, notices

SECRET = "not-to-be-seen-anywhere"


def notices_of(name: str) -> list[tuple[str, str]]:
    """State and text of each notice of a model."""
    flow = FlowFilter(name=FlowFilterName(any_=[notices.FLOW]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_filter=flow, limit=200)
    return [(str(run.state_name), str(run.state.message)) for run in found if name in run.name]


def test_a_notice_is_left_once_for_each_content_and_kind_however_often_and_at_once(
    prefect_server: None,
) -> None:
    name, content = uuid4().hex, uuid4().hex

    def leave(kind: str) -> None:
        notices._leave(content, kind, name, f"{kind} for the first time")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(leave, [notices.BACKDOORED, notices.UNREPAIRED] * 4))
    kinds = {notices.BACKDOORED, notices.UNREPAIRED}
    assert sorted(notices_of(name)) == [
        (kind, f"{kind} for the first time") for kind in sorted(kinds)
    ]


def test_who_repairs_by_hand_is_told_nothing(prefect_server: None) -> None:
    """There is no deployment then; else the same failure is told of."""
    name = uuid4().hex
    notices.tell_of_failure(f"{name}.h5", "is damaged")
    assert notices_of(name) == []
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(repair)
    notices.tell_of_failure(f"{name}.h5", "is damaged", run)
    assert len(notices_of(name)) == 1


@pytest.fixture
def deployment(prefect_server: None) -> Iterator[Any]:
    """`repair/on-arrival`, of which no run begins by itself."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(repair)
        made = client.create_deployment(flow_id, "on-arrival")
        yield made
        client.request("DELETE", "/deployments/{id}", path_params={"id": made})


def crashed(deployment: Any, uri: str, key: str) -> FlowRun:
    """A run of the repair that has crashed."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(
            deployment, parameters={"models": [uri]}, idempotency_key=key
        )
        client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
    return run


def test_a_crash_is_told_of_once_and_not_while_the_inbox_tries_again(
    deployment: Any, tmp_path: Path
) -> None:
    model = tmp_path / f"{uuid4().hex}.h5"
    model.write_bytes(model.name.encode())
    sha256, method = storage.identify(str(model)).sha256, "0" * 64
    runs = [
        crashed(deployment, str(model), deployments.key_of(sha256, method, attempt))
        for attempt in range(deployments.ATTEMPTS)
    ]
    by_hand = crashed(deployment, "gone.h5", "anything")

    def mine() -> list[Any]:
        return [run.id for run in deployments.crashed_for_good() if run.id in ids]

    ids = {run.id for run in [*runs, by_hand]}
    for run in deployments.crashed_for_good():
        if run.id in ids:
            notices.tell_of_failure(run.parameters["models"][0], str(run.state.message), run)
            assert run.id in {runs[-1].id, by_hand.id}
    assert mine() == []
    [(kind, text)] = notices_of(model.stem)
    assert kind == notices.UNREPAIRED
    assert text.startswith("its process is gone\nRun: http://127.0.0.1:")
    assert text.endswith(f"/runs/flow-run/{runs[-1].id}")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise imports it
@pytest.mark.parametrize("address", ["nonsense", f"nobody://{SECRET}", f"json://a,x://{SECRET}"])
def test_an_address_that_means_nothing_is_refused_and_not_repeated(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        notify.check(address)
    assert str(refused.value) == "GOODNET_NOTIFY: holds an address that Apprise does not know"
    assert capfd.readouterr() == ("", "")


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The port of a webhook, and what it is sent."""
    sent = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert SECRET in self.path
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, sent
    finally:
        server.shutdown()
        server.server_close()


def block_of(service: Service) -> Any:
    """What the server says of the block that holds the address; None where there is no such."""
    with service.client as client:
        try:
            slug = notify.Block.get_block_type_slug()
            return client.request(
                "GET",
                "/block_types/slug/{slug}/block_documents/name/{name}",
                path_params={"slug": slug, "name": notify.BLOCK},
            ).json()
        except PrefectHTTPStatusError as fault:
            assert fault.response.status_code == 404
            return None


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_served_repairs_tell_a_webhook_of_each_content_once_and_nobody_of_its_address(
    tmp_path: Path, made_small: Toy
) -> None:
    with webhook() as (port, sent):
        told = {notify.SETTING: f"json://127.0.0.1:{port}/{SECRET}"}
        with serving(tmp_path, made_small, told) as service:
            inbox = service.clone / "models"
            variant(made_small.model, inbox / "bad.h5", 1)
            (inbox / "broken.h5").write_bytes(made_small.model.read_bytes()[:5000])
            assert service.look().state_name == "Completed"
            runs = {run.name: service.ended(run) for run in service.repairs()}
            wait_for(lambda: len(sent) == 2, 60)
            messages = {message["title"]: message["message"] for message in sent}
            assert set(messages) == {"bad: backdoored", "broken: not repaired"}
            headline, report, page = messages["bad: backdoored"].splitlines()
            assert str(runs["repair bad"].state.message).startswith(headline)
            assert report.startswith("Report: artifacts/bad-")
            assert page.startswith(f"Run: {service.url}/runs/flow-run/")
            fault, page = messages["broken: not repaired"].splitlines()
            assert "models/broken.h5: is damaged" in fault
            assert page == f"Run: {service.url}/runs/flow-run/{runs['repair broken'].id}"

            (inbox / "bad.h5").rename(inbox / "again.h5")
            known = len(service.repairs())
            assert service.run("repair/nightly").state_name == "Completed"
            for run in service.repairs()[known:]:
                service.ended(run)
            assert len(service.repairs()) == known + 2
            assert block_of(service)["data"] == {
                "url": "********", "notify_type": "warning", "allow_private_urls": True
            }  # fmt: skip
            assert service.stop() == 0
            assert len(sent) == 2
            del service.environment[notify.SETTING]
            service.start()
            assert block_of(service) is None
        for path in [*service.home.rglob("*"), *service.clone.rglob("*")]:
            if path.is_file() and path.name != Path(__file__).name:
                assert SECRET.encode() not in path.read_bytes() or "tests" in path.parts, path


@pytest.fixture
def whole_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a client of a server that does all that servers do."""
    port = free_port()
    home = {"PREFECT_HOME": str(tmp_path / "home")}
    served = serve.environment(port, {**os.environ, **home})
    command = ["server", "start", "--host", serve.HOST, "--port", str(port)]
    with serve.started(command, served) as server:
        serve.wait_until_up(server, f"{served['PREFECT_API_URL']}/health")
        with temporary_settings({PREFECT_API_URL: served["PREFECT_API_URL"]}):
            yield served


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_server_sends_each_notice_on_once_and_forgets_the_address_when_it_is_told_to(
    whole_server: dict[str, str], tmp_path: Path
) -> None:
    def install(addresses: str) -> None:
        environment = {**whole_server, notify.SETTING: addresses}
        command = [sys.executable, "-m", "flows.notify"]
        subprocess.run(command, cwd=PROJECT, env=environment, check=True)

    with webhook() as (port, sent):
        install(f"json://127.0.0.1:{port}/{SECRET}")
        install(f"json://127.0.0.1:{port}/{SECRET}")  # as at every start
        for _ in range(2):
            notices._leave("content", notices.BACKDOORED, "net: backdoored", "use\nanother")
        notices._leave("content", notices.UNREPAIRED, "net: not repaired", "is damaged")
        wait_for(lambda: len(sent) == 2, 120)
        time.sleep(10)  # whatever would come twice
        told = sorted((each["title"], each["message"], each["type"]) for each in sent)
        assert told == [
            ("net: backdoored", "use\nanother", "warning"),
            ("net: not repaired", "is damaged", "warning"),
        ]
        install("")
        for read in (
            lambda: notify.Block.load(notify.BLOCK),
            lambda: Automation.read(name=notify.NAME),
        ):
            with pytest.raises(ValueError, match=r"ind|not found"):
                read()
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_webhook_that_refuses_costs_the_message_alone_and_its_address_is_in_no_log(
    tmp_path: Path, made_small: Toy
) -> None:
    with webhook(status=500) as (port, sent):
        told = {notify.SETTING: f"json://127.0.0.1:{port}/{SECRET}"}
        with serving(tmp_path, made_small, told) as service:
            (service.clone / "models" / "broken.h5").write_bytes(b"no model")
            assert service.look().state_name == "Completed"
            wait_for(lambda: sent, 120)
            (run,) = service.repairs()
            assert service.ended(run).state_name == "Refused"
            assert service.stop() == 0
        for path in service.home.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path
