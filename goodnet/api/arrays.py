"""Images in memory: opened as those of a file are, under the same checks."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import DataRefused

IN_MEMORY = "images in memory"  # where they came from, for messages and manifest
Arrays = tuple[Any, Any]  # images and labels, of whatever NumPy makes an array


@contextmanager
def as_file(arrays: Arrays) -> Iterator[str]:
    """The path of an archive of them, whose bytes are the same whenever they are.

    Raises:
        DataRefused: they are no arrays of numbers or texts; or they are no data set, as is said of
            the archive within the context.
    """
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        path = Path(folder) / "arrays.npz"
        try:
            _write(path, dict(zip(("data", "label"), arrays, strict=True)))
        except (TypeError, ValueError):
            fault = "are not two arrays of numbers, images and labels"
            raise DataRefused(IN_MEMORY, fault) from None
        try:
            yield str(path)
        except DataRefused as fault:
            raise DataRefused(IN_MEMORY, fault.fault) from None


def _write(path: Path, arrays: dict[str, Any]) -> None:
    """As `np.savez` does, but for the time of day."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            array = np.asarray(values)
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
