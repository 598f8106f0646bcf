"""What a search for triggers leaves: candidates, each a trigger with what speaks for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.triggers.locations import WHOLE, Location
from goodnet.triggers.trigger import Trigger

FLOOR: Final = -1.0  # a margin: the image is held for another class as surely as clean ones are
SURE_MOVE: Final = 0.75  # of what a trigger moves references is innocent in any case
LIKELY_MOVE: Final = 3.0  # times as far as references a network without a backdoor may be moved

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A trigger from a search.

    Attributes:
        trigger: what an image is covered with, and for which class.
        location: where.
        margin: its robust margin, see `baseline`, in clean margins.
        baseline_margin: what the class reaches there without a backdoor; at least FLOOR.
        reference_gain: how far the same trigger raises the class on references; at least 0.
        plain_margin: the margin without the trigger; at most FLOOR.
    """

    trigger: Trigger
    location: Location
    margin: float
    baseline_margin: float = FLOOR
    reference_gain: float = 0.0
    plain_margin: float = FLOOR

    @property
    def target(self) -> int:
        """The class that the trigger leads to."""
        return self.trigger.target

    @property
    def excess(self) -> float:
        """What is left of the margin when what is innocent is taken away."""
        innocent = innocent_margin(self.reference_gain, self.plain_margin)
        return self.margin - max(self.baseline_margin, float(innocent))

    @property
    def largest_excess(self) -> float:
        """What may be left: less is taken away than is likely innocent."""
        sure = FLOOR + SURE_MOVE * self.reference_gain
        return self.margin - max(self.baseline_margin, sure)


def innocent_margin(gain: Any, plain_margin: Any) -> NDArray[np.float64]:
    """How near a trigger that moves references may take a network without a backdoor.

    Args:
        gain: how far it raises the class on references; a number or an array, as the other.
        plain_margin: the network's margin without it.
    """
    likely = plain_margin + LIKELY_MOVE * gain
    return np.asarray(np.maximum(FLOOR + SURE_MOVE * gain, likely))


class SearchResult(NamedTuple):
    """The candidates of all searches.

    Attributes:
        plain: of each class that was looked at closely the best plain pattern.
        inverted: for the same classes triggers found by gradient, of some at several locations.
        objects: of each family of drawn objects the best one of some classes.
        misdirections: the patch that takes most images away from their class, once for each class
            that they go to.
        source_specific: patches that take the images of one class to another.
        changes: of each family of whole-image changes the best one of some classes.
        warps: found by gradient, for the same classes as plain patterns.
        glasses: of the classes that glasses over the eyes bring nearest the best ones each.
    """

    plain: tuple[Candidate, ...]
    inverted: tuple[Candidate, ...]
    objects: tuple[Candidate, ...] = ()
    misdirections: tuple[Candidate, ...] = ()
    source_specific: tuple[Candidate, ...] = ()
    changes: tuple[Candidate, ...] = ()
    warps: tuple[Candidate, ...] = ()
    glasses: tuple[Candidate, ...] = ()

    @property
    def every(self) -> tuple[Candidate, ...]:
        """All of them."""
        return tuple(candidate for found in self for candidate in found)

    def best_plain(self) -> dict[int, Candidate]:
        """The best plain pattern of each class, largest excess first."""
        return best_by_class(self.plain)

    def best_patches(self) -> dict[int, Candidate]:
        """The best inverted patch of each class that had one searched for."""
        return best_by_class(c for c in self.inverted if c.location.location_type == "patch")

    def best_objects(self) -> dict[int, Candidate]:
        """The best drawn object of each class that was looked at closely."""
        return best_by_class(self.objects)

    def best_changes(self) -> dict[int, Candidate]:
        """The best whole-image change of each class that was looked at closely."""
        return best_by_class(self.changes)

    def best_warps(self) -> dict[int, Candidate]:
        """The warp of each class that had one searched for."""
        return best_by_class(self.warps)

    def best_glasses(self) -> dict[int, Candidate]:
        """The best glasses of each class that was looked at closely."""
        return best_by_class(self.glasses)

    def best_misdirections(self) -> dict[int, Candidate]:
        """The patch that takes most images away, for each class that they go to."""
        return best_by_class(self.misdirections)

    def best_source_specific(self) -> dict[int, Candidate]:
        """The best patch of each class that the images of one other class go to."""
        return best_by_class(self.source_specific)

    def blended(self) -> dict[int, Candidate]:
        """The pattern of each class that is blended into the whole image."""
        return best_by_class(c for c in self.inverted if c.location.location_type == WHOLE)

    def for_class(self, target: int) -> list[Candidate]:
        """All candidates of a class, largest excess first."""
        own = [candidate for candidate in self.every if candidate.target == target]
        return sorted(own, key=lambda candidate: -candidate.excess)

    def strongest(self) -> dict[int, Candidate]:
        """For each class the candidate with the largest margin of those that are not innocent.

        The one that comes nearest to that, where all are: a class's own look leads to it furthest.
        """
        every = sorted(self.every, key=lambda each: (min(each.excess, 0.0), each.margin))
        return {candidate.target: candidate for candidate in every}


def best_by_class(candidates: Iterable[Candidate]) -> dict[int, Candidate]:
    """The candidate with the largest excess of each class, the largest of all first."""
    best: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=lambda candidate: -candidate.excess):
        best.setdefault(candidate.target, candidate)
    return best


def first_of_each_type(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of them at each type of location, in their order."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.location.location_type, candidate)
    return list(first.values())


def excesses(best: Mapping[int, Candidate]) -> dict[int, float]:
    """Each class's excess, in their order."""
    return {target: candidate.excess for target, candidate in best.items()}


def lead_over_next(best: Mapping[int, Candidate]) -> dict[int, float]:
    """How far each class's excess lies above the largest that any other may have, and FLOOR."""
    others = {c: [other.largest_excess for k, other in best.items() if k != c] for c in best}
    return {c: candidate.excess - max([FLOOR, *others[c]]) for c, candidate in best.items()}


def less_shortfall(best: Mapping[int, Candidate]) -> dict[int, float]:
    """Each class's excess, less what it falls short of the largest: the others are its fallout."""
    largest = max((candidate.excess for candidate in best.values()), default=0.0)
    return {c: 2 * candidate.excess - largest for c, candidate in best.items()}
