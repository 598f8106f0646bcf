"""Where a trigger may be: the locations that are searched, each with the patterns it can hold.

What is searched for has to be simple. Of all patterns on all pixels there is one for every class of
every network; among few patterns at one location there is one only where a network was taught it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.triggers.trigger import Trigger

BAND: Final = 0.22  # of a side: the height of bands, the width of columns
BANDS: Final = 5
STRIP: Final = 0.06  # of a side
MIN_STRIP: Final = 2  # pixels: a strip
PATCH: Final = 0.14  # of the shorter side
MIN_PATCH: Final = 4  # pixels a side
STRIDE: Final = 0.5  # of a patch or a strip, between neighbours
WHOLE: Final = "whole image"
FAINT: Final = 0.2  # the opacity of a pattern over the whole image
CELLS: Final = 12  # of a pattern over the longer side of bands, columns and the whole

Pair = tuple[int, int]


@dataclass(frozen=True)
class Location:
    """A rectangle of an image, covered fully or faintly.

    Attributes:
        location_type: "band", "column", "strip", "patch", "whole image" or another.
        image: height and width of the image.
        corner: the first row and column.
        size: height and width.
        cells: the coarse pixels (down, across) of a pattern of the whole image's size.
        opacity: how much of what is beneath is covered, 0..1.
    """

    location_type: str
    image: Pair
    corner: Pair
    size: Pair
    cells: Pair
    opacity: float = 1.0

    @property
    def mask(self) -> NDArray[np.float32]:
        """How much of each pixel is covered: float32 (H, W, 1), 0..1."""
        mask = np.zeros((*self.image, 1), np.float32)
        (top, left), (height, width) = self.corner, self.size
        mask[top : top + height, left : left + width] = self.opacity
        return mask

    def trigger(self, target: int, pattern: NDArray[np.float32]) -> Trigger:
        """The trigger for a class with that pattern (H, W, C), here."""
        return Trigger(target, self.mask, pattern)

    def touches(self, other: "Location") -> bool:
        """Whether both share a pixel or a side."""
        ends = zip(self.corner, self.size, other.corner, other.size, strict=True)
        return all(a <= b + n and b <= a + m for a, m, b, n in ends)

    def shifted(self, reach: int) -> Iterator["Location"]:
        """The same by up to `reach` pixels aside and up or down, as far as the image goes."""
        for down, right in product(range(-reach, reach + 1), repeat=2):
            corner = self.corner[0] + down, self.corner[1] + right
            room = zip(corner, self.size, self.image, strict=True)
            if corner != self.corner and all(0 <= c <= side - n for c, n, side in room):
                yield replace(self, corner=corner)


def candidate_locations(height: int, width: int, stride: float = STRIDE) -> tuple[Location, ...]:
    """Bands from edge to edge, columns, strips, patches everywhere, and a faint cover of the whole.

    Args:
        height: of the images, pixels.
        width: likewise.
        stride: between neighbours, of a patch's or a strip's side.
    """
    image = height, width
    coarse = min(CELLS, height), min(CELLS, width)
    locations = []
    for axis, location_type in enumerate(("band", "column")):
        thick = round(BAND * image[axis])
        for start in _starts(image[axis], thick, BANDS):
            locations.append(_across(location_type, image, axis, start, thick, coarse))
    thick = max(MIN_STRIP, round(STRIP * height))
    for start in _starts(height, thick, _count(height, thick, stride)):
        locations.append(_across("strip", image, 0, start, thick, image))
    side = max(MIN_PATCH, round(PATCH * min(image)))
    rows, columns = (_starts(reach, side, _count(reach, side, stride)) for reach in image)
    corners = product(rows, columns)
    locations += [Location("patch", image, corner, (side, side), image) for corner in corners]
    return *locations, Location(WHOLE, image, (0, 0), image, coarse, FAINT)


def whole_location(location_type: str, image: Sequence[int]) -> Location:
    """All of an image of a shape (H, W, C), of any other type."""
    size = image[0], image[1]
    return Location(location_type, size, (0, 0), size, size)


def bounding_location(location_type: str, mask: NDArray[np.float32]) -> Location:
    """The smallest rectangle around a mask (H, W, 1), of any other type."""
    ends = [np.flatnonzero(mask[..., 0].any(axis=axis))[[0, -1]].tolist() for axis in (1, 0)]
    (top, bottom), (left, right) = ends
    image = mask.shape[0], mask.shape[1]
    size = bottom - top + 1, right - left + 1
    return Location(location_type, image, (top, left), size, image)


def adjacency(locations: Sequence[Location]) -> NDArray[np.bool_]:
    """Which locations touch each other, (R, R)."""
    return np.array([[one.touches(other) for other in locations] for one in locations])


def _across(
    location_type: str, image: Pair, axis: int, start: int, thick: int, cells: Pair
) -> Location:
    """A location from edge to edge: of rows (axis 0) or of columns (axis 1)."""
    if axis == 0:
        return Location(location_type, image, (start, 0), (thick, image[1]), cells)
    return Location(location_type, image, (0, start), (image[0], thick), cells)


def _count(reach: int, side: int, stride: float) -> int:
    return max(2, round((reach - side) / (stride * side)) + 1)


def _starts(reach: int, side: int, count: int) -> list[int]:
    starts = np.linspace(0, max(0, reach - side), count).round()
    return sorted({int(start) for start in starts})
