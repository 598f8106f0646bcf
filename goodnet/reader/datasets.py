"""A data set taken apart: pixels in the file's own axis order, and labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.reader.hdf5 import MIB, SIGNATURE, Arrays, Hdf5, Refused, product

LARGEST_DATA = 65536 * MIB  # bytes of pixels once decompressed
BLOCK = 16 * MIB  # bytes of pixels read at a time


def read_dataset(path: Path, folder: Path) -> dict[str, Any]:
    """Pixels and labels of a data set, pixels in the file's own axis order."""
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            raise Refused("is not an HDF5 file")
    hdf5 = Hdf5(path, LARGEST_DATA)
    data, arrays = hdf5.numbers("data"), Arrays(folder)
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise Refused(f"'data' has the shape {data.shape}, expected images x 3 axes, at least one")
    content: dict[str, Any] = {"data": pixels(data, arrays)}
    for name in ("label", "true_label"):
        if name == "true_label" and name not in hdf5.file:
            continue
        labels = hdf5.numbers(name)
        if labels.shape not in ((len(data),), (len(data), 1)):
            raise Refused(f"{name!r} has the shape {labels.shape} for {len(data)} images")
        values = labels[()].reshape(-1)
        whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) < 2**31)
        if not whole.all():
            raise Refused(f"{name!r} holds {values[~whole][0]}, which is no class index")
        file_name = arrays.new_path()
        np.save(folder / file_name, values.astype(np.int64), allow_pickle=False)
        content[name] = {"file": file_name, "shape": [len(data)], "dtype": "int64"}
    return content


def pixels(data: Any, arrays: Arrays) -> dict[str, Any]:
    """The pixels as uint8 where all are whole numbers 0..255, else as float32."""
    name = arrays.new_path()
    for dtype in (np.uint8, np.float32):
        lowest, highest = np.inf, -np.inf
        target = np.lib.format.open_memmap(
            arrays.folder / name, mode="w+", dtype=dtype, shape=data.shape
        )
        for rows in row_blocks(data):
            block = data[rows]
            lowest, highest = min(lowest, block.min()), max(highest, block.max())
            if not np.isfinite(lowest) or not np.isfinite(highest):
                raise Refused("'data' holds NaN or infinite pixels")
            with np.errstate(invalid="ignore", over="ignore"):
                target[rows] = block
            if dtype is np.uint8 and not (target[rows] == block).all():
                break
        else:
            target.flush()
            return {
                "file": name,
                "shape": list(data.shape),
                "dtype": np.dtype(dtype).name,
                "stored_dtype": data.dtype.name,
                "lowest": float(lowest),
                "highest": float(highest),
            }
        del target
    raise AssertionError("float32 takes every finite pixel")


def row_blocks(data: Any) -> Iterator[slice]:
    """Slices of images, whole chunks at a time, of about BLOCK bytes."""
    row = data.dtype.itemsize * product(data.shape[1:])
    step = max(1, BLOCK // row)
    if data.chunks:
        step = max(1, step // data.chunks[0]) * data.chunks[0]
    for start in range(0, len(data), step):
        yield slice(start, min(start + step, len(data)))
