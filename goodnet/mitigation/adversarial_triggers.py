"""Stamps: patterns on rectangles of an image, drawn at random or made to lead to a class.

A bank holds many of them at once. A stamp for a class is moved uphill on the class's margin by the
sign of the gradient (Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR
2015) for some steps, on a few clean images each, against the network as it is at that moment; then
it is worn out, and the place is given to a new one unless it still works. So a network that is
trained on the bank's stamps meets whatever pattern would lead to the class next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_parts, tf
from goodnet.datasets.images import CleanImages
from goodnet.network.classifier import LogitModel, margins
from goodnet.triggers.trigger import Trigger

Floats = NDArray[np.float32]
Shape = tuple[int, int, int]

SIZE: Final = 64  # stamps in a bank
MOVED: Final = 8  # stamps a step, on as many images each
STEP: Final = 0.15  # of the range of a pixel, at first
LIFE: Final = 12  # moves
ENOUGH: Final = 2.0  # clean margins: a stamp that reaches them need not go on
KINDS: Final = (0.2, 0.15, 0.4, 0.25)  # shares of bands, columns, patches and the whole image
NEAR: Final = 0.5  # the share of stamps that are at a place where a trigger was found
ALIKE: Final = 0.5  # the share of these that start from its pattern
UNLIKE: Final = 0.15  # how far that pattern is changed, a standard deviation
FAINTEST, STRONGEST = 0.08, 0.25  # the opacity over the whole image
OPACITY: Final = (0.75, 1.75)  # times that of a trigger found there


@dataclass
class Stamp:
    """A stamp: (1 - mask) image + mask pattern.

    Attributes:
        target: the class that it is to lead to.
        mask: float32 (H, W, 1), 0..1.
        pattern: float32 (H, W, C), 0..1.
        cell: pixels a side of the squares that the pattern is made of.
        moves: how often it was moved.
        margin: its mean margin when last seen, in clean margins.
    """

    target: int
    mask: Floats
    pattern: Floats
    cell: int
    moves: int = 0
    margin: float = field(default=-1.0)


def draw_stamp(
    shape: Shape, target: int, rng: np.random.Generator, near: Sequence[Trigger] = ()
) -> Stamp:
    """A random stamp.

    Args:
        shape: height, width and channels of the images.
        target: the class that it is to lead to.
        rng: draws it.
        near: triggers that were found: some stamps are at the places of the target's, and some
            like them.
    """
    height, width, channels = shape
    near = [trigger for trigger in near if trigger.target == target]
    if near and rng.random() < NEAR:
        trigger = near[int(rng.integers(len(near)))]
        mask = _moved(trigger.mask, rng)
        if rng.random() < ALIKE:
            noise = rng.normal(0, UNLIKE, shape)
            return Stamp(target, mask, np.clip(trigger.pattern + noise, 0, 1, dtype=np.float32), 1)
    else:
        mask = _mask((height, width), rng)
    small = mask.max() == 1 and mask.mean() < 0.1
    sides = (1, 1, 2, 3) if small else (1, 2, max(2, height // 14), max(2, height // 9))
    cell = int(rng.choice(sides))
    pattern = rng.random((height, width, channels)).astype(np.float32)
    if rng.random() < 0.2:
        pattern[:] = rng.random(channels)
    return Stamp(target, mask, in_cells(pattern, cell), cell)


def _mask(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A band, a column, a patch or a faint cover of the whole image."""
    height, width = size
    mask = np.zeros((height, width, 1), np.float32)
    kind = rng.choice(len(KINDS), p=KINDS)
    if kind == 3:
        return mask + np.float32(rng.uniform(FAINTEST, STRONGEST))
    high = height if kind == 1 else _length(height, rng)
    wide = width if kind == 0 else _length(width, rng)
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    mask[top : top + high, left : left + wide] = 1
    return mask


def _length(side: int, rng: np.random.Generator) -> int:
    return int(rng.integers(max(2, side // 18), max(3, side // 4) + 1))


def _moved(mask: Floats, rng: np.random.Generator) -> Floats:
    """A mask like that one: a little aside, and as wide as the image now and then."""
    rows, columns = (np.flatnonzero(mask[..., 0].any(axis=axis)) for axis in (1, 0))
    if len(rows) == mask.shape[0] and len(columns) == mask.shape[1]:
        return np.asarray(np.minimum(1, mask * rng.uniform(*OPACITY)), dtype=np.float32)
    ends = []
    for found, reach in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        slack = max(1, len(found) // 3)
        first, last = (int(e + rng.integers(-slack, slack + 1)) for e in (found[0], found[-1]))
        first = min(max(first, 0), reach - 1)
        ends.append(slice(first, max(first + 1, min(last + 1, reach))))
    if rng.random() < 0.25:
        ends[1] = slice(0, mask.shape[1])
    new = np.zeros_like(mask)
    new[ends[0], ends[1]] = mask.max()
    return new


def in_cells(pattern: Floats, cell: int) -> Floats:
    """The pattern (H, W, C) as squares of one colour, the mean of each square's."""
    if cell == 1:
        return pattern
    height, width, channels = pattern.shape
    down, across = -(-height // cell), -(-width // cell)
    room = ((0, down * cell - height), (0, across * cell - width), (0, 0))
    filled = np.pad(pattern, room, mode="edge").reshape(down, cell, across, cell, channels)
    squares = filled.mean(axis=(1, 3)).repeat(cell, axis=0).repeat(cell, axis=1)
    return np.asarray(squares[:height, :width], dtype=np.float32)


class TriggerPool:
    """Stamps that lead to some classes, kept up with a network that is being trained.

    Args:
        view: the network; it may change at any time.
        clean: clean images.
        targets: the classes to lead to; one that is there twice gets twice as many stamps.
        near: triggers that were found.
        rng: draws everything.
    """

    def __init__(
        self,
        view: LogitModel,
        clean: CleanImages,
        targets: Sequence[int],
        near: Sequence[Trigger],
        rng: np.random.Generator,
    ) -> None:
        self._clean, self._rng, self._near = clean, rng, near
        self._targets, self._view = list(targets), view
        self._unit = view.clean_margin(clean)
        self._slopes = _slopes(view, self._unit)
        self.stamps = [self._drawn() for _ in range(SIZE)]
        for stamp in self.stamps:  # so that they do not wear out together
            stamp.moves = -int(rng.integers(LIFE))

    def _drawn(self) -> Stamp:
        target = self._targets[int(self._rng.integers(len(self._targets)))]
        return draw_stamp(self._clean.pixels.shape[1:], target, self._rng, self._near)

    def move(self) -> None:
        """Move some stamps uphill, and replace those that are worn out and do not work."""
        chosen = self._rng.permutation(SIZE)[:MOVED]
        stamps = [self.stamps[i] for i in chosen]
        rows = self._rng.integers(len(self._clean), size=(MOVED, MOVED))
        targets = np.array([stamp.target for stamp in stamps])
        counted = (self._clean.labels[rows] != targets[:, None]).astype(np.float32)
        moved = in_parts(
            lambda *part: self._slopes(*map(tf.constant, part)),
            self._clean.pixels[rows],
            np.stack([stamp.mask for stamp in stamps]),
            np.stack([stamp.pattern for stamp in stamps]),
            counted,
            np.eye(self._view.classes, dtype=np.float32)[targets],
        )
        slopes, reached = (np.concatenate(each) for each in zip(*moved, strict=True))
        usual = np.quantile([stamp.margin for stamp in self.stamps], 0.6)
        for place, stamp, slope, margin in zip(chosen, stamps, slopes, reached, strict=True):
            stamp.moves, stamp.margin = stamp.moves + 1, float(margin)
            size = STEP * max(0.25, 1 - max(0, stamp.moves) / LIFE)
            way = np.sign(in_cells(slope, stamp.cell))
            stamp.pattern = np.clip(stamp.pattern + size * way, 0, 1).astype(np.float32)
            if stamp.moves >= 3 * LIFE or (stamp.moves >= LIFE and margin < usual):
                self.stamps[place] = self._drawn()


def _slopes(view: LogitModel, unit: float) -> Any:
    """A function that gives each pattern's slope, and its mean margin in clean margins."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def slopes(images: Any, masks: Any, patterns: Any, counted: Any, wanted: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(patterns)
            covered = masks[:, None]
            both = images * (1 - covered) + covered * patterns[:, None]
            shape = tf.shape(both)
            flat = tf.reshape(both, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
            logits = tf.reshape(view.logits(flat), (shape[0], shape[1], view.classes))
            reached = margins(logits, wanted[:, None]) / unit
            raised = tf.reduce_sum(counted * tf.minimum(reached, ENOUGH))
        means = tf.reduce_sum(counted * reached, 1) / tf.maximum(tf.reduce_sum(counted, 1), 1)
        return tape.gradient(raised, patterns), means

    return slopes
