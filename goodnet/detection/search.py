"""Triggers: all searches for them, one after the other.

Objects are drawn, see `object_search`, `misdirection` and `source_specific`. Plain patterns are
tried everywhere, see `pattern_search`. The classes that come out of that first are searched for by
gradient, see `trigger_inversion`: all of them for a pattern blended into the whole image, which may
resemble no plain one; those that are promising in small patches; and those that stand out at larger
locations, too, for a trigger that works better.
"""

from collections.abc import Sequence

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import SearchResult
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.misdirection import find_misdirection
from goodnet.detection.object_search import ObjectSearch
from goodnet.detection.pattern_search import PLAIN_PATTERNS, PROMISING, PatternSearch
from goodnet.detection.source_specific import SourceSpecificSearch
from goodnet.detection.trigger_inversion import (
    LARGE_LOCATIONS,
    SMALL_LOCATIONS,
    invert_triggers,
    nearest_locations,
)
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress
from goodnet.triggers.locations import WHOLE, candidate_locations

OBJECT_SEARCH_SHARE, PATTERN_SEARCH_SHARE = 0.15, 0.6  # of the work


def find_triggers(
    model: LogitModel,
    clean: CleanImages,
    references: Sequence[LogitModel] = (),
    effort: Effort = EVERYTHING,
    *,
    extra_classes: Sequence[int] = (),
    seed: int = 0,
    progress: Progress,
) -> SearchResult:
    """The best triggers that clean images allow to find, class by class.

    Args:
        model: the network.
        clean: clean validation images.
        references: networks without a backdoor.
        effort: how much to search.
        extra_classes: classes that are searched for in any case.
        seed: of the choice of images and of the patterns.
        progress: called with (steps done, steps in all).
    """
    height, width = clean.pixels.shape[1:3]
    locations = candidate_locations(height, width, effort.stride)
    baseline = BenignBaseline(model, clean, references, np.random.default_rng((seed, 6)))
    objects = ObjectSearch(model, clean, baseline, effort, seed=seed).candidates()
    progress(round(100 * OBJECT_SEARCH_SHARE), 100)
    search = PatternSearch(model, clean, baseline, locations, effort, seed=seed)
    reached = search.reached(_part(progress, OBJECT_SEARCH_SHARE, PATTERN_SEARCH_SHARE))
    plain = search.candidates(reached, extra_classes)
    whole = [location for location in locations if location.location_type == WHOLE]
    starts = [(candidate.target, location) for candidate in plain for location in whole]
    for candidate in plain:
        counts: dict[str, int] = {}
        if candidate.target in extra_classes or candidate.excess >= PROMISING:
            counts |= SMALL_LOCATIONS
        suspicious = candidate.excess >= PLAIN_PATTERNS.suspicion_threshold
        if candidate.target in extra_classes or suspicious:
            counts |= LARGE_LOCATIONS
        nearest = nearest_locations(locations, reached[:, candidate.target], counts)
        starts += [(candidate.target, location) for location in nearest]
    before = OBJECT_SEARCH_SHARE + PATTERN_SEARCH_SHARE
    rest = _part(progress, before, 1 - before)
    inverted = invert_triggers(model, clean, baseline, starts, seed=seed, progress=rest)
    misdirections = find_misdirection(model, clean, references, effort, seed=seed)
    specific = SourceSpecificSearch(model, clean, references, effort, seed=seed).candidates()
    found = plain, inverted, objects, misdirections, specific
    return SearchResult(*(tuple(candidates) for candidates in found))


def _part(progress: Progress, before: float, share: float) -> Progress:
    """The progress of a share of the whole, in a hundred steps."""

    def report(done: int, total: int) -> None:
        progress(round(100 * (before + share * done / total)), 100)

    return report
