"""The method as verbs: load, detect, sweep, prune, repair, join, evaluate, write the report.

These are the names of `import goodnet`, and what the flows' tasks are made of. Whatever chooses or
trains takes a `CleanDataset`; poisoned and test images are plain `Dataset`s, which only `evaluate`
and the drawn lines of a curve take.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

from goodnet.backend import keras
from goodnet.datasets.dataset import CleanDataset, Dataset, open_clean_dataset, open_dataset
from goodnet.datasets.images import CleanImages
from goodnet.detection import credibility
from goodnet.detection.verdict import Verdict
from goodnet.errors import RequestRefused
from goodnet.evaluation.compare import compare
from goodnet.evaluation.results import (
    SUSPECT,
    EvaluationRow,
    RepairedModel,
    evaluation_rows,
    pruned_model,
)
from goodnet.files import folders, paths, storage
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_TEST, CLEAN_VALID, POISONED_TEST, POISONED_VALID
from goodnet.job.request import METHOD_CHOICES, Request
from goodnet.metrics import Counts
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.methods import method_named
from goodnet.mitigation.mitigate import MitigationInput, mitigate
from goodnet.mitigation.outcome import MitigationResult
from goodnet.mitigation.policy import FIRST, channels_pruned_first, choose_method
from goodnet.mitigation.recheck import recheck
from goodnet.network.classifier import Classifier, LogitModel
from goodnet.network.goodnet import join
from goodnet.network.graph import choose_layer
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import Preprocessing, PreprocessingInfo, parse_preprocessing
from goodnet.progress import Progress, no_progress
from goodnet.pruning import zeroing
from goodnet.pruning.curve import Curve, find_drop, make_curve, parse_points
from goodnet.pruning.order import Direction, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import find_preprocessing, mean_activations, tally
from goodnet.report.conclusion import recommended_files
from goodnet.report.findings import ModelRecheck, RepairResult
from goodnet.report.folder import report_files
from goodnet.report.inspection import describe_model, describe_set
from goodnet.report.manifest import manifest
from goodnet.report.pictures import FIGURES, Samples
from goodnet.report.tables import evaluation_table

DROPS = (2, 4, 10)  # points


class Model:
    """A suspect, opened under every check; no code out of its file is ever run.

    Args:
        suspect: the opened file.
        layer: the layer that is pruned, or "auto": the last pooling layer before the class scores.
        preprocessing: what is done to pixels before the network sees them, by name or numbers, see
            `parse_preprocessing`; "auto" to find it by means of clean images.

    Attributes:
        suspect: the opened file, with its network.
        layer_request: the layer to prune, or "auto".
        preprocessing_request: as above.
        preprocessing_info: the preprocessing and what it was found by; None before clean images
            are loaded.

    Raises:
        RequestRefused: such a preprocessing makes no sense.
    """

    def __init__(self, suspect: Suspect, layer: str = "auto", preprocessing: str = "auto") -> None:
        self.suspect, self.layer_request = suspect, layer
        self.preprocessing_request = preprocessing
        self.preprocessing_info: PreprocessingInfo | None = None
        self._known = parse_preprocessing(preprocessing)

    @property
    def keras(self) -> keras.Model:
        """The network."""
        return self.suspect.network

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.suspect.classes

    @cached_property
    def layer(self) -> str:
        """The layer that is pruned.

        Raises:
            RequestRefused: there is no such layer, or its channels cannot be pruned.
        """
        return choose_layer(self.suspect.plan, self.layer_request, self.suspect.source)

    @cached_property
    def split(self) -> Split:
        """The network, split at the layer."""
        return Split(self.suspect, self.layer)

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to pixels before the network sees them.

        Raises:
            RequestRefused: it is not known yet: it is found when clean images are loaded.
        """
        if self.preprocessing_info:
            return self.preprocessing_info.preprocessing
        if self._known:
            return self._known
        raise RequestRefused(
            self.suspect.source,
            "its preprocessing is not known yet: load clean images first, or name it",
        )

    @property
    def needs_images(self) -> bool:
        """Whether clean images are needed to know it."""
        return self.preprocessing_info is None and self._known is None

    def settle_preprocessing(
        self, clean: CleanDataset, progress: Progress = no_progress
    ) -> PreprocessingInfo:
        """The preprocessing, found by means of clean images if it was not given; found once.

        Raises:
            RequestRefused: it does not go with the images, or these are answered no better than
                chance with any.
        """
        if self.preprocessing_info is None:
            request, source = self.preprocessing_request, self.suspect.source
            self.preprocessing_info = find_preprocessing(
                self.split, clean, request, source=source, progress=progress
            )
        return self.preprocessing_info

    def __repr__(self) -> str:
        return f"<Model {self.suspect.source}: {self.classes} classes>"


@dataclass(frozen=True, eq=False)
class RepairedNetwork:
    """A network made from a suspect.

    Attributes:
        identity: how it was made, and its place in a repair's folder.
        keras: the network, an ordinary Keras model.
        channels: the channels that are pruned.
        account: what came of the mitigation method; None where it was made by pruning alone.
        joined: its GoodNet's network.
    """

    identity: RepairedModel
    keras: keras.Model
    channels: tuple[int, ...]
    account: MitigationResult | None
    joined: keras.Model

    def save(self, path: str | Path) -> None:
        """Write the network to a Keras file that needs nothing of ours to be opened."""
        save_network(self.keras, Path(path))


class GoodNet:
    """A suspect joined with a network made from it: where they disagree, an image is backdoored.

    Args:
        model: the suspect.
        repaired: the network made from it.

    Attributes:
        keras: a Keras model with N+1 scores, the last of them "backdoored".
    """

    def __init__(self, model: Model, repaired: RepairedNetwork) -> None:
        self.model, self.repaired = model, repaired
        self.keras = repaired.joined

    def save(self, path: str | Path) -> None:
        """Write the GoodNet to a .keras file that needs nothing of ours to be opened."""
        save_network(self.keras, Path(path))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Networks on test sets; printed, a table.

    Attributes:
        model: the suspect.
        networks: what was evaluated beside it.
        clean: clean test images.
        poisoned: poisoned test images; None without any.
        counts: what was counted on each set, by the networks' names.
    """

    model: Model
    networks: tuple["RepairedNetwork | GoodNet", ...]
    clean: Dataset
    poisoned: Dataset | None
    counts: tuple[dict[str, Counts], dict[str, Counts] | None]

    @property
    def repaired(self) -> tuple[RepairedNetwork, ...]:
        """The repaired networks, each once, those inside GoodNets included."""
        networks = (n.repaired if isinstance(n, GoodNet) else n for n in self.networks)
        return tuple({network.identity: network for network in networks}.values())

    @property
    def every_row(self) -> tuple[EvaluationRow, ...]:
        """The suspect, each repaired network and its GoodNet."""
        return evaluation_rows([network.identity for network in self.repaired], *self.counts)

    @property
    def rows(self) -> tuple[EvaluationRow, ...]:
        """The suspect and the networks that were asked for."""
        kinds: set[tuple[str, RepairedModel | None]] = {(SUSPECT, None)}
        for network in self.networks:
            gate = isinstance(network, GoodNet)
            model = network.repaired if isinstance(network, GoodNet) else network
            kinds.add(("goodnet" if gate else "repaired", model.identity))
        return tuple(row for row in self.every_row if (row.kind, row.repaired) in kinds)

    def __str__(self) -> str:
        return evaluation_table(self.rows, self.model.split.channels)


def load_model(
    path: str | Path,
    *,
    architecture: str = "auto",
    layer: str = "auto",
    preprocessing: str = "auto",
    scale: Literal["auto", "raw", "unit"] = "auto",
) -> Model:
    """A suspect out of a Keras file, rebuilt layer by layer from an allow-list.

    Args:
        path: a .h5, .hdf5 or .keras file, a local path or an `s3://` URI.
        architecture: for files that hold weights only: "auto", "deepid", or a Keras JSON file.
        layer: the layer to prune, or "auto".
        preprocessing: what is done to pixels before the network sees them: a name, or numbers like
            "mean=104,117,123,std=1,order=bgr"; "auto" finds it when clean images are loaded.
        scale: the same, for the names "raw" and "unit".

    Raises:
        ModelRefused: the file is not a classifier that can be opened safely.
    """
    suspect = open_suspect(str(path), architecture=architecture)
    return Model(suspect, layer, scale if preprocessing == "auto" else preprocessing)


@overload
def load_images(
    path: str | Path, model: Model, *, poisoned: Literal[False] = False
) -> CleanDataset: ...


@overload
def load_images(path: str | Path, model: Model, *, poisoned: Literal[True]) -> Dataset: ...


def load_images(path: str | Path, model: Model, *, poisoned: bool = False) -> Dataset:
    """Labelled images that fit a model; with the first clean ones its preprocessing is found.

    Args:
        path: an HDF5 file or `.npz` archive, see data/README.md; a local path or an `s3://` URI.
        model: the model.
        poisoned: whether the images carry a trigger, and the attacker's label.

    Raises:
        DataRefused: the file is not such a data set, or does not fit.
        RequestRefused: clean images are answered no better than chance with any
            preprocessing.
    """
    fits: dict[str, Any] = {
        "input_shape": model.suspect.input_shape,
        "classes": model.suspect.classes,
    }
    if poisoned:
        return open_dataset(path, **fits)
    clean = open_clean_dataset(path, **fits)
    if model.needs_images:
        model.settle_preprocessing(clean)
    return clean


def detect(
    model: Model, clean: CleanDataset, *, seed: int = 0, progress: Progress = no_progress
) -> Verdict:
    """Whether a model is backdoored, and for which classes, from clean images alone.

    Args:
        model: the suspect.
        clean: clean validation images, a few hundred of them.
        seed: of searches and reference networks.
        progress: called with (steps done, steps in all).
    """
    view = LogitModel.from_suspect(model.suspect, model.preprocessing)
    return credibility.judge(view, CleanImages.of(clean), seed=seed, progress=progress)


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
    return pruned_network(model, identity, channels)


def pruned_network(
    model: Model, identity: RepairedModel, channels: Sequence[int]
) -> RepairedNetwork:
    """The network in which these channels are zero, under a name."""
    network = zeroing.prune(model.suspect, model.layer, channels)
    joined = join(model.suspect, network, model.preprocessing)
    return RepairedNetwork(identity, network, tuple(channels), None, joined)


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
    return mitigated_network(model, clean, verdict, chosen.name, channels, seed, progress)


def mitigated_network(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    method: str,
    channels: tuple[int, ...],
    seed: int = 0,
    progress: Progress = no_progress,
) -> RepairedNetwork:
    """What a mitigation method makes of a model; `channels` are pruned first if it does that."""
    problem = MitigationInput(
        model.suspect, model.preprocessing, CleanImages.of(clean), verdict, model.layer, channels
    )
    made = mitigate(problem, method_named(method), seed=seed, progress=progress)
    return RepairedNetwork(made.account.model, made.model, channels, made.account, made.goodnet)


def evaluate(
    model: Model,
    networks: Sequence[RepairedNetwork | GoodNet],
    *,
    clean: Dataset,
    poisoned: Dataset | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """What a suspect, and networks made from it, do on test sets that nothing before has seen.

    Args:
        model: the suspect.
        networks: networks and GoodNets.
        clean: clean test images.
        poisoned: poisoned test images; without them nothing is known of the attack.
        progress: called with (images done, images in all), for one network after the other.
    """
    repaired = [n.repaired if isinstance(n, GoodNet) else n for n in networks]
    every = {SUSPECT: model.keras} | {n.identity.name: n.keras for n in repaired}

    def count(images: Dataset) -> dict[str, Counts]:
        return {
            name: compare(model.suspect, network, images, model.preprocessing, progress)
            for name, network in every.items()
        }

    counts = count(clean), count(poisoned) if poisoned else None
    return Evaluation(model, tuple(networks), clean, poisoned, counts)


def write_report(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    curves: Curve | Sequence[Curve],
    evaluation: Evaluation,
    *,
    folder: str | Path,
    poisoned: Dataset | None = None,
    budget: float = 2,
) -> RepairResult:
    """Leave in a folder what a repair leaves: networks, GoodNets, figures, tables, the report.

    The manifest is written last: a folder without it is unfinished.

    Args:
        model: the suspect.
        clean: the clean validation images.
        verdict: from `detect`.
        curves: from `sweep`, one for each order.
        evaluation: from `evaluate`.
        folder: a local path or an `s3://` URI; made if it is not there.
        poisoned: the poisoned validation images, if a curve has a line of the attack.
        budget: points of clean test accuracy that a network which is recommended may lose.

    Returns:
        All that the report says, `recommend` and `headline` can be asked about it.
    """
    every = (curves,) if isinstance(curves, Curve) else tuple(curves)
    sets: dict[str, Dataset | None] = {
        CLEAN_VALID: clean,
        CLEAN_TEST: evaluation.clean,
        POISONED_VALID: poisoned,
        POISONED_TEST: evaluation.poisoned,
    }
    given = {role: images for role, images in sets.items() if images}
    findings = _findings(model, clean, verdict, every, evaluation, given, budget)
    samples = Samples(lambda: clean, (lambda: poisoned) if poisoned else None)
    pictures = [picture for draw in FIGURES.values() for picture in draw(findings, samples)]
    files = [
        storage.put(content, storage.join(str(folder), name))
        for name, content in report_files(findings, pictures).items()
    ]
    files += _store_networks(evaluation.repaired, recommended_files(findings), str(folder))
    suspect = storage.identify(model.suspect.source)
    inputs = {role: folders.identify(images.source) for role, images in given.items()}
    request = _request(model, findings)
    text = manifest(str(folder), suspect, inputs, request, None, findings, files)
    storage.put(text, storage.join(str(folder), paths.MANIFEST))
    return findings


def _findings(
    model: Model,
    clean: CleanDataset,
    verdict: Verdict,
    curves: tuple[Curve, ...],
    evaluation: Evaluation,
    sets: Mapping[str, Dataset],
    budget: float,
) -> RepairResult:
    """All that was found out, as a flow has it."""
    mitigated = [network.account for network in evaluation.repaired if network.account]
    return RepairResult(
        model=describe_model(model.suspect, layer=model.layer_request),
        sets=tuple(describe_set(images, role) for role, images in sets.items()),
        preprocessing=model.settle_preprocessing(clean),
        points=tuple(drop.points for drop in curves[0].drops),
        curves=curves,
        evaluation=evaluation.every_row,
        verdict=verdict,
        method="auto",
        mitigation=mitigated[0] if mitigated else None,
        budget=budget,
        rechecks=tuple(_rechecks(model, clean, verdict, evaluation.repaired)),
    )


def _store_networks(
    networks: Sequence[RepairedNetwork], recommended: Mapping[str, str], folder: str
) -> list[StoredFile]:
    """The networks and their GoodNets under their names, and copies of what is recommended."""
    copies, files = {source: copy for copy, source in recommended.items()}, []
    with tempfile.TemporaryDirectory(prefix="goodnet-") as local:
        for network in networks:
            names = network.identity.model_file, network.identity.goodnet_file
            for name, saved in zip(names, (network.keras, network.joined), strict=True):
                path = Path(local) / Path(name).name
                save_network(saved, path)
                for place in filter(None, (name, copies.get(name))):
                    files.append(storage.put(path, storage.join(folder, place)))
    return files


def _request(model: Model, findings: RepairResult) -> Request:
    """What a flow would have been asked for, for the manifest."""
    mitigation = findings.mitigation
    return Request(
        directions=tuple(curve.order.direction for curve in findings.curves),
        points=findings.points,
        layer=model.layer_request,
        preprocessing=model.preprocessing_request,
        architecture="auto",
        method=mitigation.model.method if mitigation else "pruning",
        budget=findings.budget,
    )


def _rechecks(
    model: Model, clean: CleanDataset, verdict: Verdict, networks: Sequence[RepairedNetwork]
) -> Iterator[ModelRecheck]:
    """What the verdict's triggers do to each network, on the held-out clean images."""
    triggers = verdict.recovered_triggers()
    pruned = [network for network in networks if network.account is None]
    if pruned and triggers:
        images = hold_out(CleanImages.of(clean)).held_out
        suspect = Classifier(model.keras, model.preprocessing)
        for network in pruned:
            repaired = Classifier(network.keras, model.preprocessing)
            tried = recheck(suspect, repaired, images, triggers)
            yield ModelRecheck(network.identity, tried, None)
    for network in networks:
        if network.account:
            account = network.account
            yield ModelRecheck(network.identity, account.triggers, account.backdoored_classes)
