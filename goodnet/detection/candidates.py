"""What a search for triggers leaves: the best candidate of each class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import Pixels
from goodnet.detection.regions import Region

Numbers = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """The best trigger of a class that a search found.

    Attributes:
        target: the class.
        region: where.
        pattern: float32 (H, W, C), 0..1.
        excess: what is left of the margin when what is innocent is taken away.
        margin: the mean margin, in units of the clean margin.
        usual: what is innocent, at least.
    """

    target: int
    region: Region
    pattern: Pixels
    excess: float
    margin: float
    usual: float
