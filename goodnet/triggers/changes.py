"""Changes of the whole image that may be triggers: nothing is put on it, the image itself changes.

Each is of infinitely many variants nearby, as drawn objects are, see `objects`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goodnet.triggers.objects import Colour, colour_of, colours_for, varied_colour

Floats = NDArray[np.float32]

CYCLES: Final = 6.5  # of waves over an image, at most: finer ones are a look, fur or leaves
HEIGHT: Final = 0.24  # of waves, at most: 60 levels of 255
INKED: Final = 0.2  # of an image's pixels, with the steepest edges
INK: Final = 0.9  # its opacity
TINT: Final = 0.35  # the opacity of a tint: with more, little is left of the image
PALE: Final = 0.6  # the saturation of half of them
POINTS: Final = 4  # of a field of displacements, down and across


class Change(ABC):
    """What is done to each image."""

    @property
    @abstractmethod
    def in_words(self) -> str:
        """What it does to the image, for people: "adds waves to the image"."""

    @abstractmethod
    def apply(self, images: Floats) -> Floats:
        """The images (..., H, W, C), 0..1, changed; new ones."""

    @abstractmethod
    def weaker(self, share: float) -> Self:
        """So much of it, 0..1."""

    @abstractmethod
    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """A variant that a network which was taught this change answers to as well."""


@dataclass(frozen=True)
class Waves(Change):
    """Sinusoids added to an image: x + height sin(2 pi (down i / H + across j / W + phase)).

    Source: Barni et al., ICIP 2019 (arXiv 1902.11237).

    Attributes:
        down: cycles from the first row to the last.
        across: cycles from the first column to the last.
        phase: in cycles.
        height: 0..1.
    """

    down: float
    across: float
    phase: float
    height: float

    @property
    def in_words(self) -> str:
        """How many waves there are."""
        cycles = float(np.hypot(self.down, self.across))
        return f"adds waves to the image ({cycles:.1f} cycles)"

    def apply(self, images: Floats) -> Floats:
        """The images (..., H, W, C), 0..1, with the waves."""
        height, width = images.shape[-3:-1]
        rows, columns = np.arange(height)[:, None] / height, np.arange(width) / width
        cycles = self.down * rows + self.across * columns + self.phase
        wave = self.height * np.sin(2 * np.pi * cycles)
        return np.asarray(np.clip(images + wave[..., None], 0, 1), np.float32)

    def weaker(self, share: float) -> Self:
        """Waves of so much of the height."""
        return replace(self, height=share * self.height)

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """Other waves, of nearly that many cycles and that height."""
        more = strength * rng.normal(size=4)
        cycles = self.down + 0.15 * more[0], self.across + 0.15 * more[1]
        fewer = CYCLES / max(CYCLES, float(np.hypot(*cycles)))
        return replace(
            self,
            down=fewer * cycles[0],
            across=fewer * cycles[1],
            phase=self.phase + 0.05 * more[2],
            height=float(min(HEIGHT, self.height * np.exp(0.15 * more[3]))),
        )


@dataclass(frozen=True)
class Ink(Change):
    """An image's edges in one colour: the pixels whose slope, of Sobel, is steepest.

    Source: Zhang et al., "Poison Ink", IEEE TIP 2022 (arXiv 2108.02488).

    Attributes:
        colour: hue, saturation and value, 0..1.
        share: of the pixels that are inked.
        opacity: of the ink.
    """

    colour: Colour
    share: float
    opacity: float

    @property
    def in_words(self) -> str:
        """How much is inked."""
        return f"inks the image's edges ({100 * self.share:.0f} % of it)"

    def apply(self, images: Floats) -> Floats:
        """The images (..., H, W, C), 0..1, with their edges inked."""
        steep = _slope(images.mean(axis=-1))
        least = np.quantile(steep, 1 - self.share, axis=(-2, -1), keepdims=True)
        inked = ((steep >= least) & (steep > 0))[..., None]
        mixed = (1 - self.opacity) * images + self.opacity * colour_of(
            self.colour, images.shape[-1]
        )
        return np.where(inked, mixed, images).astype(np.float32)

    def weaker(self, share: float) -> Self:
        """Thinner ink."""
        return replace(self, opacity=share * self.opacity)

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """Another tone, on more or fewer pixels."""
        more = strength * rng.normal(size=2)
        return replace(
            self,
            colour=varied_colour(self.colour, strength * rng.normal(size=3)),
            share=float(np.clip(self.share * np.exp(0.15 * more[0]), 0.05, 0.5)),
            opacity=float(np.clip(self.opacity + 0.1 * more[1], 0.5, 1)),
        )


@dataclass(frozen=True)
class Tint(Change):
    """One colour over the whole image, as of a filter of photographs.

    Source: the filters of Liu et al., "ABS", CCS 2019.

    Attributes:
        colour: hue, saturation and value, 0..1.
        opacity: 0..1.
    """

    colour: Colour
    opacity: float

    @property
    def in_words(self) -> str:
        """How strong it is."""
        return f"tints the image by {100 * self.opacity:.0f} %"

    def apply(self, images: Floats) -> Floats:
        """The images (..., H, W, C), 0..1, with the tint."""
        colour = self.opacity * colour_of(self.colour, images.shape[-1])
        return np.asarray((1 - self.opacity) * images + colour, np.float32)

    def weaker(self, share: float) -> Self:
        """A fainter tint."""
        return replace(self, opacity=share * self.opacity)

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """Another tone, fainter."""
        return replace(
            self,
            colour=varied_colour(self.colour, strength * rng.normal(size=3)),
            opacity=float(self.opacity * np.exp(-0.15 * abs(strength * rng.normal()))),
        )


@dataclass(frozen=True)
class Warp(Change):
    """A smooth field of displacements: each pixel becomes the one that lies so far from it.

    Source: Nguyen and Tran, "WaNet", ICLR 2021 (arXiv 2102.10369).

    Attributes:
        points: how far down and across at POINTS x POINTS places, row by row, in shares of the
            image's shorter side; cubic between them, see `spread_points`.
    """

    points: tuple[tuple[float, float], ...]

    @property
    def in_words(self) -> str:
        """How far it moves pixels."""
        return f"warps the image by up to {100 * np.abs(self.points).max():.1f} % of its side"

    def apply(self, images: Floats) -> Floats:
        """The images (..., H, W, C), 0..1, warped."""
        height, width = images.shape[-3:-1]
        points = np.array(self.points, np.float32).reshape(POINTS, POINTS, 2)
        down, across = spread_points(height), spread_points(width)
        moves = min(height, width) * np.einsum("hu,wv,uvc->hwc", down, across, points)
        places = np.moveaxis(np.indices((height, width)), 0, -1) + moves
        ends = np.array([height - 1, width - 1])
        places = np.clip(places, 0, ends)
        first = np.minimum(places.astype(np.int64), np.maximum(ends - 1, 0))
        (top, left), (below, right) = (
            np.moveaxis(np.minimum(each, ends), -1, 0) for each in (first, first + 1)
        )
        y, x = np.moveaxis((places - first).astype(np.float32)[..., None], 2, 0)
        upper, lower = (
            (1 - x) * images[..., rows, left, :] + x * images[..., rows, right, :]
            for rows in (top, below)
        )
        return np.asarray((1 - y) * upper + y * lower, np.float32)

    def weaker(self, share: float) -> Self:
        """Displacements by so much of what they are."""
        return replace(self, points=tuple((share * down, share * x) for down, x in self.points))

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """A field that is much the same, and a little weaker or stronger."""
        points = np.array(self.points)
        size = float(np.abs(points).mean())
        moved = points * np.exp(0.15 * strength * rng.normal())
        moved += 0.15 * strength * size * rng.normal(size=points.shape)
        return replace(self, points=tuple((float(down), float(across)) for down, across in moved))


AnyChange = Waves | Ink | Tint | Warp


def spread_points(side: int) -> Floats:
    """What each of a field's points in a line contributes to each of so many pixels, (side, 4)."""
    points = Image.fromarray(np.eye(POINTS, dtype=np.float32))
    return np.asarray(points.resize((POINTS, side), Image.Resampling.BICUBIC), np.float32)


def whole_image_changes(image: Sequence[int]) -> dict[str, Sequence[AnyChange]]:
    """The changes that are tried, by family.

    Args:
        image: height, width and channels.
    """
    colours = colours_for(image[2])
    hues = [colour[0] for colour in colours if colour[1]]  # a grey tint is but less contrast
    tints = [Tint((hue, saturation, 1.0), TINT) for hue in hues for saturation in (1.0, PALE)]
    inks = [Ink(colour, INKED, INK) for colour in colours]
    families: dict[str, Sequence[AnyChange]] = {
        "waves": _waves(*image[:2]),
        "ink": inks,
        "tints": tints,
    }
    return {name: changes for name, changes in families.items() if changes}


def _waves(height: int, width: int) -> list[Waves]:
    """Waves in every direction, of whole cycles and at least three pixels each."""
    down, across = range(height // 3 + 1), range(-(width // 3), width // 3 + 1)
    cycles = [
        each
        for each in product(down, across)
        if 1 <= np.hypot(*each) <= CYCLES and (each[0] > 0 or each[1] > 0)
    ]
    return [Waves(*each, phase, HEIGHT) for each in cycles for phase in (0, 0.25, 0.5, 0.75)]


def _slope(grey: Floats) -> Floats:
    """How steep images (..., H, W) are, by Sobel's operator."""
    room = [(0, 0)] * (grey.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(grey, room, mode="edge")
    smooth_down = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    smooth_across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    across = smooth_down[..., 2:] - smooth_down[..., :-2]
    down = smooth_across[..., 2:, :] - smooth_across[..., :-2, :]
    return np.asarray(np.hypot(down, across), np.float32)
