"""What weakens a repair's numbers, in plain sentences."""

from fractions import Fraction
from math import ceil
from typing import Final

from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import recommend, still_works
from goodnet.report.tables import classes_in_words, interval

WIDE: Final = 0.10  # an interval wider than this calls for a larger set


def caveats(findings: RepairResult) -> list[str]:
    """What weakens this repair's numbers, as sentences with the numbers in them."""
    return [
        *_chosen_among_many(findings),
        *_still_triggered(findings),
        *_lacking_classes(findings),
        *_same_sets(findings),
        *_small_sets(findings),
    ]


def _chosen_among_many(findings: RepairResult) -> list[str]:
    """What choosing does to the numbers of what was chosen."""
    chosen, count = recommend(findings), len(findings.evaluation) - 1
    if chosen.basis != "measured" or not (chosen.model or chosen.goodnet) or count < 2:
        return []
    return [
        f"What is recommended was chosen among {count} repaired models and GoodNets by these test "
        "sets, so it may do a little worse on other images."
    ]


def _still_triggered(findings: RepairResult) -> list[str]:
    """Classes that a trigger recovered from the suspect still leads to after training."""
    mitigation = findings.mitigation
    works = [r.target for r in mitigation.triggers if still_works(r)] if mitigation else []
    if not works:
        return []
    return [
        f"After unlearning, a trigger still takes most clean images to {classes_in_words(works)}."
    ]


def _lacking_classes(findings: RepairResult) -> list[str]:
    classes = findings.model.classes
    blind = {
        "clean valid": " Channels that only the others use look unused, and what a mitigation "
        "did to them is unknown."
    }
    return [
        f"The {set_name(found.role)} shows {found.labels_present} of the model's {classes} "
        f"classes: it says nothing about the others.{blind.get(found.role, '')}"
        for found in findings.sets
        if found.role.startswith("clean") and found.labels_present < classes
    ]


def set_name(role: str) -> str:
    """A data set's role in words: "clean validation set"."""
    return f"{role.replace('valid', 'validation')} set"


def _same_sets(findings: RepairResult) -> list[str]:
    """Sets that were given twice: then the test is no test."""
    roles: dict[str, list[str]] = {}
    for found in findings.sets:
        roles.setdefault(found.sha256, []).append(set_name(found.role))
    return [
        f"The same file was given as {' and '.join(same)}: what was measured on it is not "
        "independent."
        for same in roles.values()
        if len(same) > 1
    ]


def _small_sets(findings: RepairResult) -> list[str]:
    count = findings.baseline_clean.count
    images = [ceil(Fraction(asked) * count / 100) for asked in findings.points]
    said = []
    if images[0] < 10:
        said.append(
            f"With {count} clean validation images, one image is {100 / count:.2f} points; the "
            f"drops of {', '.join(findings.points)} points are {', '.join(map(str, images))} "
            "images, so where they fall is partly luck."
        )
    shares = [
        share for row in findings.evaluation for share in row.shares.values() if share is not None
    ]
    widest = max(shares, key=lambda share: share.high - share.low)
    if widest.high - widest.low > WIDE:
        said.append(f"The test sets are small: 95 % intervals are as wide as {interval(widest)}.")
    return said
