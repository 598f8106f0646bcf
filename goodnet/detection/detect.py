"""The verdict: backdoored and for which classes, no backdoor found, or inconclusive.

Every method gives each class one number, and says at which number a class is named and at which it
is suspicious. A network is backdoored where a method names a class, or two suspect the same one;
there is a method that names none alone. It is inconclusive where one suspects a class and no other
agrees. Of several classes named those are left out that stand out only through the trigger of
another, see `dependence`. A verdict is inconclusive, too, where nothing stands out but there are no
references, for want of images or because none learned them: what the methods miss then is not
known. The thresholds were chosen on one half of a set of networks and then tried on the other, see
docs/methods/.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.candidates import Candidate, SearchResult, excesses, first_of_each_type
from goodnet.detection.change_search import WHOLE_IMAGE_CHANGES
from goodnet.detection.dependence import dependent_classes
from goodnet.detection.effort import (
    EVERYTHING,
    MINUTES,
    Effort,
    Shortened,
    choose_effort,
    in_words,
    minutes_for,
)
from goodnet.detection.last_layer import LAST_LAYER
from goodnet.detection.maximum_margin import MAXIMUM_MARGIN
from goodnet.detection.method import DirectMethod, Evidence, TriggerMethod
from goodnet.detection.misdirection import MISDIRECTION
from goodnet.detection.object_search import DRAWN_OBJECTS
from goodnet.detection.pattern_search import PLAIN_PATTERNS
from goodnet.detection.reference_models import ReferenceModels, train_references
from goodnet.detection.search import find_triggers
from goodnet.detection.source_specific import SOURCE_SPECIFIC
from goodnet.detection.trigger_inversion import BLENDED, PATCHES
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    NOTHING,
    Answer,
    References,
    Statistic,
    Verdict,
    speaking_against,
)
from goodnet.detection.warp_inversion import WARPS
from goodnet.detection.worn_glasses import WORN_GLASSES
from goodnet.network.classifier import LogitModel
from goodnet.network.stamped import typical_share
from goodnet.progress import Progress, no_progress, silent, stages
from goodnet.triggers.success import recovered_trigger
from goodnet.triggers.trigger import RecoveredTrigger

# The registry: a method is added by its module and its line here, and the verdict, its figure and
# its tables follow.
TRIGGER_METHODS: Final[tuple[TriggerMethod, ...]] = (
    PLAIN_PATTERNS,
    DRAWN_OBJECTS,
    WORN_GLASSES,
    MISDIRECTION,
    SOURCE_SPECIFIC,
    PATCHES,
    BLENDED,
    WHOLE_IMAGE_CHANGES,
    WARPS,
)
DIRECT_METHODS: Final[tuple[DirectMethod, ...]] = (LAST_LAYER, MAXIMUM_MARGIN)
WORK: Final = {"references": 25, "search": 75}
AGREEING: Final = 2  # methods that suspect a class name it


class Decision(NamedTuple):
    """What the methods' numbers come to.

    Attributes:
        verdict: the answer.
        classes: the classes named, the one with the most behind it first.
        suspicious: classes that are suspicious and not named.
    """

    verdict: Answer
    classes: tuple[int, ...]
    suspicious: tuple[int, ...]


def detect(
    model: LogitModel,
    clean: CleanImages,
    *,
    minutes: float = MINUTES,
    references: ReferenceModels | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    say: Callable[[str], None] = silent,
) -> Verdict:
    """Whether the network is backdoored.

    Args:
        model: the network.
        clean: clean validation images and their labels: all that may be seen.
        minutes: that it may take, about, on two cores: a large network is searched with less. At 0
            nothing is searched, and the verdict is left out.
        references: those that were trained for it before, see `references_for`; None to train some.
        seed: of the references, of the choice of images and of patterns.
        progress: called with (steps done, steps in all).
        say: called with what it will cost, before it begins.
    """
    if minutes == 0:
        return unsearched(model, clean, minutes)
    effort, shortened, needed = _effort(model, clean, minutes)
    say(in_words(needed, shortened))
    stage = stages(progress, WORK)
    progress(0, 100)
    if references is None:
        references = train_references(
            model, clean, seed=seed, count=effort.references, progress=stage["references"]
        )
    stage["references"](1, 1)
    verdict = detect_with(model, clean, references, effort, seed=seed, progress=stage["search"])
    return replace(verdict, shortened=shortened, minutes=minutes)


def references_for(model: LogitModel, clean: CleanImages, minutes: float) -> ReferenceModels:
    """What a network is held against in a verdict that may take so many minutes."""
    effort, *_ = _effort(model, clean, minutes)
    return train_references(model, clean, count=effort.references)


def _effort(
    model: LogitModel, clean: CleanImages, minutes: float
) -> tuple[Effort, Shortened | None, float]:
    """How much is searched, how that was cut, and the minutes that it takes."""
    share = typical_share(model, clean.pixels.shape[1:], EVERYTHING.images)
    effort, shortened = choose_effort(model.work, minutes, share)
    return effort, shortened, minutes_for(effort, model.work, share)


def unsearched(model: LogitModel, clean: CleanImages, minutes: float) -> Verdict:
    """A verdict that says nothing, as nothing was searched for."""
    return Verdict(
        verdict=INCONCLUSIVE,
        classes=(),
        suspicious=(),
        statistics=(),
        references=References("left out", model.accuracy(clean), ()),
        missing=model.classes - len(np.unique(clean.labels)),
        minutes=minutes,
    )


def detect_with(
    model: LogitModel,
    clean: CleanImages,
    references: ReferenceModels,
    effort: Effort = EVERYTHING,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Verdict:
    """The same, held against these references, if there are any."""
    result, evidence = _evidence(model, clean, references, effort, seed, progress)
    statistics = tuple(each.statistic for each in evidence)
    decision = decide(statistics, references.account)
    naming = {c: _naming(evidence, c) for c in decision.classes}
    dependent: tuple[int, ...] = ()
    if references.networks:
        dependent = dependent_classes(model, clean, naming, result.for_class, seed=seed)
    classes = tuple(c for c in decision.classes if c not in dependent)
    flagged = (*classes, *decision.suspicious)
    second = runner_up(excesses(result.best_plain()), flagged) if classes else ()
    best = result.strongest()
    triggers = [best[c] for c in flagged if c in best]
    others = _other_triggers(result, {c: naming[c] for c in classes}, second)
    return Verdict(
        verdict=decision.verdict,
        classes=classes,
        suspicious=decision.suspicious,
        statistics=statistics,
        references=references.account,
        missing=model.classes - len(np.unique(clean.labels)),
        triggers=_recovered(model, clean, triggers),
        dependent=dependent,
        runner_up=second,
        other_triggers=_recovered(model, clean, others),
    )


def _evidence(
    model: LogitModel,
    clean: CleanImages,
    references: ReferenceModels,
    effort: Effort,
    seed: int,
    progress: Progress,
) -> tuple[SearchResult, list[Evidence]]:
    """What the searches for triggers found, and what each method says."""
    direct = [e for method in DIRECT_METHODS for e in method.evidence(model, clean, seed)]
    result = find_triggers(
        model,
        clean,
        references.networks,
        effort,
        extra_classes=[c for each in direct for c in each.statistic.suspected],
        seed=seed,
        progress=progress,
    )
    network = bool(references.networks), model.classes
    searched = [e for method in TRIGGER_METHODS for e in method.evidence(result, *network)]
    return result, [*searched, *direct]


def decide(statistics: Sequence[Statistic], references: References) -> Decision:
    """What these numbers come to.

    Args:
        statistics: the methods' numbers.
        references: what came of the reference networks.
    """
    suspected = Counter(c for s in statistics for c in s.suspected)
    alone = {c for s in statistics if s.names_alone for c in s.at_least(s.threshold)}
    evidence = {
        c: max(s.values.get(c, -inf) / s.threshold for s in statistics)
        for c in suspected
        if c in alone or suspected[c] >= AGREEING
    }
    named = sorted(evidence, key=lambda c: -evidence[c])
    suspicious = tuple(c for c in suspected if c not in named)
    cleared = not suspicious and references.outcome == "trained"
    answer = BACKDOORED if named else NOTHING if cleared else INCONCLUSIVE
    return Decision(answer, tuple(named), suspicious)


def runner_up(numbers: Mapping[int, float], flagged: Sequence[int]) -> tuple[int, ...]:
    """Of the classes that do not stand out, the one with the largest number, if any."""
    order = sorted(numbers, key=lambda c: -numbers[c])
    return tuple(c for c in order if c not in flagged)[:1]


def _naming(evidence: Sequence[Evidence], target: int) -> list[Candidate]:
    """The triggers by which methods name a class, in the methods' order."""
    speaking = speaking_against([each.statistic for each in evidence], target)
    return [
        each.candidates[target]
        for each in evidence
        if target in each.candidates and each.statistic in speaking
    ]


def _other_triggers(
    result: SearchResult, naming: Mapping[int, Sequence[Candidate]], second: Sequence[int]
) -> list[Candidate]:
    """Triggers at types of location that the strongest ones of the classes named are not at.

    Args:
        result: of the searches.
        naming: for each class named the triggers by which methods name it.
        second: the runner-up, if any, of which one trigger at each type is taken.
    """
    best = result.strongest()
    others = list[Candidate]()
    for target, candidates in naming.items():
        if target in best:
            others += first_of_each_type([best[target], *candidates])[1:]
    for target in second:
        others += first_of_each_type(result.for_class(target))
    return others


def _recovered(
    model: LogitModel, clean: CleanImages, candidates: Iterable[Candidate]
) -> tuple[RecoveredTrigger, ...]:
    """The candidates' triggers, measured on all clean images."""
    return tuple(recovered_trigger(model, clean, each.trigger) for each in candidates)
