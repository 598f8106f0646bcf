"""Detect, sweep, prune, repair, evaluate."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from goodnet.api.model import Model
from goodnet.api.networks import Evaluation, GoodNet, RepairedNetwork
from goodnet.datasets.class_names import known_names
from goodnet.datasets.dataset import CleanDataset, Dataset
from goodnet.datasets.images import CleanImages
from goodnet.detection import credibility
from goodnet.detection.effort import MINUTES
from goodnet.detection.verdict import Verdict
from goodnet.errors import RequestRefused
from goodnet.evaluation.compare import compare
from goodnet.evaluation.results import (
    SUSPECT,
    pruned_model,
)
from goodnet.job.request import METHOD_CHOICES
from goodnet.metrics import Counts
from goodnet.mitigation.methods import method_named
from goodnet.mitigation.mitigate import MitigationInput, mitigate
from goodnet.mitigation.policy import FIRST, channels_pruned_first, choose_method
from goodnet.network.classifier import LogitModel
from goodnet.network.goodnet import join
from goodnet.network.suspect import as_written
from goodnet.progress import Progress, no_progress, silent
from goodnet.pruning import zeroing
from goodnet.pruning.curve import Curve, find_drop, make_curve, parse_points
from goodnet.pruning.order import Direction, order_channels
from goodnet.pruning.sweep import mean_activations, tally

DROPS = (2, 4, 10)  # points


def detect(
    model: Model,
    clean: CleanDataset,
    *,
    minutes: float = MINUTES,
    seed: int = 0,
    progress: Progress = no_progress,
    say: Callable[[str], None] = silent,
) -> Verdict:
    """Whether a model is backdoored, and for which classes, from clean images alone.

    Args:
        model: the suspect.
        clean: clean validation images, a few hundred of them.
        minutes: that it may take, about, on two cores: a large network is searched with less, and
            then it is never cleared.
        seed: of searches and reference networks.
        progress: called with (steps done, steps in all).
        say: called with what it will cost, before it begins.
    """
    view = LogitModel.from_suspect(model.suspect, model.preprocessing)
    verdict = credibility.judge(
        view, CleanImages.of(clean), minutes=minutes, seed=seed, progress=progress, say=say
    )
    asked, source = model.own.class_names, model.suspect.source
    names = known_names(asked, clean.class_names, model.classes, source)
    return replace(verdict, class_names=names)


def sweep(
    model: Model,
    clean: CleanDataset,
    *,
    order: Direction = "ascending",
    drops: Sequence[float | str] = DROPS,
    poisoned: Dataset | None = None,
    progress: Progress = no_progress,
) -> Curve:
    """Clean accuracy, and ASR where there are poisoned images, at 0, 1, ... channels pruned.

    Args:
        model: the suspect.
        clean: clean validation images: they alone choose the order and the drops.
        order: "ascending" prunes the channels that clean images use least first.
        drops: points of clean accuracy at which models are to be taken.
        poisoned: poisoned validation images, for the attack's line.
        progress: called with (images done, images in all).
    """
    activations = mean_activations(model.split, clean, model.preprocessing, progress)
    channels = order_channels(activations, order)
    states = channels.kept()
    counts = tally(model.split, clean, model.preprocessing, states, progress)
    attacked = None
    if poisoned:
        attacked = tally(model.split, poisoned, model.preprocessing, states, progress)
    return make_curve(channels, counts, attacked, parse_points(drops))


def prune(model: Model, curve: Curve, *, drop: float | str) -> RepairedNetwork:
    """The network at the first point of a curve where clean accuracy has fallen by the drop.

    Args:
        model: the suspect; not modified.
        curve: from `sweep`.
        drop: percentage points of clean validation accuracy.

    Raises:
        RequestRefused: the curve never falls that far.
    """
    (points,) = parse_points([drop])
    reached = find_drop(curve.clean_correct, curve.clean_count, points)
    if reached.k is None:
        raise RequestRefused(
            "drop", f"{points} points are never lost, {reached.largest:.2f} at most"
        )
    channels = curve.order.channels[: reached.k]
    identity = pruned_model(curve.order.direction, points, reached.k, model.suspect.format)
    network = zeroing.prune(model.suspect, model.layer, channels)
    joined = join(model.suspect, network, model.preprocessing)
    written = as_written(model.suspect, network)
    return RepairedNetwork(identity, written, network, tuple(channels), None, joined)


def repair(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    *,
    method: str = "auto",
    seed: int = 0,
    progress: Progress = no_progress,
) -> RepairedNetwork:
    """A network without the backdoor that a verdict is about, trained on clean images.

    Args:
        model: the suspect; not modified.
        clean: clean validation images.
        verdict: from `detect`.
        method: "unlearning", "finepruning", or "auto": what the verdict calls for.
        seed: of batches, triggers and searches.
        progress: called with (steps done, steps in all).

    Raises:
        RequestRefused: there is no such method, or the verdict calls for none.
    """
    if method not in METHOD_CHOICES:
        raise RequestRefused("method", f"{method!r} is not one of {', '.join(METHOD_CHOICES)}")
    chosen = choose_method(method, verdict)
    if chosen is None:
        raise RequestRefused(
            "method", f"{method!r} does nothing: the verdict is {verdict.verdict!r}"
        )
    channels: tuple[int, ...] = ()
    if chosen.prunes_first:
        channels = channels_pruned_first(sweep(model, clean, drops=[FIRST]))
    problem = MitigationInput(
        model.suspect, model.preprocessing, CleanImages.of(clean), verdict, model.layer, channels
    )
    made = mitigate(problem, method_named(chosen.name), seed=seed, progress=progress)
    identity, networks = made.account.model, (made.written, made.model)
    return RepairedNetwork(identity, *networks, channels, made.account, made.goodnet)


def evaluate(
    model: Model,
    networks: Sequence[RepairedNetwork | GoodNet],
    *,
    clean: Dataset | None = None,
    poisoned: Dataset | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """What a suspect, and networks made from it, do on test sets that nothing before has seen.

    Args:
        model: the suspect.
        networks: networks and GoodNets.
        clean: clean test images; without them nothing can be recommended.
        poisoned: poisoned test images; without them nothing is known of the attack.
        progress: called with (images done, images in all), for one network after the other.
    """
    repaired = [n.repaired if isinstance(n, GoodNet) else n for n in networks]
    every = {SUSPECT: model.suspect.network} | {n.identity.name: n.network for n in repaired}

    def count(images: Dataset) -> dict[str, Counts]:
        return {
            name: compare(model.suspect, network, images, model.preprocessing, progress)
            for name, network in every.items()
        }

    counts = count(clean) if clean else None, count(poisoned) if poisoned else None
    return Evaluation(model, tuple(networks), clean, poisoned, counts)
