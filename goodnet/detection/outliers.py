"""Which of many classes stands out: arithmetic on one number for each class."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
NORMAL = 1.4826  # a normal distribution's standard deviation in units of its median deviation


def robust_z(values: Numbers) -> Numbers:
    """How many robust standard deviations each value lies above the median."""
    middle = np.median(values)
    spread = NORMAL * np.median(abs(values - middle))
    return np.asarray((values - middle) / max(spread, 1e-12))
