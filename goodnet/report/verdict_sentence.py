"""A verdict in a sentence, with the numbers that it rests on."""

from collections.abc import Iterator
from math import inf

from goodnet.detection.verdict import Statistic, Verdict
from goodnet.report.prose import sentences


def verdict_sentence(verdict: Verdict) -> str:
    """The verdict with the numbers that it rests on."""
    why, evidence = why_inconclusive(verdict), list(_evidence(verdict))
    (sentence,) = sentences(
        "verdict", verdict.class_names, verdict=verdict, why=why, evidence=evidence
    )
    return sentence


def why_inconclusive(verdict: Verdict) -> str:
    """Why a verdict is inconclusive, as a clause."""
    (clause,) = sentences("inconclusive", verdict.class_names, verdict=verdict)
    return clause


def _evidence(verdict: Verdict) -> Iterator[tuple[Statistic, float, int]]:
    """Each method's numbers, the largest of them, and the class it is of.

    Where classes are named, of the methods that name one of them, and of these classes.
    """
    for statistic in verdict.statistics:
        order = statistic.at_least(statistic.threshold if verdict.classes else -inf)
        stands_out = [c for c in order if c in verdict.classes or not verdict.classes]
        for top in stands_out[:1]:
            yield statistic, statistic.values[top], top
