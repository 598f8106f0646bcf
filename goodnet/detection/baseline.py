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

from collections.abc import Sequence
from typing import Final

import numpy as np

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.detection.shown import ShownImages, lower_quartile_mean
from goodnet.network.classifier import LogitModel
from goodnet.triggers.trigger import Trigger
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
        self._own_class: dict[tuple[int, bytes], float] = {}
        self._others: dict[int, list[ShownImages]] = {}

    @property
    def is_referenced(self) -> bool:
        """Whether there are networks without a backdoor."""
        return bool(self._references)

    def own_class_margin(self, target: int, mask: Pixels) -> float:
        """The best robust margin of the class's own images, pasted there; -inf without any."""
        key = target, mask.tobytes()
        if key not in self._own_class:
            own, shown = self._own_images(target), self._shown_others(target)
            self._own_class[key] = max(own_class_margin(each, own, target, mask) for each in shown)
        return self._own_class[key]

    def _shown_others(self, target: int) -> list[ShownImages]:
        """Images of other classes, shown to each network without a backdoor."""
        if target not in self._others:
            rows = np.flatnonzero(self._onto.labels != target)[:PASTED_ON]
            others = self._onto.take(rows)
            self._others[target] = [ShownImages(*network, others) for network in self._benign]
        return self._others[target]

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
        nothing = np.zeros((*images.pixels.shape[1:3], 1), np.float32)
        any_pattern = list(images.pixels[:1])
        shown = [ShownImages(*network, images) for network in (suspect, *references)]
        self._references = shown[1:]
        self.plain_margins, *self._plain = (
            np.minimum(each.robust_margins(nothing, any_pattern, spread=True)[0], FLOOR)
            for each in shown
        )

    def gain(self, mask: Pixels, patterns: Sequence[Pixels]) -> Numbers:
        """How far each trigger raises each class's robust margin, (patterns, classes).

        The most of any reference; at least 0.
        """
        gain = np.zeros((len(patterns), len(self.plain_margins)))
        for reference, plain in zip(self._references, self._plain, strict=True):
            moved = reference.robust_margins(mask, patterns, spread=True)
            gain = np.maximum(gain, moved - plain)
        return gain

    def approach(self, trigger: Trigger) -> Numbers:
        """How far above FLOOR a trigger takes each class on any reference, (classes,)."""
        reached = [each.robust_margins_of(trigger) for each in self._references]
        nearest = np.max([np.full_like(self.plain_margins, FLOOR), *reached], axis=0)
        return np.asarray(nearest - FLOOR)


def margin_with_variants(shown: ShownImages, trigger: Trigger, rng: np.random.Generator) -> float:
    """The robust margin of a trigger for its target: half its own, half the median of variants.

    A lucky pattern is forgotten at a shift of a pixel or another tone, one that was taught is not,
    or less so; see `object_search` for the source.

    Args:
        shown: clean images and the network.
        trigger: the trigger.
        rng: draws the variants.
    """
    margins = shown.robust_margins(trigger.mask, [trigger.pattern], spread=True)
    own = margins[0, trigger.target]
    variants = (varied(trigger.mask, trigger.pattern, rng) for _ in range(VARIANTS))
    masks, patterns = zip(*variants, strict=True)
    others = shown.half.robust_margins(np.stack(masks), patterns, spread=True)
    return float((own + np.median(others[:, trigger.target])) / 2)


def own_class_margin(shown: ShownImages, own: CleanImages, target: int, mask: Pixels) -> float:
    """The best robust margin that a part of a class's own images reaches on others.

    Args:
        shown: images of other classes, and the network.
        own: images of the class.
        target: the class.
        mask: what is pasted of them, (H, W, 1).
    """
    if not len(own) or not len(shown.images):
        return -np.inf
    margins = shown.margins(mask, own.pixels, spread=True)[..., target]
    return float(lower_quartile_mean(margins).max())
