"""Triggers: both searches for them, one after the other.

Plain patterns are tried everywhere, see `pattern_search`. The classes that come out of that first
are searched for by gradient, see `trigger_inversion`: all of them for a pattern blended into the
whole image, which may resemble no plain one; those that are promising in small patches; and those
that stand out at larger places, too, for a trigger that works better.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import Candidate, best
from goodnet.detection.pattern_search import BARS, PROMISING, Search
from goodnet.detection.trigger_inversion import (
    LARGE_PLACES,
    SMALL_PLACES,
    nearest,
    search_candidates,
)
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress
from goodnet.triggers.locations import WHOLE, regions

SIMPLE_PART: Final = 0.7  # of the work


class SearchResult(NamedTuple):
    """What both searches found.

    Attributes:
        simple: the best simple trigger of each class that was looked at closely.
        searched: searched triggers for the same classes, of some at several places.
    """

    simple: tuple[Candidate, ...]
    searched: tuple[Candidate, ...]

    def plain(self) -> dict[int, Candidate]:
        """The best plain pattern of each class, largest excess first."""
        return best(self.simple)

    def patches(self) -> dict[int, Candidate]:
        """The best searched patch of each class that had one searched for."""
        return best(found for found in self.searched if found.region.kind == "patch")

    def blended(self) -> dict[int, Candidate]:
        """The pattern of each class that is blended into the whole image."""
        return best(found for found in self.searched if found.region.kind == WHOLE)

    def of(self, target: int) -> list[Candidate]:
        """All candidates of a class, largest excess first."""
        every = [found for found in (*self.simple, *self.searched) if found.target == target]
        return sorted(every, key=lambda found: -found.excess)

    def strongest(self) -> dict[int, Candidate]:
        """For each class the candidate with the largest margin."""
        every = sorted((*self.simple, *self.searched), key=lambda candidate: candidate.margin)
        return {candidate.target: candidate for candidate in every}


def find_triggers(
    view: LogitModel,
    clean: CleanImages,
    references: Sequence[LogitModel] = (),
    *,
    also: Sequence[int] = (),
    seed: int = 0,
    progress: Progress,
) -> SearchResult:
    """The best triggers that clean images allow to find, class by class.

    Args:
        view: the network.
        clean: clean validation images.
        references: networks without a backdoor.
        also: classes that are looked at in any case.
        seed: of the choice of images and of the patterns.
        progress: called with (steps done, steps in all).
    """
    places = regions(*clean.pixels.shape[1:3])
    innocence = BenignBaseline(view, clean, references, np.random.default_rng((seed, 6)))
    search = Search(view, clean, innocence, places, seed=seed)
    reached = search.reached(_part(progress, 0, SIMPLE_PART))
    simple = search.candidates(reached, also)
    whole = [place for place in places if place.kind == WHOLE]
    wanted = [(candidate.target, place) for candidate in simple for place in whole]
    for candidate in simple:
        counts: dict[str, int] = {}
        if candidate.target in also or candidate.excess >= PROMISING:
            counts |= SMALL_PLACES
        if candidate.target in also or candidate.excess >= BARS.suspicion_threshold:
            counts |= LARGE_PLACES
        near = nearest(places, reached[:, candidate.target], counts)
        wanted += [(candidate.target, place) for place in near]
    rest = _part(progress, SIMPLE_PART, 1 - SIMPLE_PART)
    searched = search_candidates(view, clean, innocence, wanted, seed=seed, progress=rest)
    return SearchResult(tuple(simple), tuple(searched))


def _part(progress: Progress, before: float, share: float) -> Progress:
    """The progress of a share of the whole, in a hundred steps."""

    def report(done: int, total: int) -> None:
        progress(round(100 * (before + share * done / total)), 100)

    return report
