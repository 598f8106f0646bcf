"""`make serve` for tests: a copy of the project, served with a database of its own."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import PROJECT, Toy
from object_stores import free_port
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun

PATIENCE = 420  # seconds; several runs may share two cores


class Service:
    """A running service: its address, its copy of the project, and what happens in it."""

    def __init__(self, home: Path, clone: Path, port: int, more: dict[str, str]) -> None:
        self.home, self.clone, self.url = home, clone, f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PYTHONPATH": str(clone),
            **more,
        }
        self.log = home / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def client(self) -> SyncPrefectClient:
        """A client of the service's API."""
        return SyncPrefectClient(f"{self.url}/api", auth_string=self.password)

    @property
    def password(self) -> str | None:
        """What the service asks for."""
        return self.environment.get("PREFECT_SERVER_API_AUTH_STRING")

    def start(self, at_once: int = 2) -> None:
        """Serve, and return when it does."""
        where = ["--port", str(self.port), "--at-once", str(at_once)]
        command = [sys.executable, "-m", "flows.serve", *where]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.clone, env=self.environment, stdout=log, stderr=log
            )
        wait_for(lambda: "serving: " in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """The exit status after Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=90)

    @contextmanager
    def worker(self, name: str, pool: str = "repairs", limit: int = 1) -> Iterator[Any]:
        """A worker beside the service, by name."""
        command = ["worker", "start", "--pool", pool, "--name", name, "--limit", str(limit)]
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command], cwd=self.clone, env=self.auth()
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    def prefect(self, *arguments: str, cwd: Path | None = None) -> str:
        """What the `prefect` command says."""
        return self.python("-m", "prefect", *arguments, cwd=cwd)

    def python(self, *arguments: str, cwd: Path | None = None) -> str:
        """What a Python process beside the service says."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.clone,
            env=self.auth(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def auth(self) -> dict[str, str]:
        """The environment of a client."""
        return {
            **self.environment,
            **({"PREFECT_API_AUTH_STRING": self.password} if self.password else {}),
        }

    def begin(self, deployment: str, **parameters: Any) -> FlowRun:
        """A run of a deployment, begun."""
        with self.client as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def run(self, deployment: str, **parameters: Any) -> FlowRun:
        """A run of a deployment, ended."""
        return self.ended(self.begin(deployment, **parameters))

    def look(self, **parameters: Any) -> FlowRun:
        """A look into the inbox, ended; one that is cancelled for another is taken again."""
        return wait_for(
            lambda: (
                (run := self.run("watch/inbox", settle=0, **parameters)).state_name != "Cancelled"
                and run
            )
        )

    def ended(self, run: FlowRun) -> FlowRun:
        """The run when it has ended."""
        return wait_for(lambda: (now := self.read(run)).state.is_final() and now)

    def read(self, run: FlowRun) -> FlowRun:
        """The run as it is now."""
        with self.client as client:
            return client.read_flow_run(run.id)

    def repairs(self) -> list[FlowRun]:
        """All runs of `repair/on-arrival`, the oldest first."""
        with self.client as client:
            known = client.read_deployment_by_name("repair/on-arrival").id
            runs = client.read_flow_runs(limit=200)
        mine = [run for run in runs if run.deployment_id == known]
        return sorted(mine, key=lambda run: run.created)

    def running(self) -> list[FlowRun]:
        """The runs that say that they are running."""
        with self.client as client:
            return [run for run in client.read_flow_runs(limit=200) if run.state_name == "Running"]

    def worker_of(self, run: FlowRun) -> str:
        """The name of the worker that took the run."""
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        with self.client as client:
            lines = [log.message for log in client.read_logs(wanted, limit=200)]
        return next(f.group(1) for line in lines if (f := re.search("Worker '(.+?)'", line)))

    def tasks(self, run: FlowRun) -> Counter[str]:
        """How the tasks of a repair ended; `run` is that of its deployment."""
        with self.client as client:
            parents = {task.id for task in client.read_task_runs(flow_run_filter=_only(run))}
            (inner,) = (
                each
                for each in client.read_flow_runs(limit=200)
                if each.parent_task_run_id in parents
            )
        return wait_for(lambda: self._ended_tasks(inner))  # the server hears of ends a little later

    def completed_tasks(self, name: str) -> Counter[str]:
        """How often each task of the repairs of this name ran to its end, in all of them."""
        runs = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        repairs = FlowFilter(name=FlowFilterName(any_=["repair-model"]))
        with self.client as client:
            tasks = client.read_task_runs(flow_filter=repairs, flow_run_filter=runs, limit=200)
        return Counter(task.name for task in tasks if task.state_name == "Completed")

    def _ended_tasks(self, run: FlowRun) -> Counter[str] | None:
        with self.client as client:
            tasks = client.read_task_runs(flow_run_filter=_only(run), limit=200)
        if not all(task.state and task.state.is_final() for task in tasks):
            return None
        return Counter(str(task.state_name) for task in tasks)


def _only(run: FlowRun) -> FlowRunFilter:
    return FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))


@contextmanager
def serving(
    folder: Path, toy: Toy, more: dict[str, str] | None = None, at_once: int = 2
) -> Iterator[Service]:
    """The service of a copy of the project that has the toy's data and no model."""
    clone, home = folder / "clone", folder / "home"
    home.mkdir(parents=True)
    copy_project(clone)
    leave_mitigations_out(clone / "prefect.yaml")
    shutil.copytree(toy.data, clone / "data", dirs_exist_ok=True)
    service = Service(home, clone, free_port(), more or {})
    service.start(at_once)
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def leave_mitigations_out(deployments: Path) -> None:
    """Let the deployments of `repair` prune and judge only: what else there is takes minutes."""
    text = deployments.read_text()
    for known, more in (
        ("      separately: true\n", "      method: pruning\n"),
        ("    tags: [goodnet, on-arrival]\n", "    parameters:\n      method: pruning\n"),
    ):
        assert text.count(known) == 1
        text = text.replace(known, known + more)
    deployments.write_text(text)


def copy_project(folder: Path) -> None:
    """Copy what is in git, as it is now."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)


def wait_for(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What the condition returns, once that is something."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"nothing came of it within {patience} seconds")


def variant(model: Path, target: Path, number: int) -> Path:
    """A copy of the model with another content, and the same answers."""
    import h5py

    shutil.copy(model, target)
    with h5py.File(target, "a") as file:
        file.attrs["variant"] = number
    return target


def whole(folder: Path) -> bool:
    """Whether there is a manifest; if there is, all it names is there and as it says."""
    if not (folder / "manifest.json").exists():
        return False
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], name
        assert len(content) == entry["bytes"], name
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    hidden = {name for name in present if Path(name).name.startswith(".")}  # of what was killed
    assert present - hidden == {*manifest["files"], "manifest.json"}
    return True
