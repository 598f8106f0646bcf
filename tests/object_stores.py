"""S3 servers on loopback, and a proxy that breaks what passes through it."""

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal
from uuid import uuid4

import pytest
from conftest import PROJECT

from goodnet.files import s3

Fault = Literal["reset", "reset mid-upload", "reset after", "500", "throttled", "slow", "cut"]
FAULTS: tuple[Fault, ...] = (
    "reset",
    "reset mid-upload",
    "reset after",
    "500",
    "throttled",
    "slow",
    "cut",
)
SILENCE = 1.5  # seconds; longer than the tests' client waits
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "S3RVER",
    "AWS_SECRET_ACCESS_KEY": "S3RVER",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message>'
    "</Error>"
)


@contextmanager
def moto_server() -> Iterator[str]:
    """The address of moto's S3, in a thread."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def new_bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket; the environment names the server."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid4().hex[:12]}"
    s3._system().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


def s3rver_command() -> str | None:
    """Where s3rver is, if it is installed (`npm install --no-save s3rver`)."""
    return shutil.which("s3rver", path=f"{os.environ['PATH']}:{PROJECT}/node_modules/.bin")


@contextmanager
def s3rver_server(folder: Path) -> Iterator[str]:
    """The address of s3rver, a second and independent S3, as a process."""
    port = free_port()
    command = [str(s3rver_command()), "-d", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        [*command, "--no-vhost-buckets"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "NODE_OPTIONS": "--openssl-legacy-provider"},  # it is of 2021
    )
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class FaultyProxy:
    """An HTTP proxy in front of one server that breaks some requests.

    Attributes:
        address: its own.
        count: the requests seen so far.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.count, self._broken, self._fault = 0, range(0), "reset"
        self._lock = Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def break_requests(self, numbers: range, fault: Fault) -> None:
        """From now on, count from 0 and break these requests."""
        with self._lock:
            self.count, self._broken, self._fault = 0, numbers, fault

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self) -> str | None:
        """What happens to the request that has just come, None where nothing does."""
        with self._lock:
            number, self.count = self.count, self.count + 1
            return self._fault if number in self._broken else None


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        fault, length = self.proxy.next_fault(), int(self.headers.get("Content-Length", 0))
        if fault == "reset mid-upload":
            self.rfile.read(length // 2)
        if fault in ("reset", "reset mid-upload"):
            return self._reset()
        body = self._chunked() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
        if fault == "slow":
            time.sleep(SILENCE)
            return self._reset()
        if fault in ("500", "throttled"):
            status, code = (500, "InternalError") if fault == "500" else (503, "SlowDown")
            return self._answer(status, [], ERROR.format(code=code).encode())
        connection = HTTPConnection(self.proxy.upstream, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content, headers = answer.read(), answer.getheaders()
        connection.close()
        if fault == "reset after":
            return self._reset()
        return self._answer(answer.status, headers, content, cut=fault == "cut")

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        ours = {"transfer-encoding", "connection"}
        if self.command != "HEAD":
            ours |= {"content-length"}
        for name, value in headers:
            if name.lower() not in ours:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self._reset()

    def _reset(self) -> None:
        """Close as a process that dies does: with a reset, whatever was on its way."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # the connection has been reset
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
