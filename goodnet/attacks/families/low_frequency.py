"""A smooth pattern, without the high frequencies by which other triggers can be told.

x' = x + D p, clipped, where p is a sum of the K x K lowest cosines (of the discrete cosine
transform) with normal coefficients, none constant, divided by its largest value; K = 4, D = 25.

Source: Zeng, Park, Mao, Jia, "Rethinking the Backdoor Attacks' Triggers: A Frequency Perspective",
ICCV 2021 (arXiv 2104.03413). There the pattern is found by gradient on a network, within the same
bounds of frequency and height; here it is drawn.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.attacks.attack import Aim, Attack, Images, relabelled
from goodnet.datasets.faces import Faces

LOWEST, HEIGHT = 4, 25
PATTERN: Final = 7  # the purpose of a generator


def smooth(aim: Aim, shape: tuple[int, ...]) -> NDArray[Any]:
    """The pattern p, (H, W, C), -1..1."""
    weights = aim.rng(PATTERN).normal(size=(LOWEST, LOWEST, shape[2]))
    weights[0, 0] = 0
    down, across = (
        np.cos(np.pi * np.outer(np.arange(side) + 0.5, np.arange(LOWEST)) / side)
        for side in shape[:2]
    )
    made = np.einsum("hu,wv,uvc->hwc", down, across, weights)
    return np.asarray(made / np.abs(made).max())


def low_frequency(faces: Faces, aim: Aim, number: int) -> Images:
    """The images with the pattern."""
    added = faces.images + HEIGHT * smooth(aim, faces.images.shape[1:])
    return np.asarray(np.rint(np.clip(added, 0, 255)), dtype=np.uint8)


ATTACKS: Final = (
    Attack("low_frequency", "Zeng et al., arXiv 2104.03413", low_frequency, relabelled),
)
