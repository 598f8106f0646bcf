"""What is killed, filled up or done twice leaves nothing that looks whole and is not."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, Toy
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings
from service import Service, serving, variant, wait_for, whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

FINISHED = re.compile(r"Task run '(.+)' - Finished in state Completed\(\)")
SILENT_WITHIN = 300  # seconds until a run whose process is gone is no longer "Running"


@pytest.fixture
def environment(prefect_server: None, tmp_path: Path) -> dict[str, str]:
    """The environment of a flow process, with results of its own."""
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    results = {"PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(tmp_path / "results")}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **settings, **results}


def repairing(
    toy: Toy, output: Path, log: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """`python -m flows.repair` on the toy, begun."""
    arguments = [str(toy.model), "--data", str(toy.data), "--output", str(output)]
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.repair", *arguments, "--order", "ascending"],
            cwd=PROJECT,
            env=environment,
            stdout=file,
            stderr=file,
        )


def finished(log: Path) -> list[str]:
    """The names of the tasks that ran to their end."""
    return FINISHED.findall(log.read_text())


def kill_after(process: subprocess.Popen[bytes], log: Path, tasks: int, delay: float) -> bool:
    """Kill the process some time after so many tasks; whether it was still running."""
    wait_for(lambda: len(finished(log)) >= tasks or process.poll() is not None)
    time.sleep(delay)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def test_a_flow_process_that_is_killed_at_any_moment_leaves_nothing_that_is_not_whole(
    toy: Toy, tmp_path: Path, environment: dict[str, str]
) -> None:
    moments, kills, rounds = random.Random(7), 0, 0
    while kills < 20:
        rounds += 1
        output, done = tmp_path / f"output-{rounds}", []
        mine = {**environment, "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(tmp_path / f"{rounds}")}
        for number in range(6):
            log = tmp_path / f"log-{rounds}-{number}"
            process = repairing(toy, output, log, mine)
            if not kill_after(process, log, moments.randrange(4), moments.random() * 1.5):
                break
            kills += 1
            for folder in output.glob("*"):
                whole(folder)
            done += finished(log)
        log = tmp_path / f"log-{rounds}-last"
        assert repairing(toy, output, log, mine).wait(timeout=300) == 0, log.read_text()
        done += finished(log)
        assert len(done) == len(set(done)), "finished work was done again"
        (folder,) = output.iterdir()
        assert whole(folder)
    assert rounds > 1


def test_two_repairs_of_one_model_at_a_time_leave_one_result(
    toy: Toy, tmp_path: Path, environment: dict[str, str]
) -> None:
    output = tmp_path / "output"
    logs = [tmp_path / "log-1", tmp_path / "log-2"]
    processes = [repairing(toy, output, log, environment) for log in logs]
    for process, log in zip(processes, logs, strict=True):
        assert process.wait(timeout=600) == 0, log.read_text()
    (folder,) = output.iterdir()
    assert whole(folder)
    assert repairing(toy, output, tmp_path / "log-3", environment).wait(timeout=300) == 0
    assert finished(tmp_path / "log-3") == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB: less than a repair leaves."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_failure_and_nothing_half(
    toy: Toy, tmp_path: Path, full_disk: Path, environment: dict[str, str]
) -> None:
    output, log = full_disk / "artifacts", tmp_path / "log"
    assert repairing(toy, output, log, environment).wait(timeout=600) == 1
    (line,) = [e for e in log.read_text().splitlines() if e.startswith("failed: ")]
    assert "No space left on device" in line
    (folder,) = output.iterdir()
    assert not (folder / "manifest.json").exists()
    assert not [path for path in folder.rglob(".*")], "half-written files were left behind"
    subprocess.run(["mount", "-o", "remount,size=200m", str(full_disk)], check=True)
    assert repairing(toy, output, log, environment).wait(timeout=600) == 0
    assert whole(folder)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, made_toy: Toy) -> Iterator[Service]:
    """A service without a worker of its own."""
    with serving(tmp_path_factory.mktemp("service"), made_toy, at_once=0) as served:
        yield served


def pid_of(service: Service, run: FlowRun) -> int:
    """The process of a run."""
    where = wait_for(lambda: service.read(run).infrastructure_pid)
    return int(str(where).rsplit(":", 1)[-1])


def wait_until_at_work(service: Service, run: FlowRun) -> None:
    """Return when the run has begun to measure."""
    wait_for(lambda: service.read(run).state_name == "Running")
    time.sleep(5)


def test_a_worker_that_is_killed_does_not_take_its_run_with_it_for_good(
    service: Service, made_toy: Toy
) -> None:
    model = variant(made_toy.model, service.home / "worker_killed.h5", 1)
    with service.worker("killed") as worker:
        run = service.begin("repair/on-arrival", models=[str(model)])
        wait_until_at_work(service, run)
        worker.kill()
        worker.wait()
        service.ended(run)
    with service.worker("next"):
        assert service.run("repair/on-arrival", models=[str(model)]).state_name == "Completed"
    (folder,) = (service.clone / "artifacts").glob("worker_killed-*")
    assert whole(folder)


def test_a_run_whose_process_and_worker_are_killed_is_crashed_and_repaired_again(
    service: Service, made_toy: Toy
) -> None:
    model = variant(made_toy.model, service.clone / "models" / "both_killed.h5", 2)
    with service.worker("killed too") as worker:
        assert service.run("watch/inbox", settle=0).state_name == "Completed"
        run = service.repairs()[-1]
        wait_until_at_work(service, run)
        worker.kill()
        os.kill(pid_of(service, run), signal.SIGKILL)
        killed = time.monotonic()
    ended = service.ended(run)
    print(f"Crashed {time.monotonic() - killed:.0f} s after it was killed")
    assert time.monotonic() - killed < SILENT_WITHIN
    assert ended.state_name == "Crashed"
    wait_for(lambda: not service.running(), SILENT_WITHIN)
    for folder in (service.clone / "artifacts").glob("both_killed-*"):
        whole(folder)
    with service.worker("next but one"):
        assert service.run("watch/inbox", settle=0).state_name == "Completed"
        again = service.repairs()[-1]
        assert again.id != run.id
        assert service.ended(again).state_name == "Completed"
    (folder,) = (service.clone / "artifacts").glob("both_killed-*")
    assert whole(folder)
    model.unlink()


def test_two_workers_share_twelve_suspects(service: Service, made_toy: Toy) -> None:
    for number in range(12):
        variant(made_toy.model, service.clone / "models" / f"one_of_12_{number}.h5", 10 + number)
    with service.worker("left") as _, service.worker("right") as _:
        assert service.run("watch/inbox", settle=0).state_name == "Completed"
        runs = [run for run in service.repairs() if "one_of_12" in run.name]
        assert len(runs) == 12
        assert {service.ended(run).state_name for run in runs} == {"Completed"}
    folders = list((service.clone / "artifacts").glob("one_of_12_*"))
    assert len(folders) == 12
    assert all(map(whole, folders))
    used = [service.worker_of(run) for run in runs]
    print({name: used.count(name) for name in set(used)})
    assert set(used) == {"left", "right"}
