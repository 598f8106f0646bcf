"""What pruning and training did, in plain sentences: the numbers of each method, without advice.

They speak of the test sets, claim no more than the 95 % intervals carry, and nothing about triggers
that are not in the poisoned set.
"""

from collections.abc import Sequence
from fractions import Fraction

from goodnet.evaluation.results import EvaluationRow, RepairedModel
from goodnet.metrics import Proportion
from goodnet.mitigation.methods import method_named
from goodnet.mitigation.outcome import MitigationResult
from goodnet.pruning.curve import Curve
from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import REMOVED, is_removed, is_triggered
from goodnet.report.tables import counted, interval, not_reached, percent, points

REDUCED = 0.50  # a backdoor is reduced where the ASR is at most this part of the suspect's
COSTLY = 0.10  # a larger loss of clean accuracy is pointed out


def observations(findings: RepairResult) -> list[str]:
    """What each method did."""
    training = training_observations(findings, findings.mitigation) if findings.mitigation else []
    return [*training, *pruning_observations(findings)]


def training_observations(findings: RepairResult, mitigation: MitigationResult) -> list[str]:
    """What unlearning or fine-pruning did."""
    before = findings.evaluation[0]
    after = next(row for row in findings.evaluation if row.repaired == mitigation.model)
    said = [
        f"{method_named(mitigation.model.method).title} took clean test accuracy from "
        f"{percent(before.clean_accuracy.value)} to {percent(after.clean_accuracy.value)}"
        f"{_attack_change(before.attack_success, after.attack_success)}. Of the clean validation "
        f"images held out from it, {counted(mitigation.held_out_before)} were answered right "
        f"before and {counted(mitigation.held_out_after)} after."
    ]
    if mitigation.triggers:
        tried = "; ".join(
            f"{percent(r.before.value)} to class {r.target}, then {percent(r.after.value)}"
            for r in mitigation.triggers
        )
        said.append(f"Of these images, triggers recovered from clean ones took {tried} afterwards.")
    return said


def _attack_change(before: Proportion | None, after: Proportion | None) -> str:
    if before is None or after is None:
        return ""
    return f" and the ASR from {percent(before.value)} to {percent(after.value)}"


def pruning_observations(findings: RepairResult) -> list[str]:
    """What pruning did to the backdoor, as sentences."""
    pruned = [r for r in findings.evaluation if r.repaired and r.repaired.by_pruning]
    repaired = [result for result in pruned if result.kind == "repaired"]
    goodnets = [result for result in pruned if result.kind == "goodnet"]
    suspect = findings.evaluation[0]
    attack = suspect.attack_success
    if attack is None:
        said = _unknown(findings, repaired)
    elif not is_triggered(findings):
        said = _not_triggered(findings, attack, suspect, repaired)
    elif not repaired:
        return [_nothing_repaired(findings), f"The suspect's ASR is {counted(attack)}."]
    else:
        said = _verdict(findings, suspect, attack, repaired)
        said += [*_goodnet(goodnets), *_directions(repaired)]
    return said + (not_reached(findings.curves) if repaired else [])


def _place(model: RepairedModel | None) -> str:
    return f"drop {model.drop} ({model.label})" if model else ""


def _nothing_repaired(findings: RepairResult) -> str:
    largest = max(drop.largest for curve in findings.curves for drop in curve.drops)
    return (
        f"Nothing was repaired: pruning never costs {findings.points[0]} points of clean "
        f"validation accuracy ({points(largest)} at most), so there is no repaired model and no "
        "GoodNet."
    )


def _unknown(findings: RepairResult, repaired: Sequence[EvaluationRow]) -> list[str]:
    """What can be said without a poisoned test set."""
    said = [
        "What pruning did to a backdoor is unknown: no poisoned test set was given, so there are "
        "no attack success rates."
    ]
    if not repaired:
        return [*said, _nothing_repaired(findings)]
    before = findings.evaluation[0].clean_accuracy
    shares = sorted(result.clean_accuracy.value for result in repaired)
    said.append(
        f"Clean test accuracy is {percent(before.value)} for the suspect and "
        f"{_range(shares)} for the repaired models."
    )
    flagged = [
        r.clean_flagged.value
        for r in findings.evaluation
        if r.clean_flagged is not None and r.repaired and r.repaired.by_pruning
    ]
    said.append(
        f"The GoodNets flag {_range(sorted(flagged))} of the clean test images; what they catch "
        "is unknown."
    )
    return [*said, *_on_validation(findings.curves)]


def _on_validation(curves: Sequence[Curve]) -> list[str]:
    """The validation ASR at the last drop reached, where that is all there is."""
    said = []
    for curve in curves:
        reached = [drop for drop in curve.drops if drop.k is not None]
        if curve.attack_success and reached:
            drop = reached[-1]
            said.append(
                f"On the poisoned validation images the ASR is {percent(curve.attack_success[0])} "
                f"for the suspect and {percent(curve.attack_success[drop.k or 0])} at drop "
                f"{drop.points} ({curve.order.direction})."
            )
    return said


def _range(values: Sequence[float]) -> str:
    """The span of sorted shares, or the one share they all are."""
    low, high = percent(values[0]), percent(values[-1])
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def _not_triggered(
    findings: RepairResult,
    attack: Proportion,
    suspect: EvaluationRow,
    repaired: Sequence[EvaluationRow],
) -> list[str]:
    shown = "does not trigger" if is_triggered(findings) is False else "is not shown to trigger"
    said = [
        f"The poisoned set given {shown} a backdoor in this model: the suspect answers "
        f"{counted(attack)} of it with the set's label"
        f"{', no more than chance' if attack.low <= 1 / findings.model.classes else ''}.",
        "This says nothing about other triggers. Check that set and model belong together.",
    ]
    if not repaired:
        said.append(_nothing_repaired(findings))
    else:
        best = max(repaired, key=lambda result: result.clean_accuracy.value)
        said.append(
            "Pruning has nothing to remove here and costs clean test accuracy: "
            f"{percent(suspect.clean_accuracy.value)} becomes "
            f"{percent(best.clean_accuracy.value)} at best, at {_place(best.repaired)}."
        )
    return said


def _verdict(
    findings: RepairResult,
    suspect: EvaluationRow,
    before: Proportion,
    repaired: Sequence[EvaluationRow],
) -> list[str]:
    """Whether pruning removed, reduced or left the backdoor, at the best trade-off of those."""
    removed = [r for r in repaired if is_removed(_attack(r))]
    reduced = [r for r in repaired if _attack(r).value <= REDUCED * before.value]
    if not reduced and not removed:
        return _still_there(repaired)
    best = _best(removed or reduced)
    attack, true = _attack(best), best.poisoned_true_accuracy
    change = (
        f"at {_place(best.repaired)}, ASR fell from {percent(before.value)} to "
        f"{percent(attack.value)} (95 % interval {interval(attack)}) while clean test accuracy "
        f"went from {percent(suspect.clean_accuracy.value)} to "
        f"{percent(best.clean_accuracy.value)}."
    )
    if removed:
        said = [f"Pruning removed this backdoor, as far as the poisoned test set shows: {change}"]
        said.append("Other triggers were not tested.")
    else:
        said = [f"Pruning reduced this backdoor but is not shown to have removed it: {change}"]
        said.append(_remainder(attack, findings.model.classes))
    cost = suspect.clean_accuracy.value - best.clean_accuracy.value
    if cost > COSTLY:
        said.append(f"The price is high: {points(100 * cost)} points of clean test accuracy.")
    if true:
        said.append(f"It answers {percent(true.value)} of the poisoned images right.")
    return said


def _still_there(repaired: Sequence[EvaluationRow]) -> list[str]:
    lowest = min(repaired, key=lambda row: (_attack(row).value, -_drop(row)))
    model = lowest.repaired
    at = f"at drop {model.drop}" if model else ""
    order = f" ({model.label})" if model else ""
    return [
        f"Pruning did not remove this backdoor: {at} the ASR is still "
        f"{percent(_attack(lowest).value)}{order}; no pruned model has a lower one.",
    ]


def _drop(row: EvaluationRow) -> Fraction:
    return Fraction(row.repaired.drop or 0) if row.repaired else Fraction(0)


def _remainder(attack: Proportion, classes: int) -> str:
    """What the ASR that is left may be."""
    if attack.low <= 1 / classes:
        return (
            f"With {classes} classes, about {percent(1 / classes)} is what a model without any "
            "backdoor scores if the poisoned set shows all classes alike, the target's own among "
            "them."
        )
    return f"It is removed where the interval ends at {percent(REMOVED)} or lower."


def _attack(result: EvaluationRow) -> Proportion:
    """A result's ASR, where there is a poisoned test set."""
    if result.attack_success is None:
        raise ValueError(f"no ASR was measured: {result}")
    return result.attack_success


def _best(results: Sequence[EvaluationRow]) -> EvaluationRow:
    """The best trade-off: the largest clean accuracy less ASR, the smaller drop on a tie."""
    return max(results, key=lambda result: result.clean_accuracy.value - _attack(result).value)


def _goodnet(goodnets: Sequence[EvaluationRow]) -> list[str]:
    """The GoodNet that tells poisoned from clean images best."""
    told = [(g, g.poisoned_flagged, g.clean_flagged) for g in goodnets if g.repaired]
    rated = [(p.value - c.value, g, p, c) for g, p, c in told if p is not None and c is not None]
    _, best, poisoned, clean = max(rated, key=lambda entry: entry[0])
    flags = (
        f"{_place(best.repaired)}, flags {percent(poisoned.value)} of the poisoned and "
        f"{percent(clean.value)} of the clean test images"
    )
    if poisoned.low <= clean.high:
        return [
            "No pruned model's GoodNet flags poisoned images clearly more often than clean ones: "
            f"the best, at {flags}."
        ]
    return [
        f"The best GoodNet of a pruned model, at {flags}. It answers "
        f"{percent(best.clean_accuracy.value)} of the clean images right, and its ASR is "
        f"{percent(_attack(best).value)}."
    ]


def _directions(repaired: Sequence[EvaluationRow]) -> list[str]:
    """Ascending against descending at the largest drop that both reach."""
    found = {(r.repaired.drop, r.repaired.label): r for r in repaired if r.repaired}
    both = [p for p, direction in found if direction == "ascending" and (p, "descending") in found]
    if not both:
        return []
    drop = max(both, key=lambda drop: Fraction(drop or 0))
    up, down = found[drop, "ascending"], found[drop, "descending"]
    pruned = [row.repaired.pruned for row in (up, down) if row.repaired]
    said = (
        f"At drop {drop}, ascending prunes {pruned[0]} channels and descending {pruned[1]}; clean "
        f"test accuracy is {percent(up.clean_accuracy.value)} and "
        f"{percent(down.clean_accuracy.value)}"
    )
    if up.attack_success is None or down.attack_success is None:
        return [f"{said}."]
    asr = f"ASR {percent(up.attack_success.value)} and {percent(down.attack_success.value)}"
    return [f"{said}, {asr}: {_better(up.attack_success, down.attack_success)}."]


def _better(up: Proportion, down: Proportion) -> str:
    if up.high < down.low:
        return "against this backdoor ascending does better"
    if down.high < up.low:
        return "against this backdoor descending does better"
    return "the ASRs' 95 % intervals overlap, so neither order is clearly better against it"
