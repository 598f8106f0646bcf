"""What pruning and training did: the facts that the template `observations` puts into words."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from goodnet.evaluation.results import EvaluationRow
from goodnet.metrics import Proportion
from goodnet.pruning.curve import Curve, Drop
from goodnet.report.findings import RepairResult
from goodnet.report.prose import sentences
from goodnet.report.recommendation import is_removed, is_triggered
from goodnet.report.tables import not_reached
from goodnet.report.thresholds import COSTLY, REDUCED, REMOVED


def observations(findings: RepairResult) -> list[str]:
    """What each method did, as sentences."""
    facts = facts_of(findings)
    return sentences(
        "observations",
        findings.verdict.class_names,
        REMOVED=REMOVED,
        COSTLY=COSTLY,
        facts=facts,
        suspect=findings.evaluation[0],
        tested=findings.tested,
        mitigation=findings.mitigation,
        triggered=is_triggered(findings),
        classes=findings.model.classes,
        smallest_drop=findings.points[0],
        not_reached=not_reached(findings.curves) if facts["pruned"] else [],
    )


def facts_of(findings: RepairResult) -> dict[str, Any]:
    """What there is to observe, without words.

    Returns:
        The outcome ("unknown" without a poisoned test set, "not triggered" or "triggered"), and the
        rows of the evaluation that stand for something: the best trade-off among those that
        removed the backdoor, or else reduced it, and so on; None where there is none.
    """
    suspect, attack = findings.evaluation[0], findings.evaluation[0].attack_success
    by_pruning = [row for row in findings.evaluation if row.repaired and row.repaired.by_pruning]
    pruned = [row for row in by_pruning if row.kind == "repaired"]
    goodnets = [row for row in by_pruning if row.kind == "goodnet"]
    triggered = bool(is_triggered(findings))
    facts: dict[str, Any] = {
        "outcome": "unknown" if not attack else "triggered" if triggered else "not triggered",
        "pruned": pruned,
        "goodnets": goodnets,
        "largest_drop": max(drop.largest for curve in findings.curves for drop in curve.drops),
        "on_validation": _on_validation(findings.curves),
        **dict.fromkeys(("best", "best_goodnet", "orders", "most_accurate", "lowest_attack")),
    }
    if findings.mitigation:
        model = findings.mitigation.model
        facts["method"] = model.title
        facts["mitigated"] = next(row for row in findings.evaluation if row.repaired == model)
    if not findings.tested:
        return facts
    if pruned:
        facts["most_accurate"] = max(pruned, key=lambda row: row.clean_accuracy.value)
    if pruned and attack and triggered:
        removed = [row for row in pruned if is_removed(_attack(row))]
        reduced = [row for row in pruned if _attack(row).value <= REDUCED * attack.value]
        best = max(removed or reduced, key=_trade_off, default=None)
        facts |= {
            "removed": bool(removed),
            "best": best,
            "cost": suspect.clean_accuracy.value - best.clean_accuracy.value if best else 0,
            "lowest_attack": min(pruned, key=lambda row: (_attack(row).value, -_drop(row))),
            "best_goodnet": max(goodnets, key=_separation),
            "orders": _both_orders(pruned),
        }
    return facts


def _on_validation(curves: Sequence[Curve]) -> list[tuple[Curve, Drop]]:
    """Each curve with a validation ASR, and the last drop that it reaches."""
    reached = [
        (curve, [drop for drop in curve.drops if drop.k is not None])
        for curve in curves
        if curve.attack_success
    ]
    return [(curve, drops[-1]) for curve, drops in reached if drops]


def _attack(row: EvaluationRow) -> Proportion:
    """A network's ASR, where there is a poisoned test set."""
    if row.attack_success is None:
        raise ValueError(f"no ASR was measured: {row}")
    return row.attack_success


def _drop(row: EvaluationRow) -> Fraction:
    return Fraction(row.repaired.drop or 0) if row.repaired else Fraction(0)


def _trade_off(row: EvaluationRow) -> float:
    """Clean accuracy less ASR."""
    return row.clean_accuracy.value - _attack(row).value


def _separation(row: EvaluationRow) -> float:
    """How much more often a GoodNet flags poisoned images than clean ones."""
    poisoned, clean = row.poisoned_flagged, row.clean_flagged
    return poisoned.value - clean.value if poisoned and clean else 0.0


def _both_orders(pruned: Sequence[EvaluationRow]) -> tuple[EvaluationRow, EvaluationRow] | None:
    """The models at the largest drop that both orders reach: ascending, descending."""
    rows = {(row.repaired.label, _drop(row)): row for row in pruned if row.repaired}
    drops = [drop for label, drop in rows if label == "ascending" and ("descending", drop) in rows]
    if not drops:
        return None
    return rows["ascending", max(drops)], rows["descending", max(drops)]
