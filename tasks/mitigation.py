"""What is done to a suspect beside pruning, as cached tasks; poisoned images only evaluate it."""

from collections.abc import Sequence
from typing import NamedTuple

from goodnet.detection.verdict import Verdict
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.metrics import Counts
from goodnet.mitigation.outcome import MitigationResult, TriggerRecheck
from goodnet.preprocessing import Preprocessing
from tasks import opened
from tasks.caching import Folder, cached_task
from tasks.outputs import store_networks
from tasks.progress import reporter
from tasks.references import SplitSuspect, SuspectFile


class MitigatedFiles(NamedTuple):
    """What came of a mitigation method, and the files of its model and GoodNet."""

    account: MitigationResult
    model: StoredFile
    goodnet: StoredFile


@cached_task(name="mitigate", run_name="mitigate by {method}")
def mitigate(
    split: SplitSuspect,
    method: str,
    verdict: Verdict,
    channels: tuple[int, ...],
    valid: DataFile,
    folder: Folder,
) -> MitigatedFiles:
    """A network without the backdoor, and its GoodNet.

    Args:
        method: the method's name.
        verdict: says which classes are in question.
        channels: those of the layer that are pruned first, by a method that does so.
        folder: where the networks are left.
    """
    from goodnet.datasets.images import CleanImages
    from goodnet.mitigation.methods import method_named
    from goodnet.mitigation.mitigate import MitigationInput, mitigate

    suspect = opened.suspect(split.suspect)
    clean = CleanImages.of(opened.clean_valid(valid, suspect))
    problem = MitigationInput(suspect, split.preprocessing, clean, verdict, split.layer, channels)
    progress = reporter(f"repairing by {method}", "steps")
    networks = mitigate(problem, method_named(method), progress=progress)
    names = networks.account.model.model_file, networks.account.model.goodnet_file
    files = store_networks([networks.written, networks.goodnet], names, folder.uri)
    return MitigatedFiles(networks.account, *files)


@cached_task(name="try triggers", run_name="try recovered triggers on pruned models")
def try_triggers(
    split: SplitSuspect, verdict: Verdict, pruned: Sequence[Sequence[int]], valid: DataFile
) -> list[tuple[TriggerRecheck, ...]]:
    """What the triggers of the verdict do to each pruned model, on the held-out clean images.

    Args:
        verdict: has the triggers.
        pruned: the channels that are pruned in each model.
    """
    from goodnet.datasets.images import CleanImages
    from goodnet.mitigation.holdout import hold_out
    from goodnet.mitigation.recheck import best_successes, recheck
    from goodnet.network.classifier import Classifier
    from goodnet.pruning.zeroing import prune

    suspect = opened.suspect(split.suspect)
    images = hold_out(CleanImages.of(opened.clean_valid(valid, suspect))).held_out
    triggers = verdict.recovered_triggers()
    before = best_successes(Classifier(suspect.network, split.preprocessing), images, triggers)
    return [
        recheck(
            before,
            Classifier(prune(suspect, split.layer, channels), split.preprocessing),
            images,
            triggers,
        )
        for channels in pruned
    ]


@cached_task(name="evaluate mitigation", run_name="evaluate mitigation on {role}")
def evaluate_mitigation(
    suspect: SuspectFile,
    preprocessing: Preprocessing,
    repaired: StoredFile,
    data: DataFile,
    role: str,
) -> Counts:
    """What a mitigated model, and its GoodNet, do on a test set."""
    from goodnet.evaluation.compare import compare

    network = opened.suspect(suspect)
    mitigated = opened.suspect(SuspectFile(repaired, "auto")).network
    dataset = opened.dataset(data, network, role)
    return compare(
        network, mitigated, dataset, preprocessing, reporter(f"evaluating on {role} images")
    )
