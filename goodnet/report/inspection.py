"""What a suspect and its data sets are, in the words of the report."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from goodnet.datasets.class_names import class_label, classes_in_words, images_in_words, listed
from goodnet.datasets.dataset import CleanDataset, Dataset, open_clean_dataset
from goodnet.detection.verdict import Verdict
from goodnet.errors import RequestRefused
from goodnet.files.paths import safe_name
from goodnet.files.reading import WHOLE, Reading
from goodnet.network.graph import describe_layers
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.pruning.channelwise import find_region
from goodnet.pruning.layer_choice import choose_layer
from goodnet.report.findings import DatasetInfo, ModelInfo
from goodnet.report.preprocessing_sentences import preprocessing_sentences
from goodnet.report.verdict_sentence import why_inconclusive

if TYPE_CHECKING:  # TensorFlow, which a refused model never pays for
    from goodnet.pruning.split import Split


LISTED = 24  # names of classes


def describe_model(
    suspect: Suspect, *, layer: str = "auto", uri: str | None = None, name: str | None = None
) -> ModelInfo:
    """What the suspect is, and the layer that would be pruned.

    Args:
        suspect: the opened model.
        layer: a layer's name, or "auto".
        uri: where the file came from, if not from `suspect.source`.
        name: what the suspect is called, if not by its file.

    Raises:
        RequestRefused: the layer's channels cannot be pruned.
    """
    from goodnet.pruning.zeroing_plan import plan_zeroing

    chosen = choose_layer(suspect.plan, layer, suspect.source)
    cut = plan_zeroing(suspect.plan, chosen, suspect.source)
    return ModelInfo(
        name=name or safe_name(uri or suspect.source),
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
        class_names=dataset.class_names,
        half_of=dataset.half.of if dataset.half else 0,
        together=dataset.half.together if dataset.half else 0,
        array=dataset.array,
    )


def inspect(
    model: str,
    datasets: Sequence[str],
    architecture: str,
    layer: str,
    say: Callable[[str], None],
    reading: Reading = WHOLE,
) -> None:
    """Open a suspect and data sets under every check and say what they are.

    Raises:
        InputRefused: one of them cannot be used.
    """
    suspect = open_suspect(model, architecture=architecture)
    info = describe_model(suspect, layer=layer)
    for line in _model_lines(info):
        say(line)
    if not datasets:
        return
    from goodnet.pruning.split import Split

    split = Split(suspect, info.layer)
    for path in datasets:
        dataset = open_clean_dataset(
            path, input_shape=suspect.input_shape, classes=suspect.classes, reading=reading
        )
        for line in _set_lines(describe_set(dataset, "data set")):
            say(line)
        for line in _preprocessing_lines(split, dataset):
            say(line)


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The verdict in words, and each method's largest numbers."""
    names = verdict.class_names
    classes = f", {classes_in_words(verdict.classes, names)}" if verdict.classes else ""
    yield f"verdict          {verdict.verdict}{classes}"
    if verdict.is_doubtful or verdict.was_left_out:
        yield f"  {why_inconclusive(verdict)}"
    if verdict.suspicious:
        yield f"  suspicious     {classes_in_words(verdict.suspicious, names)}"
    if verdict.dependent:
        dependent = classes_in_words(verdict.dependent, names)
        yield f"  dependent      {dependent}, on the trigger of another"
    width = max((len(statistic.method) for statistic in verdict.statistics), default=0)
    for statistic in verdict.statistics:
        numbers = [
            f"class {class_label(label, names)}: {value:.2f}"
            for label, value in statistic.largest(3)
        ]
        largest = listed(numbers, names) or "no class came near"
        yield f"  {statistic.method:<{width}} {largest}; named from {statistic.threshold:g} on"
    for trigger in verdict.triggers:
        target = classes_in_words([trigger.target], names)
        does = trigger.in_words.replace(" %", "%")  # as shares are written here
        yield (
            f"  recovered trigger for {target}: {does}, takes {trigger.success} "
            f"{images_in_words(trigger.source, names)} there"
        )
    if not verdict.referenced and not verdict.was_left_out:
        yield f"  {verdict.references.lack}: a network cannot be cleared"
    if verdict.missing:
        yield f"  {verdict.missing} classes have no clean image in the set"


def half_line(count: int, half_of: int, together: int) -> str:
    """What one half of a set is."""
    return (
        f"images           {count} of {half_of}: one set, split in two, class by class; {together} "
        f"near copies, or of one name, stay together"
    )


def _preprocessing_lines(split: "Split", dataset: CleanDataset) -> Iterator[str]:
    """What is found, and all that was tried."""
    from goodnet.pruning.sweep import find_preprocessing

    try:
        info = find_preprocessing(split, dataset, source=dataset.source)
    except RequestRefused as fault:
        yield f"  preprocessing  not found: {fault}"
        return
    yield f"  preprocessing  {info.preprocessing.words}"
    for name, share in info.accuracies.items():
        near = "  (a near-tie)" if name in info.near_ties else ""
        yield f"    {name:<24} {share}{near}"
    for sentence in preprocessing_sentences(info):
        yield f"    {sentence}"


def _model_lines(info: ModelInfo) -> Iterator[str]:
    yield f"{info.uri}"
    yield f"  sha256         {info.sha256}"
    yield f"  architecture   {info.described_by}"
    sides = ("any" if side is None else str(side) for side in info.input_shape)
    yield f"  images         {' x '.join(sides)}"
    yield f"  classes        {info.classes}"
    yield f"  parameters     {info.parameters}"
    yield f"  would prune    {info.layer}, {info.channels} channels, swept {info.swept_by}"
    yield "  layers"
    for name, kind in info.layers:
        yield f"    {name:<30} {kind}"


def _set_lines(info: DatasetInfo) -> Iterator[str]:
    yield f"{info.uri}"
    yield f"  sha256         {info.sha256}"
    yield f"  images         {info.count}, {info.stored_dtype}, {info.axes}"
    yield (
        f"  labels         {info.lowest_label}..{info.highest_label}, "
        f"{info.labels_present} different ones"
    )
    if info.class_names:
        first = ", ".join(f"{n} ({name})" for n, name in enumerate(info.class_names[:LISTED]))
        yield f"  class names    {first}{', …' if len(info.class_names) > LISTED else ''}"
