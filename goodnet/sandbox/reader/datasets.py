"""A data set taken apart: pixels as a network takes them, image by image, and labels."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from goodnet.files.reading import AUTO, METHODS, WHOLE, Reading
from goodnet.sandbox.reader.arrays import MIB, Arrays, Entry, Refused, allowance, product
from goodnet.sandbox.reader.halves import half, thumbnails
from goodnet.sandbox.reader.hdf5 import Hdf5
from goodnet.sandbox.reader.labels import LABELS, class_indices
from goodnet.sandbox.reader.names import SETS, named_arrays
from goodnet.sandbox.reader.npz import Npz
from goodnet.sandbox.reader.resizing import resized

LARGEST_DATA = 65536 * MIB  # bytes of pixels once decompressed
BLOCK = 16 * MIB  # bytes of pixels read at a time


def read_hdf5(
    path: Path,
    folder: Path,
    input_shape: Sequence[int | None],
    labelled: bool = True,
    reading: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of an HDF5 file with `data`, `label` and, it may be, `true_label`.

    Other names will do where `named_pair` tells which is which. With `labelled=False` there are
    images, and no label is looked at.
    """
    how = Reading.of(reading)
    hdf5 = Hdf5(path, allowance(path.stat().st_size, LARGEST_DATA))
    arrays = hdf5.top_level("|".join(SETS.values()).split("|"))
    names, how = named_arrays(arrays, labelled, how)
    stored = {role: hdf5.numbers(name, text=role in LABELS) for role, name in names.items()}
    return content(stored.pop("data"), stored, folder, input_shape, names, how) | array(
        names, how, reading
    )


def read_npz(
    path: Path,
    folder: Path,
    input_shape: Sequence[int | None],
    labelled: bool = True,
    reading: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of an `.npz` archive with images and labels: the same names, and `true_label`."""
    how = Reading.of(reading)
    archive = Npz(path, folder, allowance(path.stat().st_size, LARGEST_DATA))
    names, how = named_arrays(archive.members, labelled, how)
    stored = {role: archive.numbers(name, text=role in LABELS) for role, name in names.items()}
    said = content(stored.pop("data"), stored, folder, input_shape, names, how)
    archive.close()
    return said | array(names, how, reading)


def array(names: Mapping[str, str], how: Reading, reading: dict[str, Any] | None) -> dict[str, str]:
    """What the images are called in a file that has the other half under a name of its own."""
    return {"array": names["data"]} if how.part != Reading.of(reading).part else {}


def content(
    data: Any,
    stored_labels: Mapping[str, Any],
    folder: Path,
    input_shape: Sequence[int | None],
    names: Mapping[str, str] = MappingProxyType({}),
    reading: Reading = WHOLE,
) -> dict[str, Any]:
    """What is said of a data set, in whatever file it was; pixels and labels are left in files.

    Args:
        data: images, NHWC, NCHW or NHW: has `shape`, `dtype`, `ndim` and, in HDF5, `chunks`, and
            gives its values by slices. They are taken once, in order.
        stored_labels: "label" and maybe "true_label": likewise.
        folder: for the arrays.
        input_shape: height, width, channels of the network's images, None where any will do.
        names: what "data" and "label" are called in the file, if not so.
        reading: which half is meant, if not the whole.

    Raises:
        Refused: it is no such data set, or does not fit.
    """
    name = names.get("data", "data")
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise Refused(
            f"{name!r} has the shape {data.shape}, expected images x 3 axes, at least one"
        )
    arrays = Arrays(folder)
    if reading.resize == AUTO or fits(data, input_shape):
        axes, image = fit(data, input_shape)
        order = axes
    else:
        data = Resized(data, input_shape, reading.resize, name)
        axes, image, order = data.axes, data.shape[1:], "NHWC"
    values, classes = class_indices(stored_labels, names, len(data), reading.classes)
    if reading.target is not None:
        values["label"] = np.full(len(data), reading.target)
    said: dict[str, Any] = {"axes": axes, "stored_dtype": data.dtype.name}
    if classes:
        said |= {"class_names": classes, "names_from": "labels"}
    if reading.part != "whole":
        files = getattr(data, "names", [""] * len(data))
        found = half(reading.part, values["label"], all_thumbnails(data, order, name), files)
        said["half"] = [len(data), found.together]
        data = Rows(data, found.rows)
        values = {role: each[found.rows] for role, each in values.items()}
    entries = {role: arrays.save(each) for role, each in values.items()}
    entry, ends = pixels(data, order, (len(data), *image), arrays, name)
    return {"data": entry, "range": ends, **said, **entries}


class Rows:
    """Some images of a set, ascending, taken in slices as the set itself is."""

    def __init__(self, data: Any, rows: Any) -> None:
        self.data, self.rows, self.dtype, self.ndim = data, rows, data.dtype, data.ndim
        self.shape = (len(rows), *data.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, some: slice) -> Any:
        rows = self.rows[some]
        if hasattr(self.data, "take"):
            return self.data.take(rows)
        return self.data[int(rows[0]) : int(rows[-1]) + 1][rows - rows[0]]


def all_thumbnails(data: Any, axes: str, name: str) -> Any:
    """The thumbnails of all images, in grey levels 0..255 whatever the array's range."""
    if hasattr(data, "thumbnails"):
        return data.thumbnails()
    found, highest = [], 0.0
    for block in blocks(data, name):
        highest = max(highest, float(block.max()))
        images = block[..., None] if block.ndim == 3 else block
        last = block.ndim == 4 and axes == "NCHW"
        found.append(thumbnails(images.transpose(0, 2, 3, 1) if last else images))
    white = 255 if highest <= 1 and data.dtype.kind == "f" else 1
    return np.concatenate(found) * np.float32(white)


def orders(data: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The axis orders that images may have, and H, W, C in each."""
    shape = tuple(data.shape[1:]) if data.ndim == 4 else (*data.shape[1:], 1)
    yield "NHWC", shape
    yield "NCHW", (*shape[1:], shape[0])


def fits(data: Any, limits: Sequence[int | None]) -> tuple[str, tuple[int, ...]] | None:
    """The first order, with H, W, C, in which images are within these; None if there is none."""
    for axes, image in orders(data):
        if all(limit in (None, side) for limit, side in zip(limits, image, strict=True)):
            return axes, image
    return None


def fit(data: Any, input_shape: Sequence[int | None]) -> tuple[str, tuple[int, ...]]:
    """The axis order, "NHWC" if the images fit the network so, else "NCHW", and H, W, C."""
    found = fits(data, input_shape)
    if found:
        return found
    sides = " x ".join("any" if side is None else str(side) for side in input_shape)
    fault = f"images of shape {next(orders(data))[1]} do not fit the model, which takes {sides}"
    if fits(data, (None, None, input_shape[2])):
        fault += f"; --resize {METHODS[0]} brings them to that size, as it is done with pictures"
    raise Refused(fault)


class Resized:
    """Images of an array at the network's size, (N, H, W, C), made when they are asked for.

    Attributes:
        axes: of the array.
        shape, dtype, ndim, chunks: as those of an array; the type is that of the array's values.
    """

    ndim = 4

    def __init__(
        self, data: Any, input_shape: Sequence[int | None], how: str, name: str = "data"
    ) -> None:
        found = fits(data, (None, None, input_shape[2]))
        self.axes, image = found or fit(data, input_shape)
        self.data, self.how, self.dtype = data, how, data.dtype
        high, wide, channels = (a or b for a, b in zip(input_shape, image, strict=True))
        self.shape = len(data), high, wide, channels
        if product(self.shape) > LARGEST_DATA:
            raise Refused(f"{len(data)} images would be too large at the model's size")
        lowest, highest = np.inf, -np.inf
        for block in blocks(data, name):
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
        self.ends = black_and_white(lowest, highest, data.dtype.kind == "f")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Any:
        largest = max(product(self.shape[1:]), product(self.data.shape[1:]))
        step, (first, last, _) = max(1, BLOCK // largest), rows.indices(len(self))
        starts = range(first, last, step)
        return np.concatenate([self._some(slice(n, min(n + step, last))) for n in starts])

    def _some(self, rows: slice) -> Any:
        """The images of these rows, resized as one of many channels."""
        images = self.data[rows]
        images = images[..., None] if images.ndim == 3 else images
        images = images.transpose(0, 2, 3, 1) if self.axes == "NCHW" else images
        count, high, wide, channels = images.shape
        as_one = images.transpose(1, 2, 0, 3).reshape(high, wide, -1)
        _, height, width, _ = self.shape
        as_one = resized(as_one, height, width, self.how, self.ends)
        return as_one.reshape(height, width, count, channels).transpose(2, 0, 1, 3)


def black_and_white(lowest: float, highest: float, is_float: bool) -> tuple[float, float]:
    """The ends of the range that values are in; their own where they are in none."""
    ranges = [(0.0, 1.0), (-1.0, 1.0)] if is_float else []
    both = [ends for ends in (*ranges, (0.0, 255.0)) if ends[0] <= lowest and highest <= ends[1]]
    return both[0] if both else (lowest, highest)


def pixels(
    data: Any, axes: str, shape: tuple[int, ...], arrays: Arrays, name: str = "data"
) -> tuple[Entry, list[float]]:
    """The pixels as NHWC, of this shape, and the lowest and highest, in one pass.

    They are uint8 where all are whole numbers 0..255, else float32: they are written as uint8 up to
    the first block that says otherwise, and what was written till then is written anew.
    """
    lowest, highest, fractions = [], [], []

    def images() -> Iterator[Any]:
        for block in blocks(data, name):
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


def blocks(data: Any, name: str = "data") -> Iterator[Any]:
    """All images, whole chunks at a time where these are not large, of about BLOCK bytes."""
    row = data.dtype.itemsize * product(data.shape[1:])
    step, chunks = max(1, BLOCK // row), getattr(data, "chunks", None)
    if chunks and chunks[0] * row <= 4 * BLOCK:
        step = max(1, step // chunks[0]) * chunks[0]
    for start in range(0, len(data), step):
        block = data[start : start + step]
        if not np.isfinite(block).all():
            raise Refused(f"{name!r} holds NaN or infinite pixels")
        yield block
