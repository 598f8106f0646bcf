"""What weakens a repair's numbers: the facts that the template `caveats` puts into words."""

from fractions import Fraction
from math import ceil
from typing import Final

from goodnet.metrics import Proportion
from goodnet.report.findings import RepairResult
from goodnet.report.prose import sentences
from goodnet.report.recommendation import recommend, still_works
from goodnet.report.thresholds import WIDE

FEWEST: Final = 10  # images that the smallest drop should be


def caveats(findings: RepairResult) -> list[str]:
    """What weakens this repair's numbers, as sentences with the numbers in them."""
    mitigation, valid = findings.mitigation, findings.baseline_clean.count
    images = [ceil(Fraction(drop) * valid / 100) for drop in findings.points]
    return sentences(
        "caveats",
        findings.verdict.class_names,
        brought=findings.brought,
        tested=findings.tested,
        chosen_among=_chosen_among(findings),
        method=mitigation.model.title.lower() if mitigation else "",
        still_triggered=[
            trigger.target
            for trigger in (mitigation.triggers if mitigation else ())
            if still_works(trigger)
        ],
        classes=findings.model.classes,
        incomplete=[
            set_
            for set_ in findings.sets
            if set_.role.startswith("clean") and set_.labels_present < findings.model.classes
        ],
        given_twice=_given_twice(findings),
        valid=valid,
        drops=findings.points,
        drops_in_images=images if images[0] < FEWEST else [],
        widest=_widest(findings),
    )


def _chosen_among(findings: RepairResult) -> int:
    """Among how many networks the test sets chose what is recommended; 0 where they did not."""
    chosen, count = recommend(findings), len(findings.evaluation) - 1
    by_tests = chosen.basis == "measured" and (chosen.model or chosen.goodnet)
    return count if by_tests and count > 1 else 0


def _given_twice(findings: RepairResult) -> list[list[str]]:
    """The roles of each file that was given as more than one set: then the test is no test."""
    roles: dict[tuple[str, str], list[str]] = {}
    for dataset in findings.sets:
        half = dataset.role if dataset.half_of or dataset.array else ""
        roles.setdefault((dataset.sha256, half), []).append(dataset.role)
    return [same for same in roles.values() if len(same) > 1]


def _widest(findings: RepairResult) -> Proportion | None:
    """The share with the widest interval; None where that is narrow enough."""
    shares = [share for row in findings.evaluation for share in row.shares.values() if share]
    widest = max(shares, key=lambda share: share.high - share.low, default=None)
    return widest if widest and widest.high - widest.low > WIDE else None
