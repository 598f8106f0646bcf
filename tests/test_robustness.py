"""What is killed, filled up or done twice leaves nothing that looks whole and is not."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import PROJECT, Toy, repairs_in
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import get_current_settings
from service import Service, serving, variant, wait_for, whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

FINISHED = re.compile(r"Task run '(.+)' - Finished in state Completed\(\)")
ONLY = ["--method", "pruning"]  # a mitigation takes minutes
KILLS, LIFE = 20, 16  # how often, and at most so many seconds after a run was taken
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
            [sys.executable, "-m", "flows.repair", *arguments, "--order", "ascending", *ONLY],
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
            for folder in repairs_in(output):
                whole(folder)
            done += finished(log)
        log = tmp_path / f"log-{rounds}-last"
        assert repairing(toy, output, log, mine).wait(timeout=300) == 0, log.read_text()
        done += finished(log)
        assert len(done) == len(set(done)), "finished work was done again"
        (folder,) = repairs_in(output)
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
    (folder,) = repairs_in(output)
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
    (folder,) = repairs_in(output)
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


def pid_of(service: Service, run: FlowRun) -> int | None:
    """The process of a run, if it has one."""
    where = service.read(run).infrastructure_pid
    return int(str(where).rsplit(":", 1)[-1]) if where else None


def kill_run_of(service: Service, run: FlowRun) -> None:
    """Kill the process of a run, if there is one."""
    pid = pid_of(service, run)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_at(service: Service, model: Path, delay: float, *, both: bool) -> FlowRun:
    """A run of the model whose worker, and process, are killed so long after it was taken."""
    run = service.begin("repair/on-arrival", models=[str(model)])
    with service.worker(f"of {model.stem}", limit=2) as worker:
        wait_for(lambda: service.read(run).state_type != StateType.SCHEDULED)
        time.sleep(delay)
        worker.kill()
        worker.wait()
        if both:
            kill_run_of(service, run)
    return run


@pytest.mark.parametrize("both", [False, True], ids=["the worker", "worker and process"])
def test_whatever_is_killed_at_any_moment_a_repair_is_whole_or_made_again(
    service: Service, made_toy: Toy, both: bool
) -> None:
    """No run stays Running, and what was finished before is not done again."""
    moments = random.Random(11 + both)
    names = [f"killed_{'both' if both else 'worker'}_{number}" for number in range(KILLS)]
    models = [
        variant(made_toy.model, service.home / f"{n}.h5", 100 * (1 + both) + i)
        for i, n in enumerate(names)
    ]
    killed = [kill_at(service, m, moments.random() * LIFE, both=both) for m in models]
    wait_for(lambda: not service.running(), SILENT_WITHIN)
    print(Counter(service.read(run).state_name for run in killed))
    for folder in (service.clone / "artifacts").glob("killed_*"):
        whole(folder)
    with service.worker("afterwards", limit=2):
        again = [service.begin("repair/on-arrival", models=[str(model)]) for model in models]
        assert {service.ended(run).state_name for run in again} == {"Completed"}
    for name in names:
        (folder,) = (service.clone / "artifacts").glob(f"{name}-*")
        assert whole(folder)
        assert max(service.completed_tasks(f"repair {name}").values()) == 1


def test_an_arrival_whose_repair_is_killed_is_repaired_by_a_later_look(
    service: Service, made_toy: Toy
) -> None:
    model = variant(made_toy.model, service.clone / "models" / "arrived.h5", 2)
    with service.worker("killed"):
        assert service.look().state_name == "Completed"
        run = service.repairs()[-1]
        wait_for(lambda: service.read(run).state_name == "Running")
        kill_run_of(service, run)
        assert service.ended(run).state_name == "Crashed"
        assert service.look().state_name == "Completed"
        again = service.repairs()[-1]
        assert again.id != run.id
        assert service.ended(again).state_name == "Completed"
    (folder,) = (service.clone / "artifacts").glob("arrived-*")
    assert whole(folder)
    model.unlink()


def test_two_workers_share_twelve_suspects(service: Service, made_toy: Toy) -> None:
    for number in range(12):
        variant(made_toy.model, service.clone / "models" / f"one_of_12_{number}.h5", 10 + number)
    with service.worker("left") as _, service.worker("right") as _:
        assert service.look().state_name == "Completed"
        runs = [run for run in service.repairs() if "one_of_12" in run.name]
        assert len(runs) == 12
        assert {service.ended(run).state_name for run in runs} == {"Completed"}
    folders = list((service.clone / "artifacts").glob("one_of_12_*"))
    assert len(folders) == 12
    assert all(map(whole, folders))
    used = [service.worker_of(run) for run in runs]
    print({name: used.count(name) for name in set(used)})
    assert set(used) == {"left", "right"}


def kill_all(pid: int) -> None:
    """Kill a process and all that it has started, itself first."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in files for child in file.read_text().split()]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        kill_all(child)


@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9"])
def test_what_ran_when_all_was_stopped_is_crashed_and_repaired_after_the_next_start(
    how: str, tmp_path: Path, made_toy: Toy
) -> None:
    with serving(tmp_path, made_toy) as service:
        variant(made_toy.model, service.clone / "models" / "stopped.h5", 3)
        assert service.look().state_name == "Completed"
        (run,) = service.repairs()
        wait_for(lambda: service.read(run).state_name == "Running")
        time.sleep(3)
        if how == "Ctrl-C":
            assert service.stop() == 0
        else:
            kill_all(service.process.pid)
            service.process.wait()
        service.start()
        started = time.monotonic()
        assert service.ended(run).state_name == "Crashed"
        wait_for(lambda: not service.running(), SILENT_WITHIN)
        print(f"Crashed {time.monotonic() - started:.0f} s after the next start, {how}")
        assert service.look().state_name == "Completed"
        again = service.repairs()[-1]
        assert again.id != run.id
        assert service.ended(again).state_name == "Completed"
        (folder,) = (service.clone / "artifacts").glob("stopped-*")
        assert whole(folder)
