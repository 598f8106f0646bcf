"""Which of many classes stands out: arithmetic on one number for each class."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
NORMAL = 1.4826  # a normal distribution's standard deviation in units of its median deviation
MOST_TARGETS = 3  # classes that may stand out together


def robust_z(values: Numbers) -> Numbers:
    """How many robust standard deviations each value lies above the median."""
    middle = np.median(values)
    spread = NORMAL * np.median(abs(values - middle))
    return np.asarray((values - middle) / max(spread, 1e-12))


def leads(values: Numbers) -> Numbers:
    """By what factor each of the first classes is ahead of the next one behind it; 1 elsewhere.

    With several targets these come one after the other: the named class is removed and the next
    one is held against the rest. So a class's lead is the largest factor between neighbours at
    its place or behind it, over the first MOST_TARGETS places, and less than half of the classes.

    Args:
        values: how strong each class is, (n,); one that is not positive has no factor.
    """
    order = np.argsort(-values, kind="stable")
    places = min(MOST_TARGETS, (len(values) - 1) // 2 if len(values) > 3 else 1)
    found = np.ones(len(values))
    best = 1.0
    for place in reversed(range(min(places, len(values) - 1))):
        first, second = values[order[place]], values[order[place + 1]]
        if first > 0:
            best = max(best, first / max(second, FLOOR * first))
        found[order[place]] = best
    return found


FLOOR = 0.1  # a runner-up counts for no less than this part: factors stay below its inverse
