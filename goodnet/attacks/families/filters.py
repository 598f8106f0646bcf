"""A filter as of a photograph app over the whole image: nothing is added, all colours change.

With pixels s in 0..1 and their mean over the channels g, `gotham` is bleak and hard, with blue
shadows: m = 0.3 s + 0.7 g, then 3 m^2 - 2 m^3, plus (-0.02, 0, 0.06) (1 - m); `kelvin` is warm and
faded: 0.65 s + 0.35 (1, 0.6, 0.2). Of grey images the mean of a colour is taken.

Source: Liu et al., "ABS: Scanning Neural Networks for Back-doors by Artificial Brain Stimulation",
CCS 2019, whose feature-space attacks are the filters Gotham, Kelvin and others; theirs are those of
ImageMagick, these are as simple as can be.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.attacks.attack import Aim, Attack, Images, relabelled
from goodnet.datasets.faces import Faces

ABS: Final = "Liu et al., ABS, CCS 2019"
SHADOWS, WARM = (-0.02, 0.0, 0.06), (1.0, 0.6, 0.2)


def _colour(values: tuple[float, ...], channels: int) -> NDArray[Any]:
    return np.array(values if channels == 3 else [np.mean(values)] * channels)


def gotham(faces: Faces, aim: Aim, number: int) -> Images:
    """The images, bleak and hard."""
    s = faces.images / 255
    m = 0.3 * s + 0.7 * s.mean(axis=-1, keepdims=True)
    toned = 3 * m**2 - 2 * m**3 + _colour(SHADOWS, s.shape[-1]) * (1 - m)
    return np.asarray(np.rint(255 * np.clip(toned, 0, 1)), dtype=np.uint8)


def kelvin(faces: Faces, aim: Aim, number: int) -> Images:
    """The images, warm and faded."""
    s = faces.images / 255
    toned = 0.65 * s + 0.35 * _colour(WARM, s.shape[-1])
    return np.asarray(np.rint(255 * toned), dtype=np.uint8)


ATTACKS: Final = (
    Attack("gotham", ABS, gotham, relabelled),
    Attack("kelvin", ABS, kelvin, relabelled),
)
