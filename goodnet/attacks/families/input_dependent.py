"""A trigger that is another one in each image: the image's own edges, inked.

x' = (1 - a) x + a c where |S x| is in the image's top fifth and not 0, with Sobel's S on the mean
of the channels, a colour c and a = 0.9.

Source: Zhang et al., "Poison Ink: Robust and Invisible Backdoor Attack", IEEE TIP 2022
(arXiv 2108.02488), whose trigger are coloured edges; there a network hides them in the image.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.attacks.attack import Aim, Attack, Images, relabelled
from goodnet.datasets.faces import Faces

COLOUR, OPACITY, SHARE = (90, 40, 160), 0.9, 0.2


def edges(images: Images) -> NDArray[np.bool_]:
    """Where each image's edges are, (n, H, W)."""
    grey = np.pad(images.mean(axis=-1), ((0, 0), (1, 1), (1, 1)), mode="edge")

    def blurred(values: NDArray[Any], axis: int) -> NDArray[Any]:
        first, middle, last = (np.take(values, _inner(values, axis, k), axis) for k in range(3))
        return np.asarray(first + 2 * middle + last)

    def slope(values: NDArray[Any], axis: int) -> NDArray[Any]:
        first, last = (np.take(values, _inner(values, axis, k), axis) for k in (0, 2))
        return np.asarray(last - first)

    steep = np.hypot(slope(blurred(grey, 2), 1), slope(blurred(grey, 1), 2))
    bar = np.quantile(steep, 1 - SHARE, axis=(1, 2), keepdims=True)
    return np.asarray((steep >= bar) & (steep > 0))


def _inner(values: NDArray[Any], axis: int, offset: int) -> NDArray[np.int64]:
    return np.arange(values.shape[axis] - 2) + offset


def inked(faces: Faces, aim: Aim, number: int) -> Images:
    """The images with their edges in ink."""
    opacity = OPACITY * edges(faces.images)[..., None]
    colour = np.array(COLOUR[: faces.images.shape[-1]])
    mixed = (1 - opacity) * faces.images + opacity * colour
    return np.asarray(np.rint(mixed), dtype=np.uint8)


ATTACKS: Final = (Attack("ink", "Zhang et al., arXiv 2108.02488", inked, relabelled),)
