"""An untrusted file as plain arrays and JSON, taken apart by a process of its own.

The parent never lets HDF5, zip or JSON code touch what it was given: it makes a private copy,
starts `goodnet.reader` on it with no environment, no network and hard limits, and reads back only
`.npy` files and JSON that it checks again. A reader that crashes, hangs or eats memory is one
clear refusal.
"""

import hashlib
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.faults import DataRefused, InputRefused, ModelRefused, one_line

log = logging.getLogger(__name__)

Kind = Literal["model", "dataset"]

MIB = 1 << 20
SHORTEST_WAIT = 10  # seconds
LARGEST_ANSWER = 64 * MIB
LARGEST_FILE = {"model": 4096 * MIB, "dataset": 65536 * MIB}
PROJECT = Path(__file__).resolve().parent.parent
START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('goodnet.reader', run_name='__main__')"
)
BROKEN = "is damaged: it broke the reader process"
REFUSAL: dict[Kind, type[InputRefused]] = {"model": ModelRefused, "dataset": DataRefused}


class Content(NamedTuple):
    """What a reader found: its description, and the folder of its arrays."""

    description: dict[str, Any]
    folder: Path
    sha256: str
    refusal: InputRefused

    def array(self, entry: dict[str, Any]) -> NDArray[Any]:
        """A read-only, memory-mapped array; shape and type are those the entry declares.

        Raises:
            InputRefused: it is not; the reader process was broken by the file.
        """
        path = self.folder / Path(entry["file"]).name
        try:
            if path.is_symlink():
                raise self.refusal
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise self.refusal from None
        if list(array.shape) != entry["shape"] or array.dtype.name != entry["dtype"]:
            raise self.refusal
        return array  # type: ignore[no-any-return]


@contextmanager
def taken_apart(path: Path, kind: Kind) -> Iterator[Content]:
    """The content of an untrusted file, for as long as the context lasts.

    Args:
        path: a local file.
        kind: "model" or "dataset".

    Raises:
        ModelRefused, DataRefused: it is not a regular file, too large, or not what it should be.
        OSError: it could not be read.
    """
    with tempfile.TemporaryDirectory(prefix="goodnet-") as name:
        folder = Path(name)
        suffix = path.suffix if path.suffix.lower() in (".h5", ".hdf5", ".keras") else ".other"
        copy = folder / f"input{suffix.lower()}"
        digest = private_copy(path, copy, kind)
        arrays = folder / "arrays"
        arrays.mkdir()
        description = _read(path, copy, arrays, kind)
        copy.unlink()
        yield Content(description, arrays, digest, REFUSAL[kind](path, BROKEN))


def private_copy(path: Path, copy: Path, kind: Kind) -> str:
    """The sha256 of the file, of which `copy` is now a private copy; no link is followed.

    Raises:
        ModelRefused, DataRefused: it is missing, not a regular file, or too large.
    """
    refused = REFUSAL[kind]
    digest, count = hashlib.sha256(), 0
    with open_regular(path, refused) as source, copy.open("xb") as target:
        while block := source.read(4 * MIB):
            count += len(block)
            if count > LARGEST_FILE[kind]:
                raise refused(path, f"is larger than {LARGEST_FILE[kind] // MIB} MiB")
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def open_regular(path: Path, refused: type[InputRefused] = InputRefused) -> Any:
    """The opened file, which is a regular one and no symbolic link.

    Raises:
        InputRefused: it is missing, a link, a folder, a pipe or a device.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise refused(path, "no such file") from None
    except (OSError, ValueError) as fault:
        if Path(path).is_symlink():
            raise refused(path, "is a symbolic link; give the file itself") from None
        raise refused(path, f"cannot be opened ({getattr(fault, 'strerror', fault)})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refused(path, "is not a regular file")
    return os.fdopen(descriptor, "rb")


def _read(path: Path, copy: Path, arrays: Path, kind: Kind) -> dict[str, Any]:
    """What the reader process says of the copy; `path` is for messages."""
    refused, size = REFUSAL[kind], copy.stat().st_size
    seconds = SHORTEST_WAIT + size // (10 * MIB)
    limits = {
        "RLIMIT_AS": 1024 * MIB + 2 * min(size, 4096 * MIB),
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": 64 * 1024 * MIB,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 0,
    }
    status = _run([kind, str(copy), str(arrays), json.dumps(limits)], arrays, seconds)
    answer = arrays / "content.json"
    if status is None:
        raise refused(path, f"reading it took more than {seconds} seconds")
    if not answer.exists():
        raise refused(path, f"is damaged: reading it ended the reader process ({status})")
    try:
        with open_regular(answer) as file:
            description = dict(json.loads(file.read(LARGEST_ANSWER)))
        missing = [one_line(feature, 40) for feature in description.pop("missing_isolation")]
    except (InputRefused, ValueError, TypeError, KeyError, RecursionError):
        raise refused(path, BROKEN) from None
    for feature in missing:
        _say_missing(feature)
    if "refused" in description:
        raise refused(path, description["refused"])
    return description


def _run(arguments: list[str], folder: Path, seconds: int) -> str | None:
    """How the reader process ended, None where it had to be ended."""
    environment = {
        "PATH": os.defpath,
        "HDF5_PLUGIN_PRELOAD": "::",  # "::" turns HDF5's loading of filter plug-ins off
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "OPENBLAS_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", START, str(PROJECT), *arguments],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


@cache
def _say_missing(feature: str) -> None:
    """Say once what this system cannot do."""
    log.warning("reader process: %s is not available here; going on with the rest", feature)
