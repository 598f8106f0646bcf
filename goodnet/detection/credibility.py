"""Whether a network is as accurate on clean images as one that was trained for them would be.

A network fed otherwise than it was trained, or with images or labels of another task, still
answers, and what the methods then say of it means nothing. Two signs of it:

- A plain classifier that learns the same clean images is clearly more accurate, by the 95 %
  interval of the paired difference; or the network is right on less than LOW of them, and not
  clearly more accurate than that. It is ridge regression on the pixels of thumbnails, each image
  answered by a classifier that did not learn it.
- The network is much surer than it is right: its mean softmax exceeds its accuracy by more than
  OVERCONFIDENCE. Networks are overconfident on images that they did not learn (Guo et al., "On
  calibration of modern neural networks", ICML 2017, arXiv 1706.04599), but less than that:
  `benchmarks/credibility.py` has nets that overfitted as badly as could be.

Limits: a wrong preprocessing that costs little accuracy shows by neither. A network that learned
less than the clean images alone teach is taken for one at a wrong preprocessing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.detect import detect, unsearched
from goodnet.detection.effort import MINUTES
from goodnet.detection.verdict import Credibility, Verdict
from goodnet.metrics import Proportion
from goodnet.network.classifier import LogitModel, block_of
from goodnet.preprocessing import paired_loss
from goodnet.progress import Progress, no_progress, silent

OVERCONFIDENCE: Final = 0.5
LOW: Final = 0.5
MOST: Final = 4000  # images, evenly spread
SIDE: Final = 8  # pixels of a thumbnail
FOLDS: Final = 5
RIDGE: Final = 0.03  # for each image that is learnt from, of features of variance 1


def judge(
    model: LogitModel,
    clean: CleanImages,
    *,
    minutes: float = MINUTES,
    seed: int = 0,
    progress: Progress = no_progress,
    say: Callable[[str], None] = silent,
) -> Verdict:
    """The verdict on a network; inconclusive at once, with no class, where it cannot be relied on.

    Args:
        model: the network.
        clean: clean validation images and their labels: all that may be seen.
        minutes: that it may take, about, on two cores, see `detect`; 0 leaves it out.
        seed: of what is drawn.
        progress: called with (steps done, steps in all).
        say: called with what it will cost, before it begins.
    """
    credibility = measure_credibility(model, clean)
    if credibility.is_doubtful:
        verdict = unsearched(model, clean, minutes)
    else:
        verdict = detect(model, clean, minutes=minutes, seed=seed, progress=progress, say=say)
    return replace(verdict, credibility=credibility)


def measure_credibility(model: LogitModel, clean: CleanImages) -> Credibility:
    """The network's accuracy on clean images, and what it is held against.

    Args:
        model: the network.
        clean: clean images and their labels.
    """
    if len(clean) > MOST:
        clean = clean.take(np.unique(np.linspace(0, len(clean) - 1, MOST).astype(np.int64)))
    logits = model.all_logits(clean.pixels).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    right = logits.argmax(axis=1) == clean.labels
    plain = plain_answers(clean) == clean.labels
    confidence = float((1 / odds.sum(axis=1)).mean())
    accuracy, loss = Proportion(int(right.sum()), len(right)), paired_loss(plain, right)
    return Credibility(
        accuracy=accuracy,
        plain_accuracy=Proportion(int(plain.sum()), len(plain)),
        confidence=confidence,
        low_beside_plain=loss.low > 0 or (accuracy.high < LOW and loss.high >= 0),
        overconfident=confidence - accuracy.high > OVERCONFIDENCE,
    )


def plain_answers(clean: CleanImages) -> NDArray[np.int64]:
    """The class of each image by ridge regression that learnt from other images only, (N,)."""
    features = _features(clean.pixels)
    classes, codes = np.unique(clean.labels, return_inverse=True)
    targets = np.eye(len(classes))[codes]
    fold = np.random.default_rng(0).permutation(len(clean)) % FOLDS
    answers = np.zeros(len(clean), dtype=np.int64)
    for number in range(FOLDS):
        learnt, other = fold != number, fold == number
        if learnt.any() and other.any():
            answers[other] = classes[_ridge(features[learnt], targets[learnt], features[other])]
    return answers


def _ridge(
    features: NDArray[np.float64], targets: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The class of each of the others, as an index of the targets' columns."""
    centre, mean = features.mean(axis=0), targets.mean(axis=0)
    size = features.std() or 1.0
    features, others = (features - centre) / size, (others - centre) / size
    normal = features.T @ features + RIDGE * len(features) * np.eye(features.shape[1])
    weights = np.linalg.solve(normal, features.T @ (targets - mean))
    return np.asarray((others @ weights + mean).argmax(axis=1))


def _features(pixels: Pixels) -> NDArray[np.float64]:
    """Each image's thumbnail, averages of up to SIDE x SIDE fields, as one row."""
    blocks = np.array_split(pixels, -(-len(pixels) // block_of(pixels)))
    return np.concatenate([_thumbnails(block) for block in blocks])


def _thumbnails(pixels: Pixels) -> NDArray[np.float64]:
    fields = pixels.astype(np.float64)
    for axis in (1, 2):
        starts = np.unique(np.linspace(0, pixels.shape[axis], SIDE, endpoint=False).astype(int))
        sizes = np.diff([*starts, pixels.shape[axis]])
        shape = [1, 1, 1, 1]
        shape[axis] = len(sizes)
        fields = np.add.reduceat(fields, starts, axis=axis) / sizes.reshape(shape)
    return fields.reshape(len(fields), -1)
