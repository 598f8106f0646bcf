"""What to use in the suspect's place, if anything: one recommendation over all candidates.

Candidates are all repaired models and their GoodNets. What speaks for one is of one of two kinds,
never mixed: *measured*, where a poisoned test set triggers the suspect, or else *estimated* from
clean images, where the verdict named a class and triggers recovered for it can be tried. Without
either nothing is recommended: that no backdoor was found is no reason to trust a file. Nor is
anything where the suspect is not accurate enough to be judged, or where there is no clean test set:
what a repair costs was then measured on no image that it was not chosen by.

Each bound is held against a 95 % interval, not against the share itself:

    triggered      the ASR's interval lies above TRIGGERED and above chance
    removed        the ASR's interval ends at REMOVED or lower
    within budget  the interval of the clean test accuracy lost reaches down to the budget
    gone           a recovered trigger's interval ends at WORKS or lower, of one that lay above it
                   in the suspect
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from goodnet.detection.verdict import BACKDOORED, Answer
from goodnet.evaluation.results import EvaluationRow, RepairedModel
from goodnet.metrics import PairedLoss, Proportion
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.report.findings import ModelRecheck, RepairResult
from goodnet.report.thresholds import REMOVED, TRIGGERED, WORKS

Basis = Literal["measured", "estimated"]


class Candidate(NamedTuple):
    """A repaired model or GoodNet, and what speaks against it.

    Attributes:
        row: what it does on the test sets.
        repaired: the repaired model that it is, or is joined from.
        loss: the clean test accuracy that it loses.
        costly: whether that is shown to be more than the budget.
        attacked: whether the poisoned test set is not shown to have lost its effect.
        doubted: classes that the verdict holds against the suspect, and whose triggers are not
            shown to be gone.
    """

    row: EvaluationRow
    repaired: RepairedModel
    loss: PairedLoss
    costly: bool
    attacked: bool
    doubted: tuple[int, ...]

    @property
    def file(self) -> str:
        """Its file, below the repair's folder."""
        joined = self.row.kind == "goodnet"
        return self.repaired.goodnet_file if joined else self.repaired.model_file

    @property
    def can_be_used(self) -> bool:
        """Whether nothing speaks against it."""
        return not (self.costly or self.attacked or self.doubted)

    @property
    def rank(self) -> tuple[Any, ...]:
        """The larger, the better: what is wrong with it, then clean accuracy less ASR.

        Of those that are doubted, one that was trained against it comes before pruned ones.
        """
        attack = self.row.attack_success
        value = self.row.clean_accuracy.value - (attack.value if attack else 0)
        trained = bool(self.doubted and not self.repaired.by_pruning)
        return not self.attacked, not self.doubted, trained, not self.costly, value


@dataclass(frozen=True)
class Recommendation:
    """What a repair comes to.

    Attributes:
        answer: what the suspect is, by all evidence.
        basis: the kind of evidence that candidates were ranked by; None where there is none.
        model: the repaired model to use, None where none can be.
        goodnet: the GoodNet to use, likewise.
        nearest: the candidate that comes nearest to it; None without any.
    """

    answer: Answer
    basis: Basis | None
    model: Candidate | None
    goodnet: Candidate | None
    nearest: Candidate | None

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "suspect": self.answer,
            "evidence": self.basis,
            **{
                name: _named(candidate)
                for name, candidate in (("model", self.model), ("goodnet", self.goodnet))
            },
        }


def recommend(findings: RepairResult) -> Recommendation:
    """The recommendation that these findings give ground for."""
    verdict = findings.verdict
    measured = is_triggered(findings) and not verdict.is_doubtful
    answer = BACKDOORED if measured else verdict.verdict
    basis: Basis | None = None
    if measured or verdict.verdict == BACKDOORED:
        basis = "measured" if measured else "estimated"
    candidates = list(_candidates(findings, bool(measured))) if findings.tested else []
    nearest = max(candidates, key=lambda candidate: candidate.rank, default=None)
    if basis is None:
        return Recommendation(answer, None, None, None, nearest)
    usable = [candidate for candidate in candidates if candidate.can_be_used]
    models = [c for c in usable if c.row.kind == "repaired"]
    model = max(models, key=lambda candidate: candidate.rank, default=None)
    goodnets = [c for c in usable if c.row.kind == "goodnet" and _tells_apart(c.row)]
    own = [c for c in goodnets if model and c.repaired == model.repaired]
    goodnet = max(own or goodnets, key=lambda candidate: candidate.rank, default=None)
    return Recommendation(answer, basis, model, goodnet, nearest)


def is_triggered(findings: RepairResult) -> bool | None:
    """Whether the poisoned test set triggers a backdoor in the suspect.

    None where there is no such set, or its images are too few to tell.
    """
    attack = findings.evaluation[0].attack_success
    if attack is None:
        return None
    bound = max(TRIGGERED, 1 / findings.model.classes)
    return True if attack.low > bound else False if attack.high <= bound else None


def is_removed(attack: Proportion) -> bool:
    """Whether this ASR shows that a trigger has lost its effect."""
    return attack.high <= REMOVED


def is_gone(recovery: TriggerRecheck) -> bool:
    """Whether a trigger that worked in the suspect is shown to work no more."""
    return recovery.before.low > WORKS >= recovery.after.high


def still_works(recovery: TriggerRecheck) -> bool:
    """Whether a recovered trigger is shown to work in the repaired model."""
    return recovery.after.low > WORKS


def _candidates(findings: RepairResult, measured: bool) -> Iterator[Candidate]:
    """Every repaired model and GoodNet, models first."""
    suspect = findings.evaluation[0].clean_accuracy
    agreed = {row.repaired: row.clean_accuracy for row in findings.evaluation}  # a GoodNet's last
    rechecks = {recheck.model: recheck for recheck in findings.rechecks}
    for row in findings.evaluation:
        if row.repaired is None:
            continue
        after, both = row.clean_accuracy, agreed[row.repaired]
        loss = PairedLoss(suspect.hits, after.hits, both.hits, after.count)
        attack = row.attack_success
        yield Candidate(
            row,
            row.repaired,
            loss,
            costly=100 * loss.low > findings.budget,
            attacked=measured and attack is not None and not is_removed(attack),
            doubted=_doubted(findings, rechecks.get(row.repaired), measured),
        )


def _doubted(
    findings: RepairResult, recheck: ModelRecheck | None, measured: bool
) -> tuple[int, ...]:
    """The classes for which a backdoor may be left, as far as recovered triggers tell.

    A class that the poisoned test set is about is measured, and not estimated.
    """
    own = _targets_measured(findings) if measured else frozenset[int]()
    recovered = recheck.triggers if recheck else ()
    again = recheck.flagged_classes if recheck else None
    gone = {r.target for r in recovered if is_gone(r)} if again is not None else set()
    suspected = findings.verdict.flagged_classes
    doubted = [c for c in findings.verdict.classes if c not in gone]
    doubted += [r.target for r in recovered if r.target in suspected and still_works(r)]
    doubted += again or ()
    return tuple(dict.fromkeys(c for c in doubted if c not in own))


def _targets_measured(findings: RepairResult) -> frozenset[int]:
    """The labels of the poisoned test set."""
    (dataset,) = (s for s in findings.sets if s.role == "poisoned test")
    if dataset.labels_present <= 2:
        return frozenset({dataset.lowest_label, dataset.highest_label})
    return frozenset(range(dataset.lowest_label, dataset.highest_label + 1))


def _tells_apart(result: EvaluationRow) -> bool:
    """Whether a GoodNet flags poisoned images more often than clean ones, as far as is known."""
    poisoned, clean = result.poisoned_flagged, result.clean_flagged
    return poisoned is None or clean is None or poisoned.low > clean.high


def _named(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    repaired = candidate.repaired
    return {
        "method": repaired.method,
        "order": repaired.label if repaired.by_pruning else None,
        "drop": repaired.drop,
        "file": candidate.file,
    }
