"""One set split in two, so that what is measured on one half was not seen in the other.

Each class is halved by itself. Images that show nearly the same stay in one half: near copies,
mirrored or not, by thumbnails of 8 x 8 grey pixels; and pictures in one inner folder of a class, or
whose names begin alike, up to the first part with a number in it (`person12_3.jpg`,
`00012_00003.png`, `cat_7_flipped.jpg`). Such a group goes wherever fewer images are, the largest
first, and in an order that only the images' content decides. A name that more than half of a class
shares says nothing; near copies that are more than half of a class, frames of a video say, are cut
in two in the order of their names.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from goodnet.sandbox.reader.arrays import Refused

SIDE = 8  # pixels of a thumbnail
NEAR = 4.0  # grey levels, root mean square: the same picture stored anew, or the next frame
WINDOW = 1000  # images of a class, in the order of their names, that each is compared with
MOST_NEAR = 16  # of these are joined to it
PARTS = ("validation", "test")
SEPARATOR = re.compile(r"[\s_.()\-]+")


class Half(NamedTuple):
    """One half of a set.

    Attributes:
        rows: the images that are in it, ascending.
        together: how many images of the whole set are in groups that were kept together.
    """

    rows: Any
    together: int


def half(part: str, labels: Any, thumbnails: Any, names: Sequence[str]) -> Half:
    """One half of a set.

    Args:
        part: "validation" or "test".
        labels: the classes, (N,).
        thumbnails: from `thumbnail`, (N, 64).
        names: of the pictures below their class folders; "" of images in an array.

    Raises:
        Refused: the half has no images.
    """
    sides, together = np.zeros(len(labels), np.int64), 0
    ranks = np.array([rank_of(name, row) for row, name in enumerate(names)])
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(ranks[rows], kind="stable")]
        groups = grouped(thumbnails[rows], [names[row] for row in rows.tolist()])
        together += sum(len(group) for group in groups if len(group) > 1)
        count = [0, 0]
        for group in ordered(groups, thumbnails[rows]):
            side = int(count[1] < count[0])
            sides[rows[group]] = side
            count[side] += len(group)
    chosen = np.flatnonzero(sides == PARTS.index(part))
    if not len(chosen):
        raise Refused("has too few images to be split in two, one for each class")
    return Half(chosen, together)


def rank_of(name: str, row: int) -> str:
    """What puts names in order, numbers by their value; images without a name stay in theirs."""
    name = name or str(row)
    return re.sub(r"\d{1,30}", lambda number: number[0].zfill(30), name)


def grouped(thumbnails: Any, names: Sequence[str]) -> list[list[int]]:
    """The images of one class, in the order of their names, as groups that stay together."""
    most = -(-len(names) // 2)
    joined = Joined(len(names))
    for row, others in near_copies(thumbnails):
        for other in others:
            joined.join(row, other)
    by_name: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        if name:
            by_name[stem_of(name)].append(row)
    for rows in by_name.values():
        if len(rows) <= most and len({joined.root(row) for row in rows}) > 1:
            for row in rows[1:]:
                joined.join(rows[0], row)
    return [piece for group in joined.groups() for piece in pieces(group, most)]


def pieces(group: list[int], most: int) -> list[list[int]]:
    """The group, in two parts where it is more than half of its class."""
    return [group] if len(group) <= most else [group[:most], group[most:]]


def ordered(groups: list[list[int]], thumbnails: Any) -> list[list[int]]:
    """The largest group first, and else in the order of their contents' digests."""

    def key(group: list[int]) -> tuple[int, bytes]:
        digests = (hashlib.sha256(thumbnails[row].tobytes()).digest() for row in group)
        return -len(group), min(digests)

    return sorted(groups, key=key)


def stem_of(name: str) -> str:
    """What pictures that belong together have in common: an inner folder, or a name's beginning."""
    inner, _, file = name.rpartition("/")
    if inner:
        return f"{inner}/"
    stem = file.rpartition(".")[0] or file
    for separator in SEPARATOR.finditer(stem):
        if re.search(r"\d", stem[: separator.start()]):
            return stem[: separator.start()]
    return stem


def near_copies(thumbnails: Any) -> Any:
    """For each image those after it, within WINDOW, that show nearly the same, mirrored or not."""
    values = thumbnails.astype(np.float32)
    mirrored = values.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(values), -1)
    squares = (values**2).sum(axis=1)
    for start in range(0, len(values), WINDOW):
        one, end = slice(start, start + WINDOW), start + 2 * WINDOW
        both = squares[one, None] + squares[None, start:end]
        nearest = np.maximum(values[one] @ values[start:end].T, values[one] @ mirrored[start:end].T)
        near = np.triu(both - 2 * nearest < NEAR**2 * SIDE**2, 1)
        for row in np.flatnonzero(near.any(axis=1)):
            yield start + row, start + np.flatnonzero(near[row])[:MOST_NEAR]


class Joined:
    """Which of some images have been joined, directly or through others."""

    def __init__(self, count: int) -> None:
        self.parents = list(range(count))

    def root(self, row: int) -> int:
        """The first of those that it is joined with."""
        while self.parents[row] != row:
            self.parents[row] = row = self.parents[self.parents[row]]
        return row

    def join(self, row: int, other: int) -> None:
        """Join two."""
        low, high = sorted((self.root(row), self.root(other)))
        self.parents[high] = low

    def groups(self) -> list[list[int]]:
        """All of them, each group in order."""
        members: dict[int, list[int]] = defaultdict(list)
        for row in range(len(self.parents)):
            members[self.root(row)].append(row)
        return list(members.values())


def thumbnails(images: Any) -> Any:
    """Thumbnails of images (n, H, W, C), of any number type and size: float32 (n, 64)."""
    grey = np.asarray(images, np.float32).mean(axis=3)
    for axis in (1, 2):
        grey = pooled(grey, axis)
    return grey.reshape(len(grey), -1)


def pooled(values: Any, axis: int) -> Any:
    """The means of SIDE stretches, as equal as can be, along an axis."""
    length = values.shape[axis]
    edges = np.arange(SIDE + 1) * length // SIDE
    starts = np.minimum(edges[:-1], length - 1)
    counts = np.maximum(np.diff(edges), 1)
    shape = [1] * values.ndim
    shape[axis] = SIDE
    return np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape)
