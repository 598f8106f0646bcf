"""An untrusted file as plain arrays and JSON, taken apart by a process of its own.

The parent never lets HDF5, zip or JSON code touch what it was given: it makes a private copy,
starts `goodnet.sandbox.reader` on it with no environment, no network and hard limits, and reads
back only `.npy` files and JSON that it checks again. A reader that crashes, hangs or eats memory is
one clear refusal. The file itself is read once, into the copy, and its digest taken on the way.
"""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InputRefused, one_line
from goodnet.files import folders, formats, models, storage
from goodnet.files.formats import MIB, REFUSAL, Format, Kind
from goodnet.files.regular import open_regular
from goodnet.sandbox import reader

log = logging.getLogger(__name__)

SHORTEST_WORK = 8  # seconds of CPU
RESIZING = 40  # times as long: arrays are brought to another size
PATIENCE = 2  # times as long by the clock: others may use the machine
LARGEST_ANSWER = 64 * MIB
PROJECT = Path(__file__).resolve().parents[2]
START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    f"runpy.run_module({reader.__name__!r}, run_name='__main__')"
)
BROKEN = "is damaged: it broke the reader process"


class Content(NamedTuple):
    """What a reader found.

    Attributes:
        description: what it says of the file.
        folder: of the arrays.
        format: the file's.
        sha256: the digest of the file's content.
        refusal: of a file that broke the reader.
    """

    description: dict[str, Any]
    folder: Path
    format: Format
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
                declaration = (entry["shape"], entry["dtype"])
                if dtype.kind in "fiu" and (list(shape), dtype.name) == declaration:
                    return np.memmap(file, dtype, "r", file.tell(), shape)
        except (InputRefused, OSError, ValueError, TypeError, KeyError, EOFError):
            pass
        raise self.refusal


@contextmanager
def read_untrusted(uri: str, kind: Kind, **arguments: Any) -> Iterator[Content]:
    """The content of an untrusted file, for as long as the context lasts.

    Args:
        uri: a local path or an `s3://` URI.
        kind: "model", "dataset", "settings", or "architecture": the configuration of a model.
        arguments: further ones of the format's reader, as JSON holds them.

    Raises:
        InputRefused: it is not a regular file, too large, or not what it should be.
        OSError: it could not be read.
    """
    with tempfile.TemporaryDirectory(prefix="goodnet-") as name:
        copy, arrays = Path(name) / "input", Path(name) / "arrays"
        form, digest = private_copy(uri, copy, kind)
        arrays.mkdir()
        description = _read(uri, copy, arrays, form, arguments)
        copy.unlink()
        yield Content(description, arrays, form, digest, REFUSAL[kind](uri, BROKEN))


def private_copy(uri: str, copy: Path, kind: Kind) -> tuple[Format, str]:
    """Format and sha256 of a file of which `copy` is now a private copy; no link is followed.

    The file is read once, from where it lies. A folder becomes one file.

    Raises:
        InputRefused: it is missing, not a regular file, too large, or does not begin as files of
            its kind do.
        OSError: it could not be read.
    """
    refused = REFUSAL[kind]
    if kind == "model":
        blocks = models.blocks(uri)
    elif kind == "dataset":
        blocks = folders.blocks(uri)
    else:
        blocks = storage.blocks(uri, refused, formats.largest(kind))
    first = next(blocks, b"")
    form = formats.recognise(uri, first, kind)
    digest, count = hashlib.sha256(), 0
    with copy.open("xb") as target:
        for block in chain([first], blocks):
            count += len(block)
            if count > form.largest:
                raise storage.too_large(uri, refused, form.largest)
            digest.update(block)
            target.write(block)
    return form, digest.hexdigest()


def _read(
    uri: str, copy: Path, arrays: Path, form: Format, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What the reader process says of the copy; `uri` is for messages."""
    refused, size = REFUSAL[form.kind], copy.stat().st_size
    slower = RESIZING if (arguments.get("reading") or {}).get("resize") else 1
    seconds = SHORTEST_WORK + slower * size // form.speed
    limits = {
        "RLIMIT_AS": 1024 * MIB + 2 * min(size, 4096 * MIB),
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": min(1024 * MIB + 1000 * size, 64 * 1024 * MIB),
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 0,
    }
    patience = PATIENCE * seconds
    trusted = [form.reader, str(copy), str(arrays), json.dumps(limits), json.dumps(arguments)]
    status = _run(trusted, arrays, patience)
    answer = arrays / "content.json"
    if status is None:
        raise refused(uri, f"reading it took more than {patience} seconds")
    if not answer.exists():
        raise refused(uri, f"is damaged: reading it ended the reader process ({status})")
    try:
        with open_regular(answer) as file:
            description = dict(json.loads(file.read(LARGEST_ANSWER)))
        missing = [one_line(feature, 40) for feature in description.pop("missing_isolation")]
        if "refused" not in description and not _is_complete(description, form.kind):
            raise ValueError("not what the reader writes")
    except (InputRefused, ValueError, TypeError, KeyError, RecursionError):
        raise refused(uri, BROKEN) from None
    for feature in missing:
        _say_missing(feature)
    if "refused" in description:
        raise refused(uri, description["refused"])
    return description


def _is_complete(description: dict[str, Any], kind: Kind) -> bool:
    """Whether a reader's answer has the form that `reader/` gives it."""
    if kind == "settings":
        settings = description["settings"]
        return isinstance(settings, dict) and all(
            isinstance(each, str | int) or _all(str, each) for each in settings.values()
        )
    if kind == "dataset":
        arrays = [
            description["data"],
            description.get("label", {}),
            description.get("true_label", {}),
        ]
        return (
            isinstance(description["stored_dtype"], str)
            and description["axes"] in ("NHWC", "NCHW")
            and _all(float, description["range"])
            and len(description["range"]) == 2
            and _all(str, description.get("class_names", []))
            and isinstance(description.get("names_from", ""), str)
            and isinstance(description.get("array", ""), str)
            and _all(int, description.get("half", [0, 0]))
            and len(description.get("half", [0, 0])) == 2
            and _are_faults(description.get("faults", []))
            and _all(dict, arrays)
        )
    if kind == "architecture":
        return isinstance(description["config"], dict | list)
    layers = description["layers"]
    return (
        isinstance(description["config"], dict | list | None)
        and isinstance(description["layout"], str)
        and _all(dict, layers)
        and _all(str, [layer["name"] for layer in layers])
        and all(_all(dict, layer["weights"]) for layer in layers)
    )


def _are_faults(faults: Any) -> bool:
    """Whether these are pairs of a row and what is wrong with its picture."""
    return _all(list, faults) and all(
        [type(part) for part in fault] == [int, str] and fault[0] >= 0 for fault in faults
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
