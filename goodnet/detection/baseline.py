"""Innocence: how near a class a pattern may come at a place without being a trigger.

Two things are innocent. What also works on networks without a backdoor, see `reference_models`, the
data themselves taught: that dark glasses are one person's, and a handle a bag's. A reference learns
it by halves, from a few hundred images where the suspect had thousands, so what tells is not how
near the class it is taken but how far it moves. With m the low margin of a class on stamped images,
m_0 that on the same images without the stamp, and both the reference's own, at most -1 for m_0,

    raised_c(r, p) = max_references max(0, m - m_0).

A trigger moves references hardly at all; a look that a clean network was taught moves them by a
third of what it moves that network, or more. RAISED of it is innocent.

And what clean images of the class itself show at that place; it is pasted on images of other
classes, on the references where there are any, because a backdoored network calls its target for
whatever resembles the trigger a little:

    natural_c(r) = max_own low margin of c on images with that place of c's own image.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.network.classifier import LogitModel, every_margin
from goodnet.triggers.locations import Location

OWN_IMAGES: Final = 12  # of a class, whose content is pasted
PASTED_ON: Final = 6  # images of other classes


class BenignBaseline:
    """What classes reach at places without a backdoor, in units of each network's clean margin.

    Args:
        view: the suspect.
        clean: clean validation images.
        references: networks without a backdoor; may be none.
        rng: chooses the images that are pasted on.
    """

    def __init__(
        self,
        view: LogitModel,
        clean: CleanImages,
        references: Sequence[LogitModel],
        rng: np.random.Generator,
    ) -> None:
        self.unit, self._classes = view.clean_margin(clean), view.classes
        self._clean, self._onto = clean, clean.draw(3 * PASTED_ON, rng)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._honest = self._references or [(view, self.unit)]
        self._natural: dict[tuple[int, Location], float] = {}

    def natural(self, target: int, place: Location) -> float:
        """The best low margin of the place of the class's own images, pasted; -inf without any."""
        if (target, place) not in self._natural:
            self._natural[target, place] = max(
                natural_margin(view, self._onto, self._own(target), target, unit, place)
                for view, unit in self._honest
            )
        return self._natural[target, place]

    def taught(self, images: CleanImages) -> "ReferenceResponse":
        """What stamps on these images do to the references."""
        return ReferenceResponse(self._references, images, self._classes)

    def _own(self, target: int) -> CleanImages:
        rows = np.flatnonzero(self._clean.labels == target)
        return self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])


class ReferenceResponse:
    """What stamps on some clean images do to references: what the data themselves taught.

    Args:
        references: networks without a backdoor, each with its clean margin; may be none.
        images: the clean images.
        classes: how many there are.
    """

    def __init__(
        self, references: Sequence[tuple[LogitModel, float]], images: CleanImages, classes: int
    ) -> None:
        self._references, self._images, self._classes = references, images, classes
        nothing = np.zeros((*images.pixels.shape[1:3], 1), np.float32)
        plain = [self._reached(*known, nothing, list(images.pixels[:1]))[0] for known in references]
        self._plain = [np.minimum(margins, FLOOR) for margins in plain]

    def raised(self, mask: Pixels, patterns: Sequence[Pixels]) -> Numbers:
        """How far each stamp raises each class's low margin, (patterns, classes).

        The most of any reference; at least 0.
        """
        raised = np.zeros((len(patterns), self._classes))
        for known, plain in zip(self._references, self._plain, strict=True):
            raised = np.maximum(raised, self._reached(*known, mask, patterns) - plain)
        return raised

    def _reached(
        self, view: LogitModel, unit: float, mask: Pixels, patterns: Sequence[Pixels]
    ) -> Numbers:
        return low_margins(view.all_logits, unit, self._images, mask, patterns)


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
    view: LogitModel,
    images: CleanImages,
    own: CleanImages,
    target: int,
    unit: float,
    place: Location,
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
