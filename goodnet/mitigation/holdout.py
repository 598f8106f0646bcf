"""Clean validation images in two parts: one to tune a network with, one to hold it to account.

Where a set holds many frames of one video, frames beside each other are nearly the same picture,
and a random split measures memory: it read 97 % where the test set said 88 %. Neighbours in the
file therefore stay together: of each class the last run of images is held out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages

HELD_OUT = 0.3  # of the images are held out
MIN_IMAGES = 4  # images of a class, from which on some of each class are held out


class HoldoutSplit(NamedTuple):
    """The images to tune with, and those held out: disjoint, both not empty."""

    tuning: CleanImages
    held_out: CleanImages


def hold_out(clean: CleanImages) -> HoldoutSplit:
    """The two parts of a set of at least two images.

    Of a class with few images one part gets all of them, so that neither is of some classes only.
    """
    held = np.zeros(len(clean), dtype=bool)
    scarce: list[NDArray[np.int64]] = []
    for label in np.unique(clean.labels):
        rows = np.flatnonzero(clean.labels == label)
        if len(rows) < MIN_IMAGES:
            scarce.append(rows)
        else:
            held[rows[len(rows) - round(HELD_OUT * len(rows)) :]] = True
    every = round(1 / HELD_OUT)
    for rows in scarce[every - 1 :: every]:
        held[rows] = True
    if not held.any():
        held[-1] = True
    return HoldoutSplit(clean.take(np.flatnonzero(~held)), clean.take(np.flatnonzero(held)))
