"""The service on PostgreSQL, started by the test: two workers, forty suspects, and kills."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Toy
from object_stores import free_port
from prefect.client.schemas.objects import FlowRun
from service import Service, serving, variant, wait_for, whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]
PASSWORD = "not-to-be-seen-anywhere"
NAME = "goodnet"
SUSPECTS, KILLS, LONG = 40, 3, 4800


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database; the server does not run as root."""
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        pytest.skip("there is no PostgreSQL here: no initdb")
    binaries, port = Path(found).resolve().parent, free_port()
    folder = Path(tempfile.mkdtemp(prefix="goodnet-postgres-"))
    nobody: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        nobody |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    (folder / "password").write_text(PASSWORD)
    made = ["-D", "data", "-U", "goodnet", "-A", "scram-sha-256", "--pwfile", "password"]
    subprocess.run([binaries / "initdb", *made], check=True, capture_output=True, **nobody)
    settings = f"listen_addresses=127.0.0.1 port={port} unix_socket_directories={folder}".split()
    options = [word for each in settings for word in ("-c", each)]
    with (folder / "log").open("wb") as log:
        command = [binaries / "postgres", "-D", "data", *options]
        server = subprocess.Popen(command, stdout=log, stderr=log, **nobody)
    try:
        create = [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "goodnet", NAME]
        known = {**os.environ, "PGPASSWORD": PASSWORD}
        wait_for(lambda: subprocess.run(create, env=known, capture_output=True).returncode == 0, 60)
        yield f"postgresql+asyncpg://goodnet:{PASSWORD}@127.0.0.1:{port}/{NAME}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
        shutil.rmtree(folder)


def running(service: Service) -> list[FlowRun]:
    """The repairs that run."""
    return [run for run in service.repairs() if run.state_name == "Running"]


def all_repaired(service: Service) -> list[FlowRun] | None:
    """The repairs that came to an end, once each suspect has one; a look starts what is missing."""
    repairs = service.repairs()
    if not all(run.state is not None and run.state.is_final() for run in repairs):
        return None
    completed = [run for run in repairs if run.state_name == "Completed"]
    if len(completed) >= SUSPECTS:
        return completed
    assert service.look(verdict="off").state_name == "Completed"
    return None


def test_two_workers_repair_forty_suspects_through_kills(
    tmp_path: Path, made_small: Toy, database: str
) -> None:
    settings = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
    with serving(tmp_path, made_small, settings, at_once=0) as service:
        for number in range(SUSPECTS):
            variant(made_small.model, service.clone / "models" / f"net_{number}.h5", number)
        with service.worker("left", limit=2), service.worker("right", limit=2) as right:
            assert service.look(verdict="off").state_name == "Completed"
            for _ in range(KILLS):
                run = wait_for(lambda: running(service))[0]
                os.kill(int(str(run.infrastructure_pid).rpartition(":")[2]), signal.SIGKILL)
                wait_for(lambda known=run: service.read(known).state_name == "Crashed")
            wait_for(lambda: len(running(service)) == 4)  # none of them is just being started
            right.kill()
            with service.worker("again", limit=2):
                completed = wait_for(lambda: all_repaired(service), LONG)
        used = Counter(map(service.worker_of, completed))
    assert {"left", "again"} <= set(used)
    keys = Counter(str(run.idempotency_key).partition(":")[0] for run in completed)
    assert len(keys) == sum(keys.values()) == SUSPECTS
    folders = list((service.clone / "artifacts").glob("net_*"))
    assert len(folders) == SUSPECTS
    assert all(map(whole, folders))
    said = service.log.read_text()
    assert "database is locked" not in said
    assert PASSWORD not in said
