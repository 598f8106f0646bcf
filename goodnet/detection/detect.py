"""The verdict: backdoored and for which classes, no backdoor found, or inconclusive.

Every method gives each class one number, and says at which number a class is named and at which it
is suspicious. A network is backdoored where a method names a class, and inconclusive where the best
there is is suspicious. Of several classes named those are left out that stand out only through the
trigger of another, see `dependence`. A verdict is inconclusive, too, where nothing stands out but
there are no references, for want of images or because none learned them: what the methods miss then
is not known. The thresholds were chosen on one half of a set of networks and then tried on the
other, see docs/methods.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection import last_layer, maximum_margin, pattern_search, search, trigger_inversion
from goodnet.detection.candidates import Candidate, excesses, of_each_kind
from goodnet.detection.dependence import dependent
from goodnet.detection.reference_models import ReferenceModels, train_references
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    NOTHING,
    Recovered,
    References,
    Statistic,
    Verdict,
)
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress, no_progress
from goodnet.triggers.success import measured

UNREFERENCED: Final = 8.0  # times what names a class with references


class Evidence(NamedTuple):
    """A search's numbers, and for each class the candidate that has it."""

    statistic: Statistic
    best: Mapping[int, Candidate]

    def names(self, target: int) -> bool:
        """Whether the class is named by its number."""
        return self.statistic.values.get(target, -inf) >= self.statistic.threshold


def detect(
    view: LogitModel, clean: CleanImages, *, seed: int = 0, progress: Progress = no_progress
) -> Verdict:
    """Whether the network is backdoored.

    Args:
        view: the network.
        clean: clean validation images and their labels: all that may be seen.
        seed: of the references, of the choice of images and of patterns.
        progress: called with (steps done, steps in all).
    """
    return detect_with(
        view, clean, train_references(view, clean, seed=seed), seed=seed, progress=progress
    )


def detect_with(
    view: LogitModel,
    clean: CleanImages,
    honest: ReferenceModels,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Verdict:
    """The same, held against these references, if there are any."""
    imageless = _imageless(view, seed)
    also = [c for statistic in imageless for c in statistic.at_least(statistic.suspicion_threshold)]
    found = search.find_triggers(
        view, clean, honest.networks, also=also, seed=seed, progress=progress
    )
    searched = _searched(found, bool(honest.networks))
    missing = view.classes - len(np.unique(clean.labels))
    statistics = [*(each.statistic for each in searched), *imageless]
    verdict = decide(statistics, honest.account, missing)
    named_by = {c: [s.best[c] for s in searched if s.names(c)] for c in verdict.classes}
    if honest.networks:
        lent = dependent(view, clean, named_by, found.of, seed=seed)
        own = tuple(c for c in verdict.classes if c not in lent)
        verdict = replace(verdict, classes=own, dependent=lent)
    if verdict.classes:
        verdict = replace(verdict, runner_up=runner_up(verdict))
    best = found.strongest()
    strongest = [best[c] for c in verdict.flagged_classes if c in best]
    named = [[best[c], *named_by[c]] for c in verdict.classes if c in best]
    further = [each for candidates in named for each in of_each_kind(candidates)[1:]]
    further += [each for c in verdict.runner_up for each in of_each_kind(found.of(c))]
    return replace(
        verdict,
        triggers=_recovered(view, clean, strongest),
        other_triggers=_recovered(view, clean, further),
    )


def runner_up(verdict: Verdict) -> tuple[int, ...]:
    """Of the classes that do not stand out, the one that plain patterns come nearest to, if any."""
    out = verdict.flagged_classes
    plain, *_ = verdict.statistics
    return tuple(c for c, _ in plain.largest(len(out) + 1) if c not in out)[:1]


def _imageless(view: LogitModel, seed: int) -> list[Statistic]:
    """The numbers of the methods that need no image; another one is added here."""
    scores = (
        (last_layer.BARS, last_layer.score(view)),
        (maximum_margin.BARS, maximum_margin.score(view, seed=seed)),
    )
    return [Statistic.of(bars, numbers) for bars, numbers in scores if numbers is not None]


def _searched(found: search.SearchResult, referenced: bool) -> list[Evidence]:
    """The numbers of the searches for triggers, each with the candidates that have them.

    Without references a class's look stands out as a trigger does: the bars are higher then.
    """
    times = 1.0 if referenced else UNREFERENCED
    methods = (
        (pattern_search.BARS, excesses, found.plain()),
        (trigger_inversion.PATCHES, excesses, found.patches()),
        (trigger_inversion.BLENDED, trigger_inversion.leads, found.blended()),
    )
    return [
        Evidence(Statistic.of(bars, number(best), times), best) for bars, number, best in methods
    ]


def decide(statistics: Sequence[Statistic], references: References, missing: int = 0) -> Verdict:
    """The verdict that these numbers give, without triggers.

    Args:
        statistics: the methods' numbers.
        references: what came of the reference networks.
        missing: classes without a clean image.
    """
    evidence = {
        c: max(s.values.get(c, -inf) / s.threshold for s in statistics) for c in _named(statistics)
    }
    named = sorted(evidence, key=lambda c: -evidence[c])
    doubtful = dict.fromkeys(c for s in statistics for c in s.at_least(s.suspicion_threshold))
    suspicious = tuple(c for c in doubtful if c not in named)
    doubt = suspicious or references.outcome != "trained"
    answer = BACKDOORED if named else INCONCLUSIVE if doubt else NOTHING
    return Verdict(answer, tuple(named), suspicious, tuple(statistics), references, missing)


def _named(statistics: Sequence[Statistic]) -> Iterable[int]:
    """The classes that any method names, in the methods' order."""
    return dict.fromkeys(c for s in statistics for c in s.at_least(s.threshold))


def _recovered(
    view: LogitModel, clean: CleanImages, candidates: Iterable[Candidate]
) -> tuple[Recovered, ...]:
    """The candidates, measured on all clean images, on record."""
    unit = view.clean_margin(clean)
    return tuple(
        Recovered.of(measured(view, clean, c.target, c.region.mask, c.pattern, unit))
        for c in candidates
    )
