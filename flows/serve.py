"""A server, workers and all deployments, in one command that Ctrl-C ends.

    python -m flows.serve [--port 4200] [--at-once 2]

The server answers on this machine alone, and nothing is put into another one. Where
PREFECT_SERVER_API_AUTH_STRING is "user:password" it asks for them, and for CSRF tokens.
"""

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from flows import notify
from flows.preconditions import check_home, refuse
from goodnet.command.serve import add_options
from goodnet.errors import InputRefused, RequestRefused

HOST = "127.0.0.1"
POOL, LOOKS = "repairs", "looks"  # as prefect.yaml has them
PROJECT = Path(__file__).resolve().parent.parent
UP_WITHIN, DOWN_WITHIN = 600, 20  # seconds; a server that a busy machine starts takes minutes

STOPPED, BROKEN = 0, 1
MARK = "PREFECT_TESTING_TEST_SETTING"  # a setting of Prefect that does nothing; its API shows it


class Stopping(BaseException):
    """Somebody wants the service to end."""


def environment(port: int, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of everything that is served.

    Args:
        port: the server's port.
        given: the environment of this process; a password is taken from it, and goes nowhere else,
            and whom to notify goes to the server alone.
    """
    served = {
        **{name: value for name, value in given.items() if name != notify.SETTING},
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        # Its automations warn of each run that ended before its last heartbeat came in.
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": str(PROJECT),
    }
    password = given.get("PREFECT_SERVER_API_AUTH_STRING")
    if password:
        served |= {
            "PREFECT_API_AUTH_STRING": password,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        }
    return served


def check(port: int) -> None:
    """Nothing: the port is free, Prefect's home can be written to, and who is notified is known.

    Raises:
        RequestRefused: it is not.
    """
    notify.check(os.environ.get(notify.SETTING, ""))
    check_home()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port))
        except OSError as fault:
            line = f"nothing can be served on {HOST}:{port}: {fault.strerror}"
            raise RequestRefused("--port", line) from None


def serve(port: int, at_once: int) -> int:
    """The exit status, once the service has ended: 0 as it was told to, 1 because a part broke."""
    served, mark = environment(port, os.environ), uuid4().hex
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        command = ["server", "start", "--host", HOST, "--port", str(port)]
        with started(command, {**served, MARK: mark}) as server:
            wait_until_up(server, f"{served['PREFECT_API_URL']}/health")
            check_ours(served, mark)
            prepare(served)
            with ExitStack() as stack:
                parts = {"server": server}
                for name, command in workers(at_once).items():
                    parts[name] = stack.enter_context(started(command, served))
                print(f"\nserving: http://{HOST}:{port}  (Ctrl-C stops everything)\n", flush=True)
                return watch_over(parts)
    except Stopping:
        print("stopped", flush=True)
        return STOPPED
    except (subprocess.CalledProcessError, OSError) as fault:
        print(f"not serving: {fault}", file=sys.stderr)
        return BROKEN


def workers(at_once: int) -> dict[str, list[str]]:
    """What starts each worker: one for all runs, one that repairs never keep from a look."""
    if not at_once:
        return {}
    start = ["worker", "start", "--pool", POOL]
    return {
        "worker": [*start, "--limit", str(at_once)],
        "watcher": [*start, "--limit", "1", "--work-queue", LOOKS, "--name", "watcher"],
    }


def check_ours(served: Mapping[str, str], mark: str) -> None:
    """Nothing: who answers is the server with the mark, not one that took its port meanwhile.

    Raises:
        OSError: it is another.
    """
    options = Request(f"{served['PREFECT_API_URL']}/admin/settings")
    password = served.get("PREFECT_API_AUTH_STRING")
    if password:
        token = base64.b64encode(password.encode()).decode()
        options.add_header("Authorization", f"Basic {token}")
    with suppress(OSError, ValueError, TypeError, KeyError), urlopen(options, timeout=30) as answer:
        if json.load(answer)["testing"]["test_setting"] == mark:
            return
    raise OSError(f"another server answers at {served['PREFECT_API_URL']}")


def prepare(served: Mapping[str, str]) -> None:
    """Put pool, deployments and automations in place; those that are there are brought up to date.

    Raises:
        subprocess.CalledProcessError: Prefect refused.
    """
    pool = ["work-pool", "create", POOL, "--type", "process", "--overwrite"]
    for command in (pool, ["--no-prompt", "deploy", "--all"]):
        subprocess.run(
            [sys.executable, "-m", "prefect", *command],
            cwd=PROJECT,
            env=dict(served),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    told = {**served, notify.SETTING: os.environ.get(notify.SETTING, "")}
    for module, known in (("flows.zombies", served), ("flows.notify", told)):
        command = [sys.executable, "-m", module]
        subprocess.run(command, cwd=PROJECT, env=dict(known), check=True)


@contextmanager
def started(command: list[str], served: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect process in a group of its own, all of which has ended when the context has."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", *command],
        cwd=PROJECT,
        env=dict(served),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def wait_until_up(server: subprocess.Popen[bytes], url: str) -> None:
    """Return when the server answers.

    Raises:
        OSError: it ended, or does not answer in time.
    """
    deadline = time.monotonic() + UP_WITHIN
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise OSError(f"the server ended at once, with status {server.returncode}")
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError) as fault:
            if getattr(fault, "code", None) == 401:  # it is up, and asks for the password
                return
            time.sleep(0.5)
    raise OSError(f"the server did not answer within {UP_WITHIN} seconds")


def watch_over(parts: Mapping[str, subprocess.Popen[bytes]]) -> int:
    """`BROKEN`, once a part has ended by itself."""
    while True:
        for name, process in parts.items():
            if process.poll() is not None:
                print(f"the {name} ended with status {process.returncode}", file=sys.stderr)
                return BROKEN
        time.sleep(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all of its group; first politely: runs then say that they crashed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + DOWN_WITHIN
        left = _signalled(process.pid, number)
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            process.poll()  # one that has ended is a member until it is asked for
            left = _signalled(process.pid, 0)
    process.wait()


def _signalled(group: int, number: int) -> bool:
    """Whether there was somebody in the group to get the signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopping


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: that of `serve`, or 2 where nothing could be started."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.serve", description="A Prefect server, workers, all deployments."
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    if not 1 <= options.port <= 65535:
        parser.error(f"argument --port: {options.port} is not 1 to 65535")
    if options.at_once < 0:
        parser.error(f"argument --at-once: {options.at_once} is below 0")
    try:
        check(options.port)
    except InputRefused as refused:
        return refuse(refused)
    return serve(options.port, options.at_once)


if __name__ == "__main__":
    sys.exit(main())
