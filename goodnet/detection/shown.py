"""Clean images that triggers are put on, and what a network makes of them.

All searches ask their networks in this one way. Margins are in the network's clean margins; the
robust margin of a class, see `baseline`, is the mean of the lowest quarter of them over images of
other classes.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_workers
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Numbers
from goodnet.network.classifier import LogitModel, at_once, every_margin
from goodnet.network.stamped import StampedImages
from goodnet.triggers.changes import Change
from goodnet.triggers.objects import Drawn, draw_all
from goodnet.triggers.trigger import Trigger

TOGETHER: Final = 16  # objects, drawn at one look; of small images more, if these are few,
AT_A_LOOK: Final = 256  # up to so many with an object
FEWEST: Final = 4  # objects that are worth a worker of their own


class ShownImages:
    """Clean images and a network whose weights do not change meanwhile.

    Args:
        model: the network.
        clean_margin: that network's.
        images: the images.

    Attributes:
        images: likewise.
    """

    def __init__(self, model: LogitModel, clean_margin: float, images: CleanImages) -> None:
        self.images = images
        self._model, self._clean_margin = model, clean_margin
        self._stamped = StampedImages(model, images.pixels)

    @cached_property
    def half(self) -> "ShownImages":
        """The first half of the images."""
        first, _ = self.images.divided(len(self.images) // 2)
        return ShownImages(self._model, self._clean_margin, first)

    @cached_property
    def plain_margins(self) -> Numbers:
        """The margin of each class without a trigger, (images, classes)."""
        return self._margins(self._model.some_logits(self.images.pixels))

    def margins(
        self, masks: Pixels, patterns: Sequence[Pixels] | Pixels, *, spread: bool = False
    ) -> Numbers:
        """The margin of each class with each pattern, (patterns, images, classes).

        Args:
            masks: where images are covered, (H, W, 1); or (patterns, H, W, 1), for each of its own.
            patterns: what covers them, each (H, W, C), one after the other.
            spread: whether workers compute it; within a worker they cannot.
        """
        masks = masks if masks.ndim == 4 else masks[None]
        logits = self._stamped.all_logits if spread else self._stamped.logits
        return self._margins(logits(masks, np.asarray(patterns)))

    def robust_margins(
        self, masks: Pixels, patterns: Sequence[Pixels] | Pixels, *, spread: bool = False
    ) -> Numbers:
        """The robust margin of each class with each pattern, (patterns, classes).

        FLOOR for a class of which nearly all images are. The arguments are those of `margins`.
        """
        return self._robust(self.margins(masks, patterns, spread=spread))

    def margins_with(self, objects: Sequence[Drawn]) -> Numbers:
        """The margin of each class with each object, (objects, images, classes), by workers."""
        if not objects:
            return np.empty((0, len(self.images), self._model.classes))
        together = max(TOGETHER, min(AT_A_LOOK // len(self.images), at_once(self._shape)))
        together = min(together, max(FEWEST, -(-len(objects) // WORKERS)))

        def margins(first: int) -> Numbers:
            masks, patterns = draw_all(objects[first : first + together], self._shape)
            return self.margins(masks, patterns)

        return np.concatenate(list(in_workers(margins, range(0, len(objects), together))))

    def robust_margins_with(self, objects: Sequence[Drawn]) -> Numbers:
        """The robust margin of each class with each object, (objects, classes), by workers."""
        return self._robust(self.margins_with(objects))

    def robust_margins_changed(self, changes: Sequence[Change]) -> Numbers:
        """The robust margin of each class with each change, (changes, classes), by workers."""
        pixels, most = self.images.pixels, min(AT_A_LOOK, at_once(self._shape))
        together = max(1, most // len(pixels))

        def margins(first: int) -> Numbers:
            changed = [each.apply(pixels) for each in changes[first : first + together]]
            logits = self._model.some_logits(np.concatenate(changed))
            return self._margins(logits.reshape(len(changed), len(pixels), -1))

        starts = range(0, len(changes), together)
        return self._robust(np.concatenate(list(in_workers(margins, starts))))

    def robust_margins_of(self, trigger: Trigger, opacity: float = 1.0) -> Numbers:
        """The robust margin of each class with a trigger, (classes,)."""
        if trigger.change:
            logits = self._model.all_logits(
                self.images.pixels, lambda some: trigger.apply(some, opacity)
            )
            return np.asarray(self._robust(self._margins(logits)[None])[0])
        mask = np.float32(opacity) * trigger.mask
        return np.asarray(self.robust_margins(mask, [trigger.pattern], spread=True)[0])

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.images.pixels.shape[1:]

    def _margins(self, logits: NDArray[np.float32]) -> Numbers:
        every = every_margin(logits.reshape(-1, logits.shape[-1]))
        return np.asarray(every.reshape(logits.shape) / self._clean_margin)

    def _robust(self, margins: Numbers) -> Numbers:
        own = self.images.labels[:, None] == np.arange(margins.shape[-1])
        lowest = lower_quartile_mean(np.where(own, np.inf, margins))
        return np.where(np.isinf(lowest), FLOOR, lowest)


def lower_quartile_mean(margins: Numbers, axis: int = 1) -> Numbers:
    """The mean of the lowest quarter: what is reached on the images that resist most.

    A trigger works on every image; what a class looks like works on those that are like it.
    """
    ordered = np.sort(margins, axis=axis)
    few = max(1, round(margins.shape[axis] / 4))
    return np.asarray(ordered.take(range(few), axis=axis).mean(axis=axis))
