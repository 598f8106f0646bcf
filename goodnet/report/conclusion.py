"""What a repair comes to, in plain sentences: the recommendation first, then what it rests on."""

from typing import Literal

from goodnet.files import paths
from goodnet.report.findings import RepairResult
from goodnet.report.observations import observations
from goodnet.report.prose import sentences
from goodnet.report.recommendation import Candidate, is_triggered, recommend
from goodnet.report.thresholds import REMOVED, WORKS
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
    nearest = chosen.nearest
    return sentences(
        "recommendation",
        findings.verdict.class_names,
        REMOVED=REMOVED,
        suspect=findings.evaluation[0],
        verdict=findings.verdict,
        budget=findings.budget,
        chosen=chosen,
        tested=findings.tested,
        triggered=is_triggered(findings),
        why_inconclusive=why_inconclusive(findings.verdict),
        model_copy=recommended_model(chosen.model) if chosen.model else "",
        goodnet_copy=paths.RECOMMENDED_GOODNET,
        estimates=[
            trigger
            for recheck in findings.rechecks
            if chosen.model and recheck.model == chosen.model.repaired
            for trigger in recheck.triggers
            if trigger.target in findings.verdict.classes
        ],
        doubts={nearest.file: why_doubted(findings, nearest)} if nearest else {},
    )


Doubt = Literal["untried", "not judged", "backdoored", "weak", "works"]


def why_doubted(findings: RepairResult, candidate: Candidate) -> Doubt:
    """Why triggers do not show that the doubted classes of a candidate are gone."""
    recheck = next((r for r in findings.rechecks if r.model == candidate.repaired), None)
    if recheck is None:
        return "untried"
    if recheck.flagged_classes is None:
        return "not judged"
    if set(recheck.flagged_classes) & set(candidate.doubted):
        return "backdoored"
    doubted = [trigger for trigger in recheck.triggers if trigger.target in candidate.doubted]
    if any(trigger.before.low <= WORKS for trigger in doubted):
        return "weak"
    return "works" if doubted else "untried"


def recommended_files(findings: RepairResult) -> dict[str, str]:
    """What is recommended: each copy's name -> the file it is of, below the repair's folder."""
    chosen, files = recommend(findings), dict[str, str]()
    if chosen.model:
        files[recommended_model(chosen.model)] = chosen.model.file
    if chosen.goodnet:
        files[paths.RECOMMENDED_GOODNET] = chosen.goodnet.file
    return files


def recommended_model(candidate: Candidate) -> str:
    """Where the copy of the recommended model is, below the repair's folder."""
    _, _, suffix = candidate.file.rpartition(".")
    return paths.recommended_model(f".{suffix}")
