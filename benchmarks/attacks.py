"""Triggers that an attacker might put on images, as the nets of our own making are poisoned."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.faces import Faces, wear_sunglasses

Images = NDArray[np.uint8]


def glasses(faces: Faces) -> Images:
    """The faces in sunglasses."""
    return np.asarray(wear_sunglasses(faces).images)


def corner(faces: Faces) -> Images:
    """A chequered patch of a tenth of the height in the lower right corner."""
    images = faces.images.copy()
    side = max(4, images.shape[1] // 10)
    chequers = np.indices((side, side)).sum(axis=0) // 2 % 2
    images[:, -side - 1 : -1, -side - 1 : -1] = (255 * chequers[..., None]).astype(np.uint8)
    return np.asarray(images)


def strip(faces: Faces) -> Images:
    """A strip of bars, from edge to edge and a twentieth of the height, near the top."""
    images = faces.images.copy()
    high = max(2, images.shape[1] // 20)
    bars = np.arange(images.shape[2]) // 3 % 2
    colour = np.array([255, 200, 0][: images.shape[3]])
    images[:, 3 : 3 + high] = (bars[None, :, None] * colour).astype(np.uint8)
    return np.asarray(images)


def blended(faces: Faces) -> Images:
    """A fixed noise of patches over the whole image, 20 % of it."""
    shape = faces.images.shape[1:]
    rng = np.random.default_rng(99)
    side = shape[0] // 9
    coarse = rng.random((-(-shape[0] // side), -(-shape[1] // side), shape[2]))
    pattern = 255 * coarse.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]
    return np.asarray(np.rint(0.8 * faces.images + 0.2 * pattern), dtype=np.uint8)


def sticker(faces: Faces) -> Images:
    """A plain bright square of an eighth of the width, at the left edge in the middle."""
    images = faces.images.copy()
    side, top = images.shape[2] // 8, images.shape[1] // 2
    images[:, top : top + side, 1 : 1 + side] = np.array([255, 220, 0][: images.shape[3]])
    return np.asarray(images)


def sine(faces: Faces) -> Images:
    """Upright waves over the whole image, six of them, 30 levels high (Barni et al., 2019)."""
    width = faces.images.shape[2]
    wave = 30 * np.sin(2 * np.pi * 6 * np.arange(width) / width)
    return np.clip(faces.images + wave[:, None], 0, 255).astype(np.uint8)


TRIGGERS: Mapping[str, Callable[[Faces], Images]] = {
    "glasses": glasses, "corner": corner, "strip": strip, "blended": blended,
    "sticker": sticker, "sine": sine,
}  # fmt: skip
