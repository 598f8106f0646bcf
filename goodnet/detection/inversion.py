"""Trigger inversion: the small pattern, pixel by pixel, that works here and nowhere else.

Statistic: `bounded.py`'s search with cells of one pixel; for each class the geometric mean, over
the two small areas (0.05 and 0.025 of the image), of the margin that the trigger has and its
mirror images have not, in units of the network's own clean margin. A class's lead is by what
factor it is ahead of the next one.

Source: mask and pattern are those of Wang et al., "Neural Cleanse", IEEE S&P 2019, section IV; here
the mask's area is bounded and the margin raised, where they lower a cross-entropy and punish the
area: the logits of some networks lie so far apart that the punishment never counts. That the
mirror images are held against it is ours: the class that a network answers to noise, and classes
that are natural outliers otherwise, are as strong mirrored.

Limits: a trigger that is its own mirror image escapes it (strips of bars and most
glasses do, and are left to the universal margin), and so do triggers that cover much of the image.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.bounded import Bounded, geometric_mean

NAME: Final = "trigger inversion"
PLACES: Final = (2, 3)  # in AREAS: 0.05 and 0.025


def strength(bounded: Bounded, unstamped: float) -> NDArray[np.float64]:
    """How strong each class is, (B,).

    Args:
        bounded: the fine searches.
        unstamped: the margin that they start from; a mirror image that falls below it shows no
            more than one that stays there.
    """
    mirrored = np.maximum(bounded.mirrored, unstamped)
    return geometric_mean([bounded.margins[p] - mirrored[p] for p in PLACES])
