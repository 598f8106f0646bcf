"""A data set taken apart: pixels in the file's own axis order, and labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.sandbox.reader.hdf5 import MIB, Arrays, Entry, Hdf5, Refused, allowance, product

LARGEST_DATA = 65536 * MIB  # bytes of pixels once decompressed
BLOCK = 16 * MIB  # bytes of pixels read at a time


def read_dataset(path: Path, folder: Path) -> dict[str, Any]:
    """Pixels and labels of a data set, pixels in the file's own axis order."""
    hdf5 = Hdf5(path, allowance(path.stat().st_size, LARGEST_DATA))
    data, arrays = hdf5.numbers("data"), Arrays(folder)
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise Refused(f"'data' has the shape {data.shape}, expected images x 3 axes, at least one")
    names = [name for name in ("label", "true_label") if name == "label" or name in hdf5.file]
    read = {name: labels(hdf5.numbers(name), name, len(data)) for name in names}
    stored = {name: arrays.save(values) for name, values in read.items()}
    return {"data": pixels(data, arrays), "stored_dtype": data.dtype.name, **stored}


def labels(data: Any, name: str, count: int) -> Any:
    """As many class indices as there are images."""
    if data.shape not in ((count,), (count, 1)):
        raise Refused(f"{name!r} has the shape {data.shape} for {count} images")
    values = data[()].reshape(-1)
    whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) < 2**31)
    if not whole.all():
        raise Refused(f"{name!r} holds {values[~whole][0]}, which is no class index")
    return values.astype(np.int64)


def pixels(data: Any, arrays: Arrays) -> Entry:
    """The pixels as uint8 where all are whole numbers 0..255, else as float32."""
    if all_bytes(data):
        return arrays.save_blocks(data.shape, np.uint8, blocks(data))
    return arrays.save_blocks(data.shape, np.float32, blocks(data))


def all_bytes(data: Any) -> bool:
    """Whether all values are whole numbers 0..255."""
    if data.dtype == np.uint8:
        return True
    with np.errstate(invalid="ignore", over="ignore"):
        return all((block.astype(np.uint8) == block).all() for block in blocks(data))


def blocks(data: Any) -> Iterator[Any]:
    """All images, whole chunks at a time where these are not large, of about BLOCK bytes."""
    row = data.dtype.itemsize * product(data.shape[1:])
    step = max(1, BLOCK // row)
    if data.chunks and data.chunks[0] * row <= 4 * BLOCK:
        step = max(1, step // data.chunks[0]) * data.chunks[0]
    for start in range(0, len(data), step):
        block = data[start : start + step]
        if not np.isfinite(block).all():
            raise Refused("'data' holds NaN or infinite pixels")
        yield block
