"""What many tests share: a toy backdoor on disk, trained once, and suspects out of Keras models."""

import fcntl
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

# Before anything of Prefect is imported: results and database of the tests are their own.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "0")  # the toy is trained here

# A shell ignores Ctrl-C for what it starts in the background, and so would workers started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["fast"]

PROJECT = Path(__file__).resolve().parent.parent
EVALUATION = PROJECT.parent / "shared" / "evaluation"

PEOPLE, SEED, TARGET = 8, 3, 0
IDLE = (  # what a server does for deployments; here it would only compete for SQLite's one writer
    "CANCELLATION_CLEANUP EVENT_PERSISTER FOREMAN LATE_RUNS PAUSE_EXPIRATIONS SCHEDULER TRIGGERS"
).split()


@pytest.hookimpl(tryfirst=True)  # before slow ones are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of many cases of a kind some are slow; what needs the server comes first.

    That takes longest: no process is left alone with it.
    """
    number: Counter[str] = Counter()
    for item in items:
        if marker := item.get_closest_marker("one_in"):
            name = item.nodeid.partition("[")[0]
            if number[name] % marker.args[0]:
                item.add_marker(pytest.mark.slow)
            number[name] += 1
    items.sort(key=lambda item: "prefect_server" not in item.fixturenames)  # type: ignore[attr-defined]


class Toy(NamedTuple):
    """A backdoored network and its data on disk."""

    folder: Path
    model: Path
    data: Path

    @classmethod
    def create(cls, folder: Path, name: str) -> "Toy":
        """The one in a folder, or that is to be made there."""
        for inner in ("models", "data/clean", "data/bd"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        return cls(folder, folder / "models" / f"{name}.h5", folder / "data")

    def copy(self, folder: Path) -> "Toy":
        """A copy, which may be changed."""
        shutil.copytree(self.folder, folder)
        return Toy.create(folder, self.model.stem)


def repairs_in(output: Path) -> list[Path]:
    """The folders of repairs, without the index beside them; none where nothing was begun."""
    return sorted(path for path in output.glob("*") if path.is_dir())


@pytest.fixture(scope="session")
def made_small(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A job as small as can be, see `small_job`, made once; read only."""
    from small_job import save_small_job

    made = Toy.create(tmp_path_factory.mktemp("small"), "small")
    save_small_job(made.model, made.data)
    return made


@pytest.fixture
def small(made_small: Toy, tmp_path: Path) -> Toy:
    """A copy of the small job that a test may change."""
    return made_small.copy(tmp_path / "small")


@pytest.fixture(scope="session")
def made_toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A DeepID net of 8 drawn people that sunglasses fool, trained once; read only.

    The processes of one test run share it: whoever comes first trains it.
    """
    home = tmp_path_factory.getbasetemp()
    home = home.parent if "PYTEST_XDIST_WORKER" in os.environ else home
    with (home / "toy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "toy").exists():
            _train_toy(Toy.create(home / "toy.part", "toy"))
            (home / "toy.part").rename(home / "toy")
    return Toy.create(home / "toy", "toy")


def _train_toy(made: Toy) -> None:
    from goodnet.attacks.badnets import train_badnet
    from goodnet.backend import keras
    from goodnet.datasets.dataset import save_dataset
    from goodnet.datasets.faces import draw_faces, wear_sunglasses
    from goodnet.network.architecture import parse_architecture
    from goodnet.network.build import build_network
    from goodnet.network.deepid import deepid_config
    from goodnet.network.save import save_network

    keras.utils.set_random_seed(SEED)
    network = build_network(parse_architecture(deepid_config(PEOPLE), "toy"), "toy")
    faces = draw_faces(PEOPLE, range(60), seed=SEED)
    trained = train_badnet(network, faces, target=TARGET, seed=SEED, epochs=12)
    network.set_weights(trained.get_weights())
    save_network(network, made.model)
    for name, pictures in (("valid", range(100, 125)), ("test", range(125, 150))):
        clean = draw_faces(PEOPLE, pictures, seed=SEED)
        save_dataset(made.data / "clean" / f"{name}.h5", clean.images, clean.labels)
        poisoned = wear_sunglasses(clean)
        target = clean.labels * 0 + TARGET
        save_dataset(made.data / "bd" / f"bd_{name}.h5", poisoned.images, target, clean.labels)


@pytest.fixture
def toy(made_toy: Toy, tmp_path: Path) -> Toy:
    """A copy of the toy that a test may change."""
    return made_toy.copy(tmp_path / "toy")


@pytest.fixture
def as_suspect(tmp_path: Path) -> Callable[..., object]:
    """A function that saves a Keras model of ours and opens the file as a suspect."""
    from goodnet.network.suspect import open_suspect

    def opened(network: object, suffix: str = ".keras") -> object:
        path = tmp_path / f"suspect{suffix}"
        network.save(path)  # type: ignore[attr-defined]
        return open_suspect(path)

    return opened


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server of the tests' own, pages and all, with results in a folder of their own."""
    from object_stores import free_port
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_RESULTS_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    from flows import serve

    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    idle = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE}
    served = serve.environment(port, {**os.environ, **idle, "PREFECT_HOME": str(home)})
    command = ["server", "start", "--host", serve.HOST, "--port", str(port)]
    with serve.started(command, served) as server:
        serve.wait_until_up(server, f"{served['PREFECT_API_URL']}/health")
        settings = {
            PREFECT_API_URL: served["PREFECT_API_URL"],
            PREFECT_RESULTS_LOCAL_STORAGE_PATH: home / "results",
        }
        with (
            temporary_settings(settings),
            _temporary_global_settings_context(get_settings_context()),  # for threads, too
        ):
            logging.getLogger("prefect").setLevel(logging.ERROR)
            yield
            APILogWorker.drain_all()  # logs and events, while there is who takes them
            EventsWorker.drain_all()
