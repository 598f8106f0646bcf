"""What a search for triggers leaves: candidates, each a pattern at a place for a class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import Pixels
from goodnet.triggers.locations import Location

FLOOR: Final = -1.0  # a margin: the image is held for another class as surely as clean ones are
RAISED: Final = 0.75  # of what the same stamp raises a class by on references is innocent

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A trigger that a search found.

    Attributes:
        target: the class.
        region: where.
        pattern: float32 (H, W, C), 0..1.
        margin: its low margin, see `baseline`, in units of the clean margin.
        usual: what is innocent there; at least FLOOR.
        raised: how far the same stamp raises the class on references; at least 0.
    """

    target: int
    region: Location
    pattern: Pixels
    margin: float
    usual: float = FLOOR
    raised: float = 0.0

    @property
    def excess(self) -> float:
        """What is left of the margin when what is innocent is taken away."""
        return self.margin - max(self.usual, FLOOR + RAISED * self.raised)


def best(candidates: Iterable[Candidate]) -> dict[int, Candidate]:
    """The candidate with the largest excess of each class, the largest of all first."""
    found: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=lambda candidate: -candidate.excess):
        found.setdefault(candidate.target, candidate)
    return found


def of_each_kind(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of them at each kind of place, in their order."""
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        found.setdefault(candidate.region.kind, candidate)
    return list(found.values())


def excesses(candidates: Mapping[int, Candidate]) -> dict[int, float]:
    """Each class's excess, in their order."""
    return {target: candidate.excess for target, candidate in candidates.items()}
