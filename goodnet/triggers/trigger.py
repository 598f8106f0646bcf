"""A trigger: where an image is covered, with what, and for which class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodnet.metrics import Proportion

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Trigger:
    """A trigger recovered from a network by means of clean images.

    Attributes:
        target: the class it leads to.
        mask: float32 (H, W, 1), 0..1: how much of a pixel is covered.
        pattern: float32 (H, W, C), 0..1: what covers it.
        success: the share of clean images of other classes that it takes to the target, images
            that it was not searched with where there are any: an estimate of the ASR.
        margin: the mean margin of the target on them, in units of the network's clean margin.
    """

    target: int
    mask: Floats
    pattern: Floats
    success: Proportion
    margin: float

    @property
    def area(self) -> float:
        """The share of the image that it covers, 0..1: the mean of the mask."""
        return float(self.mask.mean())

    def stamp(self, images: NDArray[np.float32]) -> Floats:
        """The images (n, H, W, C), 0..1, with the trigger; new ones."""
        return np.asarray(images * (1 - self.mask) + self.mask * self.pattern, dtype=np.float32)
