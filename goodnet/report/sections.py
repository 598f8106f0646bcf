"""What the report says of the verdict and of the mitigation."""

from typing import Any

from goodnet.detection.verdict import Statistic, Verdict
from goodnet.mitigation.methods import method_named
from goodnet.mitigation.outcome import MitigationResult
from goodnet.report.findings import RepairResult
from goodnet.report.tables import classes_in_words, counted, percent
from goodnet.report.verdict_sentence import verdict_sentence

LARGEST = 3  # classes of a method that are named with their number


def verdict_contents(verdict: Verdict) -> dict[str, Any]:
    """The verdict: its sentence, a row for each method and for each recovered trigger."""
    return {
        "sentence": verdict_sentence(verdict),
        "lack": verdict.references.lack,
        "rows": [_method(statistic) for statistic in verdict.statistics],
        "triggers": [
            {
                "target": found.target,
                "area": percent(found.area),
                "success": counted(found.success),
                "margin": f"{found.margin:.1f}",
            }
            for found in verdict.triggers
        ],
    }


def _method(statistic: Statistic) -> dict[str, Any]:
    return {
        "method": statistic.method,
        "count": len(statistic.values),
        "largest": ", ".join(
            f"{value:.2f} for class {label}" for label, value in statistic.largest(LARGEST)
        )
        or "no class came near",
        "suspicious": f"{statistic.suspicious:g}",
        "named": f"{statistic.named:g}",
    }


def mitigation_contents(findings: RepairResult) -> dict[str, Any] | None:
    """The second repair; None where there was none."""
    found = findings.mitigation
    if found is None:
        return None
    pruned = f"{found.model.pruned} channels were pruned first; " if found.model.pruned else ""
    return {
        "how": method_named(found.model.method).title.lower(),
        "asked": "as the verdict calls for" if findings.method == "auto" else "as asked",
        "held_out": found.held_out_after.count,
        "before": counted(found.held_out_before),
        "after": counted(found.held_out_after),
        "again": _again(found),
        "account": f"{pruned}{found.steps} steps of training were done.",
        "guarded": classes_in_words(found.classes) if found.classes else "",
        "file": found.model.model_file,
        "goodnet": found.model.goodnet_file,
    }


def _again(mitigation: MitigationResult) -> str:
    """What came of judging the network again, if that was done."""
    again = mitigation.backdoored_classes
    if again is None:
        return ""
    if not again:
        return "Judged again, as the suspect was, the trained network has no class that is named."
    return f"Judged again, the trained network is backdoored, {classes_in_words(again)}."


def estimates_contents(findings: RepairResult) -> list[dict[str, Any]]:
    """A row for each repaired model and class that a trigger was tried for."""
    return [
        {
            "label": recheck.model.label,
            "drop": recheck.model.drop or "",
            "target": recovery.target,
            "before": counted(recovery.before),
            "after": counted(recovery.after),
        }
        for recheck in findings.rechecks
        for recovery in recheck.triggers
    ]
