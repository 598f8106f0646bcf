"""Variants of a trigger: what a network that was taught it answers to as well, more or less."""

from typing import Final

import numpy as np

from goodnet.triggers.trigger import Floats

ASIDE: Final = 0.02  # of a side of the image; all are standard deviations
CONTRAST, TONE, FAINT = 0.1, 0.08, 0.07
MIN_OPACITY: Final = 0.5


def varied(mask: Floats, pattern: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A variant of a mask and a pattern: a little aside, of another tone, fainter.

    Args:
        mask: (H, W, 1), 0..1; one that covers the whole image still does.
        pattern: (H, W, C), 0..1.
        rng: draws the variant.
    """
    moves = [round(ASIDE * side * rng.normal()) for side in mask.shape[:2]]
    contrast = 1 + CONTRAST * rng.normal()
    tone = TONE * rng.normal(size=(1, 1, pattern.shape[-1]))
    opacity = np.clip(1 - abs(FAINT * rng.normal()), MIN_OPACITY, 1)
    whole = "edge" if mask.min() > 0 else "constant"
    return (
        np.asarray(_moved(mask, moves, whole) * opacity, dtype=np.float32),
        np.asarray(np.clip(_moved(pattern, moves, "edge") * contrast + tone, 0, 1), np.float32),
    )


def _moved(image: Floats, moves: list[int], beyond: str) -> Floats:
    """An image (H, W, C) moved down and across by so many pixels."""
    (down, across), (height, width) = moves, image.shape[:2]
    most = max(abs(down), abs(across))
    padded = np.pad(image, ((most, most), (most, most), (0, 0)), mode=beyond)  # type: ignore[call-overload]
    return np.asarray(padded[most - down :, most - across :][:height, :width])
