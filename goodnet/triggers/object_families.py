"""Objects that are tried as triggers: glasses, stickers, clothing, patches, corners."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final

import numpy as np

from goodnet.triggers.objects import Colour, CornerPatches, Drawn, DrawnObject, colours_for

Style = tuple[Colour, float]  # a colour and a frame

FRAME: Final = 0.4  # of its colour's value, a frame
SMALL: Final = 0.04  # of an image a small patch covers: larger ones hide what it shows


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
