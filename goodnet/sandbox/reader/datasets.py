"""A data set taken apart: pixels as a network takes them, image by image, and labels."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from goodnet.errors import one_line
from goodnet.files.reading import WHOLE, Reading
from goodnet.sandbox.reader.arrays import MIB, Arrays, Entry, Refused, allowance, product
from goodnet.sandbox.reader.halves import half, thumbnails
from goodnet.sandbox.reader.hdf5 import Hdf5
from goodnet.sandbox.reader.npz import Npz

LARGEST_DATA = 65536 * MIB  # bytes of pixels once decompressed
BLOCK = 16 * MIB  # bytes of pixels read at a time
LABELS = ("label", "true_label")
NUMBERS, TEXT = "fiu", "SUO"  # NumPy's kinds; of objects only HDF5's texts are let through
MOST_NAMES = 10_000  # different texts among labels
TRAINING = ("x_train", "y_train")  # where a file has another pair, that one is taken
PAIRS = (
    ("data", "label"), ("x", "y"), ("images", "labels"), ("x_valid", "y_valid"),
    ("x_val", "y_val"), ("x_test", "y_test"), TRAINING,
)  # fmt: skip


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
    hdf5 = Hdf5(path, allowance(path.stat().st_size, LARGEST_DATA), whole=False)
    arrays = hdf5.top_level()
    names = named_arrays(arrays, labelled, how)
    stored = {role: hdf5.numbers(name, text=role in LABELS) for role, name in names.items()}
    return content(stored.pop("data"), stored, folder, input_shape, names, how)


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
    names = named_arrays(archive.members, labelled, how)
    stored = {role: archive.numbers(name, text=role in LABELS) for role, name in names.items()}
    said = content(stored.pop("data"), stored, folder, input_shape, names, how)
    archive.close()
    return said


def named_arrays(arrays: Mapping[str, Any], labelled: bool, reading: Reading) -> dict[str, str]:
    """What is read: by role, what it is called. See `named_pair`.

    Args:
        arrays: all that there are, by name; those of numbers or text have `shape` and `dtype`.
        labelled: whether labels are looked at.
        reading: says what they are called, or that one label is that of all.
    """
    true = {name: name for name in ("true_label",) if name in arrays and labelled}
    numbers = {n: each for n, each in arrays.items() if has_kind(each, NUMBERS)}
    if labelled and reading.target is None:
        if len(reading.keys) == 2:
            return dict(zip(("data", "label"), reading.keys, strict=True)) | true
        some = {n: each for n, each in arrays.items() if has_kind(each, NUMBERS + TEXT)}
        return named_pair(numbers, some, tuple(arrays), reading.keys) | true
    images = [*reading.keys[:1]] or [image for image, _ in PAIRS if image in arrays]
    images = images or [name for name, each in numbers.items() if len(each.shape) == 4]
    return {"data": images[0] if images else "data"} | true


def has_kind(array: Any, kinds: str) -> bool:
    """Whether it can be read, and its values are of one of these kinds."""
    return getattr(getattr(array, "dtype", None), "kind", "nothing") in kinds


def named_pair(
    numbers: Mapping[str, Any],
    some: Mapping[str, Any],
    names: Sequence[str],
    keys: Sequence[str] = (),
) -> dict[str, str]:
    """What images and labels are called, {"data": ..., "label": ...}.

    By name; else they are the one array of four axes (of three where none has four) and the one of
    one axis, or two, that is as long: of numbers, or else of text. If that does not tell, "data"
    and "label".

    Args:
        numbers: the arrays of numbers by name; have a `shape`.
        some: those, and those of text.
        names: of all arrays.
        keys: what the images are called, if that is known.

    Raises:
        Refused: there are several pairs.
    """
    every = tuple(pair for pair in PAIRS if set(pair) <= set(names) and pair[0] in (keys or pair))
    chosen = tuple(pair for pair in every if pair != TRAINING) or every
    chosen = PAIRS[:1] if PAIRS[0] in every else chosen
    if len(chosen) > 1:
        held = ", ".join("/".join(pair) for pair in chosen)
        raise Refused(
            f"holds {held}: which of them is meant? Keep one pair in a file, or give --keys"
        )
    for values in (numbers, some):
        chosen = chosen or pairs_by_shape(numbers, values, keys)
    return dict(zip(("data", "label"), chosen[0] if len(chosen) == 1 else PAIRS[0], strict=True))


def pairs_by_shape(
    numbers: Mapping[str, Any], labels: Mapping[str, Any], keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Every pair of arrays that may be images and their labels."""
    shapes = {name: tuple(each.shape) for name, each in numbers.items()}
    images = list(keys) or [name for name, shape in shapes.items() if len(shape) == 4]
    images = images or [name for name, shape in shapes.items() if len(shape) == 3]
    return tuple(
        (image, label)
        for image in images
        for label, shape in ((name, tuple(each.shape)) for name, each in labels.items())
        if len(shape) in (1, 2) and shape[:1] == shapes.get(image, ())[:1] and label != "true_label"
    )


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
    arrays, (axes, image) = Arrays(folder), fit(data, input_shape)
    texts = {
        role: text_labels(stored, names.get(role, role))
        for role, stored in stored_labels.items()
        if stored.dtype.kind in TEXT
    }
    classes = sorted(set(texts.get("label", ())))
    values = {
        role: labels(
            numbered(texts[role], classes, names.get(role, role)) if role in texts else stored,
            names.get(role, role),
            len(data),
        )
        for role, stored in stored_labels.items()
    }
    if reading.target is not None:
        values["label"] = np.full(len(data), reading.target)
    said: dict[str, Any] = {"axes": axes, "stored_dtype": data.dtype.name}
    if classes and not all_digits(classes):
        said |= {"class_names": classes, "names_from": "labels"}
    if reading.part != "whole":
        files = getattr(data, "names", [""] * len(data))
        found = half(reading.part, values["label"], all_thumbnails(data, axes, name), files)
        said["half"] = [len(data), found.together]
        data = Rows(data, found.rows)
        values = {role: each[found.rows] for role, each in values.items()}
    entries = {role: arrays.save(each) for role, each in values.items()}
    entry, ends = pixels(data, axes, (len(data), *image), arrays, name)
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


def fit(data: Any, input_shape: Sequence[int | None]) -> tuple[str, tuple[int, ...]]:
    """The axis order, "NHWC" if the images fit the network so, else "NCHW", and H, W, C."""
    shape = tuple(data.shape[1:]) if data.ndim == 4 else (*data.shape[1:], 1)
    for axes, image in (("NHWC", shape), ("NCHW", (*shape[1:], shape[0]))):
        if all(limit in (None, side) for limit, side in zip(input_shape, image, strict=True)):
            return axes, image
    sides = " x ".join("any" if side is None else str(side) for side in input_shape)
    raise Refused(f"images of shape {shape} do not fit the model, which takes {sides}")


def labels(data: Any, name: str, count: int) -> Any:
    """As many class indices as there are images; the rows of a matrix are one-hot."""
    if data.ndim == 2 and data.shape[0] == count and data.shape[1] > 1:
        return one_hot(data[()], name)
    if data.shape not in ((count,), (count, 1)):
        raise Refused(f"{name!r} has the shape {data.shape} for {count} images")
    values = data[()].reshape(-1)
    whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) < 2**31)
    if not whole.all():
        raise Refused(f"{name!r} holds {values[~whole][0]}, which is no class index")
    return values.astype(np.int64)


def text_labels(data: Any, name: str) -> list[str]:
    """Labels that are texts, (N,) or (N, 1)."""
    if data.ndim not in (1, 2) or data.shape[1:] not in ((), (1,)):
        raise Refused(f"{name!r} has the shape {data.shape}; texts are labels in a row")
    values = [
        each.decode("utf-8", "backslashreplace") if isinstance(each, bytes) else str(each)
        for each in data[()].reshape(-1)
    ]
    if len(set(values)) > MOST_NAMES:
        raise Refused(
            f"{name!r} holds more than {MOST_NAMES} different texts, which are no classes"
        )
    return values


def all_digits(names: Sequence[str]) -> bool:
    """Whether all texts are whole numbers."""
    return all(re.fullmatch(r"[0-9]{1,9}", name) for name in names)


def numbered(texts: Sequence[str], classes: Sequence[str], name: str) -> Any:
    """The class of each text: its place among all in order, or the number that it is."""
    if all_digits(classes):
        places = {text: int(text) for text in classes}
    else:
        places = {text: place for place, text in enumerate(classes)}
    strange = next((text for text in texts if text not in places), None)
    if strange is not None:
        raise Refused(f"{name!r} holds {one_line(strange, 40)!r}, which is no label")
    return np.array([places[text] for text in texts])


def one_hot(rows: Any, name: str) -> Any:
    """The class of each row, which is 1 there and else 0."""
    odd = ((rows != 0) & (rows != 1)).any(axis=1) | ((rows == 1).sum(axis=1) != 1)
    if odd.any():
        raise Refused(
            f"{name!r} has {rows.shape[1]} columns, and row {odd.argmax()} is not one-hot"
        )
    return rows.argmax(axis=1).astype(np.int64)


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
