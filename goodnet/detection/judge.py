"""The verdict: backdoored and for which classes, no backdoor found, or inconclusive.

Every method gives each class one number, and says at which number a class is named and at which it
is suspicious. A network is backdoored where a method names a class, and inconclusive where the best
there is is suspicious. The thresholds were chosen on one half of a set of networks and then tried
on the other, see docs/methods.md.

A network that is backdoored for one class may be so for another, which then needs less to be named.
But half of a trigger may lead to a class of its own: a class whose place touches that of one with a
larger number is not named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from goodnet.detection import last_layer, simple_triggers
from goodnet.detection.problem import CleanImages, View
from goodnet.detection.recovery import measured
from goodnet.detection.references import references
from goodnet.detection.simple_triggers import Candidate
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    NOTHING,
    Recovered,
    Statistic,
    Verdict,
)
from goodnet.sweep import Progress, no_progress


def judge(
    view: View, clean: CleanImages, *, seed: int = 0, progress: Progress = no_progress
) -> Verdict:
    """Whether the network is backdoored.

    Args:
        view: the network.
        clean: clean validation images and their labels: all that may be seen.
        seed: of the references, of the choice of images and of patterns.
        progress: called with (steps done, steps in all).
    """
    found = simple_triggers.find_candidates(
        view, clean, references(view, clean, seed=seed), seed=seed, progress=progress
    )
    statistics = [_of_simple_triggers(found), *_of_last_layer(view)]
    places = {candidate.target: candidate for candidate in found}
    missing = view.classes - len(np.unique(clean.labels))
    verdict = decide(statistics, places, missing)
    return replace(verdict, triggers=_triggers(view, clean, verdict, places))


def _of_simple_triggers(found: Sequence[Candidate]) -> Statistic:
    numbers = simple_triggers.prominence([candidate.excess for candidate in found])
    values = {c.target: number for c, number in zip(found, numbers, strict=True)}
    named, suspicious = simple_triggers.NAMED, simple_triggers.SUSPICIOUS
    return Statistic(simple_triggers.NAME, values, named, suspicious)


def _of_last_layer(view: View) -> list[Statistic]:
    signs = last_layer.score(view)
    if signs is None:
        return []
    values = dict(enumerate(signs.tolist()))
    return [Statistic(last_layer.NAME, values, last_layer.NAMED, last_layer.SUSPICIOUS)]


def decide(
    statistics: Sequence[Statistic], places: Mapping[int, Candidate] | None = None, missing: int = 0
) -> Verdict:
    """The verdict that these numbers give, without triggers.

    Args:
        statistics: the methods' numbers; those of the simple triggers first.
        places: the best simple trigger of each class, where there is one.
        missing: classes without a clean image.
    """
    named = dict.fromkeys(c for s in statistics for c in s.at_least(s.named))
    if named:
        named |= dict.fromkeys(statistics[0].at_least(simple_triggers.SECOND))
    classes = list[int]()
    for c in named:
        if not any(_touch(places or {}, c, other) for other in classes):
            classes.append(c)
    doubtful = dict.fromkeys(c for s in statistics for c in s.at_least(s.suspicious))
    suspicious = tuple(c for c in doubtful if c not in named)
    answer = BACKDOORED if classes else INCONCLUSIVE if suspicious else NOTHING
    return Verdict(answer, tuple(classes), suspicious, tuple(statistics), missing)


def _touch(places: Mapping[int, Candidate], one: int, other: int) -> bool:
    if one not in places or other not in places:
        return False
    return places[one].region.touches(places[other].region)


def _triggers(
    view: View, clean: CleanImages, verdict: Verdict, places: Mapping[int, Candidate]
) -> tuple[Recovered, ...]:
    """The best simple trigger of each class named or suspicious that has one."""
    unit = view.clean_margin(clean)
    triggers = [
        measured(view, clean, target, places[target].region.mask, places[target].pattern, unit)
        for target in (*verdict.classes, *verdict.suspicious)
        if target in places
    ]
    return tuple(map(Recovered.of, triggers))
