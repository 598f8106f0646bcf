"""A detection method: it gives classes a number, and says from which number on a class is named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from goodnet.datasets.images import CleanImages
from goodnet.detection.candidates import Candidate, SearchResult
from goodnet.detection.verdict import Statistic
from goodnet.network.classifier import LogitModel

Scores = Mapping[int, float]


@dataclass(frozen=True)
class Evidence:
    """What a method says of a network.

    Attributes:
        statistic: its numbers.
        candidates: for each class the trigger that has its number; none where no trigger has.
    """

    statistic: Statistic
    candidates: Mapping[int, Candidate] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectionMethod:
    """What all methods have.

    Attributes:
        name: in the verdict, its figure and its tables.
        threshold: from this number on a class is named.
        suspicion_threshold: from this number on it is suspicious.
        names_alone: whether it names a class alone, see `verdict.Statistic`.
    """

    name: str
    threshold: float
    suspicion_threshold: float
    names_alone: bool = field(default=True, kw_only=True)

    def statistic(self, scores: Scores, factor: float = 1.0) -> Statistic:
        """The method's numbers, held against its thresholds, or so many times as high ones."""
        thresholds = factor * self.threshold, factor * self.suspicion_threshold
        return Statistic(self.name, scores, *thresholds, self.names_alone)


@dataclass(frozen=True)
class DirectMethod(DetectionMethod):
    """A method that looks at the network before any trigger is searched for.

    Classes that it suspects are searched for in any case.

    Attributes:
        score: (network, clean images, seed) -> the classes' numbers; None where it says nothing.
    """

    score: Callable[[LogitModel, CleanImages, int], Scores | None]

    def evidence(self, model: LogitModel, clean: CleanImages, seed: int) -> list[Evidence]:
        """What it says of the network, or nothing."""
        scores = self.score(model, clean, seed)
        return [] if scores is None else [Evidence(self.statistic(scores))]


def always(referenced: bool, classes: int) -> bool:
    """In every network."""
    return True


def with_references(referenced: bool, classes: int) -> bool:
    """Where there are references: without them the method would tell nothing."""
    return referenced


@dataclass(frozen=True)
class TriggerMethod(DetectionMethod):
    """A method that reads what the searches for triggers found.

    Attributes:
        candidates: search result -> for each class the trigger that counts.
        score: these -> the classes' numbers.
        unreferenced: how many times as high the thresholds are without references, where a class's
            look stands out as a trigger does.
        applies: (whether there are references, classes of the network) -> whether anything is
            looked for.
    """

    candidates: Callable[[SearchResult], Mapping[int, Candidate]]
    score: Callable[[Mapping[int, Candidate]], Scores]
    unreferenced: float = 8.0
    applies: Callable[[bool, int], bool] = always

    def evidence(self, result: SearchResult, referenced: bool, classes: int) -> list[Evidence]:
        """What it says of a network of so many classes, with references or without, or nothing."""
        if not self.applies(referenced, classes):
            return []
        candidates = self.candidates(result)
        factor = 1.0 if referenced else self.unreferenced
        return [Evidence(self.statistic(self.score(candidates), factor), candidates)]
