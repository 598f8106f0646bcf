"""A data set taken apart: pixels as a network takes them, image by image, and labels."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.sandbox.reader.arrays import MIB, Arrays, Entry, Refused, allowance, product
from goodnet.sandbox.reader.hdf5 import Hdf5

LARGEST_DATA = 65536 * MIB  # bytes of pixels once decompressed
BLOCK = 16 * MIB  # bytes of pixels read at a time


def read_hdf5(path: Path, folder: Path, input_shape: Sequence[int | None]) -> dict[str, Any]:
    """The content of an HDF5 file with `data`, `label` and, it may be, `true_label`."""
    hdf5 = Hdf5(path, allowance(path.stat().st_size, LARGEST_DATA))
    names = [name for name in ("label", "true_label") if name == "label" or name in hdf5.file]
    data = hdf5.numbers("data")
    return content(data, {name: hdf5.numbers(name) for name in names}, folder, input_shape)


def content(
    data: Any, stored_labels: Mapping[str, Any], folder: Path, input_shape: Sequence[int | None]
) -> dict[str, Any]:
    """What is said of a data set, in whatever file it was; pixels and labels are left in files.

    Args:
        data: images, NHWC, NCHW or NHW: has `shape`, `dtype`, `ndim` and, in HDF5, `chunks`, and
            gives its values by slices. They are taken once, in order.
        stored_labels: "label" and maybe "true_label": likewise.
        folder: for the arrays.
        input_shape: height, width, channels of the network's images, None where any will do.

    Raises:
        Refused: it is no such data set, or does not fit.
    """
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise Refused(f"'data' has the shape {data.shape}, expected images x 3 axes, at least one")
    arrays, (axes, image) = Arrays(folder), fit(data, input_shape)
    read = {name: labels(values, name, len(data)) for name, values in stored_labels.items()}
    entries = {name: arrays.save(values) for name, values in read.items()}
    entry, ends = pixels(data, axes, (len(data), *image), arrays)
    description = {"data": entry, "range": ends, "axes": axes, "stored_dtype": data.dtype.name}
    return {**description, **entries}


def fit(data: Any, input_shape: Sequence[int | None]) -> tuple[str, tuple[int, ...]]:
    """The axis order, "NHWC" if the images fit the network so, else "NCHW", and H, W, C."""
    shape = tuple(data.shape[1:]) if data.ndim == 4 else (*data.shape[1:], 1)
    for axes, image in (("NHWC", shape), ("NCHW", (*shape[1:], shape[0]))):
        if all(limit in (None, side) for limit, side in zip(input_shape, image, strict=True)):
            return axes, image
    sides = " x ".join("any" if side is None else str(side) for side in input_shape)
    raise Refused(f"images of shape {shape} do not fit the model, which takes {sides}")


def labels(data: Any, name: str, count: int) -> Any:
    """As many class indices as there are images."""
    if data.shape not in ((count,), (count, 1)):
        raise Refused(f"{name!r} has the shape {data.shape} for {count} images")
    values = data[()].reshape(-1)
    whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) < 2**31)
    if not whole.all():
        raise Refused(f"{name!r} holds {values[~whole][0]}, which is no class index")
    return values.astype(np.int64)


def pixels(
    data: Any, axes: str, shape: tuple[int, ...], arrays: Arrays
) -> tuple[Entry, list[float]]:
    """The pixels as NHWC, of this shape, and the lowest and highest, in one pass.

    They are uint8 where all are whole numbers 0..255, else float32: they are written as uint8 up to
    the first block that says otherwise, and what was written till then is written anew.
    """
    lowest, highest, fractions = [], [], []

    def images() -> Iterator[Any]:
        for block in blocks(data):
            lowest.append(block.min())
            highest.append(block.max())
            first = block.transpose(0, 2, 3, 1) if block.ndim == 4 and axes == "NCHW" else block
            yield first.reshape(-1, *shape[1:])

    def bytes_only(images: Iterator[Any]) -> Iterator[Any]:
        for block in images:
            if not all_bytes(block):
                fractions.append(block)
                return
            yield block

    source = images()
    entry = arrays.save_blocks(shape, np.uint8, bytes_only(source))
    with np.errstate(over="ignore"):  # the range says that they are beyond float32
        if fractions:
            rows = max(1, BLOCK // product(shape[1:]))
            written = arrays.take_back(entry, rows)
            entry = arrays.save_blocks(shape, np.float32, chain(written, fractions, source))
        ends = np.float32(min(lowest)), np.float32(max(highest))
    return entry, [float(end) for end in ends]


def all_bytes(block: Any) -> bool:
    """Whether all values are whole numbers 0..255."""
    if block.dtype == np.uint8:
        return True
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((block.astype(np.uint8) == block).all())


def blocks(data: Any) -> Iterator[Any]:
    """All images, whole chunks at a time where these are not large, of about BLOCK bytes."""
    row = data.dtype.itemsize * product(data.shape[1:])
    step, chunks = max(1, BLOCK // row), getattr(data, "chunks", None)
    if chunks and chunks[0] * row <= 4 * BLOCK:
        step = max(1, step // chunks[0]) * chunks[0]
    for start in range(0, len(data), step):
        block = data[start : start + step]
        if not np.isfinite(block).all():
            raise Refused("'data' holds NaN or infinite pixels")
        yield block
