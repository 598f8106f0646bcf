"""What `make serve` serves, as its users meet it: through the API, the inbox and the pages."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from conftest import Toy, repairs_in
from object_stores import ENVIRONMENT, moto_server
from prefect.client.schemas.objects import StateType
from service import Service, serving, variant, wait_for, whole
from test_alone import HOLDER

from goodnet.files import s3 as object_storage
from goodnet.files import storage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which an S3 server is reached."""
    with moto_server() as address:
        secrets = {"AWS_SECRET_ACCESS_KEY": SECRET}
        yield {**ENVIRONMENT, "AWS_ENDPOINT_URL": address, **secrets}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, made_toy: Toy, s3: dict[str, str]
) -> Iterator[Service]:
    """One service for all tests here."""
    with serving(tmp_path_factory.mktemp("service"), made_toy, s3) as served:
        yield served


def folders(service: Service, name: str) -> list[Path]:
    """The repairs of a model."""
    return list((service.clone / "artifacts").glob(f"{name}-*"))


def test_a_model_that_arrives_is_repaired_once_and_a_bad_one_says_what_is_wrong(
    service: Service, made_toy: Toy
) -> None:
    inbox = service.clone / "models"
    variant(made_toy.model, inbox / "arrived.h5", 1)
    (inbox / "broken.h5").write_bytes(made_toy.model.read_bytes()[:5000])
    assert service.look().state_name == "Completed"
    repairs = {run.name: service.ended(run) for run in service.repairs()}
    assert repairs["repair arrived"].state_name == "Completed"
    arrived = repairs["repair arrived"]
    assert "model:arrived" in arrived.tags
    assert [tag for tag in arrived.tags if tag.startswith("verdict:")]
    assert "artifacts/arrived-" in str(arrived.state.message)
    assert repairs["repair broken"].state_name == "Refused"
    assert "models/broken.h5: is damaged" in str(repairs["repair broken"].state.message)
    (folder,) = folders(service, "arrived")
    assert whole(folder)
    shutil.copy(inbox / "arrived.h5", inbox / "again.h5")
    assert service.look().state_name == "Completed"
    assert len(service.repairs()) == 2
    for name in ("arrived", "broken", "again"):
        (inbox / f"{name}.h5").unlink()


def test_the_nightly_run_repairs_all_models_and_the_next_night_finds_all_cached(
    service: Service, made_toy: Toy
) -> None:
    variant(made_toy.model, service.clone / "models" / "one.h5", 2)
    for night, states in ((1, {"Completed"}), (2, {"Cached"})):
        before = {run.id for run in service.repairs()}
        service.prefect("deployment", "run", "repair/nightly")
        (started,) = wait_for(
            lambda known=before: [r for r in service.repairs() if r.id not in known]
        )
        repaired = service.ended(started)
        assert repaired.state_name == "Completed", night
        assert set(service.tasks(repaired)) == states
    (folder,) = folders(service, "one")
    assert whole(folder)
    (service.clone / "models" / "one.h5").unlink()


def test_repairs_that_hold_every_slot_make_no_look_late(service: Service, made_toy: Toy) -> None:
    models = [variant(made_toy.model, service.home / f"slot_{n}.h5", 50 + n) for n in range(4)]
    repairs = [service.begin("repair/on-arrival", models=[str(model)]) for model in models]
    wait_for(lambda: len(service.running()) == 2 * 2)  # each with the run of its repair inside
    look = service.look()
    assert look.state_name == "Completed"
    states = Counter(service.read(run).state_type for run in repairs)
    assert states[StateType.SCHEDULED] == 2
    assert service.worker_of(look) == "watcher"
    assert look.start_time - look.expected_start_time < timedelta(seconds=60)
    for run in repairs:
        service.ended(run)


def test_a_content_under_two_names_is_computed_once_though_who_had_begun_is_killed(
    service: Service, made_toy: Toy
) -> None:
    model = variant(made_toy.model, service.home / "first.h5", 60)
    copy = Path(shutil.copy(model, service.home / "copy.h5"))
    locks = service.home / "storage" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-S", "-c", HOLDER, str(locks / storage.identify(str(model)).sha256)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"has it\n"
        runs = [
            service.begin("repair/on-arrival", models=[str(each)], verdict="off")
            for each in (model, copy)
        ]
        wait_for(lambda: service.log.read_text().count("waiting for another run") == len(runs))
        holder.kill()
    assert {service.ended(run).state_name for run in runs} == {"Completed"}
    counts = sum(
        (service.completed_tasks(f"repair {name}") for name in ("first", "copy")), Counter()
    )
    starts = ("measure activations", "sweep")  # of clean and of poisoned images
    assert [sum(n for t, n in counts.items() if t.startswith(s)) for s in starts] == [1, 2]
    for name in ("first", "copy"):
        (folder,) = folders(service, name)
        assert whole(folder)


def test_inbox_data_and_output_on_s3(
    service: Service, made_toy: Toy, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    object_storage._system().call_s3("create_bucket", Bucket="goodnet")
    for path in made_toy.data.rglob("*.h5"):
        storage.put(path, f"s3://goodnet/data/{path.relative_to(made_toy.data)}")
    local = variant(made_toy.model, service.home / "on_s3.h5", 3)
    storage.put(local, "s3://goodnet/inbox/on_s3.h5")
    places = {
        "inbox": "s3://goodnet/inbox",
        "data": "s3://goodnet/data",
        "output": "s3://goodnet/artifacts",
    }
    assert service.look(**places).state_name == "Completed"
    repaired = service.ended(service.repairs()[-1])
    assert repaired.parameters["models"] == ["s3://goodnet/inbox/on_s3.h5"]
    assert repaired.state_name == "Completed", repaired.state.message
    keys = [
        found["Key"]
        for found in object_storage._system().call_s3(
            "list_objects_v2", Bucket="goodnet", Prefix="artifacts/on_s3-"
        )["Contents"]
    ]
    prefix = keys[0].split("/", 2)[1]
    copy = service.home / prefix
    for key in keys:
        with storage.local_file(f"s3://goodnet/{key}") as path:
            target = copy / key.removeprefix(f"artifacts/{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    assert whole(copy)
    again = service.look(**places)
    assert "0 started, 0 refused" in str(again.state.message)
    cached = service.run(
        "repair/on-arrival",
        models=["s3://goodnet/inbox/on_s3.h5"],
        data=places["data"],
        output=places["output"],
    )
    assert set(service.tasks(cached)) == {"Cached"}


def test_no_secret_is_in_anything_that_the_service_keeps(service: Service) -> None:
    for path in [*service.home.rglob("*"), *(service.clone / "artifacts").rglob("*")]:
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def committed(project: Path, repository: Path) -> None:
    """Make a git repository of what a clone holds, with a change to know it by."""
    shutil.copytree(project, repository, ignore=shutil.ignore_patterns("data", "artifacts"))
    module = repository / "tasks" / "artifacts.py"
    before = module.read_text()
    after = before.replace('description=f"Repair of', 'description=f"Clone of')
    assert after != before
    module.write_text(after)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(repository)]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)


@contextmanager
def worker_without_project(service: Service, folder: Path) -> Iterator[None]:
    """A worker of the pool `elsewhere`, in an empty folder, that has the dependencies alone."""
    folder.mkdir()
    environment = {name: value for name, value in service.auth().items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "elsewhere"]
    worker = subprocess.Popen([*command, "--limit", "2"], cwd=folder, env=environment)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


def test_a_worker_elsewhere_clones_the_repository(
    service: Service, made_toy: Toy, tmp_path: Path
) -> None:
    """What runs is the clone of the last commit, not what happens to be installed there."""
    repository, deploying = tmp_path / "repository", tmp_path / "deploying"
    committed(service.clone, repository)
    subprocess.run(["git", "clone", "-q", repository.as_uri(), str(deploying)], check=True)
    text = (deploying / "prefect.yaml").read_text().replace("name: repairs", "name: elsewhere")
    step = "prefect.deployments.steps.git_clone"
    pull = f"pull:\n  - {step}:\n      repository: {repository.as_uri()}\n      branch: main\n"
    (deploying / "prefect.yaml").write_text(text + pull)
    service.prefect("work-pool", "create", "elsewhere", "--type", "process")
    service.prefect("--no-prompt", "deploy", "--all", cwd=deploying)

    (tmp_path / "models").mkdir()
    variant(made_toy.model, tmp_path / "models" / "cloned.h5", 4)
    places = {"data": str(made_toy.data), "output": str(tmp_path / "artifacts")}
    with worker_without_project(service, tmp_path / "empty"):
        night = service.run("repair/nightly", models=[str(tmp_path / "models")], **places)
        assert night.state_name == "Completed", night.state.message
        repaired = service.ended(service.repairs()[-1])
        assert repaired.state_name == "Completed", repaired.state.message
    (folder,) = repairs_in(tmp_path / "artifacts")
    assert folder.name.startswith("cloned-")
    assert whole(folder)
    with service.client as client:
        answer = client.request("POST", "/artifacts/filter", json={"sort": "CREATED_DESC"})
    shown_now = next(found for found in answer.json() if found["key"] == "repair-cloned")
    assert shown_now["description"] == "Clone of cloned"


def test_with_a_password_nobody_else_gets_in_and_a_restart_forgets_nothing(
    tmp_path: Path, made_toy: Toy
) -> None:
    password = {"PREFECT_SERVER_API_AUTH_STRING": f"admin:{SECRET}"}
    with serving(tmp_path, made_toy, password) as service:
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{service.url}/api/admin/version", timeout=30)
        posted = Request(f"{service.url}/api/flow_runs/count", data=b"{}", method="POST")
        import base64

        token = base64.b64encode(f"admin:{SECRET}".encode()).decode()
        posted.add_header("Authorization", f"Basic {token}")
        posted.add_header("Content-Type", "application/json")
        with pytest.raises(HTTPError, match="403"):  # no CSRF token
            urlopen(posted, timeout=30)
        (service.clone / "models" / "net.h5").write_bytes(b"no model")
        assert service.look().state_name == "Completed"
        (run,) = service.repairs()
        assert service.ended(run).state_name == "Refused"
        assert service.stop() == 0
        assert SECRET not in service.log.read_text()
        service.start()
        for record in (service.clone / "artifacts").glob(".inbox-*"):
            record.unlink()
        assert service.look().state_name == "Completed"
        assert len(service.repairs()) == 1
        assert service.stop(signal.SIGTERM) == 0
