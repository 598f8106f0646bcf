"""A suspect repaired by one of the mitigation methods, with an account of what came of it."""

from typing import NamedTuple

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection.detect import detect, references_for
from goodnet.detection.verdict import Verdict
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.method import Method
from goodnet.mitigation.outcome import MitigationResult
from goodnet.mitigation.recheck import best_successes, recheck
from goodnet.network.build import build_network, take_weights
from goodnet.network.classifier import Classifier, LogitModel
from goodnet.network.goodnet import gate_by_suspect, join
from goodnet.network.suspect import Suspect, as_written
from goodnet.preprocessing import Preprocessing
from goodnet.progress import Progress, no_progress


class MitigationInput(NamedTuple):
    """What a mitigation method may see: no poisoned and no test image.

    Attributes:
        suspect: not modified.
        preprocessing: what is done to pixels before it sees them.
        clean: clean validation images.
        verdict: which classes are in question.
        layer: the pruned layer.
        channels: those of it that a method which starts by pruning prunes.
    """

    suspect: Suspect
    preprocessing: Preprocessing
    clean: CleanImages
    verdict: Verdict
    layer: str
    channels: tuple[int, ...]


class MitigatedNetworks(NamedTuple):
    """What a mitigation method made.

    Attributes:
        model: the repaired model: the network that was trained, guarded where the method asked.
        written: the same in the form of the suspect's file.
        goodnet: the GoodNet of the suspect and that.
        account: what came of it.
    """

    model: keras.Model
    written: keras.Model
    goodnet: keras.Model
    account: MitigationResult


def _still_flagged(before: Verdict, again: Verdict) -> tuple[int, ...]:
    """The classes that a repaired network is named for, or suspected of as the suspect was."""
    suspected = (c for c in again.suspicious if c in before.flagged_classes)
    return (*again.classes, *suspected)


def _judged_again(
    problem: MitigationInput, suspect: LogitModel, repaired: LogitModel, seed: int
) -> Verdict:
    """The verdict on a repaired network, against the references of the suspect."""
    minutes = problem.verdict.minutes
    references = references_for(suspect, problem.clean, minutes)
    return detect(repaired, problem.clean, minutes=minutes, references=references, seed=seed)


def mitigate(
    problem: MitigationInput, method: Method, *, seed: int = 0, progress: Progress = no_progress
) -> MitigatedNetworks:
    """Repair a suspect.

    The network that the method made is judged as the suspect was, with other images and patterns
    and the same references.

    Args:
        problem: the suspect and what may be seen.
        method: how.
        seed: of batches, stamps and searches.
        progress: called with (steps done, steps in all).
    """
    suspect, preprocessing = problem.suspect, problem.preprocessing
    parts = hold_out(problem.clean)
    view = LogitModel.from_suspect(suspect, preprocessing)
    before = view.accuracy(parts.held_out)
    result = method.repair(problem, view, parts, seed, progress)
    network = build_network(suspect.plan, suspect.source)
    take_weights(network, view.network)
    model, written = network, as_written(suspect, network)
    if result.classes is not None:
        model, written = (
            gate_by_suspect(suspect, network, preprocessing, result.classes, written=each)
            for each in (False, True)
        )
    repaired, known = Classifier(model, preprocessing), problem.verdict.recovered_triggers()
    teacher = LogitModel.from_suspect(suspect, preprocessing)
    again = _judged_again(problem, teacher, view, seed + 1) if known else None
    fresh = again.recovered_triggers() if again else []
    suspect_shares = best_successes(teacher, parts.held_out, known)
    account = MitigationResult(
        model=method.model(result.pruned, suspect.format),
        steps=result.steps,
        classes=result.classes,
        held_out_before=before,
        held_out_after=repaired.accuracy(parts.held_out),
        triggers=recheck(suspect_shares, repaired, parts.held_out, known, fresh),
        flagged_classes=_still_flagged(problem.verdict, again) if again else None,
    )
    goodnet = join(suspect, network, preprocessing, result.classes)
    return MitigatedNetworks(model, written, goodnet, account)
