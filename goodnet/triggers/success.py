"""What a trigger does to a network, measured on clean images."""

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages
from goodnet.metrics import Proportion
from goodnet.network.classifier import Classifier
from goodnet.triggers.trigger import Trigger


def success(
    scorer: Classifier,
    clean: CleanImages,
    target: int,
    mask: NDArray[np.float32],
    pattern: NDArray[np.float32],
) -> Proportion:
    """The share of clean images of other classes that a trigger takes to its target."""
    return measured(scorer, clean, target, mask, pattern, 1.0).success


def measured(
    scorer: Classifier,
    clean: CleanImages,
    target: int,
    mask: NDArray[np.float32],
    pattern: NDArray[np.float32],
    unit: float,
) -> Trigger:
    """A trigger with its success and margin on these clean images of other classes."""
    others = clean.take(clean.labels != target) if (clean.labels != target).any() else clean
    bare = Trigger(target, mask, pattern, Proportion(0, 1), 0.0)
    logits = scorer.all_logits(bare.stamp(others.pixels))
    margins = logits[:, target] - np.delete(logits, target, axis=1).max(axis=1)
    success = Proportion(int((margins > 0).sum()), len(margins))
    return Trigger(target, mask, pattern, success, float(margins.mean() / unit))
