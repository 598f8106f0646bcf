"""Adversarial triggers: patterns on rectangles, drawn at random or made to lead to a class.

A pool holds many of them at once. A trigger for a class is moved uphill on the class's margin by
the sign of the gradient (Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR
2015) for some steps, on a few clean images each, against the network as it is at that moment; then
its life is over, and the place is given to a new one unless it still works. So a network that is
trained on the pool's triggers meets whatever pattern would lead to the class next.

They lie where those of a search may, see `goodnet.triggers.locations`, but anywhere, of any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_workers, tf
from goodnet.datasets.images import CleanImages
from goodnet.network.classifier import LogitModel, at_once
from goodnet.triggers.locations import WHOLE, Location
from goodnet.triggers.success import trigger_margins
from goodnet.triggers.trigger import Trigger

Floats = NDArray[np.float32]
Shape = tuple[int, int, int]

POOL_SIZE: Final = 64  # triggers
BATCH: Final = 8  # triggers that are moved a step, on as many images each
STEP: Final = 0.15  # of the range of a pixel, at first
LIFETIME: Final = 12  # moves, after which a trigger that does not work is replaced
MAX_LIFETIME: Final = 3 * LIFETIME  # after which any is
MARGIN_CAP: Final = 2.0  # clean margins: a trigger that reaches them need not go on
SHAPES: Final = {"band": 0.2, "column": 0.15, "patch": 0.4, WHOLE: 0.25}  # shares
SEEDED: Final = 0.5  # the share of triggers that are where a seed trigger is
SEED_PATTERN: Final = 0.5  # the share of these that start from its pattern
SEED_NOISE: Final = 0.15  # how far that pattern is changed, a standard deviation
MIN_OPACITY, MAX_OPACITY = 0.08, 0.25  # over the whole image
SEED_OPACITY: Final = (0.75, 1.75)  # times that of a seed trigger over the whole image


@dataclass(frozen=True)
class AdversarialTrigger:
    """A trigger on its way to a class.

    Attributes:
        trigger: as it is now.
        cell: pixels a side of the squares that its pattern is made of.
        moves: how often it was moved.
        margin: its mean margin when last seen, in clean margins.
    """

    trigger: Trigger
    cell: int
    moves: int = 0
    margin: float = -1.0

    def moved(self, slope: Floats, margin: float) -> "AdversarialTrigger":
        """The trigger a step up the slope of its margin."""
        moves = self.moves + 1
        size = STEP * max(0.25, 1 - max(0, moves) / LIFETIME)
        direction = np.sign(in_cells(slope, self.cell))
        pattern = np.clip(self.trigger.pattern + size * direction, 0, 1).astype(np.float32)
        return AdversarialTrigger(replace(self.trigger, pattern=pattern), self.cell, moves, margin)


def draw_trigger(
    shape: Shape, target: int, rng: np.random.Generator, seed_triggers: Sequence[Trigger] = ()
) -> AdversarialTrigger:
    """A random trigger.

    Args:
        shape: height, width and channels of the images.
        target: the class that it is to lead to.
        rng: draws it.
        seed_triggers: triggers that work: some are drawn where those of the target are, and some
            like them.
    """
    height, width, channels = shape
    seeds = [trigger for trigger in seed_triggers if trigger.target == target]
    if seeds and rng.random() < SEEDED:
        seed = seeds[int(rng.integers(len(seeds)))]
        mask = _jittered(seed.mask, rng)
        if rng.random() < SEED_PATTERN:
            noise = rng.normal(0, SEED_NOISE, shape)
            pattern = np.clip(seed.pattern + noise, 0, 1, dtype=np.float32)
            return AdversarialTrigger(Trigger(target, mask, pattern), 1)
    else:
        mask = _mask((height, width), rng)
    small = mask.max() == 1 and mask.mean() < 0.1
    sides = (1, 1, 2, 3) if small else (1, 2, max(2, height // 14), max(2, height // 9))
    cell = int(rng.choice(sides))
    pattern = rng.random((height, width, channels)).astype(np.float32)
    if rng.random() < 0.2:
        pattern[:] = rng.random(channels)
    return AdversarialTrigger(Trigger(target, mask, in_cells(pattern, cell)), cell)


def _mask(image: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A band, a column, a patch or a faint cover of the whole image."""
    height, width = image
    shape = str(rng.choice(list(SHAPES), p=list(SHAPES.values())))
    if shape == WHOLE:
        opacity = rng.uniform(MIN_OPACITY, MAX_OPACITY)
        return Location(shape, image, (0, 0), image, image, opacity).mask
    high = height if shape == "column" else _length(height, rng)
    wide = width if shape == "band" else _length(width, rng)
    corner = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    return Location(shape, image, corner, (high, wide), image).mask


def _length(side: int, rng: np.random.Generator) -> int:
    return int(rng.integers(max(2, side // 18), max(3, side // 4) + 1))


def _jittered(mask: Floats, rng: np.random.Generator) -> Floats:
    """A mask like that one: a little aside, and as wide as the image now and then."""
    rows, columns = (np.flatnonzero(mask[..., 0].any(axis=axis)) for axis in (1, 0))
    if len(rows) == mask.shape[0] and len(columns) == mask.shape[1]:
        return np.asarray(np.minimum(1, mask * rng.uniform(*SEED_OPACITY)), dtype=np.float32)
    if _reaches_around(rows, columns, mask.shape):
        return np.asarray(np.roll(mask, rng.integers(-1, 2, size=2), axis=(0, 1)))
    ends = []
    for covered, side in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        slack = max(1, len(covered) // 3)
        first, last = (int(end + rng.integers(-slack, slack + 1)) for end in covered[[0, -1]])
        first = min(max(first, 0), side - 1)
        ends.append(slice(first, max(first + 1, min(last + 1, side))))
    if rng.random() < 0.25:
        ends[1] = slice(0, mask.shape[1])
    new = np.zeros_like(mask)
    new[ends[0], ends[1]] = mask.max()
    return new


def _reaches_around(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: Sequence[int]
) -> bool:
    """Whether what is covered lies around an image's middle: the rectangle about it is all of it.

    Args:
        rows: that are covered somewhere.
        columns: likewise.
        shape: of the mask, (H, W, 1).
    """
    sides = zip((rows, columns), shape[:2], strict=True)
    return all(np.ptp(covered) >= 0.8 * side > len(covered) for covered, side in sides)


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
    """Triggers that lead to some classes, kept up with a network that is being trained.

    Args:
        model: the network; it may change at any time.
        clean: clean images.
        targets: the classes to lead to, each with its weight: with twice the weight one gets twice
            as many triggers.
        seed_triggers: triggers that work.
        rng: draws everything.
    """

    def __init__(
        self,
        model: LogitModel,
        clean: CleanImages,
        targets: Mapping[int, int],
        seed_triggers: Sequence[Trigger],
        rng: np.random.Generator,
    ) -> None:
        self._model, self._clean, self._rng = model, clean, rng
        self._tickets = _tickets(targets)
        self._seed_triggers = seed_triggers
        self._clean_margin = model.clean_margin(clean)
        self._compiled = tf.function(self._slopes, reduce_retracing=True)
        drawn = [self._draw() for _ in range(POOL_SIZE)]
        # Their lives are not to end together.
        self._pool = [replace(each, moves=-int(rng.integers(LIFETIME))) for each in drawn]

    def draw(self, rng: np.random.Generator) -> Trigger:
        """One of the triggers as they are now."""
        return self._pool[int(rng.integers(len(self._pool)))].trigger

    def success(self, images: CleanImages, each: int, rng: np.random.Generator) -> float:
        """The share of images of other classes that the triggers as they are now lead to theirs.

        Args:
            images: clean images.
            each: so many are drawn for each trigger.
            rng: draws them.
        """
        rows = rng.integers(len(images), size=(POOL_SIZE, each))
        triggers = [entry.trigger for entry in self._pool]
        applied = [t.apply(images.pixels[some]) for t, some in zip(triggers, rows, strict=True)]
        answers = self._model.predict(np.concatenate(applied)).reshape(rows.shape)
        targets = np.array([trigger.target for trigger in triggers])[:, None]
        others = images.labels[rows] != targets
        return float((answers == targets)[others].mean()) if others.any() else 0.0

    def _draw(self) -> AdversarialTrigger:
        target = self._tickets[int(self._rng.integers(len(self._tickets)))]
        shape = self._clean.pixels.shape[1:]
        return draw_trigger(shape, target, self._rng, self._seed_triggers)

    def move(self) -> None:
        """Move some triggers uphill, and replace those whose life is over and that do not work."""
        chosen = self._rng.permutation(POOL_SIZE)[:BATCH]
        most = at_once(self._clean.pixels.shape[1:])
        rows = self._rng.integers(len(self._clean), size=(BATCH, min(BATCH, most)))
        batch = [self._pool[number] for number in chosen]
        targets = np.array([each.trigger.target for each in batch])
        others = (self._clean.labels[rows] != targets[:, None]).astype(np.float32)
        masks, patterns = (
            np.stack([getattr(each.trigger, name) for each in batch])
            for name in ("mask", "pattern")
        )
        one_hot = np.eye(self._model.classes, dtype=np.float32)[targets]

        most_gradients = self._model.gradients_at_once(self._clean.pixels.shape[1:])

        def slopes_of(part: NDArray[np.int64]) -> Any:
            fixed = [tf.constant(array[part]) for array in (masks, patterns, one_hot)]
            slopes, reached = 0.0, 0.0
            few = max(1, most_gradients // len(part))
            for start in range(0, rows.shape[1], few):
                some = part, slice(start, start + few)
                images = self._clean.pixels[rows[some]]
                more = self._compiled(tf.constant(images), tf.constant(others[some]), *fixed)
                slopes, reached = (
                    a + b.numpy() for a, b in zip((slopes, reached), more, strict=True)
                )
            return slopes, reached / np.maximum(others[part].sum(axis=1), 1)

        each = rows.shape[1]
        count = max(WORKERS, -(-rows.size // most), -(-BATCH // max(1, most_gradients // each)))
        parts = in_workers(slopes_of, np.array_split(np.arange(BATCH), min(count, BATCH)))
        slopes, margins = (np.concatenate(each) for each in zip(*parts, strict=True))
        works = np.quantile([each.margin for each in self._pool], 0.6)
        for number, each, slope, margin in zip(chosen, batch, slopes, margins, strict=True):
            moved = each.moved(slope, float(margin))
            failing = moved.moves >= LIFETIME and margin < works
            over = failing or moved.moves >= MAX_LIFETIME
            self._pool[number] = self._draw() if over else moved

    def _slopes(self, images: Any, others: Any, masks: Any, patterns: Any, targets: Any) -> Any:
        """Each pattern's slope, and the sum of its margins, in clean margins."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(patterns)
            margins = trigger_margins(self._model, images, masks, patterns, targets)
            reached = margins / self._clean_margin
            capped = tf.reduce_sum(others * tf.minimum(reached, MARGIN_CAP))
        return tape.gradient(capped, patterns), tf.reduce_sum(others * reached, 1)


def _tickets(targets: Mapping[int, int]) -> list[int]:
    """Each class as often as its weight, those of the most weight first."""
    most = max(targets.values())
    return [c for level in range(most, 0, -1) for c, weight in targets.items() if weight >= level]
