"""What cannot be: one line that names it, status 2, and no server or work was begun for it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import PROJECT
from object_stores import ENVIRONMENT, free_port
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_RESULTS_LOCAL_STORAGE_PATH,
    temporary_settings,
)

from flows import demo, repair, serve, watch, zombies
from goodnet.files.formats import HDF5

REFUSED = 2
HEALTHY = {"/api/health": b"true", "/api/admin/version": b'"3.8.8"'}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Arguments of a repair that nothing is wrong with, before files are really read."""
    for name in ("models/net.h5", "data/clean/valid.h5", "data/clean/test.h5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(HDF5.signature)
    return {name: str(tmp_path / name) for name in ("models", "data", "output")}


@pytest.fixture(autouse=True)
def nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would need a server, or be one, is a fault of the test."""

    def begun(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("was begun")

    begun.description = ""  # type: ignore[attr-defined]
    for module, name in (
        (repair, "repair"),
        (demo, "demo"),
        (watch, "watch"),
        (zombies, "install"),
        (serve, "serve"),
    ):
        monkeypatch.setattr(module, name, begun)


def repairing(places: dict[str, str], *more: str) -> list[str]:
    """Arguments of `flows.repair`."""
    return [places["models"], "--data", places["data"], "--output", places["output"], *more]


def line_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line that was said."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--drop", "abc"], "--drop: 'abc' is not a number of points"),
        (["--drop", "-3"], "--drop: -3 is not between 0 and 100 points"),
        (["--drop", "2", "1e9"], "--drop: 1e9 is not between 0 and 100 points"),
        (["--budget", "-1"], "--budget: -1.0 is not 0 to 100 points"),
        (["--budget", "nan"], "--budget: nan is not 0 to 100 points"),
        (["--minutes", "-1"], "--minutes: -1.0 is not more than 0 and up to a week"),
        (["--task-runner", "ray"], "--task-runner: 'ray' is not threads, dask or tcp://host:port"),
        (["--architecture", "none.json"], "none.json: no such file"),
        (
            ["--data", "nowhere"],
            "nowhere: has no clean/valid.h5, no valid/ and no class folders with pictures",
        ),
        (["--output", "/proc/here"], "/proc/here: cannot be written to: No such file or directory"),
        (["--output", "gs://bucket/x"], "gs://bucket/x: only paths and s3:// are supported"),
    ],
)
def test_arguments_are_looked_at_before_a_server_is(
    arguments: list[str], line: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert repair.main(repairing(places, *arguments)) == REFUSED
    assert line_of(capsys) == f"failed: {line}"


def test_files_are_looked_at_before_a_server_is(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    models, data = Path(places["models"]), Path(places["data"])
    test = data / "clean" / "test.h5"
    test.write_bytes(b"text")
    assert repair.main(repairing(places)) == REFUSED
    assert (
        line_of(capsys)
        == f"failed: {test}: is not an HDF5 file, a zip archive or a folder of class folders"
    )
    (models / "net.h5").write_bytes(b"text")
    assert repair.main(repairing(places)) == REFUSED
    assert "net.h5: is not an HDF5 file, a zip archive" in line_of(capsys)
    (models / "net.h5").unlink()
    assert repair.main(repairing(places)) == REFUSED
    assert (
        line_of(capsys)
        == f"failed: {models}: has no .h5 or .keras file and no SavedModel folder in it"
    )
    assert repair.main(repairing({**places, "models": f"{models}/net.h5"})) == REFUSED
    assert line_of(capsys) == f"failed: {models}/net.h5: no such file"


def test_each_of_several_models_that_are_not_there_is_named_and_one_that_is_goes_on(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = ["one.h5", "two.keras"]
    assert repair.main([*missing, *repairing(places)[1:]]) == REFUSED
    said = capsys.readouterr().err.splitlines()
    assert said == [f"failed: {name}: no such file" for name in missing]
    with pytest.raises(AssertionError, match="was begun"), temporary_settings(results(places)):
        repair.main([*missing, *repairing(places)])


def results(places: dict[str, str]) -> dict[Any, Any]:
    """Settings under which a repair could begin."""
    home = Path(places["data"]).parent / "home"
    return {
        PREFECT_HOME: home,
        PREFECT_RESULTS_LOCAL_STORAGE_PATH: home / "storage",
        PREFECT_API_URL: None,
    }


def test_drops_reach_the_flow_as_numbers_that_it_takes(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "1/2" is a number for `parse_points`, and was none for the flow."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(repair, "repair", lambda **given: asked.update(given))
    monkeypatch.setattr(repair, "report_state", lambda state: 0)
    with temporary_settings(results(places)):
        assert repair.main(repairing(places, "--drop", "1/2", "10")) == 0
    assert [float(points) for points in asked["drop"]] == [0.5, 10]


def test_an_endpoint_that_is_no_address_is_one_line(
    places: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": "127.0.0.1:9000"}.items():
        monkeypatch.setenv(name, value)
    s3 = "s3://bucket/x"
    for main, arguments in (
        (repair.main, repairing({**places, "models": f"{s3}.h5"})),
        (repair.main, repairing({**places, "data": s3})),
        (repair.main, repairing({**places, "output": s3})),
        (watch.main, ["--inbox", s3, "--output", places["output"]]),
        (demo.main, ["--data", s3, "--models", places["models"], "--output", places["output"]]),
    ):
        assert main(arguments) == REFUSED
        line = line_of(capsys)
        assert line.startswith("failed: AWS_ENDPOINT_URL: '127.0.0.1:9000' is no address")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--people", "1"], "--people: 1 is not 2 to 1283"),
        (["--seed", "-1"], "--seed: -1 is not 0 to 4294967295"),
        (["--data", "/proc/here"], "/proc/here: cannot be written to: No such file or directory"),
        (["--models", "/proc/here"], "/proc/here: cannot be written to: No such file or directory"),
        (["--output", "/proc/here"], "/proc/here: cannot be written to: No such file or directory"),
    ],
)
def test_the_demo_draws_nothing_that_it_cannot_keep(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.main(arguments) == REFUSED
    assert line_of(capsys) == f"failed: {line}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--settle", "-1"], "--settle: -1.0 is not 0 to 3600 seconds"),
        (["--settle", "nan"], "--settle: nan is not 0 to 3600 seconds"),
        (["--inbox", "nowhere"], "nowhere: no such folder"),
        (["--output", "/proc/here"], "/proc/here: cannot be written to: No such file or directory"),
    ],
)
def test_a_look_that_could_not_be_remembered_is_not_taken(
    arguments: list[str], line: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["--inbox", places["models"], "--output", places["output"]]
    assert watch.main([*good, *arguments]) == REFUSED
    assert line_of(capsys) == f"failed: {line}"


class Answers(BaseHTTPRequestHandler):
    """A server that says what it was told to, and remembers what it was asked."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        time.sleep(self.server.silence)
        body = self.server.says.get(self.path)
        self.send_response(self.server.status if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        with suppress(ConnectionError):  # who asked is gone
            self.wfile.write(body or b"")

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *args: Any) -> None:
        """Nothing is said."""


@contextmanager
def answering(
    says: dict[str, bytes], status: int = 200, silence: float = 0
) -> Iterator[tuple[int, list[str]]]:
    """The port of a server, and the list of what it is asked."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.says, server.status, server.silence, server.asked = says, status, silence, []
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, server.asked
    finally:
        server.shutdown()
        server.server_close()


def check_unusable(
    address: str, fault: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command says in one line that the server at the address is none for it."""
    inbox = ["--inbox", places["models"], "--output", places["output"]]
    with temporary_settings({**results(places), PREFECT_API_URL: address}):
        for main in (
            lambda: repair.main(repairing(places)),
            lambda: watch.main(inbox),
            lambda: zombies.main(),
            lambda: demo.main([f"--{name}={place}" for name, place in places.items()]),
        ):
            assert main() == REFUSED
            line = line_of(capsys)
            assert line.startswith(f"failed: PREFECT_API_URL: {address}: ")
            assert fault in line


def test_a_server_that_is_not_there_is_one_line(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    check_unusable(f"http://127.0.0.1:{free_port()}/api", "Connection refused", places, capsys)
    check_unusable("127.0.0.1:4200/api", "missing an 'http://'", places, capsys)


@pytest.mark.parametrize(
    ("says", "status", "fault"),
    [
        ({}, 200, "is no Prefect server: it answers 404"),
        (
            {name: b"<html>" for name in HEALTHY},
            200,
            "is no Prefect server: it answers something else",
        ),
        ({**HEALTHY, "/api/admin/version": b"{}"}, 200, "is no Prefect server"),
        ({**HEALTHY, "/api/admin/version": b'"2.20.1"'}, 200, "server: 2.20.1"),
        (HEALTHY, 401, "the server wants the password, which PREFECT_API_AUTH_STRING says"),
    ],
)
def test_a_server_that_is_another_is_one_line(
    says: dict[str, bytes],
    status: int,
    fault: str,
    places: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(says, status) as (port, _):
        check_unusable(f"http://127.0.0.1:{port}/api", fault, places, capsys)


def test_a_password_that_is_refused_is_not_repeated(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        answering(HEALTHY, 401) as (port, _),
        temporary_settings({PREFECT_API_AUTH_STRING: "admin:secret"}),
    ):
        address = f"http://127.0.0.1:{port}/api"
        check_unusable(address, "the server refuses the password", places, capsys)
    with temporary_settings({PREFECT_API_URL: f"http://admin:secret@127.0.0.1:{free_port()}/api"}):
        assert zombies.main() == REFUSED
    assert "secret" not in line_of(capsys)


def test_a_server_that_is_silent_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.preconditions.PATIENCE", 0.2)
    with (
        answering(HEALTHY, silence=2) as (port, _),
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}),
    ):
        assert zombies.main() == REFUSED
    assert "no Prefect server answers: timed out" in line_of(capsys)


@pytest.mark.parametrize("home", ["file", "file/below", "/proc/home"])
def test_a_home_that_cannot_be_written_to_is_one_line(
    home: str, places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / home
    spoilt = {PREFECT_HOME: folder, PREFECT_RESULTS_LOCAL_STORAGE_PATH: folder / "storage"}
    with temporary_settings({PREFECT_API_URL: None, **spoilt}):
        for main in (
            lambda: repair.main(repairing(places)),
            lambda: demo.main([f"--{name}={place}" for name, place in places.items()]),
            lambda: serve.main(["--port", str(free_port())]),
        ):
            assert main() == REFUSED
            assert line_of(capsys).startswith(f"failed: PREFECT_HOME: {folder}: ")


def test_results_that_cannot_be_stored_are_found_out_beforehand_where_a_server_runs(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(HEALTHY) as (port, _):
        known = {**results(places), PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}
        with temporary_settings({**known, PREFECT_RESULTS_LOCAL_STORAGE_PATH: "/proc/results"}):
            assert repair.main(repairing(places)) == REFUSED
    line = line_of(capsys)
    assert line.startswith("failed: PREFECT_RESULTS_LOCAL_STORAGE_PATH: /proc/results: ")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command says, as a process in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH",)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("at_fault", ["--drop", "PREFECT_API_URL", "PREFECT_HOME"])
def test_as_a_process_it_says_one_line_and_starts_no_server(
    at_fault: str, places: dict[str, str], tmp_path: Path
) -> None:
    home, nobody = str(tmp_path / "home"), f"http://127.0.0.1:{free_port()}/api"
    file = tmp_path / "file"
    file.write_bytes(b"")
    start = {
        "--drop": lambda: command(
            "flows.repair", *repairing(places, "--drop", "abc"), PREFECT_HOME=home
        ),
        "PREFECT_API_URL": lambda: command(
            "flows.zombies", PREFECT_HOME=home, PREFECT_API_URL=nobody
        ),
        "PREFECT_HOME": lambda: command(
            "flows.repair", *repairing(places), PREFECT_HOME=f"{file}/below"
        ),
    }
    done = start[at_fault]()
    assert (done.returncode, done.stdout) == (REFUSED, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"failed: {at_fault}: ")
    assert not (tmp_path / "home" / "prefect.db").exists()


@pytest.mark.slow
def test_settings_of_prefect_that_make_no_sense_are_one_line(tmp_path: Path) -> None:
    """Its own lines about them, some fifty, are not shown; a warning that goes no further is."""
    profiles = tmp_path / "broken.toml"
    profiles.write_text("[profiles")
    for name, value, said in (
        ("PREFECT_SERVER_API_PORT", "abc", "ServerAPISettings: port: Input should be a valid"),
        ("PREFECT_PROFILES_PATH", str(profiles), f"Failed to load profiles from {profiles}."),
    ):
        done = command("flows.repair", PREFECT_HOME=str(tmp_path), **{name: value})
        assert (done.returncode, done.stdout) == (REFUSED, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"failed: Prefect's settings: {said}")
    done = command(
        "flows.repair", "--drop", "x", PREFECT_HOME=str(tmp_path), PREFECT_PROFILE="none"
    )
    warning, line = done.stderr.splitlines()
    assert "Active profile 'none'" in warning
    assert line.startswith("failed: --drop: ")


def test_nothing_is_served_on_a_port_that_another_server_has(tmp_path: Path) -> None:
    with answering({**HEALTHY, "/api/admin/settings": b"{}"}) as (port, asked):
        done = command("flows.serve", "--port", str(port), PREFECT_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (REFUSED, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"failed: --port: nothing can be served on 127.0.0.1:{port}: ")
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_anything_listens_on_is_refused(
    host: str, capsys: pytest.CaptureFixture[str], places: dict[str, str]
) -> None:
    with socket.create_server((host, 0)) as other, temporary_settings(results(places)):
        assert serve.main(["--port", str(other.getsockname()[1])]) == REFUSED
    assert line_of(capsys).endswith(": Address already in use")


class Alive:
    """A server that is on its way, and will find its port taken."""

    def poll(self) -> None:
        """None: it has not ended."""


@pytest.mark.parametrize("settings", [b"{}", b'{"testing": {"test_setting": "FOO"}}', b"<html>"])
def test_nothing_is_put_into_a_server_that_takes_the_port_meanwhile(
    settings: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared: list[object] = []
    monkeypatch.undo()
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    monkeypatch.setattr(serve, "started", lambda *given: nullcontext(Alive()))
    monkeypatch.setattr(serve, "watch_over", lambda parts: serve.STOPPED)
    monkeypatch.setattr(serve, "prepare", prepared.append)
    with answering({**HEALTHY, "/api/admin/settings": settings}) as (port, _):
        assert serve.serve(port, 0) == serve.BROKEN
    assert line_of(capsys) == f"not serving: another server answers at http://127.0.0.1:{port}/api"
    assert prepared == []


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "70000"], ["--at-once", "-1"]])
def test_ports_and_numbers_of_runs_that_cannot_be_are_usage_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        serve.main(arguments)
    assert ended.value.code == REFUSED
    assert f"error: argument {arguments[0]}: " in capsys.readouterr().err
