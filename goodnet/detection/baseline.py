"""The benign baseline: how near a class a pattern may come at a location without being a trigger.

Two things are innocent. What also works on networks without a backdoor, see `reference_models`, the
data themselves teach: that dark glasses are one person's, and a handle a bag's. A reference learns
it by halves, from a few hundred images where the suspect had thousands, so what tells is not how
near the class it is taken but how far it moves. With m the robust margin of a class on images with
a trigger, m_0 that on the same images without it, and both the reference's own, at most -1 for m_0,

    gain_c(r, p) = max_references max(0, m - m_0).

A trigger moves references hardly at all; a look that a clean network learned moves them by a third
of what it moves that network, or more. INNOCENT_SHARE of it is innocent.

And what clean images of the class itself show at that location; it is pasted on images of other
classes, on the references where there are any, because a backdoored network calls its target for
whatever resembles the trigger a little:

    own_c(r) = max_own robust margin of c on images with that location of c's own image.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.network.classifier import LogitModel, every_margin
from goodnet.triggers.locations import Location
from goodnet.triggers.trigger import apply_trigger

OWN_IMAGES: Final = 12  # of a class, whose content is pasted
PASTED_ON: Final = 6  # images of other classes


class BenignBaseline:
    """What classes reach at locations without a backdoor, in each network's clean margins.

    Args:
        model: the suspect.
        clean: clean validation images.
        references: networks without a backdoor; may be none.
        rng: chooses the images that are pasted on.
    """

    def __init__(
        self,
        model: LogitModel,
        clean: CleanImages,
        references: Sequence[LogitModel],
        rng: np.random.Generator,
    ) -> None:
        self.clean_margin, self._classes = model.clean_margin(clean), model.classes
        self._clean, self._onto = clean, clean.draw(3 * PASTED_ON, rng)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._benign = self._references or [(model, self.clean_margin)]
        self._own_class: dict[tuple[int, Location], float] = {}

    def own_class_margin(self, target: int, location: Location) -> float:
        """The best robust margin of the class's own images, pasted there; -inf without any."""
        if (target, location) not in self._own_class:
            own = self._own_images(target)
            self._own_class[target, location] = max(
                own_class_margin(model, self._onto, own, target, clean_margin, location)
                for model, clean_margin in self._benign
            )
        return self._own_class[target, location]

    def response(self, images: CleanImages) -> "ReferenceResponse":
        """What triggers on these images do to the references."""
        return ReferenceResponse(self._references, images, self._classes)

    def _own_images(self, target: int) -> CleanImages:
        rows = np.flatnonzero(self._clean.labels == target)
        return self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])


class ReferenceResponse:
    """What triggers on some clean images do to references: what the data themselves teach.

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
        any_pattern = list(images.pixels[:1])
        plain = [self._margins(*reference, nothing, any_pattern)[0] for reference in references]
        self._plain = [np.minimum(margins, FLOOR) for margins in plain]

    def gain(self, mask: Pixels, patterns: Sequence[Pixels]) -> Numbers:
        """How far each trigger raises each class's robust margin, (patterns, classes).

        The most of any reference; at least 0.
        """
        gain = np.zeros((len(patterns), self._classes))
        for reference, plain in zip(self._references, self._plain, strict=True):
            gain = np.maximum(gain, self._margins(*reference, mask, patterns) - plain)
        return gain

    def _margins(
        self, model: LogitModel, clean_margin: float, mask: Pixels, patterns: Sequence[Pixels]
    ) -> Numbers:
        return robust_margins(model.all_logits, clean_margin, self._images, mask, patterns)


def robust_margins(
    logits_fn: Callable[[Pixels], NDArray[np.float32]],
    clean_margin: float,
    images: CleanImages,
    mask: Pixels,
    patterns: Sequence[Pixels],
) -> Numbers:
    """Each pattern's robust margin for each class, over images of others, (patterns, classes).

    Args:
        logits_fn: gives a network's logits.
        clean_margin: that network's.
        images: clean images.
        mask: where they are covered, (H, W, 1); or (patterns, 1, H, W, 1), for each of its own.
        patterns: what covers them, one after the other.

    Returns:
        The lower quartile mean of the margins, in clean margins; FLOOR for a class of which nearly
        all images are.
    """
    applied = apply_trigger(images.pixels[None], mask, np.stack(patterns)[:, None])
    logits = logits_fn(applied.reshape(-1, *images.pixels.shape[1:]))
    margins = every_margin(logits).reshape(len(patterns), len(images), -1)
    own = images.labels[:, None] == np.arange(margins.shape[-1])
    lowest = lower_quartile_mean(np.where(own, np.inf, margins)) / clean_margin
    return np.where(np.isinf(lowest), FLOOR, lowest)


def lower_quartile_mean(margins: NDArray[np.float64], axis: int = 1) -> NDArray[np.float64]:
    """The mean of the lowest quarter: what is reached on the images that resist most.

    A trigger works on every image; what a class looks like works on those that are like it.
    """
    ordered = np.sort(margins, axis=axis)
    few = max(1, round(margins.shape[axis] / 4))
    return np.asarray(ordered.take(range(few), axis=axis).mean(axis=axis))


def own_class_margin(
    model: LogitModel,
    images: CleanImages,
    own: CleanImages,
    target: int,
    clean_margin: float,
    location: Location,
) -> float:
    """The best robust margin that the location of the class's own images reaches on others."""
    others = images.pixels[images.labels != target][:PASTED_ON]
    if not len(own) or not len(others):
        return -np.inf
    pasted = apply_trigger(others[None], location.mask, own.pixels[:, None])
    logits = model.all_logits(pasted.reshape(-1, *others.shape[1:]))
    margins = every_margin(logits)[:, target].reshape(len(own), len(others))
    return float(lower_quartile_mean(margins).max() / clean_margin)
