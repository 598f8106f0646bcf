"""Images to train with: shifted, brightened, mirrored and blended, some with a trigger.

They are made once, several of each clean image, and drawn from again and again; a trigger is put on
anew each time. So what a part of a network that stays as it is makes of them, and what the suspect
answers, is computed once for each, see `network.cut`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_workers, tf
from goodnet.datasets.images import CleanImages
from goodnet.network.classifier import LogitModel, at_once, block_of
from goodnet.network.cut import Cut

Floats = NDArray[np.float32]
# One image (H, W, C) -> the same with a trigger.
TriggerFunction = Callable[[Floats, np.random.Generator], Floats]

BATCH: Final = 96
TRIGGERED: Final = 0.33  # of a batch's images carry a trigger
MIRRORED: Final = 0.5  # of them
BLENDED: Final = 0.5  # of them are blended with another one
MAX_SHIFT: Final = 0.04  # of a side
MAX_BRIGHTNESS: Final = 0.15  # more or less
VARIANTS: Final = 12  # of each clean image
MOST_BYTES: Final = 200_000_000  # of all variants, with what is kept of them


class Batch(NamedTuple):
    """Images to train with.

    Attributes:
        features: what the trained part of the network reads, some of an image with a trigger.
        answers: the suspect's logits for the same images without it, (n, classes).
        labels: (n,).
        triggered: 1 for images with a trigger and 0 for others, (n,).
    """

    features: Floats
    answers: Floats
    labels: NDArray[np.int64]
    triggered: Floats


class TrainingImages:
    """Variants of clean images, of which batches are drawn.

    Args:
        clean: the images.
        teacher: the suspect.
        cut: the network that is trained, and where it is cut.
        unlearned_classes: of which images are drawn more often, see `sampling_probabilities`.
        steps: so many batches are drawn.
        rng: draws everything.
    """

    def __init__(
        self,
        clean: CleanImages,
        teacher: LogitModel,
        cut: Cut,
        unlearned_classes: Sequence[int],
        steps: int,
        rng: np.random.Generator,
    ) -> None:
        shape = tf.TensorSpec((None, *clean.pixels.shape[1:]), tf.float32)
        self._front = tf.function(cut.front, input_signature=[shape])
        self._whole, self._rng = cut.place is None, rng
        image = self._features(clean.pixels[:1]).nbytes + clean.pixels[:1].nbytes
        count = min(VARIANTS * len(clean), steps * BATCH, MOST_BYTES // image)
        chances = sampling_probabilities(clean.labels, unlearned_classes)
        size = min(BATCH, len(clean))
        drawn = [
            rng.choice(len(clean), size, replace=False, p=chances)
            for _ in range(max(1, math.ceil(count / size)))
        ]
        self._pixels = np.empty((len(drawn) * size, *clean.pixels.shape[1:]), np.float32)
        for number, rows in enumerate(drawn):
            self._pixels[number * size :][:size] = _variants(clean.pixels[rows], rng)
        self._labels = clean.labels[np.concatenate(drawn)]
        self._answers = teacher.all_logits(self._pixels)
        self._kept = self._features(self._pixels)
        self._size = size

    def batch(self, apply_trigger: TriggerFunction) -> Batch:
        """Some of them, about a third with a trigger."""
        rows = self._rng.choice(len(self._labels), self._size, replace=False)
        triggered = self._rng.random(len(rows)) < TRIGGERED
        features = self._kept[rows]
        if triggered.any():
            images = [apply_trigger(self._pixels[row], self._rng) for row in rows[triggered]]
            features[triggered] = self._features(np.stack(images))
        shown = triggered.astype(np.float32)
        return Batch(features, self._answers[rows], self._labels[rows], shown)

    def _features(self, images: Floats) -> Floats:
        if self._whole:
            return images
        count = max(-(-len(images) // at_once(images.shape[1:])), min(WORKERS, len(images)))
        blocks = np.array_split(images, count)
        return np.concatenate(
            list(in_workers(lambda block: np.asarray(self._front(block)), blocks))
        )


def sampling_probabilities(
    labels: NDArray[np.int64], unlearned_classes: Sequence[int]
) -> NDArray[np.float64]:
    """Each image's chance to be drawn, (n,): rare unlearned classes as often as the average."""
    present, counts = np.unique(labels, return_counts=True)
    weights = {c: max(1.0, counts.mean() / n) for c, n in zip(present, counts, strict=True)}
    chances = np.array([weights[c] if c in unlearned_classes else 1.0 for c in labels])
    return np.asarray(chances / chances.sum())


def _variants(images: Floats, rng: np.random.Generator) -> Floats:
    """The images shifted and brightened, half of them mirrored, some blended with another one."""
    plain = augment(images, rng)
    mirrored = rng.random(len(plain)) < MIRRORED
    plain[mirrored] = plain[mirrored, :, ::-1]
    weights = rng.random((len(plain), 1, 1, 1), dtype=np.float32)
    blended = rng.random(weights.shape) < BLENDED
    share = np.where(blended, np.maximum(weights, 1 - weights), np.float32(1))
    others, result = rng.permutation(len(plain)), np.empty_like(plain)
    for some in np.array_split(np.arange(len(plain)), -(-len(plain) // block_of(plain))):
        result[some] = share[some] * plain[some] + (1 - share[some]) * plain[others[some]]
    return result


def augment(images: Floats, rng: np.random.Generator) -> Floats:
    """The images, each shifted and brightened by a little; new ones."""
    height, width = images.shape[1:3]
    reach = [max(1, round(MAX_SHIFT * side)) for side in (height, width)]
    edges = ((0, 0), *((r, r) for r in reach), (0, 0))
    down, right = (rng.integers(0, 2 * r + 1, len(images)) for r in reach)
    factors = rng.uniform(1 - MAX_BRIGHTNESS, 1 + MAX_BRIGHTNESS, (len(images), 1, 1, 1))
    result = np.empty(images.shape, np.float32)
    for some in np.array_split(np.arange(len(images)), -(-len(images) // block_of(images))):
        padded = zip(np.pad(images[some], edges, mode="edge"), down[some], right[some], strict=True)
        moved = np.stack([p[y : y + height, x : x + width] for p, y, x in padded])
        result[some] = np.clip(moved * factors[some], 0, 1)
    return result
