"""Triggers: all searches for them, side by side.

Objects are drawn, see `object_search`, `worn_glasses`, `misdirection` and `source_specific`, and
whole images changed, see `change_search`. Plain patterns are tried everywhere, see
`pattern_search`. The classes that come out of that first are searched for by gradient, see
`trigger_inversion`: all of them for a pattern blended into the whole image, which may resemble no
plain one, and for a warp, see `warp_inversion`; those that are promising in small patches; and
those that stand out at larger locations, too, for a trigger that works better. A texture that no
plain pattern resembles brings a class nearer at its place than elsewhere, if not near: so the small
patches where that is so are searched, too, whatever the class.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from goodnet.backend import WORKERS, side_by_side
from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import Candidate, Numbers, SearchResult
from goodnet.detection.change_search import ChangeSearch
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
    outstanding_patches,
)
from goodnet.detection.warp_inversion import invert_warps
from goodnet.detection.worn_glasses import find_worn_glasses
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress, stages
from goodnet.triggers.locations import WHOLE, Location, candidate_locations

WORK: Final = {
    "objects": 16,
    "patterns": 30,
    "inversion": 9,
    "misdirections": 7,
    "source_specific": 13,
    "changes": 6,
    "warps": 6,
    "glasses": 1,
}

SMALL: Final = 32  # gradients of so many images fit: networks that are searched side by side

Found = dict[str, tuple[Candidate, ...]]  # fields of a `SearchResult`


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
    stage = stages(progress, WORK)
    baseline = BenignBaseline(model, clean, references, np.random.default_rng((seed, 6)))
    to_suspect, to_each = (model, clean, baseline, effort), (model, clean, references, effort)
    searches: dict[str, Callable[[], Sequence[Candidate]]] = {
        "objects": lambda: ObjectSearch(*to_suspect, seed=seed).candidates(),
        "source_specific": lambda: SourceSpecificSearch(*to_each, seed=seed).candidates(),
        "changes": lambda: ChangeSearch(*to_suspect, seed=seed).candidates(),
        "misdirections": lambda: find_misdirection(*to_each, seed=seed),
        "glasses": lambda: find_worn_glasses(*to_suspect, seed=seed),
    }

    def alone(name: str) -> Found:
        candidates = tuple(searches[name]())
        stage[name](1, 1)
        return {name: candidates}

    patterns = partial(_patterns, *to_suspect, extra_classes, seed, stage)
    small = model.gradients_at_once(clean.pixels.shape[1:]) >= SMALL
    parts = side_by_side(
        [patterns, *(partial(alone, s) for s in searches)], WORKERS if small else 1
    )
    return SearchResult(**{name: found for part in parts for name, found in part.items()})


def _patterns(
    model: LogitModel,
    clean: CleanImages,
    baseline: BenignBaseline,
    effort: Effort,
    extra_classes: Sequence[int],
    seed: int,
    stage: Mapping[str, Progress],
) -> Found:
    """Plain patterns, and what is searched for by gradient after them: patterns, and warps."""
    height, width = clean.pixels.shape[1:3]
    locations = candidate_locations(height, width, effort.stride)
    search = PatternSearch(model, clean, baseline, locations, effort, seed=seed)
    reached = search.reached(stage["patterns"])
    plain = search.candidates(reached, extra_classes)
    starts = _starts(plain, locations, reached, extra_classes)
    starts += outstanding_patches(locations, reached, effort.patches)
    starts = list(dict.fromkeys(starts))
    inverted = invert_triggers(
        model, clean, baseline, starts, seed=seed, progress=stage["inversion"]
    )
    classes = [candidate.target for candidate in plain]
    warps = invert_warps(model, clean, baseline, classes, seed=seed)
    stage["warps"](1, 1)
    return {"plain": tuple(plain), "inverted": tuple(inverted), "warps": tuple(warps)}


def _starts(
    plain: Sequence[Candidate],
    locations: Sequence[Location],
    reached: Numbers,
    extra_classes: Sequence[int],
) -> list[tuple[int, Location]]:
    """The classes that are searched for by gradient, each with a location where it is.

    Args:
        plain: the best plain pattern of each class that was looked at closely.
        locations: where plain patterns were tried.
        reached: the best margin of each class at each, (R, classes).
        extra_classes: classes that are searched for in any case.
    """
    whole = [location for location in locations if location.location_type == WHOLE]
    starts = [(candidate.target, location) for candidate in plain for location in whole]
    for candidate in plain:
        wanted, counts = candidate.target in extra_classes, dict[str, int]()
        if wanted or candidate.excess >= PROMISING:
            counts |= SMALL_LOCATIONS
        if wanted or candidate.excess >= PLAIN_PATTERNS.suspicion_threshold:
            counts |= LARGE_LOCATIONS
        nearest = nearest_locations(locations, reached[:, candidate.target], counts)
        starts += [(candidate.target, location) for location in nearest]
    return starts
