"""The benign baseline: how near a class a pattern may come at a location without being a trigger.

Two things are innocent. What also works on networks without a backdoor, see `reference_models`, the
data themselves teach: that dark glasses are one person's, and a handle a bag's. A reference learns
it by halves, from a few hundred images where the suspect had thousands, so what tells is not how
near the class it is taken but how far it moves. With m the robust margin of a class on images with
a trigger, m_0 that on the same images without it, and both the reference's own, at most -1 for m_0,

    gain_c(r, p) = max_references max(0, m - m_0).

A trigger moves references hardly at all; a look that a clean network learned moves them by a third
of what it moves that network, or more. So that is innocent which is not more than three times as
far from where the suspect is without the trigger, or much nearer than where references are taken:

    innocent_c(r, p) = max( m_0 + 3 gain_c(r, p), -1 + 3/4 gain_c(r, p) ),    m_0 the suspect's.

And what clean images of the class itself show at that location; it is pasted on images of other
classes, on the references where there are any, because a backdoored network calls its target for
whatever resembles the trigger a little:

    own_c(r) = max_own robust margin of c on images with that location of c's own image.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.network.classifier import LogitModel, every_margin
from goodnet.triggers.locations import Location
from goodnet.triggers.trigger import Trigger, apply_trigger
from goodnet.triggers.variants import varied

OWN_IMAGES: Final = 12  # of a class, whose content is pasted
PASTED_ON: Final = 6  # images of other classes
VARIANTS: Final = 24  # of a trigger, on half of the images, count as much as it does itself


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
        self.clean_margin = model.clean_margin(clean)
        self._clean, self._onto = clean, clean.draw(3 * PASTED_ON, rng)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._suspect = model, self.clean_margin
        self._benign = self._references or [self._suspect]
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
        return ReferenceResponse(self._suspect, self._references, images)

    def _own_images(self, target: int) -> CleanImages:
        rows = np.flatnonzero(self._clean.labels == target)
        return self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])


class ReferenceResponse:
    """What triggers on some clean images do to references: what the data themselves teach.

    Attributes:
        plain_margins: the suspect's robust margins without a trigger, (classes,); at most FLOOR.

    Args:
        suspect: the suspect with its clean margin.
        references: networks without a backdoor, each with its clean margin; may be none.
        images: the clean images.
    """

    def __init__(
        self,
        suspect: tuple[LogitModel, float],
        references: Sequence[tuple[LogitModel, float]],
        images: CleanImages,
    ) -> None:
        self._references, self._images = references, images
        nothing = np.zeros((*images.pixels.shape[1:3], 1), np.float32)
        any_pattern = list(images.pixels[:1])
        self.plain_margins, *self._plain = (
            np.minimum(self._margins(*network, nothing, any_pattern)[0], FLOOR)
            for network in (suspect, *references)
        )

    def gain(self, mask: Pixels, patterns: Sequence[Pixels]) -> Numbers:
        """How far each trigger raises each class's robust margin, (patterns, classes).

        The most of any reference; at least 0.
        """
        gain = np.zeros((len(patterns), len(self.plain_margins)))
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


def margin_with_variants(
    model: LogitModel,
    clean_margin: float,
    images: CleanImages,
    trigger: Trigger,
    rng: np.random.Generator,
) -> float:
    """The robust margin of a trigger for its target: half its own, half the median of variants.

    A lucky pattern is forgotten at a shift of a pixel or another tone, one that was taught is not,
    or less so; see `object_search` for the source.

    Args:
        model: the network.
        clean_margin: its clean margin.
        images: clean images.
        trigger: the trigger.
        rng: draws the variants.
    """
    margins = partial(robust_margins, model.all_logits, clean_margin)
    own = margins(images, trigger.mask, [trigger.pattern])[0, trigger.target]
    variants = (varied(trigger.mask, trigger.pattern, rng) for _ in range(VARIANTS))
    masks, patterns = zip(*variants, strict=True)
    half, _ = images.divided(len(images) // 2)
    others = margins(half, np.stack(masks)[:, None], patterns)[:, trigger.target]
    return float((own + np.median(others)) / 2)


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
