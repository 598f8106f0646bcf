"""An untrusted file as plain arrays and JSON, taken apart by a process of its own.

The parent never lets HDF5, zip or JSON code touch what it was given: it makes a private copy,
starts `goodnet.sandbox.reader` on it with no environment, no network and hard limits, and reads
back only `.npy` files and JSON that it checks again. A reader that crashes, hangs or eats memory is
one clear refusal.
"""

import hashlib
import json
import logging
import os
import signal
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

from goodnet.errors import DataRefused, InputRefused, ModelRefused, one_line
from goodnet.files.regular import open_regular
from goodnet.sandbox import reader

log = logging.getLogger(__name__)

Kind = Literal["model", "dataset"]

MIB = 1 << 20
HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
HDF5_NAMES = (".h5", ".hdf5")
SHORTEST_WORK = 8  # seconds of CPU
PATIENCE = 2  # times as long by the clock: others may use the machine
LARGEST_ANSWER = 64 * MIB
LARGEST_FILE = {"model": 4096 * MIB, "dataset": 65536 * MIB}
PROJECT = Path(__file__).resolve().parents[2]
START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    f"runpy.run_module({reader.__name__!r}, run_name='__main__')"
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
        try:
            with open_regular(self.folder / Path(entry["file"]).name) as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                said = (entry["shape"], entry["dtype"])
                if dtype.kind in "fiu" and (list(shape), dtype.name) == said:
                    return np.memmap(file, dtype, "r", file.tell(), shape)
        except (InputRefused, OSError, ValueError, TypeError, KeyError, EOFError):
            pass
        raise self.refusal


@contextmanager
def read_untrusted(path: Path, kind: Kind) -> Iterator[Content]:
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
        copy = folder / ("input.keras" if path.suffix.lower() == ".keras" else "input.h5")
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
    too_large = refused(path, f"is larger than {LARGEST_FILE[kind] // MIB} MiB")
    with open_regular(path, refused) as source, copy.open("xb") as target:
        if os.fstat(source.fileno()).st_size > LARGEST_FILE[kind]:
            raise too_large
        _check_signature(path, source.read(8), kind)
        source.seek(0)
        while block := source.read(4 * MIB):
            count += len(block)
            if count > LARGEST_FILE[kind]:  # it may grow while it is read
                raise too_large
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def glance(path: Path, kind: Kind) -> None:
    """Nothing: the file is a regular one, and begins as its kind and its name say.

    Raises:
        ModelRefused, DataRefused: it does not.
    """
    with open_regular(path, REFUSAL[kind]) as file:
        _check_signature(path, file.read(8), kind)


def _check_signature(path: Path, start: bytes, kind: Kind) -> None:
    """Refuse at once what does not begin as its kind and its name say."""
    suffix, is_hdf5, is_zip = path.suffix.lower(), start == HDF5, start[:4] == ZIP
    if not start:
        raise REFUSAL[kind](path, "is empty")
    if kind == "dataset" and not is_hdf5:
        raise DataRefused(path, "is not an HDF5 file")
    if kind == "model" and not (is_zip if suffix == ".keras" else is_hdf5 and suffix in HDF5_NAMES):
        found = "an HDF5 file" if is_hdf5 else "a zip archive" if is_zip else "neither HDF5 nor zip"
        raise ModelRefused(path, f"is {found}, which does not fit the ending {suffix!r}")


def _read(path: Path, copy: Path, arrays: Path, kind: Kind) -> dict[str, Any]:
    """What the reader process says of the copy; `path` is for messages."""
    refused, size = REFUSAL[kind], copy.stat().st_size
    seconds = SHORTEST_WORK + size // (10 * MIB)
    limits = {
        "RLIMIT_AS": 1024 * MIB + 2 * min(size, 4096 * MIB),
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": min(1024 * MIB + 1000 * size, 64 * 1024 * MIB),
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 0,
    }
    patience = PATIENCE * seconds
    status = _run([kind, str(copy), str(arrays), json.dumps(limits)], arrays, patience)
    answer = arrays / "content.json"
    if status is None:
        raise refused(path, f"reading it took more than {patience} seconds")
    if not answer.exists():
        raise refused(path, f"is damaged: reading it ended the reader process ({status})")
    try:
        with open_regular(answer) as file:
            description = dict(json.loads(file.read(LARGEST_ANSWER)))
        missing = [one_line(feature, 40) for feature in description.pop("missing_isolation")]
        if "refused" not in description and not _is_complete(description, kind):
            raise ValueError("not what the reader writes")
    except (InputRefused, ValueError, TypeError, KeyError, RecursionError):
        raise refused(path, BROKEN) from None
    for feature in missing:
        _say_missing(feature)
    if "refused" in description:
        raise refused(path, description["refused"])
    return description


def _is_complete(description: dict[str, Any], kind: Kind) -> bool:
    """Whether a reader's answer has the form that `reader/` gives it."""
    if kind == "dataset":
        arrays = [description["data"], description["label"], description.get("true_label", {})]
        return isinstance(description["stored_dtype"], str) and _all(dict, arrays)
    layers = description["layers"]
    return (
        isinstance(description["config"], dict | list | None)
        and isinstance(description["layout"], str)
        and _all(dict, layers)
        and _all(str, [layer["name"] for layer in layers])
        and all(_all(dict, layer["weights"]) for layer in layers)
    )


def _all(kind: type, values: list[Any]) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


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
