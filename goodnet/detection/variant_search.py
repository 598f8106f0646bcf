"""A search among families of things that have variants, for classes that the variants lead to, too.

The things of some families are shown on a few images and the network is asked. Of each family the
classes that it comes nearest to are looked at closely: the best thing is moved uphill by chance,
variant by variant, on the class's robust margin, see `baseline`. A lucky one there is for every
class of every network; so what counts is what the best one's variants do on other images,

    m_c(o) = median_v [ lowest_x ( f_c(x') - max_{k != c} f_k(x') ) ],   x' = x with variant v of o,

and a class's number is its excess, what is left after what is innocent is taken away:

    e_c = max_o [ m_c(o) - max( innocent_c(o), own_c(o), -1 ) ].

`innocent` and `own` are `baseline`'s; where m_c(o) is at most -1, they are not asked for. A network
that was taught a thing answers to its like; a lucky one is forgotten at a shift of a pixel or two.

Source: ours; the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900). That
backdoors generalise to variants of their triggers, and that this tells them from adversarial
patterns, is from Qiao et al., "Defending Neural Backdoors via Generative Distribution Modeling",
NeurIPS 2019 (arXiv 1910.04749).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, Generic, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import FLOOR, Candidate, Numbers
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.triggers.locations import Location
from goodnet.triggers.trigger import Trigger
from goodnet.triggers.uphill import Thing, move_uphill

FIRST_IMAGES: Final = 4  # all things are shown on
CLIMB_IMAGES: Final = 8  # others, that things are moved uphill on
MEASURE_IMAGES: Final = 48  # others, that variants are measured on
NEAREST: Final = 12  # classes of a family, of which
BEST: Final = 4  # things each are shown on these, too
VARIANTS: Final = 12  # that count
STRENGTH: Final = 0.7  # of these


class Placed(NamedTuple):
    """What a thing is as a trigger.

    Attributes:
        trigger: the trigger.
        location: where.
        covered: what it may cover there, (H, W, 1).
    """

    trigger: Trigger
    location: Location
    covered: Pixels


class Innocent(NamedTuple):
    """What a trigger may reach without a backdoor.

    Attributes:
        own_margin: what clean images of the class itself reach there.
        reference_gain: how far it raises the class on references.
        plain_margin: what that is counted from.
    """

    own_margin: float = FLOOR
    reference_gain: float = 0.0
    plain_margin: float = FLOOR


class VariantSearch(ABC, Generic[Thing]):
    """Things of all families, shown on clean images.

    Args:
        model: the suspect.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        effort: how much to look.
        seed: of the choice of images and of variants.
    """

    purpose: int  # of the random numbers

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
        self._rng = np.random.default_rng((seed, self.purpose))
        drawn = clean.draw(FIRST_IMAGES + CLIMB_IMAGES + MEASURE_IMAGES, self._rng)
        few, measured = drawn.divided(FIRST_IMAGES + CLIMB_IMAGES)
        first, climbed = few.divided(FIRST_IMAGES)
        self._first, self._climbed, self._measured = (
            ShownImages(model, baseline.clean_margin, part) for part in (first, climbed, measured)
        )
        self._response = baseline.response(measured)
        self._image = clean.pixels.shape[1:]

    @abstractmethod
    def _families(self) -> Mapping[str, Sequence[Thing]]:
        """The things that are tried."""

    @abstractmethod
    def _margins(self, shown: ShownImages, things: Sequence[Thing]) -> Numbers:
        """The robust margin of each class with each thing, (things, classes)."""

    @abstractmethod
    def _placed(self, thing: Thing, family: str, target: int) -> Placed:
        """The thing as a trigger for a class."""

    @abstractmethod
    def _innocent(self, placed: Placed) -> Innocent:
        """What the trigger may reach without a backdoor; costly."""

    def candidates(self) -> list[Candidate]:
        """For each family the classes that it comes nearest to, each with its best thing."""
        return [
            self._candidate(thing, name, target)
            for name, things in self._families().items()
            for target, thing in self._nearest(things).items()
        ]

    def _nearest(self, things: Sequence[Thing]) -> dict[int, Thing]:
        """The classes that the things of a family come nearest to, with the best of each."""
        things = things[:: self._effort.objects]
        first = self._margins(self._first, things)
        classes = np.argsort(-first.max(axis=0), kind="stable")[:NEAREST]
        best = np.argsort(-first[:, classes], axis=0, kind="stable")[:BEST]
        tried = [things[number] for number in np.unique(best)]
        again = self._margins(self._climbed, tried)[:, classes]
        order = np.argsort(-again.max(axis=0), kind="stable")[: self._effort.object_classes]
        return {
            c: self._uphill(tried[int(again[:, number].argmax())], c)
            for number, c in zip(order.tolist(), classes[order].tolist(), strict=True)
        }

    def _uphill(self, best: Thing, target: int) -> Thing:
        """The thing moved to where it comes nearer to the class."""

        def margins(things: Sequence[Thing]) -> Numbers:
            return self._margins(self._climbed, things)[:, target]

        return move_uphill(best, margins, self._rng)

    def _candidate(self, thing: Thing, family: str, target: int) -> Candidate:
        """The thing with what its variants do, and what is innocent of it."""
        variants = [thing.varied(self._rng, STRENGTH) for _ in range(VARIANTS)]
        margin = float(np.median(self._margins(self._measured, variants)[:, target]))
        placed = self._placed(thing, family, target)
        innocent = self._innocent(placed) if margin > FLOOR else Innocent()
        return Candidate(
            placed.trigger,
            placed.location,
            margin=margin,
            baseline_margin=max(FLOOR, innocent.own_margin),
            reference_gain=innocent.reference_gain,
            plain_margin=innocent.plain_margin,
        )
