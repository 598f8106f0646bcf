"""Changes of the whole image, waves, ink or a tint, whose variants, too, lead to one class.

A `variant_search` among changes, see `triggers.changes`. A change of all pixels leaves little of
what an image shows, and takes references, too, towards some class or other, from far away. So only
that is innocent which takes references near: with m' the nearest that any is taken,

    innocent_c = -1 + 3 max(0, m' + 1).

There is nothing that the class's own images could show in its place, so `own` is left out. Where
waves are taught, other waves may lead to other classes, less far: a class's number is its excess,
less what that falls short of the largest.

Limits: triggers that resemble no such change.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from goodnet.detection.candidates import Numbers, SearchResult, less_shortfall
from goodnet.detection.method import TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.detection.variant_search import Innocent, Placed, VariantSearch
from goodnet.triggers.changes import AnyChange, whole_image_changes
from goodnet.triggers.locations import whole_location
from goodnet.triggers.trigger import Trigger

WHOLE_IMAGE_CHANGES: Final = TriggerMethod(
    "whole-image changes",
    threshold=1.5,
    suspicion_threshold=1.2,
    candidates=SearchResult.best_changes,
    score=less_shortfall,
    unreferenced=3.0,
)


class ChangeSearch(VariantSearch[AnyChange]):
    """Changes of all families, made to clean images."""

    purpose = 16

    def _families(self) -> Mapping[str, Sequence[AnyChange]]:
        return whole_image_changes(self._image)

    def _margins(self, shown: ShownImages, things: Sequence[AnyChange]) -> Numbers:
        return shown.robust_margins_changed(things)

    def _placed(self, thing: AnyChange, family: str, target: int) -> Placed:
        location = whole_location(family, self._image)
        return Placed(Trigger.changing(target, thing, self._image), location, location.mask)

    def _innocent(self, placed: Placed) -> Innocent:
        approach = self._response.approach(placed.trigger)[placed.trigger.target]
        return Innocent(reference_gain=float(approach))
