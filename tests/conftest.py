"""What many tests share: a toy backdoor on disk, trained once, and suspects out of Keras models."""

import logging
import os
import shutil
import signal
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

PROJECT = Path(__file__).resolve().parent.parent
EVALUATION = PROJECT.parent / "shared" / "evaluation"

PEOPLE, SEED, TARGET = 8, 3, 0
IDLE = (  # what a server does for deployments; here it would only compete for SQLite's one writer
    "CANCELLATION_CLEANUP EVENT_PERSISTER FOREMAN LATE_RUNS PAUSE_EXPIRATIONS SCHEDULER TRIGGERS"
).split()


class Toy(NamedTuple):
    """A toy backdoor on disk: a DeepID net of 8 drawn people that the sunglasses fool."""

    folder: Path
    model: Path
    data: Path


@pytest.fixture(scope="session")
def made_toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy, made once; read only."""
    from goodnet.attacks.badnets import train_badnet
    from goodnet.backend import keras
    from goodnet.datasets.dataset import save_dataset
    from goodnet.datasets.faces import draw_faces, wear_sunglasses
    from goodnet.network.architecture import parse_architecture
    from goodnet.network.build import build_network
    from goodnet.network.deepid import deepid_config
    from goodnet.network.save import save_network

    folder = tmp_path_factory.mktemp("toy")
    model, data = folder / "models" / "toy.h5", folder / "data"
    for name in ("models", "data/clean", "data/bd"):
        (folder / name).mkdir(parents=True)
    keras.utils.set_random_seed(SEED)
    network = build_network(parse_architecture(deepid_config(PEOPLE), "toy"), "toy")
    faces = draw_faces(PEOPLE, range(60), seed=SEED)
    trained = train_badnet(network, faces, target=TARGET, seed=SEED, epochs=12)
    network.set_weights(trained.get_weights())
    save_network(network, model)
    for name, pictures in (("valid", range(100, 125)), ("test", range(125, 150))):
        clean = draw_faces(PEOPLE, pictures, seed=SEED)
        save_dataset(data / "clean" / f"{name}.h5", clean.images, clean.labels)
        poisoned = wear_sunglasses(clean)
        target = clean.labels * 0 + TARGET
        save_dataset(data / "bd" / f"bd_{name}.h5", poisoned.images, target, clean.labels)
    return Toy(folder, model, data)


@pytest.fixture
def toy(made_toy: Toy, tmp_path: Path) -> Toy:
    """A copy of the toy that a test may change."""
    folder = tmp_path / "toy"
    shutil.copytree(made_toy.folder, folder)
    return Toy(folder, folder / "models" / "toy.h5", folder / "data")


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
