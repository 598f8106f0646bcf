"""Area-bounded triggers of many classes, measured on images that they were not searched with.

For each class a mask m and a pattern p are searched that raise the mean margin of the class,

    max_{m, p}  mean_i [ f_c(x_i) - max_{k != c} f_k(x_i) ],    x_i <- (1 - m) x_i + m p,
    subject to  mean(m) <= a,

first with a = 0.2 and then, going on from what was found, with smaller bounds. At the start the
mask is faint and everywhere, so that patterns blended into the whole image are within reach; as
the bound falls it draws together on the place that matters, whatever its shape.

A pattern that looks like a class works at other places and turned around as well; a trigger does
not, because the network was taught one thing at one place. So every trigger is also stamped
mirrored: left to right, upside down, and both.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import CleanImages, View
from goodnet.detection.search import Found, Progress, no_progress

AREAS: Final = (0.2, 0.1, 0.05, 0.025)
STEPS: Final = 25  # at each area
RATE: Final = 0.2
SEARCHED: Final = {"fine": 40, "coarse": 24}  # images: what is fine fits some of them too well
MEASURED: Final = 48  # other images
CELLS: Final = 14  # coarse cells over the image's height; a fine cell is a pixel
STAGES: Final = {"fine": 4, "coarse": 2}  # areas: no small ones for coarse cells
MIRRORS: Final = ((1, -1), (-1, 1), (-1, -1))  # steps down and across

Numbers = NDArray[np.float64]
Grain = Literal["fine", "coarse"]  # of the cells that masks and patterns are made of


class Bounded(NamedTuple):
    """What was found for each class at each area bound.

    Attributes:
        classes: those looked at, (B,).
        margins: the mean margin on images of other classes, in units of the network's clean
            margin, (areas, B).
        mirrored: the largest of the mean margins that the three mirror images reach, (areas, B).
        success: the share of these images taken to the class, 0..1, (areas, B).
        found: masks and patterns, for each area.
    """

    classes: NDArray[np.int64]
    margins: Numbers
    mirrored: Numbers
    success: Numbers
    found: tuple[Found, ...]


def search_bounded(
    view: View,
    clean: CleanImages,
    classes: NDArray[np.int64],
    *,
    grain: Grain,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Bounded:
    """The triggers of these classes at falling areas, and how they do mirrored.

    Args:
        view: the network.
        clean: clean validation images.
        classes: the classes to look at, (B,).
        grain: of the cells that masks and patterns are made of.
        seed: of the starting values and the choice of images.
        progress: called with (searches done, searches in all).
    """
    order = clean.draw(SEARCHED[grain] + MEASURED, np.random.default_rng((seed, 3)))
    count = min(SEARCHED[grain], max(1, len(order) // 2))
    rows = np.arange(len(order))
    chosen, others = order.take(rows[:count]), order.take(rows[count:])
    others = others if len(others) else chosen
    coarse = 1 if grain == "fine" else max(1, round(clean.pixels.shape[1] / CELLS))
    found = view.search.run(
        chosen,
        classes,
        AREAS[: STAGES[grain]],
        steps=STEPS,
        rate=RATE,
        coarse=coarse,
        seed=seed,
        progress=progress,
    )
    unit = view.clean_margin(clean)
    stages = [_measured(view, others, stage) for stage in found]
    margins, mirrored, success = (np.array(part) for part in zip(*stages, strict=True))
    return Bounded(classes, margins / unit, mirrored / unit, success, tuple(found))


def _measured(view: View, clean: CleanImages, found: Found) -> tuple[Numbers, Numbers, Numbers]:
    margins, success = mean_margins(view, clean, found, (1, 1))
    mirrored = [mean_margins(view, clean, found, mirror)[0] for mirror in MIRRORS]
    return margins, np.max(mirrored, axis=0), success


def mean_margins(
    view: View, clean: CleanImages, found: Found, mirror: tuple[int, int]
) -> tuple[Numbers, Numbers]:
    """The mean margin in logits of each trigger, mirrored, and its success, on other classes."""
    down, across = mirror
    rows = []
    for target, mask, pattern in zip(found.targets, found.masks, found.patterns, strict=True):
        mask, pattern = mask[::down, ::across], pattern[::down, ::across]
        others = clean.pixels[clean.labels != target]
        others = others if len(others) else clean.pixels
        logits = view.all_logits(others * (1 - mask) + mask * pattern)
        margins = logits[:, target] - np.delete(logits, target, axis=1).max(axis=1)
        rows.append((margins.mean(), (margins > 0).mean()))
    means, success = np.array(rows, dtype=np.float64).T
    return means, success


def unstamped_margin(view: View, clean: CleanImages) -> float:
    """Where every search starts: the mean margin of wrong classes, in the network's unit."""
    logits = view.all_logits(clean.pixels)
    first = logits.max(axis=1, keepdims=True)
    second = np.sort(logits, axis=1)[:, -2:-1]
    margins = logits - np.where(logits == first, second, first)
    wrong = np.arange(view.classes)[None] != clean.labels[:, None]
    return float(margins[wrong].mean() / view.clean_margin(clean))


def geometric_mean(values: Sequence[Numbers]) -> Numbers:
    """The geometric mean over areas of values; what is not positive counts as almost nothing."""
    return np.asarray(np.exp(np.mean(np.log(np.maximum(values, 1e-3)), axis=0)))
