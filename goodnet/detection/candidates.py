"""What a search for triggers leaves: candidates, each a pattern at a place for a class."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import Pixels
from goodnet.detection.regions import Region

FLOOR: Final = -1.0  # a margin: the image is held for another class as surely as clean ones are

Numbers = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A trigger that a search found.

    Attributes:
        target: the class.
        region: where.
        pattern: float32 (H, W, C), 0..1.
        margin: its low margin, see `innocence`, in units of the clean margin.
        usual: what is innocent there; at least FLOOR.
    """

    target: int
    region: Region
    pattern: Pixels
    margin: float
    usual: float = FLOOR

    @property
    def excess(self) -> float:
        """What is left of the margin when what is innocent is taken away."""
        return self.margin - self.usual


def best_of_each(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidate with the largest excess of each class; largest first."""
    ordered = sorted(candidates, key=lambda candidate: -candidate.excess)
    found: dict[int, Candidate] = {}
    for candidate in ordered:
        found.setdefault(candidate.target, candidate)
    return list(found.values())
