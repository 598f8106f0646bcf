"""Triggers: how a class stands out among plain and among searched patterns, taken together.

With a class's excess e_simple among plain patterns (`simple_triggers`) and e_searched among
searched ones (`searched_triggers`), and with R, the mean excess of the third to the sixth class
among searched patterns, which says how brittle the network is, a class's number is

    cbrt( (e_simple / (0.4 + 0.2 R))^2 * e_searched / max(0.8, R) ),

0 where either is negative. A clean network may have an odd class in one of them; a target stands
out in both. Among plain patterns it does so more reliably, so these count twice. Two targets do not
hide each other, as the first and the second do not count in R.

A pattern blended into the whole image may resemble no plain one. There every class is searched at
the same place, so these excesses alone tell: a second number is e_blended / max(0.8, R), e_blended
and R being those of the whole image.
"""

from collections.abc import Sequence
from math import cbrt
from typing import Final, NamedTuple

import numpy as np

from goodnet.detection.candidates import Candidate, Progress, best_of_each
from goodnet.detection.innocence import Innocence
from goodnet.detection.problem import CleanImages, View
from goodnet.detection.regions import regions
from goodnet.detection.searched_triggers import search_candidates
from goodnet.detection.simple_triggers import Search

NAME: Final = "triggers"
NAMED: Final = 1.65
SUSPICIOUS: Final = 1.5
BLENDED: Final = "blended triggers"
BLENDED_NAMED: Final = 3.5
BLENDED_SUSPICIOUS: Final = 3.0
USUAL_SIMPLE: Final = 0.4  # an excess that clean networks' classes may have
BRITTLE: Final = 0.2  # how much more of it a brittle network's have
USUAL_SEARCHED: Final = 0.8
RUNNERS_UP: Final = slice(2, 6)
SIMPLE_PART: Final = 0.6  # of the work


class Found(NamedTuple):
    """What both searches found.

    Attributes:
        simple: the best simple trigger of each class that was looked at closely.
        searched: searched triggers for the same classes: each one's best, and some others.
    """

    simple: tuple[Candidate, ...]
    searched: tuple[Candidate, ...]

    def numbers(self) -> dict[int, float]:
        """Each class's number, largest first."""
        best = best_of_each(self.searched)
        brittle = brittleness(best)
        plain, usual = USUAL_SIMPLE + BRITTLE * brittle, max(USUAL_SEARCHED, brittle)
        searched = {c.target: max(0.0, c.excess) / usual for c in best}
        both = {
            c.target: cbrt((max(0.0, c.excess) / plain) ** 2 * searched[c.target])
            for c in self.simple
        }
        return dict(sorted(both.items(), key=lambda item: -item[1]))

    def blended(self) -> dict[int, float]:
        """Each class's number for patterns blended into the whole image, largest first."""
        whole = best_of_each(c for c in self.searched if c.region.opacity < 1)
        usual = max(USUAL_SEARCHED, brittleness(whole))
        return {c.target: c.excess / usual for c in whole}

    def best(self) -> dict[int, Candidate]:
        """For each class the candidate with the largest margin."""
        every = sorted((*self.simple, *self.searched), key=lambda candidate: candidate.margin)
        return {candidate.target: candidate for candidate in every}


def brittleness(best: Sequence[Candidate]) -> float:
    """R of the formula: the mean excess of the third to the sixth class; not negative."""
    runners_up = [candidate.excess for candidate in best[RUNNERS_UP]]
    return max(0.0, float(np.mean(runners_up))) if runners_up else 0.0


def find_triggers(
    view: View,
    clean: CleanImages,
    references: Sequence[View] = (),
    *,
    also: Sequence[int] = (),
    seed: int = 0,
    progress: Progress,
) -> Found:
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
    innocence = Innocence(view, clean, references, np.random.default_rng((seed, 6)))
    search = Search(view, clean, innocence, places, seed=seed)
    reached = search.reached(_part(progress, 0, SIMPLE_PART))
    simple = search.candidates(reached, also)
    searched = search_candidates(
        view,
        clean,
        innocence,
        [candidate.target for candidate in simple],
        (places, reached),
        seed=seed,
        progress=_part(progress, SIMPLE_PART, 1 - SIMPLE_PART),
    )
    return Found(tuple(simple), tuple(searched))


def _part(progress: Progress, before: float, share: float) -> Progress:
    """The progress of a share of the whole, in a hundred steps."""

    def report(done: int, total: int) -> None:
        progress(round(100 * (before + share * done / total)), 100)

    return report
