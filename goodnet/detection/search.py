"""Adam on triggers that are stamped on clean images, many searches at a time.

Every search has a target class, a mask and a pattern; a stamped image is (1 - mask) image + mask
pattern. What is searched are raw values, which a sigmoid keeps in 0..1. A search knows nothing of
the others in its batch: their losses are added up, and their gradients stay apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.detection.problem import CleanImages, Tensor, View, margins

Floats = NDArray[np.float32]
AT_ONCE = 384  # stamped images through the network at once
BETA_1, BETA_2, TINY = 0.9, 0.999, 1e-8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Found:
    """What searches have come to, a row for each.

    Attributes:
        targets: the class of each, (B,).
        masks: float32 (B, H, W, 1), 0..1.
        patterns: float32 (B, H, W, C), 0..1.
        margins: the mean margin of the target over the images searched with, (B,), in logits.
    """

    targets: NDArray[np.int64]
    masks: Floats
    patterns: Floats
    margins: Floats


def no_progress(done: int, total: int) -> None:
    """Say nothing."""


def stamped(images: Tensor, masks: Tensor, patterns: Tensor) -> Tensor:
    """Every image with every trigger: (B, n, H, W, C).

    Args:
        images: (n, H, W, C), 0..1.
        masks: (B, H, W, 1), 0..1.
        patterns: (B, H, W, C), 0..1.
    """
    masks, patterns = masks[:, None], patterns[:, None]
    return images[None] * (1 - masks) + masks * patterns


def adam_step(value: Tensor, slope: Tensor, moments: Tensor, step: Tensor, rate: float) -> Any:
    """The value one step up the slope, and the new moments (2, *shape of the value).

    Source: Kingma, Ba, "Adam", ICLR 2015 (arXiv 1412.6980), algorithm 1.
    """
    first = BETA_1 * moments[0] + (1 - BETA_1) * slope
    second = BETA_2 * moments[1] + (1 - BETA_2) * slope * slope
    size = tf.sqrt(second / (1 - BETA_2**step)) + TINY
    return value + rate * first / (1 - BETA_1**step) / size, tf.stack([first, second])


def target_margins(
    view: View, images: Tensor, masks: Tensor, patterns: Tensor, wanted: Tensor
) -> Tensor:
    """The margin of its target on each stamped image, (B, n), in logits.

    Args:
        view: the network.
        images: (n, H, W, C), 0..1.
        masks: (B, H, W, 1).
        patterns: (B, H, W, C).
        wanted: the targets, one-hot (B, classes).
    """
    both = stamped(images, masks, patterns)
    shape = tf.shape(both)
    flat = tf.reshape(both, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
    logits = tf.reshape(view.logits(flat), (shape[0], shape[1], view.classes))
    return margins(logits, wanted[:, None])


def weigh(clean: CleanImages, targets: NDArray[np.int64]) -> Floats:
    """What each image counts for in each search, (B, n): those of the target class nothing."""
    others = (clean.labels[None] != targets[:, None]).astype(np.float32)
    return np.asarray(others / np.maximum(others.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def batches(count: int, images: int) -> list[NDArray[np.int64]]:
    """The searches in batches of one size: the last one is filled up with its first search.

    Functions are compiled for a size; filling up is cheaper than compiling again.
    """
    size = min(count, max(1, AT_ONCE // images))
    rows = [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
    return [np.concatenate([part, np.full(size - len(part), part[0])]) for part in rows]


def joined(parts: Sequence[Found], count: int) -> Found:
    """The first `count` searches of all parts."""
    columns = zip(*((p.targets, p.masks, p.patterns, p.margins) for p in parts), strict=True)
    return Found(*(np.concatenate(column)[:count] for column in columns))


class TriggerSearch:
    """Masks and patterns that raise the mean margin of target classes, their area bounded.

    The compiled step belongs to the view: it serves every later search, also with other weights.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._compiled = tf.function(self._step, reduce_retracing=True)

    def run(
        self,
        clean: CleanImages,
        targets: NDArray[np.int64],
        areas: Sequence[float],
        *,
        steps: int,
        rate: float,
        coarse: int,
        seed: int,
        progress: Progress = no_progress,
    ) -> list[Found]:
        """What is found at each area bound, one after the other, each from what was found before.

        Args:
            clean: the images searched with.
            targets: the class of each search, (B,).
            areas: bounds of the mean of the mask, 0..1, falling.
            steps: Adam steps at each bound.
            rate: Adam's rate.
            coarse: pixels a side of a cell that the mask and the pattern are made of.
            seed: of the starting values.
        """
        parts, rows = [], batches(len(targets), len(clean))
        for number, batch in enumerate(rows):
            rng = np.random.default_rng((seed, number))
            parts.append(self._batch(clean, targets[batch], areas, steps, rate, coarse, rng))
            progress(number + 1, len(rows))
        return [joined(stage, len(targets)) for stage in zip(*parts, strict=True)]

    def _batch(
        self,
        clean: CleanImages,
        targets: NDArray[np.int64],
        areas: Sequence[float],
        steps: int,
        rate: float,
        coarse: int,
        rng: np.random.Generator,
    ) -> list[Found]:
        _, height, width, channels = clean.pixels.shape
        grid = (len(targets), -(-height // coarse), -(-width // coarse))
        starts = rng.normal(-1, 0.1, (*grid, 1)), rng.normal(0, 0.5, (*grid, channels))
        raw = [tf.constant(start, tf.float32) for start in starts]
        moments = [tf.zeros((2, *value.shape)) for value in raw]
        given = (
            tf.constant(clean.pixels),
            tf.constant(weigh(clean, targets)),
            tf.one_hot(targets, self._view.classes),
        )
        stages, step, reached = list[Found](), 0, areas[0]
        for area in areas:
            for bound in _shrinking(reached, area, steps):
                step += 1
                now = tf.constant(bound, tf.float32), tf.constant(step, tf.float32)
                raw, moments, found = self._compiled(raw, moments, *now, rate, *given)
            masks, patterns = _trigger(raw, tf.constant(area, tf.float32), (height, width))
            results = (np.asarray(tensor) for tensor in (masks, patterns, found))
            stages.append(Found(targets, *results))
            reached = area
        return stages

    def _step(
        self,
        raw: list[Tensor],
        moments: list[Tensor],
        area: Tensor,
        step: Tensor,
        rate: float,
        images: Tensor,
        weights: Tensor,
        wanted: Tensor,
    ) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(raw)
            masks, patterns = _trigger(raw, area, tf.shape(images)[1:3])
            found = target_margins(self._view, images, masks, patterns, wanted)
            found = tf.reduce_sum(found * weights, axis=1)
        slopes = tape.gradient(found, raw)
        moved = [
            adam_step(value, slope, moment, step, rate)
            for value, slope, moment in zip(raw, slopes, moments, strict=True)
        ]
        return [value for value, _ in moved], [moment for _, moment in moved], found


def _trigger(raw: Sequence[Tensor], area: Tensor, size: Any) -> tuple[Tensor, Tensor]:
    """Masks of at most that mean, and patterns, out of raw values on a grid."""
    masks, patterns = (tf.image.resize(tf.sigmoid(value), size) for value in raw)
    covered = tf.reduce_mean(masks, axis=[1, 2, 3], keepdims=True)
    return masks * tf.minimum(1.0, area / covered), patterns


def _shrinking(start: float, end: float, steps: int) -> NDArray[np.float64]:
    """The bound at each step: from start to end on three fifths of the way, then at the end."""
    way = np.minimum(1, np.arange(1, steps + 1) / (0.6 * steps))
    return np.asarray(start * (end / start) ** way)
