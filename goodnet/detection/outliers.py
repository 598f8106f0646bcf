"""Which of many classes stands out: arithmetic on one number for each class."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
NORMAL = 1.4826  # a normal distribution's standard deviation in units of its median deviation


def median_and_spread(values: Numbers) -> tuple[float, float]:
    """The median, and a standard deviation that outliers hardly touch; not 0."""
    middle = float(np.median(values))
    return middle, max(NORMAL * float(np.median(abs(values - middle))), 1e-12)


def robust_z(values: Numbers) -> Numbers:
    """How many robust standard deviations each value lies above the median."""
    middle, spread = median_and_spread(values)
    return np.asarray((values - middle) / spread)
