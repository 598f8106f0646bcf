"""What a suspect and its data sets are, in the words of the report."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from goodnet.datasets.dataset import Dataset, open_clean_dataset, open_dataset
from goodnet.detection.verdict import Verdict
from goodnet.errors import RequestRefused
from goodnet.files.paths import safe_name
from goodnet.job.inputs import find_clean_valid
from goodnet.network.graph import choose_layer, describe_layers
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.pruning.channelwise import find_region
from goodnet.pruning.zeroing import plan_zeroing
from goodnet.report.findings import DatasetInfo, ModelInfo
from goodnet.report.tables import classes_in_words
from goodnet.scale import Scale, choose_scale

if TYPE_CHECKING:  # TensorFlow, which a refused model never pays for
    from goodnet.pruning.split import Split


def describe_model(suspect: Suspect, *, layer: str = "auto", uri: str | None = None) -> ModelInfo:
    """What the suspect is, and the layer that would be pruned.

    Args:
        suspect: the opened model.
        layer: a layer's name, or "auto".
        uri: where the file came from, if not from `suspect.source`.

    Raises:
        RequestRefused: the layer's channels cannot be pruned.
    """
    chosen = choose_layer(suspect.plan, layer, suspect.source)
    cut = plan_zeroing(suspect.plan, chosen, suspect.source)
    return ModelInfo(
        name=safe_name(uri or suspect.source),
        uri=uri or suspect.source,
        sha256=suspect.sha256,
        format=suspect.format,
        described_by=suspect.described_by,
        classes=suspect.classes,
        parameters=int(suspect.network.count_params()),
        input_shape=suspect.input_shape,
        layers=tuple(describe_layers(suspect.plan)),
        layer=chosen,
        layer_chosen="found" if layer == "auto" else "given",
        channels=suspect.channels(chosen),
        pruned_by=cut.side,
        swept_by=find_region(suspect, chosen).form,
    )


def describe_set(dataset: Dataset, role: str, uri: str | None = None) -> DatasetInfo:
    """What the data set is; `role` is for example "clean valid"."""
    return DatasetInfo(
        role=role,
        uri=uri or dataset.source,
        sha256=dataset.sha256,
        count=len(dataset),
        stored_dtype=dataset.stored_dtype,
        axes=dataset.axes,
        lowest_label=int(dataset.labels.min()),
        highest_label=int(dataset.labels.max()),
        labels_present=len(np.unique(dataset.labels)),
    )


def inspect(
    model: str,
    datasets: Sequence[str],
    architecture: str,
    layer: str,
    say: Callable[[str], None],
) -> None:
    """Open a suspect and data sets under every check and say what they are.

    Raises:
        InputRefused: one of them cannot be used.
    """
    suspect = open_suspect(model, architecture=architecture)
    found = describe_model(suspect, layer=layer)
    for line in _model_lines(found):
        say(line)
    from goodnet.pruning.split import Split

    split = Split(suspect, found.layer)
    for path in datasets:
        dataset = open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
        for line in _set_lines(describe_set(dataset, "data set")):
            say(line)
        say(f"  scale          {_scale_found(split, dataset)}")


def find_verdict(model: str, folder: str, architecture: str, scale: str = "auto") -> Verdict:
    """Whether a model is backdoored, from the clean validation images of a data folder alone.

    Raises:
        InputRefused: the model or the images cannot be used.
    """
    path = find_clean_valid(folder)
    suspect = open_suspect(model, architecture=architecture)
    valid = open_clean_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
    from goodnet.datasets.images import CleanImages
    from goodnet.detection.detect import detect
    from goodnet.network.classifier import LogitModel
    from goodnet.pruning.split import Split
    from goodnet.pruning.sweep import find_scale

    if scale == "auto":
        split = Split(suspect, choose_layer(suspect.plan, "auto", suspect.source))
        used = find_scale(split, valid, source=suspect.source).scale
    else:
        used = Scale(scale)
    return detect(LogitModel.from_suspect(suspect, used), CleanImages.of(valid))


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The verdict in words, and each method's largest numbers."""
    named = f", {classes_in_words(verdict.classes)}" if verdict.classes else ""
    yield f"verdict          {verdict.verdict}{named}"
    if verdict.suspicious:
        yield f"  suspicious     {classes_in_words(verdict.suspicious)}"
    if verdict.dependent:
        yield f"  dependent      {classes_in_words(verdict.dependent)}, on the trigger of another"
    for statistic in verdict.statistics:
        said = ", ".join(f"class {label}: {value:.2f}" for label, value in statistic.largest(3))
        said = said or "no class came near"
        yield f"  {statistic.method:<18} {said}; named from {statistic.threshold:g} on"
    for found in verdict.triggers:
        yield (
            f"  recovered trigger for class {found.target}: covers {found.area:.1%} of the image, "
            f"takes {found.success} clean images of other classes there"
        )
    if not verdict.referenced:
        yield f"  {verdict.references.lack}: a network cannot be cleared"
    if verdict.missing:
        yield f"  {verdict.missing} classes have no clean image in the set"


def _scale_found(split: "Split", dataset: Dataset) -> str:
    from goodnet.pruning.sweep import clean_accuracy

    tried = {scale: clean_accuracy(split, dataset, scale) for scale in Scale}
    said = ", ".join(f"{scale.value} {share}" for scale, share in tried.items())
    try:
        found = choose_scale(tried, dataset.chance, dataset.source).scale.value
    except RequestRefused:
        found = "not found, near chance at both"
    return f"{found}; answered with its label: {said}"


def _model_lines(found: ModelInfo) -> Iterator[str]:
    yield f"{found.uri}"
    yield f"  sha256         {found.sha256}"
    yield f"  architecture   {found.described_by}"
    sides = ("any" if side is None else str(side) for side in found.input_shape)
    yield f"  images         {' x '.join(sides)}"
    yield f"  classes        {found.classes}"
    yield f"  parameters     {found.parameters}"
    yield f"  would prune    {found.layer}, {found.channels} channels, swept {found.swept_by}"
    yield "  layers"
    for name, kind in found.layers:
        yield f"    {name:<30} {kind}"


def _set_lines(found: DatasetInfo) -> Iterator[str]:
    yield f"{found.uri}"
    yield f"  sha256         {found.sha256}"
    yield f"  images         {found.count}, {found.stored_dtype}, {found.axes}"
    yield (
        f"  labels         {found.lowest_label}..{found.highest_label}, "
        f"{found.labels_present} different ones"
    )
