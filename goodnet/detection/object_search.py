"""Drawn objects: glasses, hats, stickers and patches whose variants, too, lead to one class.

A `variant_search` among objects that people put on things, see `triggers.object_families`. A
variant is a little aside, larger or smaller, in another tone. It needs no references, and tells
most where there are too few images to train any, or a thousand classes.

Limits: triggers that resemble no object, or that work at one exact place only.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from goodnet.detection.candidates import Numbers, SearchResult, excesses
from goodnet.detection.method import TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.detection.variant_search import Innocent, Placed, VariantSearch
from goodnet.triggers.locations import bounding_location
from goodnet.triggers.object_families import drawn_objects
from goodnet.triggers.objects import CornerPatches, Drawn
from goodnet.triggers.trigger import Trigger

DRAWN_OBJECTS: Final = TriggerMethod(
    "drawn objects",
    threshold=1.0,
    suspicion_threshold=0.8,
    candidates=SearchResult.best_objects,
    score=excesses,
    unreferenced=4.0,
)


class ObjectSearch(VariantSearch[Drawn]):
    """Objects of all families, drawn on clean images."""

    purpose = 13

    def _families(self) -> Mapping[str, Sequence[Drawn]]:
        return drawn_objects(self._image)

    def _margins(self, shown: ShownImages, things: Sequence[Drawn]) -> Numbers:
        return shown.robust_margins_with(things)

    def _placed(self, thing: Drawn, family: str, target: int) -> Placed:
        mask, pattern = thing.draw(self._image)
        location = bounding_location(family, mask)
        covered = np.sign(mask) if isinstance(thing, CornerPatches) else location.mask
        return Placed(Trigger(target, mask, pattern), location, covered)

    def _innocent(self, placed: Placed) -> Innocent:
        trigger = placed.trigger
        own = self._baseline.own_class_margin(trigger.target, placed.covered)
        gain = self._response.gain(trigger.mask, [trigger.pattern])[0, trigger.target]
        plain = self._response.plain_margins[trigger.target]
        return Innocent(own, float(gain), float(plain))
