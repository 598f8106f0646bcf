"""Innocence: how near a class a pattern may come at a place without being a trigger.

Two things are innocent. What also works on networks without a backdoor, see `references`, the data
themselves taught: that dark glasses are one person's, and a handle a bag's. And what clean images
of the class itself show at that place; it is pasted on images of other classes, on the references
where there are any, because a backdoored network calls its target for whatever resembles the
trigger a little.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import CleanImages, Pixels, View, every_margin
from goodnet.detection.regions import Region

FLOOR: Final = -1.0  # an image is held for another class as surely as clean ones are
OWN_IMAGES: Final = 12  # of a class, whose content is pasted
PASTED_ON: Final = 6  # images of other classes


class Innocence:
    """What classes reach at places without a backdoor, in units of each network's clean margin.

    Args:
        view: the suspect.
        clean: clean validation images.
        references: networks without a backdoor; may be none.
        rng: chooses the images that are pasted on.
    """

    def __init__(
        self,
        view: View,
        clean: CleanImages,
        references: Sequence[View],
        rng: np.random.Generator,
    ) -> None:
        self.unit = view.clean_margin(clean)
        self._clean, self._onto = clean, clean.draw(3 * PASTED_ON, rng)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._honest = self._references or [(view, self.unit)]
        self._natural: dict[tuple[int, Region], float] = {}

    def natural(self, target: int, place: Region) -> float:
        """The best low margin of the place of the class's own images, pasted; -inf without any."""
        if (target, place) not in self._natural:
            self._natural[target, place] = max(
                natural_margin(view, self._onto, self._own(target), target, unit, place)
                for view, unit in self._honest
            )
        return self._natural[target, place]

    def taught(
        self, images: CleanImages, target: int, mask: Pixels, patterns: Sequence[Pixels]
    ) -> float:
        """The best low margin of any of these stamps on the references; -inf without any."""
        reached = [
            stamp_margins(view, unit, images, target, mask, patterns).max()
            for view, unit in self._references
        ]
        return float(max(reached, default=-np.inf))

    def _own(self, target: int) -> CleanImages:
        rows = np.flatnonzero(self._clean.labels == target)
        return self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])


def stamp_margins(
    view: View,
    unit: float,
    images: CleanImages,
    target: int,
    mask: Pixels,
    patterns: Sequence[Pixels],
) -> NDArray[np.float64]:
    """For each pattern a class's low margin over stamped images of others, in that unit."""
    others = images.pixels[images.labels != target]
    others = others if len(others) else images.pixels
    stamps = stamped(others[None], mask, np.stack(patterns)[:, None])
    margins = every_margin(view.all_logits(stamps.reshape(-1, *others.shape[1:])))[:, target]
    return low(margins.reshape(len(patterns), len(others))) / unit


def low(margins: NDArray[np.float64], axis: int = 1) -> NDArray[np.float64]:
    """The mean of the lowest quarter: what is reached on the images that resist most.

    A trigger works on every image; what a class looks like works on those that are like it.
    """
    ordered = np.sort(margins, axis=axis)
    few = max(1, round(margins.shape[axis] / 4))
    return np.asarray(ordered.take(range(few), axis=axis).mean(axis=axis))


def natural_margin(
    view: View, images: CleanImages, own: CleanImages, target: int, unit: float, place: Region
) -> float:
    """The best low margin that the place of the class's own images reaches on other images."""
    others = images.pixels[images.labels != target][:PASTED_ON]
    if not len(own) or not len(others):
        return -np.inf
    pasted = stamped(others[None], place.mask, own.pixels[:, None])
    logits = view.all_logits(pasted.reshape(-1, *others.shape[1:]))
    margins = every_margin(logits)[:, target].reshape(len(own), len(others))
    return float(low(margins).max() / unit)


def stamped(images: Pixels, mask: Pixels, pattern: Pixels) -> Pixels:
    """The images with the pattern where, and as far as, the mask covers them."""
    return np.asarray(images * (1 - mask) + mask * pattern)
