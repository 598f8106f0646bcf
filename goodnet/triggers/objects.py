"""Objects that people put on things, drawn: glasses, hats, stickers, patches, in plain colours.

Each is a shape at a place, of a size, in a colour, of which there are infinitely many variants
nearby: what was taught an object answers to its variants, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Final, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Field = NDArray[np.floating]
Colour = tuple[float, float, float]
Style = tuple[Colour, float]  # a colour and a frame

HUES: Final = tuple((number / 8, 1.0, 1.0) for number in range(8))
GREYS: Final = tuple((0.0, 0.0, value) for value in (0.0, 0.5, 1.0))
EDGE: Final = 0.55  # of a shape's field: outside of it the frame begins
FRAME: Final = 0.4  # of its colour's value, a frame
ROUNDS: Final = 6  # uphill
STRENGTHS: Final = (1, 0.5, 0.25, 0.12)  # of a round's variants, EACH of each
EACH: Final = 3
SMALL: Final = 0.04  # of an image a small patch covers: larger ones hide what it shows


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


class Varied(Protocol):
    """What has infinitely many variants nearby."""

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """A variant: a little of everything else.

        Args:
            rng: draws it.
            strength: how much; 1 is much.
        """


Thing = TypeVar("Thing", bound=Varied)


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
        rows, columns = np.mgrid[:height, :width]
        y = ((rows + 0.5) / height - self.centre[0]) / (self.size[0] / 2)
        x = ((columns + 0.5) / width - self.centre[1]) / (self.size[1] / 2)
        field = SHAPES[self.shape](y, x)
        mask = (field <= max(1, field.min())) * np.float32(self.opacity)
        pattern = np.empty((height, width, 3), np.float32)
        pattern[:] = colour_of(self.colour)
        pattern[field > EDGE] *= self.frame
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


def draw_all(objects: Sequence[Drawn], image: Sequence[int]) -> tuple[Floats, Floats]:
    """Masks (n, H, W, 1) and patterns (n, H, W, C) of some objects, see `DrawnObject.draw`."""
    masks, patterns = zip(*(each.draw(image) for each in objects), strict=True)
    return np.stack(masks), np.stack(patterns)


def move_uphill(
    best: Thing,
    height_of: Callable[[Sequence[Thing]], NDArray[np.float64]],
    rng: np.random.Generator,
) -> Thing:
    """The object moved to where something is larger, by chance: a variant that is better, or it.

    Args:
        best: the object to begin with.
        height_of: objects -> how large it is for each.
        rng: draws the variants.
    """
    (reached,) = height_of([best])
    for _ in range(ROUNDS):
        variants = [best.varied(rng, strength) for strength in STRENGTHS for _ in range(EACH)]
        heights = height_of(variants)
        if heights.max() > reached:
            best, reached = variants[int(heights.argmax())], heights.max()
    return best


def drawn_objects(image: Sequence[int]) -> dict[str, Sequence[Drawn]]:
    """The objects that are tried, by family.

    Args:
        image: height, width and channels.
    """
    height, width, channels = image
    colours = colours_for(channels)
    frames = product(colours, (1.0, FRAME))
    styles = [(colour, frame) for colour, frame in frames if colour[2] or frame == 1]
    return {
        "glasses": list(_worn_glasses(styles)),
        "stickers": list(_stickers(height, width, styles)),
        "clothing": list(_clothing(styles, colours)),
        "patches": list(_patches(height, width, colours)),
        "corners": list(_corners(height, width, colours)),
    }


def small_patches(image: Sequence[int], every: int = 1) -> list[DrawnObject]:
    """The patches that are small, of every n-th one.

    Args:
        image: height, width and channels.
        every: n.
    """
    height, width, channels = image
    patches = list(_patches(height, width, colours_for(channels)))
    return [each for each in patches[::every] if prod(each.size) <= SMALL]


def colours_for(channels: int) -> Sequence[Colour]:
    """The colours that images of so many channels can have."""
    return (*HUES, *GREYS) if channels == 3 else GREYS


def _worn_glasses(styles: Sequence[Style]) -> Iterator[DrawnObject]:
    """Over the eyes of a face that fills the image."""
    places = product((0.34, 0.42, 0.5), (0.78, 0.98), (0.2, 0.28, 0.36))
    for (row, width, height), style in product(places, styles):
        yield DrawnObject("glasses", (row, 0.5), (height, width), *style)


def _stickers(height: int, width: int, styles: Sequence[Style]) -> Iterator[DrawnObject]:
    """At nine places, of two sizes, with a frame and without."""
    side = min(height, width)
    for share in (0.22, 0.4):
        size = share * side / height, share * side / width
        places = product(*(np.linspace(part / 2, 1 - part / 2, 3).tolist() for part in size))
        shapes = ("disc", "ring", "triangle", "cross", "star")
        for place, shape, style in product(places, shapes, styles):
            yield DrawnObject(shape, place, size, *style)


def _clothing(styles: Sequence[Style], colours: Sequence[Colour]) -> Iterator[DrawnObject]:
    """Hats, masks over mouth and chin, and bands from edge to edge."""
    for row, width, style in product((0.12, 0.2), (0.6, 0.9), styles):
        yield DrawnObject("hat", (row, 0.5), (0.25, width), *style)
    for row, width, style in product((0.7, 0.8), (0.5, 0.8), styles):
        yield DrawnObject("oval", (row, 0.5), (0.36, width), *style)
    for place, colour in product(np.linspace(0.1, 0.9, 5).tolist(), colours):
        yield DrawnObject("box", (place, 0.5), (0.22, 1.1), colour)
        yield DrawnObject("box", (0.5, place), (1.1, 0.22), colour)


def _patches(height: int, width: int, colours: Sequence[Colour]) -> Iterator[DrawnObject]:
    """Small squares at 36 places, of three sizes, plain or chequered."""
    for share in (0.095, 0.16, 0.25):
        side = max(2, round(share * min(height, width)))
        size = side / height, side / width
        for place in product(*(np.linspace(p / 2, 1 - p / 2, 6).tolist() for p in size)):
            for colour in colours:
                yield DrawnObject("box", place, size, colour)
            for squares in (1, -1, 2, -2):
                yield DrawnObject("box", place, size, squares=squares)


def _corners(height: int, width: int, colours: Sequence[Colour]) -> Iterator[CornerPatches]:
    """Squares in all four corners, of four sizes, plain or chequered.

    The label-consistent attack's, Turner et al., arXiv 1912.02771.
    """
    short = min(height, width)
    for pixels in sorted({max(2, round(share * short)) for share in (0.0625, 0.095, 0.125, 0.16)}):
        side = pixels / short
        for colour in colours:
            yield CornerPatches(side, colour)
        for squares, mirrored in product((1, -1, 2, -2), (False, True)):
            symmetric = abs(squares) == 1 and pixels % 2
            if abs(squares) < pixels and not (mirrored and symmetric):
                yield CornerPatches(side, squares=squares, mirrored=mirrored)
