"""Drawn objects: glasses, hats, stickers and patches whose variants, too, lead to one class.

Objects of some families, see `triggers.objects`, are drawn on a few images and the network is
asked. Of each family the classes that it comes nearest to are looked at closely: the best object is
moved uphill by chance, variant by variant, on the class's robust margin, see `baseline`. A lucky
object there is for every class of every network; so what counts is what the best one's variants
do, a little aside, larger or smaller, in another tone, on other images,

    m_c(o) = median_v [ lowest_x ( f_c(x') - max_{k != c} f_k(x') ) ],   x' = x with variant v of o,

and a class's number is its excess, what is left after what is innocent is taken away:

    e_c = max_o [ m_c(o) - max( innocent_c(o), own_c(o), -1 ) ].

`innocent` and `own` are `baseline`'s. A network that was taught an object answers to its like; a
lucky one is forgotten at a shift of a pixel or two. So this needs no references, and tells most
where there are too few images to train any, or a thousand classes.

Source: ours; the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900). That
backdoors generalise to variants of their triggers, and that this tells them from adversarial
patterns, is from Qiao et al., "Defending Neural Backdoors via Generative Distribution Modeling",
NeurIPS 2019 (arXiv 1910.04749).

Limits: triggers that resemble no object, or that work at one exact place only.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import FLOOR, Candidate, Numbers, SearchResult, excesses
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.method import TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.triggers.locations import bounding_location
from goodnet.triggers.objects import DrawnObject, drawn_objects, move_uphill
from goodnet.triggers.trigger import Trigger

DRAWN_OBJECTS: Final = TriggerMethod(
    "drawn objects",
    threshold=1.0,
    suspicion_threshold=0.8,
    candidates=SearchResult.best_objects,
    score=excesses,
    unreferenced=4.0,
)
FIRST_IMAGES: Final = 4  # all objects are drawn on
CLIMB_IMAGES: Final = 8  # others, that objects are moved uphill on
MEASURE_IMAGES: Final = 48  # others, that variants are measured on
NEAREST: Final = 12  # classes of a family, of which
BEST: Final = 4  # objects each are drawn on these, too
VARIANTS: Final = 12  # that count
STRENGTH: Final = 0.7  # of these


class _Found(NamedTuple):
    """The best object of a class in a family."""

    target: int
    family: str
    drawn: DrawnObject


class ObjectSearch:
    """Objects of all families, drawn on clean images.

    Args:
        model: the suspect.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        effort: how much to look.
        seed: of the choice of images and of variants.
    """

    def __init__(
        self,
        model: LogitModel,
        clean: CleanImages,
        baseline: BenignBaseline,
        effort: Effort = EVERYTHING,
        *,
        seed: int,
    ) -> None:
        self._baseline, self._effort = baseline, effort
        self._rng = np.random.default_rng((seed, 13))
        drawn = clean.draw(FIRST_IMAGES + CLIMB_IMAGES + MEASURE_IMAGES, self._rng)
        few, measured = drawn.divided(FIRST_IMAGES + CLIMB_IMAGES)
        first, climbed = few.divided(FIRST_IMAGES)
        self._first, self._climbed, self._measured = (
            ShownImages(model, baseline.clean_margin, part) for part in (first, climbed, measured)
        )
        self._response = baseline.response(measured)
        self._image = clean.pixels.shape[1:]

    def candidates(self) -> list[Candidate]:
        """For each family the classes that it comes nearest to, each with its best object."""
        families = drawn_objects(self._image)
        found = [f for name, objects in families.items() for f in self._nearest(name, objects)]
        return [self._candidate(each) for each in found]

    def _nearest(self, family: str, objects: Sequence[DrawnObject]) -> list[_Found]:
        """The classes that the objects of a family come nearest to, with the best of each."""
        objects = objects[:: self._effort.objects]
        first = self._first.robust_margins_with(objects)
        classes = np.argsort(-first.max(axis=0), kind="stable")[:NEAREST]
        best = np.argsort(-first[:, classes], axis=0, kind="stable")[:BEST]
        tried = [objects[number] for number in np.unique(best)]
        again = self._climbed.robust_margins_with(tried)[:, classes]
        order = np.argsort(-again.max(axis=0), kind="stable")[: self._effort.object_classes]
        return [
            _Found(c, family, self._uphill(tried[int(again[:, number].argmax())], c))
            for number, c in zip(order.tolist(), classes[order].tolist(), strict=True)
        ]

    def _uphill(self, best: DrawnObject, target: int) -> DrawnObject:
        """The object moved to where it comes nearer to the class."""

        def margins(objects: Sequence[DrawnObject]) -> Numbers:
            return self._climbed.robust_margins_with(objects)[:, target]

        return move_uphill(best, margins, self._rng)

    def _candidate(self, found: _Found) -> Candidate:
        """The object with what its variants do, and what is innocent of it."""
        target = found.target
        variants = [found.drawn.varied(self._rng, STRENGTH) for _ in range(VARIANTS)]
        margins = self._measured.robust_margins_with(variants)
        mask, pattern = found.drawn.draw(self._image)
        location = bounding_location(found.family, mask)
        return Candidate(
            Trigger(target, mask, pattern),
            location,
            margin=float(np.median(margins[:, target])),
            baseline_margin=max(FLOOR, self._baseline.own_class_margin(target, location)),
            reference_gain=float(self._response.gain(mask, [pattern])[0, target]),
            plain_margin=float(self._response.plain_margins[target]),
        )
