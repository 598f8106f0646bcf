"""A soak: models arrive at the service for a while, and the memory of its parts is watched.

    python -m benchmarks.soak [--minutes 60] [--per-hour 300] [--at-once 2]

The service is that of a copy of this project, with a database and an inbox of its own, and prunes
small networks without judging them: what is measured is all that is around the method.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from benchmarks.markdown import table
from goodnet.backend import keras
from goodnet.datasets.dataset import save_dataset
from goodnet.datasets.faces import draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.save import save_network

PROJECT = Path(__file__).resolve().parent.parent
NEEDED = ("goodnet", "tasks", "flows", "prefect.yaml", "prefect.toml", "pyproject.toml")
PEOPLE, PAUSE = 8, 5.0
QUICK = {"verdict": "off", "order": "ascending"}  # parameters of a repair
PARTS = {"watcher": "--work-queue", "worker": "worker", "server": "server"}  # words that tell which


class Sample(NamedTuple):
    """What there was at a time: seconds, MiB of each part, models arrived, repairs done."""

    at: float
    memory: dict[str, float]
    arrived: int
    repaired: int


def prepare(folder: Path) -> None:
    """Copy the project, with drawn faces and a network that nothing was taught."""
    for name in NEEDED:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    deployments, known = folder / "prefect.yaml", "    tags: [goodnet, on-arrival]\n"
    text = deployments.read_text()
    assert text.count(known) == 1
    quick = f"    parameters: {json.dumps(QUICK)}\n"
    deployments.write_text(text.replace(known, known + quick))
    for name in ("models", "data/clean", "artifacts"):
        (folder / name).mkdir(parents=True)
    for name, pictures in (("valid", range(10)), ("test", range(10, 20))):
        faces = draw_faces(PEOPLE, pictures, seed=0)
        save_dataset(folder / "data" / "clean" / f"{name}.h5", faces.images, faces.labels)
    keras.utils.set_random_seed(0)
    network = build_network(parse_architecture(deepid_config(PEOPLE), "soak"), "soak")
    save_network(network, folder / "suspect.h5")


@contextmanager
def serving(folder: Path, at_once: int) -> Iterator[subprocess.Popen[bytes]]:
    """The service of the copy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    home = {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "flows.serve", "--port", port, "--at-once", str(at_once)]
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **home}, stdout=log, stderr=log
        )
        try:
            while "serving: " not in (folder / "log").read_text():
                if service.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
                time.sleep(1)
            yield service
        finally:
            service.send_signal(signal.SIGINT)
            service.wait()


def arrive(folder: Path, number: int) -> None:
    """Put one more content into the inbox."""
    half = folder / "half"
    shutil.copy(folder / "suspect.h5", half)
    with h5py.File(half, "a") as file:
        file.attrs["arrival"] = number
    half.rename(folder / "models" / f"net_{number}.h5")


def memory_of(service: int) -> dict[str, float]:
    """MiB that each part of the service holds, without the runs that workers start."""
    held = {}
    for process in children(service):
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        part = next((name for name, word in PARTS.items() if word in words), None)
        if part is not None:
            members = [process, *children(process)] if part == "server" else [process]
            held[part] = sum(map(resident, members))
    return held


def children(process: int) -> list[int]:
    """The processes that a process has started, and that have not ended."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def resident(process: int) -> float:
    """MiB of memory that a process holds; none if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(sizes[0]) / 1024 if sizes else 0


def soak(
    folder: Path, service: subprocess.Popen[bytes], seconds: float, pause: float
) -> Iterator[Sample]:
    """What there is every few seconds, while a model arrives after each pause."""
    start, arrived = time.monotonic(), 0
    while (at := time.monotonic() - start) < seconds:
        while arrived * pause <= at:
            arrive(folder, arrived)
            arrived += 1
        repaired = len(list((folder / "artifacts").glob("net_*/manifest.json")))
        if service.poll() is not None:
            raise SystemExit((folder / "log").read_text())
        yield Sample(at, memory_of(service.pid), arrived, repaired)
        time.sleep(PAUSE)


def growth(samples: list[Sample], part: str) -> float:
    """MiB an hour by which a part grows in the second half, by least squares."""
    half = [sample for sample in samples[len(samples) // 2 :] if part in sample.memory]
    hours, held = [s.at / 3600 for s in half], [s.memory[part] for s in half]
    return float(np.polyfit(hours, held, 1)[0])


def report(samples: list[Sample]) -> None:
    """Print what became of the memory, ten times on the way, and of the models."""
    shown = [*samples[:: max(1, len(samples) // 10)], samples[-1]]
    rows = [
        [
            f"{sample.at / 60:.0f}",
            *(f"{sample.memory.get(part, 0):.0f}" for part in PARTS),
            str(sample.arrived),
            str(sample.repaired),
        ]
        for sample in shown
    ]
    print(table("minute", *(f"{part}, MiB" for part in PARTS), "arrived", "repaired", rows=rows))
    for part in PARTS:
        print(f"{part}: {growth(samples, part):+.0f} MiB an hour in the second half")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-hour", type=float, default=300, help="models that arrive")
    parser.add_argument("--at-once", type=int, default=2, help="repairs at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="goodnet-soak-") as name:
        folder = Path(name)
        prepare(folder)
        with serving(folder, options.at_once) as service:
            watched = soak(folder, service, 60 * options.minutes, 3600 / options.per_hour)
            samples = list(watched)
        if not samples[-1].repaired:
            raise SystemExit((folder / "log").read_text())
        report(samples)
        said = (folder / "log").read_text()
        print(f"database is locked: {said.count('database is locked')} times")


if __name__ == "__main__":
    main()
