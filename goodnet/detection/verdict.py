"""The verdict: backdoored and for which classes, no backdoor found, or inconclusive.

Every method gives each class one number, and says at which number a class is named and at which it
is suspicious. A network is backdoored where a method names a class; inconclusive where the best
there is is suspicious. The thresholds were chosen on one half of a set of networks and then tried
on the other, see docs/methods.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.detection import inversion, last_layer, maximum_margin, shortlist, universal_margin
from goodnet.detection.bounded import Bounded, Grain, search_bounded, unstamped_margin
from goodnet.detection.outliers import leads
from goodnet.detection.problem import CleanImages, View
from goodnet.detection.recovery import measured
from goodnet.detection.search import Progress, no_progress
from goodnet.detection.trigger import Trigger

Answer = Literal["backdoored", "no backdoor found", "inconclusive"]
BACKDOORED: Final[Answer] = "backdoored"
NOTHING: Final[Answer] = "no backdoor found"
INCONCLUSIVE: Final[Answer] = "inconclusive"
RECOVERED: Final = 0.5  # a trigger shown as evidence is successful on this share, if any is


@dataclass(frozen=True)
class Statistic:
    """One method's numbers.

    Attributes:
        method: its name.
        values: a number for each class looked at: a lead (a factor) or a z score.
        named: at which number a class is named.
        suspicious: at which number it is suspicious.
    """

    method: str
    values: Mapping[int, float]
    named: float
    suspicious: float

    def at_least(self, bound: float) -> tuple[int, ...]:
        """The classes whose number is at least that, the largest number first."""
        hits = [c for c, value in self.values.items() if value >= bound]
        return tuple(sorted(hits, key=lambda c: -self.values[c]))


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        verdict: the answer.
        classes: the classes named, those with the most methods behind them first.
        suspicious: classes that are suspicious and not named.
        statistics: all numbers, by method.
        missing: classes without a clean image.
        triggers: the trigger recovered for each class named or suspicious.
    """

    verdict: Answer
    classes: tuple[int, ...]
    suspicious: tuple[int, ...]
    statistics: tuple[Statistic, ...]
    missing: int
    triggers: Mapping[int, Trigger] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """All of it but masks and patterns, for `json.dumps`."""
        return {
            "verdict": self.verdict,
            "classes": list(self.classes),
            "suspicious": list(self.suspicious),
            "classes_without_clean_images": self.missing,
            "statistics": [
                {**asdict(s), "values": {str(c): round(v, 3) for c, v in s.values.items()}}
                for s in self.statistics
            ],
            "triggers": {str(c): trigger.as_json() for c, trigger in self.triggers.items()},
        }


class Searched(NamedTuple):
    """A method that is built on area-bounded searches: its name, its cells and its bounds."""

    name: str
    strength: Callable[[Bounded, float], NDArray[np.float64]]
    grain: Grain
    named: float
    suspicious: float


# A method is added by adding its module and its line.
SEARCHED: Final = (
    Searched(inversion.NAME, inversion.strength, "fine", 1.6, 1.5),
    Searched(f"{universal_margin.NAME}, fine", universal_margin.strength, "fine", 1.48, 1.42),
    Searched(f"{universal_margin.NAME}, coarse", universal_margin.strength, "coarse", 1.5, 1.42),
)
LAST_LAYER_NAMED: Final = 6.0
LAST_LAYER_SUSPICIOUS: Final = 5.0


def judge(
    view: View, clean: CleanImages, *, seed: int = 0, progress: Progress = no_progress
) -> Verdict:
    """Whether the network is backdoored.

    Args:
        view: the network.
        clean: clean validation images and their labels: all that may be seen.
        seed: of the searches' starts and of the choice of images.
        progress: called with (batches of searches done, batches in all), stage by stage.
    """
    signs = last_layer.score(view)
    classes = np.arange(view.classes)
    if view.classes > shortlist.ALL:
        height, width, channels = clean.pixels.shape[1:]
        reached = maximum_margin.score(view, (height, width, channels), seed, progress)
        classes = shortlist.shortlist(reached, signs, seed)
    statistics = []
    if signs is not None:
        values = {int(c): float(signs[c]) for c in classes}
        statistics.append(
            Statistic(last_layer.NAME, values, LAST_LAYER_NAMED, LAST_LAYER_SUSPICIOUS)
        )
    unstamped = unstamped_margin(view, clean)
    searches = {
        grain: search_bounded(view, clean, classes, grain=grain, seed=seed, progress=progress)
        for grain in dict.fromkeys(method.grain for method in SEARCHED)
    }
    for method in SEARCHED:
        found = leads(method.strength(searches[method.grain], unstamped)).tolist()
        values = dict(zip(classes.tolist(), found, strict=True))
        statistics.append(Statistic(method.name, values, method.named, method.suspicious))
    missing = view.classes - len(np.unique(clean.labels))
    verdict = decide(tuple(statistics), missing)
    wanted = (*verdict.classes, *verdict.suspicious)
    triggers = {c: _trigger(view, clean, c, [*searches.values()]) for c in wanted}
    return Verdict(**{**vars(verdict), "triggers": triggers})


def decide(statistics: tuple[Statistic, ...], missing: int = 0) -> Verdict:
    """The verdict that these numbers give, without triggers."""
    votes: dict[int, int] = {}
    for statistic in statistics:
        for c in statistic.at_least(statistic.named):
            votes[c] = votes.get(c, 0) + 1
    enough = max(votes.values(), default=0) / 2  # a follower of a class all agree on is no target
    classes = tuple(sorted((c for c in votes if votes[c] >= enough), key=lambda c: -votes[c]))
    doubtful = dict.fromkeys(c for s in statistics for c in s.at_least(s.suspicious))
    suspicious = tuple(c for c in doubtful if c not in classes)
    answer = BACKDOORED if classes else INCONCLUSIVE if suspicious else NOTHING
    return Verdict(answer, classes, suspicious, statistics, missing)


def _trigger(view: View, clean: CleanImages, target: int, searches: list[Bounded]) -> Trigger:
    """The smallest trigger of the searches that works, or the most successful one."""
    unit = view.clean_margin(clean)
    best = list[Trigger]()
    for bounded in searches:
        place = int(np.flatnonzero(bounded.classes == target)[0])
        for found in bounded.found:
            mask, pattern = found.masks[place], found.patterns[place]
            best.append(measured(view, clean, target, mask, pattern, unit))
    works = [trigger for trigger in best if trigger.success.value >= RECOVERED]
    if works:
        return min(works, key=lambda trigger: (trigger.area, -trigger.margin))
    return max(best, key=lambda trigger: trigger.success.value)
