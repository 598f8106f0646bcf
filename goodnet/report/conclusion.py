"""What a repair comes to, in plain sentences: the recommendation first, then what it rests on.

The first sentence is for somebody who has read nothing else: what the suspect is, what to use, why.
"""

from collections.abc import Iterator

from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE
from goodnet.evaluation.results import EvaluationRow, RepairedModel
from goodnet.files import paths
from goodnet.metrics import Proportion
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.report.findings import RepairResult
from goodnet.report.observations import observations
from goodnet.report.recommendation import (
    REMOVED,
    WORKS,
    Candidate,
    Recommendation,
    is_triggered,
    recommend,
)
from goodnet.report.tables import classes_in_words, counted, percent, points
from goodnet.report.verdict_sentence import verdict_sentence, why_inconclusive


def headline(findings: RepairResult) -> str:
    """What the suspect is, what to use and why, in a sentence or two."""
    return " ".join(recommendation_sentences(findings)[:2])


def conclude(findings: RepairResult) -> list[str]:
    """The conclusion, as sentences: the recommendation, the verdict, what each method did."""
    verdict = verdict_sentence(findings.verdict)
    return [
        *recommendation_sentences(findings),
        f"From clean validation images alone, the verdict is {verdict[0].lower()}{verdict[1:]}",
        *observations(findings),
    ]


def recommendation_sentences(findings: RepairResult) -> list[str]:
    """The recommendation, or why there is none, and its limits."""
    chosen = recommend(findings)
    if chosen.answer != BACKDOORED:
        return [_nothing_known(findings, chosen)]
    if chosen.model:
        said = [_use_model(findings, chosen, chosen.model)]
    elif chosen.goodnet:
        said = [_use_goodnet(findings, chosen, chosen.goodnet)]
    else:
        return [f"{_what_it_is(findings, chosen)}, and {_why_not(findings, chosen)}."]
    return [*said, *_goodnet_beside(chosen), _made_by(findings, chosen)]


def _nothing_known(findings: RepairResult, chosen: Recommendation) -> str:
    """What is said where neither poisoned nor clean images show a backdoor."""
    verdict = findings.verdict
    if chosen.answer == INCONCLUSIVE:
        return (
            f"Whether this network has a backdoor could not be told: {why_inconclusive(verdict)}. "
            "So nothing is recommended, neither this network nor one made from it."
        )
    looked = ""
    if findings.evaluation[0].attack_success:
        looked = ", and the poisoned test set is too small to settle it"
        if is_triggered(findings) is False:
            looked = ", nor does the poisoned test set trigger one"
    return (
        f"No backdoor was found in this network{looked}. That is no proof that there is none, so "
        "nothing is recommended: trust it as far as you trust where it is from."
    )


def _what_it_is(findings: RepairResult, chosen: Recommendation) -> str:
    """ "This network has a backdoor", as surely as it is known."""
    if chosen.basis == "measured":
        return "This network has a backdoor"
    return (
        "This network seems, from clean images alone, to have a backdoor for "
        f"{classes_in_words(findings.verdict.classes)}"
    )


def _use_model(findings: RepairResult, chosen: Recommendation, model: Candidate) -> str:
    use = f"{_what_it_is(findings, chosen)}; use {recommended_model(model)} in its place"
    before, after = findings.evaluation[0], model.row
    right = (
        f"answers {percent(after.clean_accuracy.value)} of the clean test images right "
        f"({percent(before.clean_accuracy.value)} before)"
    )
    if before.attack_success and after.attack_success and chosen.basis == "measured":
        return (
            f"{use}: it gives the attacker's answer to {_of(after.attack_success)} poisoned test "
            f"images, where this network gives it to {_of(before.attack_success)}, and {right}."
        )
    recovered = "; ".join(map(_estimate, _recovered(findings, model.repaired)))
    return f"{use}: it {right}, and, by an estimate without any poisoned image, {recovered}."


def _recovered(findings: RepairResult, model: RepairedModel) -> list[TriggerRecheck]:
    """What triggers of the classes named do to a candidate."""
    return [
        recovery
        for recheck in findings.rechecks
        if recheck.model == model
        for recovery in recheck.triggers
        if recovery.target in findings.verdict.classes
    ]


def _estimate(recovery: TriggerRecheck) -> str:
    return (
        f"a trigger for class {recovery.target} takes {percent(recovery.after.value)} of images "
        f"there, no longer {percent(recovery.before.value)}"
    )


def _use_goodnet(findings: RepairResult, chosen: Recommendation, goodnet: Candidate) -> str:
    result = goodnet.row
    flags = f"flags {_flags(result)}"
    left = ""
    if result.attack_success and chosen.basis == "measured":
        left = f", and lets the attacker's answer through for {_of(result.attack_success)}"
    return (
        f"{_what_it_is(findings, chosen)}; use {paths.RECOMMENDED_GOODNET} in its place, which "
        f"{flags}{left}. No repaired model can be used on its own."
    )


def _goodnet_beside(chosen: Recommendation) -> Iterator[str]:
    """What the GoodNet adds to a model that is recommended."""
    if chosen.model and chosen.goodnet:
        unknown = "" if chosen.goodnet.row.poisoned_flagged else "; what it catches is unknown"
        yield (
            f"To be told when somebody tries the backdoor, use {paths.RECOMMENDED_GOODNET}, which "
            f"flags {_flags(chosen.goodnet.row)}{unknown}."
        )


def _flags(result: EvaluationRow) -> str:
    clean, poisoned = result.clean_flagged, result.poisoned_flagged
    caught = f"{percent(poisoned.value)} of the poisoned and " if poisoned else ""
    return f"{caught}{percent(clean.value) if clean else 'some'} of the clean test images"


def _made_by(findings: RepairResult, chosen: Recommendation) -> str:
    """Where what is recommended comes from, and what is not known of it."""
    what = [
        f"{name} is {path}"
        for name, path in (
            ("The model", chosen.model.repaired.model_file if chosen.model else ""),
            ("the GoodNet", chosen.goodnet.repaired.goodnet_file if chosen.goodnet else ""),
        )
        if path
    ]
    tested = "the trigger of the poisoned test set was tested"
    if chosen.basis == "estimated":
        tested = "triggers recovered from clean images were tried"
    said = " and ".join(what)
    return f"{said[0].upper()}{said[1:]}; only {tested}, and another trigger may still work."


def _why_not(findings: RepairResult, chosen: Recommendation) -> str:
    """Why nothing is recommended, after the best there is."""
    nearest = chosen.nearest
    if nearest is None:
        return "there is no repaired model: use neither this network nor one made from it"
    faults = list(_faults(findings, nearest))
    where = nearest.file
    return (
        "nothing can be recommended in its place; what comes nearest, "
        f"{where}, {'; '.join(faults) or 'does not tell poisoned images from clean ones'}"
    )


def _faults(findings: RepairResult, candidate: Candidate) -> Iterator[str]:
    """What speaks against a candidate."""
    attack = candidate.row.attack_success
    if candidate.attacked and attack:
        sure = "" if attack.value > REMOVED else ", which are too few to be sure"
        still = "gives" if sure else "still gives"
        yield (
            f"{still} the attacker's answer to {counted(attack)} of the poisoned test images{sure}"
        )
    if candidate.doubted:
        yield f"is not shown to be rid of {classes_in_words(candidate.doubted)}" + (
            _why_doubted(findings, candidate)
        )
    if candidate.costly:
        yield (
            f"loses {points(100 * candidate.loss.value)} points of clean test accuracy, at least "
            f"{points(100 * candidate.loss.low)}, where {findings.budget:g} may be lost"
        )


def _why_doubted(findings: RepairResult, candidate: Candidate) -> str:
    """Why triggers do not show that a class is gone: a clause, or nothing."""
    recheck = next((r for r in findings.rechecks if r.model == candidate.repaired), None)
    if recheck is None:
        return " (no trigger was recovered to try)"
    if recheck.backdoored_classes is None:
        return " (pruned models are not judged again; --method unlearning makes one that is)"
    again = [c for c in candidate.doubted if c in recheck.backdoored_classes]
    if again:
        return " (judged again, it is called backdoored)"
    weak = [r for r in recheck.triggers if r.target in candidate.doubted]
    if any(r.before.low <= WORKS for r in weak):
        return " (no trigger was recovered that works well enough in this network to tell)"
    return " (a recovered trigger still works)" if weak else " (no trigger was recovered to try)"


def recommended_files(findings: RepairResult) -> dict[str, str]:
    """What is recommended: each copy's name -> the file it is of, below the repair's folder."""
    chosen, files = recommend(findings), dict[str, str]()
    if chosen.model:
        files[recommended_model(chosen.model)] = chosen.model.file
    if chosen.goodnet:
        files[paths.RECOMMENDED_GOODNET] = chosen.goodnet.file
    return files


def _of(share: Proportion) -> str:
    return f"{share.hits:,} of {share.count:,}"


def recommended_model(candidate: Candidate) -> str:
    """Where the copy of the recommended model is, below the repair's folder."""
    _, _, suffix = candidate.file.rpartition(".")
    return paths.recommended_model(f".{suffix}")
