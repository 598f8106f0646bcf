"""A verdict in a sentence, with the numbers that it rests on."""

from collections.abc import Iterator

from goodnet.detection.verdict import Reached, Verdict
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


def _evidence(verdict: Verdict) -> Iterator[Reached]:
    """What speaks against the classes named, and where none is, each method's largest number."""
    if verdict.classes:
        yield from verdict.evidence()
        return
    for statistic in verdict.statistics:
        for top, value in statistic.largest(1):
            yield Reached(statistic, top, value)
