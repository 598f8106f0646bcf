"""What the verdict and the second repair come to, in plain sentences: which model to deploy."""

from collections.abc import Iterable, Sequence
from math import inf

from goodnet.detection.verdict import BACKDOORED, NOTHING, Verdict
from goodnet.evaluation import Result
from goodnet.findings import Findings
from goodnet.metrics import Share
from goodnet.mitigation.mitigated import Mitigated
from goodnet.paths import goodnet, repaired_model
from goodnet.tables import classes_in_words, counted, percent, points

TRIGGERED = 0.10  # a suspect whose ASR is lower shows no backdoor
REMOVED = 0.05  # a repaired model whose ASR is higher is not repaired
HOW = {"unlearned": "unlearning", "finepruned": "fine-pruning"}


def headline(findings: Findings) -> str:
    """The verdict and what to do, in two sentences."""
    return " ".join(advise(findings)[:2])


def advise(findings: Findings) -> list[str]:
    """The verdict, then which model to deploy or that there is none, then on what grounds."""
    said = [verdict_sentence(findings.verdict)]
    if findings.mitigated is None:
        return [*said, _without(findings)]
    return [*said, *_with(findings, findings.mitigated)]


def verdict_sentence(verdict: Verdict) -> str:
    """The verdict with the numbers that it rests on."""
    if verdict.verdict == BACKDOORED:
        said = f"Backdoored, {classes_in_words(verdict.classes)}: {_evidence(verdict)}."
        return f"{said}{_beside(verdict)}"
    if verdict.verdict == NOTHING:
        return f"No backdoor found: no class stands out ({_evidence(verdict)})."
    if not verdict.suspicious:
        return (
            "Inconclusive: no class stands out, but the clean validation images are too few to "
            f"clear a network ({_evidence(verdict)})."
        )
    said = f"Inconclusive: {_stand_out(verdict.suspicious)}, but not clearly"
    return f"{said} ({_evidence(verdict)})."


def _beside(verdict: Verdict) -> str:
    """What is said of classes that stand out beside those named."""
    said = ""
    if verdict.suspicious:
        said += f" {_stand_out(verdict.suspicious).capitalize()} as well, but not clearly."
    if verdict.dependent:
        said += f" {_stand_out(verdict.dependent).capitalize()} only through the trigger of another"
        said += ", and not once it is unlearned."
    return said


def _stand_out(classes: Sequence[int]) -> str:
    verb = "stand" if len(classes) > 1 else "stands"
    return f"{classes_in_words(classes)} {verb} out"


def _evidence(verdict: Verdict) -> str:
    """Each method's largest number, the class it is of, and where the bar is.

    Where classes are named, of the methods that name one.
    """
    said = []
    for statistic in verdict.statistics:
        if statistic.at_least(statistic.named if verdict.classes else -inf):
            (top, number), *_ = statistic.largest(1)
            said.append(
                f"{statistic.method} {number:.2f} for class {top}, "
                f"named from {statistic.named:g} on"
            )
    return "; ".join(said)


def is_triggered(findings: Findings) -> bool:
    """Whether the poisoned test set, if there is one, triggers a backdoor in the suspect."""
    attack = findings.results[0].attack_success
    if attack is None:
        return False
    return attack.value >= TRIGGERED and attack.low > 1 / findings.model.classes


def _without(findings: Findings) -> str:
    """What to do where there was no second repair."""
    attack = findings.results[0].attack_success
    if attack is not None and is_triggered(findings) and findings.verdict.verdict != BACKDOORED:
        return (
            f"The poisoned test set says otherwise, with an ASR of {counted(attack)}: do not "
            "deploy the suspect, and ask for --method finepruning."
        )
    if findings.verdict.verdict == NOTHING:
        return "Nothing beside pruning was done: as far as clean images tell, deploy the suspect."
    return "Not repaired: nothing beside pruning was asked for."


def _with(findings: Findings, mitigated: Mitigated) -> list[str]:
    """What to do after a second repair."""
    repaired, joined = _results(findings.results)
    faults = [*_faults(mitigated), *_attack_left(findings, repaired)]
    file = repaired_model(mitigated.name, "", findings.model.format)
    before = findings.results[0]
    change = (
        f"{HOW[mitigated.name]} took clean test accuracy from "
        f"{percent(before.clean_accuracy.value)} to {percent(repaired.clean_accuracy.value)}"
        f"{_attack_change(before.attack_success, repaired.attack_success)}"
    )
    if faults:
        said = [f"Not repaired: {'; '.join(faults)}. {change[0].upper()}{change[1:]}, see {file}."]
    else:
        said = [f"Deploy {file}: {change}."]
    return [*said, *_estimates(mitigated), *_screening(joined, mitigated)]


def _results(results: Iterable[Result]) -> tuple[Result, Result]:
    """The second repaired model's and its GoodNet's."""
    second = {r.model: r for r in results if r.repaired and not r.repaired.by_pruning}
    return second["repaired"], second["goodnet"]


def _faults(mitigated: Mitigated) -> list[str]:
    said = []
    if not mitigated.kept_budget:
        said.append(
            f"{points(mitigated.lost)} points of held-out clean validation accuracy were "
            f"lost, and {mitigated.budget:g} may be"
        )
    said += [
        f"a trigger for class {found.target} can still be recovered, which takes "
        f"{percent(found.after.value)} of clean images there"
        for found in mitigated.still_there
    ]
    return said


def _attack_left(findings: Findings, repaired: Result) -> list[str]:
    attack = repaired.attack_success
    if attack is None or not is_triggered(findings) or attack.value <= REMOVED:
        return []
    return [f"the ASR on the poisoned test set is still {counted(attack)}"]


def _attack_change(before: Share | None, after: Share | None) -> str:
    if before is None or after is None:
        return ""
    return f" and the ASR from {percent(before.value)} to {percent(after.value)}"


def _estimates(mitigated: Mitigated) -> list[str]:
    """The ASR of recovered triggers: all there is to know without a poisoned set."""
    held_out = (
        f"Held-out clean validation accuracy went from {counted(mitigated.held_out_before)} to "
        f"{counted(mitigated.held_out_after)}."
    )
    return [
        held_out,
        *(
            f"Triggers recovered from clean images take {percent(found.before.value)} of them to "
            f"class {found.target} in the suspect and {percent(found.after.value)} after the "
            "repair: an estimate, without any poisoned image, of how far the backdoor is gone."
            for found in mitigated.recovered
        ),
    ]


def _screening(joined: Result, mitigated: Mitigated) -> list[str]:
    clean, poisoned = joined.clean_flagged, joined.poisoned_flagged
    if clean is None:
        return []
    caught = f"{percent(poisoned.value)} of the poisoned and " if poisoned else ""
    return [
        f"Its GoodNet {goodnet(mitigated.name, '')} flags {caught}{percent(clean.value)} of the "
        "clean test images."
    ]
