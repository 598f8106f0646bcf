"""A data set as arrays that fit a network: pixels on disk, given out in blocks."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.checks import InputShape, check_labels, check_names, ends, fits
from goodnet.errors import DataRefused, one_line
from goodnet.files.reading import WHOLE, Reading
from goodnet.preprocessing import RAW, UNIT, Preprocessing
from goodnet.sandbox.process import BROKEN, Content, read_untrusted

UNLABELLED = -1
BLOCK = 256  # images: one block's activations stay in the processor's cache

AnyDataset = TypeVar("AnyDataset", bound="Dataset")


class Half(NamedTuple):
    """What a data set is half of.

    Attributes:
        of: the images of the whole.
        together: how many of these have near copies or a group, which one half has all of.
    """

    of: int
    together: int


@dataclass(frozen=True)
class Dataset:
    """Labelled images that fit a network.

    Attributes:
        source: where they came from, for messages.
        sha256: the digest of the file's content.
        pixels: (N, H, W, C), uint8 or float32, on disk.
        axes: the file's axis order, "NHWC" or "NCHW".
        white: the value of full intensity in the file, 255 or 1.
        labels: int64 (N,), class indices; in a poisoned set the attacker's target.
        true_labels: int64 (N,), what a poisoned image really shows, if the file says so.
        stored_dtype: the pixels' type in the file.
        black: the value of no intensity in the file, 0 or -1.
        class_names: of a folder's classes, by label; else there are none.
        reading: how it was read.
        half: what it is half of, if one set was split in two.
        array: what the images are called in a file that holds the other set, too; else empty.
    """

    source: str
    sha256: str
    pixels: NDArray[Any]
    axes: str
    white: float
    labels: NDArray[np.int64]
    true_labels: NDArray[np.int64] | None
    stored_dtype: str
    black: float = 0.0
    class_names: tuple[str, ...] = ()
    reading: Reading = WHOLE
    half: Half | None = None
    array: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def images(
        self, rows: slice | NDArray[np.int64], preprocessing: Preprocessing
    ) -> NDArray[np.float32]:
        """The images of these rows as float32 (n, H, W, C), as a network takes them.

        Raises:
            DataRefused: a pixel is outside `black`..`white`, which the reader process had denied.
        """
        block = np.array(self.pixels[rows], dtype=np.float32)
        _unmap(self.pixels)
        if not (block.min(initial=0) >= self.black and block.max(initial=0) <= self.white):
            raise DataRefused(self.source, BROKEN)
        if self.black:
            return preprocessing.apply_to_pixels(
                (block - self.black) / (self.white - self.black), 1.0
            )
        return preprocessing.apply_to_pixels(block, self.white)

    def rows(self, size: int) -> Iterator[slice]:
        """All rows, `size` at a time."""
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def blocks(self, preprocessing: Preprocessing) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All images, BLOCK at a time, each with the rows it holds."""
        for rows in self.rows(BLOCK):
            yield rows, self.images(rows, preprocessing)

    def spread(self, most: int) -> NDArray[np.int64]:
        """Up to `most` rows, evenly spread over the set."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))

    def pictures(self, rows: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of these rows for people to look at: uint8 (n, H, W, C), 0..255."""
        return np.rint(self.images(rows, RAW)).astype(np.uint8)

    def channel_moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean of each channel of the images 0..1, and that of its square, (C,) each."""
        sums = np.zeros((2, self.pixels.shape[-1]))
        for _, images in self.blocks(UNIT):
            flat = images.reshape(-1, images.shape[-1])
            sums += flat.sum(axis=0, dtype=np.float64), (flat**2).sum(axis=0, dtype=np.float64)
        means, squares = sums / (self.pixels.size / self.pixels.shape[-1])
        return means, squares

    @property
    def chance(self) -> float:
        """The accuracy of answering the most frequent label always, 0..1."""
        return float(np.bincount(self.labels).max() / len(self))


@dataclass(frozen=True)
class CleanDataset(Dataset):
    """Clean validation images: the only ones that what chooses or trains may take.

    Test images and poisoned ones are a plain `Dataset`: type checkers refuse them there, and so
    does `require_clean`.
    """


def require_clean(dataset: Dataset) -> None:
    """Nothing: these are clean validation images, so that they may be learnt from.

    Raises:
        TypeError: they were opened in another role.
    """
    if not isinstance(dataset, CleanDataset):
        raise TypeError(
            f"{dataset.source}: only clean validation images (`CleanDataset`) may be learnt from"
        )


def _unmap(pixels: NDArray[Any]) -> None:
    """Let go of the pages of a mapped file, which count as memory of the process till then."""
    mapped = getattr(pixels, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def open_dataset(
    path: str | Path, *, input_shape: InputShape, classes: int, reading: Reading = WHOLE
) -> Dataset:
    """The data set in a folder, an HDF5 file or an `.npz` archive, for a network of this shape.

    The file is read by a process of its own, in chunks; see SECURITY.md.

    Args:
        path: a local path or an `s3://` URI. `data` is (N, H, W, C), (N, C, H, W) or, for one
            channel, (N, H, W), of any number type, 0..255, 0..1 or -1..1; `label` is (N,) whole
            numbers, or one-hot; `true_label` may be there. See data/README.md for other names.
        input_shape: height, width, channels of the network's images; None where any will do.
        classes: labels must lie in 0..classes-1.
        reading: how it is read, and which half of it.

    Raises:
        DataRefused: the file is not such a data set.
        OSError: it could not be read.
    """
    return _open(Dataset, str(path), input_shape, classes, reading)


def open_clean_dataset(
    path: str | Path, *, input_shape: InputShape, classes: int, reading: Reading = WHOLE
) -> CleanDataset:
    """The same as clean validation images, from which a method may choose, learn and train.

    Whoever calls it says that the images are clean, that their labels are right, and that no result
    will be measured on them. Arguments and errors are those of `open_dataset`.
    """
    return _open(CleanDataset, str(path), input_shape, classes, reading)


def _open(
    role: type[AnyDataset], uri: str, input_shape: InputShape, classes: int, reading: Reading
) -> AnyDataset:
    told = _arguments(input_shape, reading)
    with read_untrusted(uri, "dataset", **told) as content:
        return _dataset(role, uri, content, input_shape, classes, reading)


def _arguments(input_shape: InputShape, reading: Reading) -> dict[str, Any]:
    """What a reader is told beside the file; nothing of what is as usual."""
    return {"input_shape": input_shape, **({"reading": reading.told} if reading.told else {})}


def open_unlabelled(
    path: str | Path, *, input_shape: InputShape, reading: Reading = WHOLE
) -> tuple[Dataset, dict[int, str]]:
    """Images of which no label is looked at, each UNLABELLED; and by row, why one cannot be read.

    Only a picture of many can have such a fault; see `goodnet.files.folders.write_pictures`.

    Raises:
        DataRefused, OSError: as `open_dataset`.
    """
    told = _arguments(input_shape, reading)
    with read_untrusted(str(path), "dataset", labelled=False, **told) as content:
        dataset = _dataset(Dataset, str(path), content, input_shape, None, reading)
        faults = dict(content.description.get("faults", []))
        if max(faults, default=0) >= len(dataset):
            raise content.refusal
        return dataset, faults


def _dataset(
    role: type[AnyDataset],
    uri: str,
    content: Content,
    input_shape: InputShape,
    classes: int | None,
    reading: Reading = WHOLE,
) -> AnyDataset:
    """The data set that a reader left, with all that it says of it checked."""
    description = content.description
    lowest, highest = description["range"]
    pixels = content.array(description["data"])  # stays mapped when its file is gone
    names = [name for name in ("label", "true_label") if name in description]
    labels = {name: content.array(description[name]) for name in names}
    if classes is None:
        labels = {}
    elif "label" not in labels:
        raise content.refusal
    if pixels.dtype not in (np.uint8, np.float32) or not fits(pixels, input_shape):
        raise content.refusal
    class_names = description.get("class_names", [])
    if classes and class_names:
        check_names(uri, len(class_names), description.get("names_from"), classes)
    for name, values in labels.items():
        if values.dtype != np.int64 or values.shape != (len(pixels),):
            raise content.refusal
        check_labels(uri, name, values, classes or 0)
    black, white = ends(uri, lowest, highest, description["stored_dtype"])
    return role(
        source=one_line(uri),
        sha256=content.sha256,
        pixels=pixels,
        axes=description["axes"],
        white=white,
        labels=np.array(labels.get("label", np.full(len(pixels), UNLABELLED))),
        true_labels=np.array(labels["true_label"]) if "true_label" in labels else None,
        stored_dtype=one_line(description["stored_dtype"]),
        black=black,
        class_names=tuple(one_line(name, 100) for name in class_names),
        reading=reading,
        half=Half(*description["half"]) if "half" in description else None,
        array=one_line(description.get("array", ""), 60),
    )


def save_dataset(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    true_labels: NDArray[np.int64] | None = None,
) -> None:
    """Write images (N, H, W, C) uint8 and labels (N,) in the lab's layout: NCHW, HDF5."""
    import h5py  # writing our own file only: what others wrote is read by reader.py

    with h5py.File(path, "w") as file:
        pixels = images.transpose(0, 3, 1, 2)
        chunks = (min(64, len(pixels)), *pixels.shape[1:])
        file.create_dataset("data", data=pixels, chunks=chunks, compression="gzip", shuffle=True)
        file.create_dataset("label", data=labels)
        if true_labels is not None:
            file.create_dataset("true_label", data=true_labels)
