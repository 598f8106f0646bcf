"""The verdict, and what it calls for, as cached tasks: from clean validation images alone."""

from typing import NamedTuple

from goodnet.detection.verdict import Verdict
from goodnet.evaluation import Counts
from goodnet.mitigation.mitigated import Mitigated, Name
from goodnet.paths import goodnet, repaired_model
from goodnet.storage import Stored
from tasks import opened
from tasks.caching import cached_task
from tasks.outputs import store_networks
from tasks.progress import reporter


class Second(NamedTuple):
    """A second repair: what came of it, and its files: the repaired model and the GoodNet."""

    mitigated: Mitigated
    model: Stored
    goodnet: Stored


@cached_task(name="judge", run_name="judge", version=7)
def judge(model: Stored, architecture: Stored | str, scale: str, valid: Stored) -> Verdict:
    """Whether the suspect is backdoored, and for which classes."""
    from goodnet.detection.judge import judge
    from goodnet.detection.problem import CleanImages, View
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    clean = CleanImages.of(opened.dataset(valid, suspect))
    view = View.of(suspect, Scale(scale))
    return judge(view, clean, progress=reporter("looking for triggers", "steps"))


@cached_task(name="mitigate", run_name="mitigate {name}: {how}", version=7)
def mitigate(
    name: str,
    model: Stored,
    architecture: Stored | str,
    layer: str,
    scale: str,
    how: Name,
    verdict: Verdict,
    channels: tuple[int, ...],
    budget: float,
    valid: Stored,
    folder: str,
) -> Second:
    """A network without the backdoor, and its GoodNet.

    Args:
        name: the suspect's name, for the task run's name.
        how: the method.
        verdict: says which classes are in question.
        channels: those of the layer that fine-pruning prunes first.
        budget: points of held-out clean validation accuracy that it may cost.
        folder: the repair's folder.
    """
    from goodnet.detection.problem import CleanImages
    from goodnet.mitigation.mitigate import Problem, mitigate
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    clean = CleanImages.of(opened.dataset(valid, suspect))
    problem = Problem(suspect, Scale(scale), clean, verdict, layer, channels, budget)
    repair = mitigate(problem, how, progress=reporter(f"{how} network", "steps"))
    paths = repaired_model(how, "", suspect.format), goodnet(how, "")
    return Second(repair.account, *store_networks([repair.model, repair.goodnet], paths, folder))


@cached_task(name="evaluate second repair", run_name="evaluate second repair on {role}")
def evaluate_second(
    model: Stored,
    architecture: Stored | str,
    scale: str,
    repaired: Stored,
    data: Stored,
    role: str,
) -> Counts:
    """What the second repaired model, and its GoodNet, do on a test set."""
    from goodnet.comparison import compare
    from goodnet.scale import Scale

    suspect = opened.suspect(model, architecture)
    network = opened.suspect(repaired, "auto").network
    dataset = opened.dataset(data, suspect)
    progress = reporter(f"evaluating on {role} images")
    return compare(suspect, network, dataset, Scale(scale), progress)
