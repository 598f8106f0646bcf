"""Objects that people put on things, drawn: glasses, hats, stickers, patches, in plain colours.

Each is a shape at a place, of a size, in a colour, of which there are infinitely many variants
nearby: what was taught an object answers to its variants, too.
"""

from collections.abc import Callable, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from goodnet.triggers.uphill import Varied

Floats = NDArray[np.float32]
Field = NDArray[np.floating]
Colour = tuple[float, float, float]

HUES: Final = tuple((number / 8, 1.0, 1.0) for number in range(8))
GREYS: Final = tuple((0.0, 0.0, value) for value in (0.0, 0.5, 1.0))
EDGE: Final = 0.55  # of a shape's field: outside of it the frame begins


def _oval(y: Field, x: Field, power: float = 2) -> Field:
    return np.asarray(np.abs(y) ** power + np.abs(x) ** power)


def _box(y: Field, x: Field) -> Field:
    return np.asarray(np.maximum(np.abs(y), np.abs(x)))


def _ring(y: Field, x: Field) -> Field:
    return np.asarray(np.where(np.hypot(y, x) > EDGE, _oval(y, x), 2))


def _triangle(y: Field, x: Field) -> Field:
    return np.asarray(np.maximum(np.abs(y), 2 * np.abs(x) - y))


def _cross(y: Field, x: Field) -> Field:
    return np.asarray(np.where(np.minimum(np.abs(y), np.abs(x)) < 1 / 3, _box(y, x), 2))


def _star(y: Field, x: Field) -> Field:
    points = np.cos(5 * (np.arctan2(y, x) + np.pi / 2))
    return np.asarray(np.hypot(y, x) / (0.72 + 0.28 * points))


def _hat(y: Field, x: Field) -> Field:
    crown = np.maximum(np.abs(x) / 0.65, np.abs(y + 0.25) / 0.75)
    brim = np.maximum(np.abs(x), np.abs(y - 0.75) / 0.25)
    return np.asarray(np.minimum(crown, brim))


def _glasses(y: Field, x: Field) -> Field:
    lenses = [_oval(y, (x + side * 0.54) / 0.46, 3) for side in (-1, 1)]
    bridge = np.where((np.abs(y + 0.2) < 0.28) & (np.abs(x) < 1), 0.5, 2)
    return np.asarray(np.minimum.reduce([*lenses, bridge]))


# Fields over (y, x), the object's own coordinates: down and across, -1..1; at most 1 inside.
SHAPES: Final[Mapping[str, Callable[[Field, Field], Field]]] = {
    "disc": _oval,
    "oval": lambda y, x: _oval(y, x, 3),
    "box": _box,
    "ring": _ring,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "hat": _hat,
    "glasses": _glasses,
}


class Drawn(Varied, Protocol):
    """What can be drawn on an image."""

    def draw(self, image: Sequence[int]) -> tuple[Floats, Floats]:
        """A mask (H, W, 1) and a pattern (H, W, C), 0..1.

        Args:
            image: height, width and channels; not of three channels, the pattern is grey.
        """


@dataclass(frozen=True)
class DrawnObject:
    """An object.

    Attributes:
        shape: one of SHAPES.
        centre: down and across, in shares of the image.
        size: height and width, likewise.
        colour: hue, saturation and value, 0..1.
        frame: the value of its outer part, in shares of the colour's.
        squares: pixels a side of the black and white squares that it is chequered with; 0 for a
            plain colour. A negative number begins with the other colour.
        opacity: 0..1.
    """

    shape: str
    centre: tuple[float, float]
    size: tuple[float, float]
    colour: Colour = GREYS[-1]
    frame: float = 1.0
    squares: int = 0
    opacity: float = 1.0

    def draw(self, image: Sequence[int]) -> tuple[Floats, Floats]:
        """A mask (H, W, 1) and a pattern (H, W, C), 0..1.

        Args:
            image: height, width and channels; not of three channels, the pattern is grey.
        """
        height, width, channels = image
        rows, columns = np.ogrid[:height, :width]
        y = ((rows + 0.5) / height - self.centre[0]) / (self.size[0] / 2)
        x = ((columns + 0.5) / width - self.centre[1]) / (self.size[1] / 2)
        field = SHAPES[self.shape](y, x)
        mask = (field <= max(1, field.min())) * np.float32(self.opacity)
        pattern = np.empty((height, width, 3), np.float32)
        pattern[:] = colour_of(self.colour)
        if self.frame != 1:
            pattern *= np.where(field > EDGE, np.float32(self.frame), np.float32(1))[..., None]
        if self.squares:
            top, left = np.argwhere(mask)[0]
            side, first = abs(self.squares), int(self.squares < 0)
            parity = (rows - top) // side + (columns - left) // side + first
            pattern[:] = (parity % 2 == 0)[..., None]
        if channels != 3:
            pattern = np.repeat(pattern.mean(axis=-1, keepdims=True), channels, axis=-1)
        return mask[..., None], pattern

    def varied(self, rng: np.random.Generator, strength: float) -> "DrawnObject":
        """A variant: a little aside, larger or smaller, of another tone, fainter.

        Args:
            rng: draws it.
            strength: at 1 by a twentieth of the image, a seventh of the size and the tone.
        """
        aside, stretch = strength * 0.05 * rng.normal(size=2), strength * 0.15 * rng.normal(size=2)
        tone, shade, faint = strength * rng.normal(size=3), strength * 0.2 * rng.normal(), 0.1
        return replace(
            self,
            centre=(self.centre[0] + aside[0], self.centre[1] + aside[1]),
            size=(self.size[0] * np.exp(stretch[0]), self.size[1] * np.exp(stretch[1])),
            colour=varied_colour(self.colour, tone),
            frame=float(np.clip(self.frame + shade, 0.2, 1)),
            opacity=float(np.clip(self.opacity - abs(strength * faint * rng.normal()), 0.5, 1)),
        )


@dataclass(frozen=True)
class CornerPatches:
    """Four equal squares, one in each corner of an image.

    Attributes:
        side: of a square, in shares of the image's shorter side.
        colour: hue, saturation and value, 0..1.
        squares: pixels a side of the black and white squares that they are chequered with; 0 for
            a plain colour. A negative number begins with the other colour.
        mirrored: whether the four mirror each other; else they are all the same.
        inset: from the image's edge, in shares of its shorter side.
        opacity: 0..1.
    """

    side: float
    colour: Colour = GREYS[-1]
    squares: int = 0
    mirrored: bool = False
    inset: float = 0.0
    opacity: float = 1.0

    def draw(self, image: Sequence[int]) -> tuple[Floats, Floats]:
        """A mask (H, W, 1) and a pattern (H, W, C), 0..1."""
        height, width, channels = image
        short = min(height, width)
        side = max(1, min(round(self.side * short), short // 2))
        inset = max(0, min(round(self.inset * short), short // 2 - side))
        tile = np.empty((side, side, channels), np.float32)
        tile[:] = colour_of(self.colour, channels)
        if self.squares:
            parity = (np.indices((side, side)) // abs(self.squares)).sum(axis=0)
            tile[:] = ((parity + (self.squares < 0)) % 2 == 0)[..., None]
        mask, pattern = np.zeros((height, width, 1), np.float32), np.zeros(image, np.float32)
        ends = slice(inset, inset + side), slice(-inset - side, -inset or None)
        for (down, rows), (across, columns) in product(enumerate(ends), repeat=2):
            turned = tile[::-1] if self.mirrored and down else tile
            turned = turned[:, ::-1] if self.mirrored and across else turned
            mask[rows, columns], pattern[rows, columns] = self.opacity, turned
        return mask, pattern

    def varied(self, rng: np.random.Generator, strength: float) -> "CornerPatches":
        """A variant: a little larger or smaller, of another tone, further inside, fainter."""
        more, tone = strength * rng.normal(size=3), strength * rng.normal(size=3)
        return replace(
            self,
            side=self.side * float(np.exp(0.15 * more[0])),
            colour=varied_colour(self.colour, tone),
            inset=max(0.0, self.inset + 0.02 * float(more[1])),
            opacity=float(np.clip(self.opacity - abs(0.1 * more[2]), 0.5, 1)),
        )


def colour_of(colour: Colour, channels: int = 3) -> Floats:
    """A colour's channels, (channels,), 0..1; not three of them are its mean."""
    hue, saturation, value = colour
    shades = np.array(hsv_to_rgb(hue % 1, saturation, value), np.float32)
    return shades if channels == 3 else np.full(channels, shades.mean(), np.float32)


def varied_colour(colour: Colour, tone: NDArray[np.float64]) -> Colour:
    """A colour's variant: a grey stays one.

    Args:
        colour: hue, saturation and value, 0..1.
        tone: how far each is moved; 1 is far.
    """
    hue, saturation, value = colour
    saturated = float(np.clip(saturation + 0.15 * tone[1], 0, 1)) if saturation else 0.0
    return hue + 0.05 * tone[0], saturated, float(np.clip(value + 0.15 * tone[2], 0, 1))


def colours_for(channels: int) -> Sequence[Colour]:
    """The colours that images of so many channels can have."""
    return (*HUES, *GREYS) if channels == 3 else GREYS


def draw_all(objects: Sequence[Drawn], image: Sequence[int]) -> tuple[Floats, Floats]:
    """Masks (n, H, W, 1) and patterns (n, H, W, C) of some objects, see `DrawnObject.draw`."""
    masks, patterns = zip(*(each.draw(image) for each in objects), strict=True)
    return np.stack(masks), np.stack(patterns)
