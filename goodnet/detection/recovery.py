"""Triggers recovered from a network, for a repair that unlearns them and for pictures."""

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import CleanImages, View
from goodnet.detection.trigger import Trigger
from goodnet.metrics import Share

AREAS = (0.2, 0.1, 0.05, 0.025)  # bounds of the mean of the mask
STEPS, RATE = 40, 0.2
IMAGES = 48  # searched with; the success is counted on others
WORKS = 0.9  # a trigger is recovered at the smallest area at which it is this successful


def recover_trigger(
    view: View,
    clean: CleanImages,
    target: int,
    *,
    areas: tuple[float, ...] = AREAS,
    coarse: int = 1,
    steps: int = STEPS,
    seed: int = 0,
) -> Trigger:
    """The smallest trigger for a class that works, or else the best that was found.

    The search starts with a faint pattern over the whole image and draws the mask together, see
    `universal_margin`. Of the clean images IMAGES are searched with, and the others (all, where
    there are none) say how well it works.

    Args:
        view: the network; repeated calls with other weights in it compile nothing again.
        clean: clean validation images, and nothing else.
        target: the class.
        areas: bounds of the mean of the mask, falling: the first bounds blended patterns.
        coarse: pixels a side of a cell that mask and pattern are made of: 1 finds any pattern,
            4 only patterns of patches.
        steps: Adam steps at each bound.
        seed: of the starting values and of the choice of images; another one, another trigger.
    """
    chosen, others = halves(clean, np.random.default_rng((seed, 1)))
    found = view.search.run(
        chosen, np.array([target]), areas, steps=steps, rate=RATE, coarse=coarse, seed=seed
    )
    unit = view.clean_margin(clean)
    triggers = [measured(view, others, target, s.masks[0], s.patterns[0], unit) for s in found]
    working = [trigger for trigger in triggers if trigger.success.value >= WORKS]
    return working[-1] if working else max(triggers, key=lambda t: (t.success.value, t.margin))


def halves(clean: CleanImages, rng: np.random.Generator) -> tuple[CleanImages, CleanImages]:
    """Images to search with, and others to measure on; where there are few, half each."""
    order = clean.draw(len(clean), rng)
    count = min(IMAGES, max(1, len(order) // 2))
    rows = np.arange(len(order))
    return order.take(rows[:count]), order.take(rows[count:] if len(order) > 1 else rows)


def measured(
    view: View,
    clean: CleanImages,
    target: int,
    mask: NDArray[np.float32],
    pattern: NDArray[np.float32],
    unit: float,
) -> Trigger:
    """A trigger with its success and margin on these clean images of other classes."""
    others = clean.take(clean.labels != target) if (clean.labels != target).any() else clean
    bare = Trigger(target, mask, pattern, Share(0, 1), 0.0)
    logits = view.all_logits(bare.stamp(others.pixels))
    margins = logits[:, target] - np.delete(logits, target, axis=1).max(axis=1)
    success = Share(int((margins > 0).sum()), len(margins))
    return Trigger(target, mask, pattern, success, float(margins.mean() / unit))
