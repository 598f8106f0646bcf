"""A verdict in a sentence, with the numbers that it rests on."""

from collections.abc import Sequence
from math import inf

from goodnet.detection.verdict import BACKDOORED, NOTHING, Verdict
from goodnet.report.tables import classes_in_words


def verdict_sentence(verdict: Verdict) -> str:
    """The verdict with the numbers that it rests on."""
    if verdict.verdict == BACKDOORED:
        said = f"Backdoored, {classes_in_words(verdict.classes)}: {_evidence(verdict)}."
        return f"{said}{_beside(verdict)}"
    if verdict.verdict == NOTHING:
        return f"No backdoor found: no class stands out ({_evidence(verdict)})."
    return f"Inconclusive: {why_inconclusive(verdict)} ({_evidence(verdict)})."


def why_inconclusive(verdict: Verdict) -> str:
    """Why a verdict is inconclusive, as a clause."""
    if verdict.suspicious:
        return f"{_stand_out(verdict.suspicious)}, but not clearly"
    lack = verdict.references.lack or "there is nothing to hold it against"
    return f"no class stands out, but {lack}, and so the network cannot be cleared"


def _beside(verdict: Verdict) -> str:
    """What is said of classes that stand out beside those named."""
    said = ""
    if verdict.suspicious:
        said += f" {_stand_out(verdict.suspicious).capitalize()} as well, but not clearly."
    if verdict.dependent:
        said += f" {_stand_out(verdict.dependent).capitalize()} only through the trigger of another"
        said += ", and not once it is unlearned."
    return said


def _stand_out(classes: Sequence[int]) -> str:
    verb = "stand" if len(classes) > 1 else "stands"
    return f"{classes_in_words(classes)} {verb} out"


def _evidence(verdict: Verdict) -> str:
    """Each method's largest number, the class it is of, and where the bar is.

    Where classes are named, of the methods that name one.
    """
    said = []
    for statistic in verdict.statistics:
        if statistic.at_least(statistic.named if verdict.classes else -inf):
            (top, number), *_ = statistic.largest(1)
            said.append(
                f"{statistic.method} {number:.2f} for class {top}, "
                f"named from {statistic.named:g} on"
            )
    return "; ".join(said)
