"""What clean images say about a suspect: records, without what makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Literal, NamedTuple

from goodnet.datasets.class_names import class_label, listed
from goodnet.detection.effort import MINUTES, Shortened
from goodnet.metrics import Proportion
from goodnet.triggers.trigger import RecoveredTrigger, Trigger

Answer = Literal["backdoored", "no backdoor found", "inconclusive"]
BACKDOORED: Final[Answer] = "backdoored"
NOTHING: Final[Answer] = "no backdoor found"
INCONCLUSIVE: Final[Answer] = "inconclusive"
Outcome = Literal["trained", "too few images", "did not learn", "left out"]


class References(NamedTuple):
    """What came of training reference networks on the clean images.

    Attributes:
        outcome: whether there are any to hold the suspect against, and else why not.
        suspect_accuracy: the share of the clean images that the suspect gets right.
        accuracies: the share that each reference gets right, those that did not learn, too.
    """

    outcome: Outcome
    suspect_accuracy: Proportion
    accuracies: tuple[Proportion, ...]

    @property
    def lack(self) -> str:
        """Why there are none, for people to read; empty where there are some."""
        if self.outcome == "too few images":
            return (
                f"{self.suspect_accuracy.count} clean images are too few to train references with"
            )
        if self.outcome == "left out":
            return "the network is too large to train references in the time"
        if self.outcome == "did not learn":
            best = max(self.accuracies, key=lambda share: share.value)
            return (
                "the references did not learn the clean images: "
                f"{best.value:.1%} right where the suspect has {self.suspect_accuracy.value:.1%}"
            )
        return ""

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "outcome": self.outcome,
            "suspect_right": round(self.suspect_accuracy.value, 4),
            "right": [round(share.value, 4) for share in self.accuracies],
        }


class Credibility(NamedTuple):
    """Whether a network is as accurate on clean images as one trained for them would be.

    Attributes:
        accuracy: the share of the clean images that it gets right.
        plain_accuracy: the share that a plain classifier does, which learns from these images.
        confidence: the mean of the network's softmax for its answers, 0..1.
        low_beside_plain: whether the plain classifier is clearly better, or as good and both are
            low.
        overconfident: whether the confidence is far above the accuracy.
    """

    accuracy: Proportion
    plain_accuracy: Proportion
    confidence: float
    low_beside_plain: bool
    overconfident: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether nothing that is said of the network can be relied on."""
        return self.low_beside_plain or self.overconfident

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "right": round(self.accuracy.value, 4),
            "plain_classifier_right": round(self.plain_accuracy.value, 4),
            "confidence": round(self.confidence, 4),
            "doubtful": self.is_doubtful,
        }


@dataclass(frozen=True)
class Statistic:
    """One method's numbers.

    Attributes:
        method: its name.
        values: a number for each class that was looked at; the larger, the more suspicious.
        threshold: at which number a class is named.
        suspicion_threshold: at which number it is suspicious.
        names_alone: whether a class is named by it alone, or only beside another method that
            suspects the class, too.
    """

    method: str
    values: Mapping[int, float]
    threshold: float
    suspicion_threshold: float
    names_alone: bool = True

    def names(self, label: int) -> bool:
        """Whether the class's number is one from which on a class is named."""
        return self.values.get(label, -inf) >= self.threshold

    def suspects(self, label: int) -> bool:
        """Whether the class's number is suspicious, or more."""
        return self.values.get(label, -inf) >= self.suspicion_threshold

    @property
    def suspected(self) -> tuple[int, ...]:
        """The classes that are suspicious or more, the largest number first."""
        return self.at_least(self.suspicion_threshold)

    def at_least(self, bound: float) -> tuple[int, ...]:
        """The classes whose number is at least that, the largest number first."""
        hits = [c for c, value in self.values.items() if value >= bound]
        return tuple(sorted(hits, key=lambda c: -self.values[c]))

    def largest(self, count: int) -> list[tuple[int, float]]:
        """The classes with the largest numbers, each with its number."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:count]


class Reached(NamedTuple):
    """What a class reaches by a method."""

    statistic: Statistic
    label: int
    value: float

    @property
    def bound(self) -> str:
        """What it is held against, "named from 0.5"."""
        if self.statistic.names(self.label) or not self.statistic.suspects(self.label):
            return f"named from {self.statistic.threshold:g}"
        return f"suspicious from {self.statistic.suspicion_threshold:g}"


def speaking_against(statistics: Sequence[Statistic], label: int) -> list[Statistic]:
    """The statistics that name a class; where none does alone, those that suspect it."""
    naming = [statistic for statistic in statistics if statistic.names(label)]
    if any(statistic.names_alone for statistic in naming):
        return naming
    return [statistic for statistic in statistics if statistic.suspects(label)]


@dataclass(frozen=True)
class Verdict:
    """What is held of a suspect.

    Attributes:
        verdict: the answer.
        classes: the classes named, the one with the most behind it first.
        suspicious: classes that are suspicious and not named.
        statistics: all numbers, by method.
        references: what came of the reference networks.
        missing: classes without a clean image.
        triggers: the best trigger recovered for each class named or suspicious.
        dependent: classes that stand out only through the trigger of one that is named.
        runner_up: where a class is named, the one that plain patterns come nearest to of those
            that do not stand out; else empty.
        other_triggers: triggers at other types of location: those by which methods named classes,
            and those of the runner-up.
        credibility: whether the network is accurate enough to be judged; None if not measured.
        class_names: what all classes are called, by number; empty where that is not known.
        shortened: how the search was cut to fit the time; None if everything was searched.
        minutes: that the search might take; 0 where the verdict was left out.
    """

    verdict: Answer
    classes: tuple[int, ...]
    suspicious: tuple[int, ...]
    statistics: tuple[Statistic, ...]
    references: References
    missing: int
    triggers: tuple[RecoveredTrigger, ...] = ()
    dependent: tuple[int, ...] = ()
    runner_up: tuple[int, ...] = ()
    other_triggers: tuple[RecoveredTrigger, ...] = ()
    credibility: Credibility | None = None
    class_names: tuple[str, ...] = ()
    shortened: Shortened | None = None
    minutes: float = MINUTES

    @property
    def referenced(self) -> bool:
        """Whether there were references."""
        return self.references.outcome == "trained"

    @property
    def is_doubtful(self) -> bool:
        """Whether the network is not accurate enough to be judged."""
        return self.credibility is not None and self.credibility.is_doubtful

    @property
    def was_left_out(self) -> bool:
        """Whether nobody asked for a verdict, and nothing was searched."""
        return self.minutes == 0

    @property
    def flagged_classes(self) -> tuple[int, ...]:
        """The classes that stand out: those named, then the suspicious ones."""
        return (*self.classes, *self.suspicious)

    def evidence(self) -> list[Reached]:
        """What each method says that speaks against the classes named: its largest number."""
        speaking = {c: speaking_against(self.statistics, c) for c in self.classes}
        found = list[Reached]()
        for statistic in self.statistics:
            some = [c for c in statistic.suspected if statistic in speaking.get(c, ())]
            found += [Reached(statistic, c, statistic.values[c]) for c in some[:1]]
        return found

    def recovered_triggers(self) -> list[Trigger]:
        """All triggers that were recovered, the best one of each class that stands out first."""
        return [record.trigger for record in (*self.triggers, *self.other_triggers)]

    def __str__(self) -> str:
        """For example "backdoored, class 3 (plain patterns 1.68, named from 0.5)"."""
        if not self.classes:
            return self.verdict
        noun = "class" if len(self.classes) == 1 else "classes"
        evidence = "; ".join(
            f"{each.statistic.method} {each.value:.2f}, {each.bound}" for each in self.evidence()
        )
        labels = listed([class_label(c, self.class_names) for c in self.classes], self.class_names)
        return f"{self.verdict}, {noun} {labels} ({evidence})"

    def as_json(self) -> dict[str, Any]:
        """All of it but masks and patterns, for `json.dumps`."""
        return {
            "verdict": self.verdict,
            "classes": list(self.classes),
            "suspicious": list(self.suspicious),
            "dependent": list(self.dependent),
            "following": list(self.runner_up),
            "references": self.references.as_json(),
            "credibility": self.credibility.as_json() if self.credibility else None,
            "shortened": self.shortened._asdict() if self.shortened else None,
            "classes_without_clean_images": self.missing,
            "statistics": [
                {
                    "method": s.method,
                    "values": {str(c): round(v, 3) for c, v in s.values.items()},
                    "named": s.threshold,
                    "suspicious": s.suspicion_threshold,
                }
                for s in self.statistics
            ],
            "triggers": [trigger.as_json() for trigger in self.triggers],
            **({"class_names": list(self.class_names)} if self.class_names else {}),
        }
