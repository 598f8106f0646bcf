"""What a network answers with k = 0, 1, ... channels pruned: the sweep.

The network is split at the pruned layer. For each block of images the head runs once; then only
the tail runs, once for each set of kept channels, and only for images that the step can change:
where the channels that go are zero anyway, the answer stays what it was.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_workers
from goodnet.datasets.dataset import CleanDataset, Dataset, require_clean
from goodnet.metrics import Counts, Proportion
from goodnet.network.execution import Tensors
from goodnet.preprocessing import (
    SCALES,
    Preprocessing,
    PreprocessingInfo,
    candidates,
    choose_preprocessing,
    paired_loss,
    parse_preprocessing,
    select_preprocessing,
    settle_near_ties,
)
from goodnet.progress import Progress, no_progress
from goodnet.pruning.activations import ActivationBlock
from goodnet.pruning.preprocessing_evidence import measure_evidence
from goodnet.pruning.split import Split, Step

FIRST_LOOK: Final = 512  # images by which a preprocessing is ruled out
LOOK_BATCH: Final = 32
HOPELESS: Final = 0.05  # of accuracy it has to be behind at least, by a 95 % interval


def tally(
    split: Split,
    dataset: Dataset,
    preprocessing: Preprocessing,
    states: NDArray[np.bool_],
    progress: Progress = no_progress,
) -> list[Counts]:
    """What the network does with a data set in each state of the pruned layer.

    Args:
        split: the suspect, split at the layer.
        dataset: the images; a poisoned set's labels are the attacker's target.
        preprocessing: the network's.
        states: which channels are kept, bool (states, channels); cheapest where each state
            differs little from the one before it.
        progress: called with (images done, images in all).
    """
    totals = np.zeros((5, len(states)), dtype=np.int64)

    def count_block(block: ActivationBlock) -> tuple[slice, NDArray[np.int64]]:
        answers = state_answers(split, block.activations, block.suspect_answers, states)
        return block.rows, _count(answers, block, dataset)

    for rows, counts in split.cache.map_blocks(count_block, dataset, preprocessing):
        totals += counts
        progress(rows.stop, len(dataset))
    fields = totals if dataset.true_labels is not None else totals[:3]
    return [Counts(len(dataset), *state) for state in fields.T.tolist()]


def _count(
    answers: NDArray[np.int32], block: ActivationBlock, dataset: Dataset
) -> NDArray[np.int64]:
    """All fields of `Counts` but the first for a block's images in each state, (5, states)."""
    agree = answers == block.suspect_answers
    right = answers == dataset.labels[block.rows]
    truly = np.zeros_like(right)
    if dataset.true_labels is not None:
        truly = answers == dataset.true_labels[block.rows]
    counts = np.stack([right, right & agree, ~agree, truly, truly & agree]).sum(axis=2)
    return np.asarray(counts)


def block_answers(
    split: Split, images: NDArray[np.float32], states: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """The class of each image for the suspect, row 0, and then for each state.

    Args:
        split: the suspect, split at the layer.
        images: (n, H, W, C) as the network takes them.
        states: which channels are kept, bool (states, channels).

    Returns:
        int32 (1 + states, n).
    """
    activations = split.activations(images)
    suspect = split.answers(activations)
    return np.concatenate([suspect[None], state_answers(split, activations, suspect, states)])


def state_answers(
    split: Split, activations: Tensors, suspect: NDArray[np.int32], states: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """The class of each image for each state, int32 (states, n).

    Args:
        split: the suspect, split at the layer.
        activations: of n images, from `Split.activations`.
        suspect: the suspect's answers, (n,).
        states: which channels are kept, bool (states, channels).
    """
    used = used_channels(activations[0].numpy())
    answers = np.tile(suspect, (len(states), 1))
    walk = None
    for first, last in _descents(states):
        steps = _steps(used, states[first : last + 1])
        if steps:
            walk = walk or split.walk(activations)
            classes = dict(zip(steps, walk.answers(list(steps.values())), strict=True))
        for state in range(last, first - 1, -1):
            if state < last:
                differs = used[:, ~states[state]].any(axis=1)
                answers[state] = np.where(differs, answers[state + 1], suspect)
            if state - first in steps:
                answers[state, steps[state - first].images] = classes[state - first]
    return answers


def _steps(used: NDArray[np.bool_], states: NDArray[np.bool_]) -> dict[int, Step]:
    """The steps that change an answer, from the last state to the first, by state.

    An image is left out from where no channel it uses is pruned any more: there it answers as
    the suspect does.

    Args:
        used: which channels are not zero, bool (n, channels).
        states: which are kept, bool (states, channels), fewer from state to state.
    """
    steps, before = {}, np.zeros(states.shape[1], dtype=bool)
    changes = np.ones(len(used), dtype=bool)
    for number in range(len(states) - 1, -1, -1):
        kept = states[number]
        added = kept & ~before
        if number < len(states) - 1:
            changes = np.asarray(used[:, added].any(axis=1))
        images = np.flatnonzero(changes & used[:, ~kept].any(axis=1))
        if len(images):
            steps[number] = Step(kept, added & used[images].any(axis=0), images)
        before = kept
    return steps


def _descents(states: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last of each run of states in which channels only go, none comes back."""
    grows = np.flatnonzero((states[1:] & ~states[:-1]).any(axis=1)) + 1
    starts = [0, *grows.tolist()]
    return [(first, last - 1) for first, last in pairwise([*starts, len(states)])]


def used_channels(activations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which channels are not zero everywhere on an image: bool (n, channels).

    Args:
        activations: (n, ..., channels).
    """
    return np.asarray((activations != 0).any(axis=tuple(range(1, activations.ndim - 1))))


def mean_activations(
    split: Split,
    dataset: CleanDataset,
    preprocessing: Preprocessing,
    progress: Progress = no_progress,
) -> NDArray[np.float64]:
    """The mean output of each channel of the layer over clean images, float64 (channels,)."""
    require_clean(dataset)
    total, size = np.zeros(split.channels), 0

    def add_up(block: ActivationBlock) -> tuple[slice, NDArray[np.float64], int]:
        layer = block.activations[0].numpy().reshape(-1, split.channels)
        return block.rows, layer.sum(axis=0, dtype=np.float64), len(layer)

    for rows, block_total, block_size in split.cache.map_blocks(
        add_up, dataset, preprocessing, store=True
    ):
        total, size = total + block_total, size + block_size
        progress(rows.stop, len(dataset))
    return total / size


def find_preprocessing(
    split: Split,
    valid: CleanDataset,
    request: str = "auto",
    *,
    source: object,
    progress: Progress = no_progress,
) -> PreprocessingInfo:
    """The preprocessing that was asked for, or else that with which clean images are answered best.

    Args:
        split: the suspect, split at the layer.
        valid: clean validation images.
        request: "auto", a name, or numbers, see `parse_preprocessing`.
        source: the model, for error messages.
        progress: called with (images done, images in all), for one after the other.

    Raises:
        RequestRefused: what was asked for makes no sense, or the suspect is near chance with all.
    """
    require_clean(valid)
    fixed = request != "auto" and parse_preprocessing(request)
    choices = [fixed] if fixed else candidates(*valid.channel_moments())
    if request != "auto":
        chosen = select_preprocessing(request, choices, valid.pixels.shape[-1])
        accuracy = clean_accuracy(split, valid, chosen, progress)
        return PreprocessingInfo(chosen, "given", {chosen.name: accuracy})
    hopeless = _hopeless(split, valid, choices)
    right = dict[Preprocessing, NDArray[np.bool_]]()
    for each in choices:
        if each not in hopeless:
            right[each] = _right_answers(split, valid, each, progress)
            best = max(right, key=lambda p: right[p].sum())
            for other in {each, *right} - {best}:
                split.cache.forget(valid, other)
    choice = choose_preprocessing(right, valid.chance, source)
    if choice.near_ties:
        tied = [p for p in right if p.name in (choice.preprocessing.name, *choice.near_ties)]
        choice = settle_near_ties(choice, right, measure_evidence(split.suspect, valid, tied))
    if choice.preprocessing != best:
        split.cache.forget(valid, best)
    accuracies = {**choice.accuracies, **{p.name: share for p, share in hopeless.items()}}
    in_order = {p.name: accuracies[p.name] for p in choices}
    return choice._replace(accuracies=in_order)


def _hopeless(
    split: Split, valid: CleanDataset, choices: Sequence[Preprocessing]
) -> dict[Preprocessing, Proportion]:
    """Those that a first look at some images rules out, with their accuracy on these.

    Neither raw nor unit is, and where images are few there is no first look.
    """
    if len(valid) < 2 * FIRST_LOOK:
        return {}
    rows = np.array_split(valid.spread(FIRST_LOOK), FIRST_LOOK // LOOK_BATCH)

    def right(each: Preprocessing) -> NDArray[np.bool_]:
        def part(some: NDArray[np.int64]) -> NDArray[np.bool_]:
            activations = split.activations(valid.images(some, each))
            return np.asarray(split.answers(activations) == valid.labels[some])

        return np.concatenate(list(in_workers(part, rows)))

    looks = {each: right(each) for each in choices}
    best = max(looks.values(), key=lambda hits: int(hits.sum()))
    return {
        each: Proportion(int(hits.sum()), len(hits))
        for each, hits in looks.items()
        if each not in SCALES and paired_loss(best, hits).low > HOPELESS
    }


def clean_accuracy(
    split: Split, clean: Dataset, preprocessing: Preprocessing, progress: Progress = no_progress
) -> Proportion:
    """The share of a clean set that the suspect answers right."""
    right = _right_answers(split, clean, preprocessing, progress)
    return Proportion(int(right.sum()), len(clean))


def _right_answers(
    split: Split, clean: Dataset, preprocessing: Preprocessing, progress: Progress
) -> NDArray[np.bool_]:
    """Which images of a clean set the suspect answers with their label, bool (N,)."""
    right = np.zeros(len(clean), dtype=bool)

    def mark(block: ActivationBlock) -> slice:
        right[block.rows] = block.suspect_answers == clean.labels[block.rows]
        return block.rows

    for rows in split.cache.map_blocks(mark, clean, preprocessing, store=True):
        progress(rows.stop, len(clean))
    return right
