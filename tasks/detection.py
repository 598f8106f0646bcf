"""The verdict, and what it calls for, as cached tasks: from clean validation images alone."""

from collections.abc import Sequence
from typing import NamedTuple

from goodnet.detection.verdict import Verdict
from goodnet.files.paths import goodnet, repaired_model
from goodnet.files.storage import StoredFile
from goodnet.metrics import Counts
from goodnet.mitigation.outcome import MitigationResult, Name, TriggerRecheck
from tasks import opened
from tasks.caching import Folder, cached_task
from tasks.outputs import store_networks
from tasks.progress import reporter


class Mitigation(NamedTuple):
    """A second repair: what came of it, and its files: the repaired model and the GoodNet."""

    mitigated: MitigationResult
    model: StoredFile
    goodnet: StoredFile


@cached_task(name="judge", run_name="judge")
def judge(
    model: StoredFile, architecture: StoredFile | str, scale: str, valid: StoredFile
) -> Verdict:
    """Whether the suspect is backdoored, and for which classes."""
    from goodnet.datasets.images import CleanImages
    from goodnet.detection.detect import judge
    from goodnet.network.classifier import LogitModel
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    clean = CleanImages.of(opened.dataset(valid, suspect))
    view = LogitModel.of(suspect, Scale(scale))
    return judge(view, clean, progress=reporter("looking for triggers", "steps"))


@cached_task(name="mitigate", run_name="mitigate: {how}")
def mitigate(
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    how: Name,
    verdict: Verdict,
    channels: tuple[int, ...],
    valid: StoredFile,
    folder: Folder,
) -> Mitigation:
    """A network without the backdoor, and its GoodNet.

    Args:
        how: the method.
        verdict: says which classes are in question.
        channels: those of the layer that fine-pruning prunes first.
        folder: where they are left.
    """
    from goodnet.datasets.images import CleanImages
    from goodnet.mitigation.mitigate import MitigationInput, mitigate
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    clean = CleanImages.of(opened.dataset(valid, suspect))
    problem = MitigationInput(suspect, Scale(scale), clean, verdict, layer, channels)
    repair = mitigate(problem, how, progress=reporter(f"{how} network", "steps"))
    paths = repaired_model(how, "", suspect.format), goodnet(how, "")
    return Mitigation(
        repair.account, *store_networks([repair.model, repair.goodnet], paths, folder.uri)
    )


@cached_task(name="try triggers", run_name="try recovered triggers on pruned models")
def try_triggers(
    model: StoredFile,
    architecture: StoredFile | str,
    layer: str,
    scale: str,
    verdict: Verdict,
    pruned: Sequence[Sequence[int]],
    valid: StoredFile,
) -> list[tuple[TriggerRecheck, ...]]:
    """What the triggers of the verdict do to each pruned model, on the held-out clean images.

    Args:
        verdict: has the triggers.
        pruned: the channels that are pruned in each model.
    """
    from goodnet.datasets.images import CleanImages
    from goodnet.mitigation.holdout import split
    from goodnet.mitigation.recheck import recheck
    from goodnet.network.classifier import Classifier
    from goodnet.pruning.zeroing import prune
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    images = split(CleanImages.of(opened.dataset(valid, suspect))).held_out
    before, triggers = Classifier(suspect.network, Scale(scale)), verdict.recovered_triggers()
    return [
        recheck(before, Classifier(prune(suspect, layer, channels), Scale(scale)), images, triggers)
        for channels in pruned
    ]


@cached_task(name="evaluate second repair", run_name="evaluate second repair on {role}")
def evaluate_second(
    model: StoredFile,
    architecture: StoredFile | str,
    scale: str,
    repaired: StoredFile,
    data: StoredFile,
    role: str,
) -> Counts:
    """What the second repaired model, and its GoodNet, do on a test set."""
    from goodnet.evaluation.compare import compare
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    network = opened.suspect(repaired, "auto").network
    dataset = opened.dataset(data, suspect)
    progress = reporter(f"evaluating on {role} images")
    return compare(suspect, network, dataset, Scale(scale), progress)
