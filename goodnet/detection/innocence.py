"""Innocence: how near a class a pattern may come at a place without being a trigger.

Two things are innocent. What also works on networks without a backdoor, see `references`, the data
themselves taught: that dark glasses are one person's, and a handle a bag's. And what clean images
of the class itself show at that place; it is pasted on images of other classes, on the references
where there are any, because a backdoored network calls its target for whatever resembles the
trigger a little.

A reference learns from a few hundred images what the suspect learned from thousands, and so by
halves. What is innocent, i = max(reference, natural), therefore counts twice above the margin -1 at
which an image is held for another class as surely as clean ones are:

    usual_c(r, p) = -1 + 2 max(0, i_c(r, p) + 1).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.detection.problem import CleanImages, Pixels, View, every_margin
from goodnet.detection.regions import Region

TIMES: Final = 2.0  # references have learned from few images what the suspect did from many
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
        self.unit, self._classes = view.clean_margin(clean), view.classes
        self._clean, self._onto = clean, clean.draw(3 * PASTED_ON, rng)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._honest = self._references or [(view, self.unit)]
        self._natural: dict[tuple[int, Region], float] = {}

    def usual(self, target: int, place: Region, taught: Numbers) -> float:
        """What is innocent for a class at a place, from FLOOR on; above FLOOR it counts TIMES.

        Args:
            target: the class.
            place: where.
            taught: what references reach there, (classes,), see `taught`.
        """
        most = max(self.natural(target, place), float(taught[target]), FLOOR)
        return FLOOR + TIMES * (most - FLOOR)

    def natural(self, target: int, place: Region) -> float:
        """The best low margin of the place of the class's own images, pasted; -inf without any."""
        if (target, place) not in self._natural:
            self._natural[target, place] = max(
                natural_margin(view, self._onto, self._own(target), target, unit, place)
                for view, unit in self._honest
            )
        return self._natural[target, place]

    def taught(self, images: CleanImages, mask: Pixels, patterns: Sequence[Pixels]) -> Numbers:
        """Each class's best low margin for any of these stamps on the references, (classes,).

        -inf without references.
        """
        reached = [
            low_margins(view.all_logits, unit, images, mask, patterns).max(axis=0)
            for view, unit in self._references
        ]
        return np.asarray(np.max([np.full(self._classes, -np.inf), *reached], axis=0))

    def _own(self, target: int) -> CleanImages:
        rows = np.flatnonzero(self._clean.labels == target)
        return self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])


def low_margins(
    ask: Callable[[Pixels], NDArray[np.float32]],
    unit: float,
    images: CleanImages,
    mask: Pixels,
    patterns: Sequence[Pixels],
) -> Numbers:
    """Each pattern's low margin for each class over stamped images of others, (patterns, classes).

    Args:
        ask: gives a network's logits.
        unit: that network's clean margin.
        images: clean images.
        mask: of the stamp.
        patterns: of the stamp, one after the other.

    Returns:
        The margins in that unit; FLOOR for a class of which nearly all images are.
    """
    stamps = stamped(images.pixels[None], mask, np.stack(patterns)[:, None])
    logits = ask(stamps.reshape(-1, *images.pixels.shape[1:]))
    margins = every_margin(logits).reshape(len(patterns), len(images), -1)
    own = images.labels[:, None] == np.arange(margins.shape[-1])
    lowest = low(np.where(own, np.inf, margins)) / unit
    return np.where(np.isinf(lowest), FLOOR, lowest)


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
