"""What a network answers with k = 0, 1, ... channels pruned: the sweep.

The network is split at the pruned layer. For each block of images the head runs once; then only
the tail runs, once for each set of kept channels, and only for images that the step can change:
where the channels that go are zero anyway, the answer stays what it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.curve import Swept
from goodnet.dataset import Dataset
from goodnet.evaluation import Counts
from goodnet.metrics import Share
from goodnet.scale import Scale, ScaleFound, choose_scale
from goodnet.split import Split, Tensors

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Tally:
    """Counts over a data set's images, one for each state (set of kept channels).

    Attributes:
        count: images.
        correct: answered with the file's label, int64 (states,).
        agreed: of those, where the suspect answers the same, so that the GoodNet does; (states,).
        flagged: where the suspect answers otherwise, so that the GoodNet flags it; (states,).
        true_correct: answered with `true_label`, (states,); None where the file has none.
        agreed_true: of those, where the suspect answers the same; likewise.
    """

    count: int
    correct: NDArray[np.int64]
    agreed: NDArray[np.int64]
    flagged: NDArray[np.int64]
    true_correct: NDArray[np.int64] | None
    agreed_true: NDArray[np.int64] | None

    def swept(self) -> Swept:
        """The images answered with their label, state by state."""
        return Swept(tuple(self.correct.tolist()), self.count)

    def by_state(self) -> list[Counts]:
        """All counts, state by state."""
        return [
            Counts(
                count=self.count,
                correct=int(self.correct[state]),
                agreed=int(self.agreed[state]),
                flagged=int(self.flagged[state]),
                true_correct=_at(self.true_correct, state),
                agreed_true=_at(self.agreed_true, state),
            )
            for state in range(len(self.correct))
        ]


def _at(counts: NDArray[np.int64] | None, state: int) -> int | None:
    return None if counts is None else int(counts[state])


def tally(
    split: Split,
    dataset: Dataset,
    scale: Scale,
    states: NDArray[np.bool_],
    progress: Progress = no_progress,
) -> Tally:
    """The counts of a data set for each state of the pruned layer.

    Args:
        split: the suspect, split at the layer.
        dataset: the images; a poisoned set's labels are the attacker's target.
        scale: the network's pixel scale.
        states: which channels are kept, bool (states, channels); cheapest where each state
            differs little from the one before it.
        progress: called with (images done, images in all).
    """
    counts = np.zeros((5, len(states)), dtype=np.int64)
    for rows, images in dataset.blocks(scale):
        answers = block_answers(split, images, states)
        agree = answers[1:] == answers[0]
        right = answers[1:] == dataset.labels[rows]
        counts[0] += right.sum(1)
        counts[1] += (right & agree).sum(1)
        counts[2] += (~agree).sum(1)
        if dataset.true_labels is not None:
            truly = answers[1:] == dataset.true_labels[rows]
            counts[3] += truly.sum(1)
            counts[4] += (truly & agree).sum(1)
        progress(rows.stop, len(dataset))
    true = (counts[3], counts[4]) if dataset.true_labels is not None else (None, None)
    return Tally(len(dataset), counts[0], counts[1], counts[2], *true)


def block_answers(
    split: Split, images: NDArray[np.float32], states: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """The class of each image for the suspect, row 0, and then for each state.

    Args:
        split: the suspect, split at the layer.
        images: (n, H, W, C) at the network's scale.
        states: which channels are kept, bool (states, channels).

    Returns:
        int32 (1 + states, n).
    """
    activations = split.activations(images)
    used = used_channels(activations[0].numpy())
    everything = np.ones(split.channels, dtype=bool)
    suspect = split.answers(activations, everything)
    answers = np.empty((1 + len(states), len(images)), dtype=np.int32)
    answers[0] = suspect
    before, current = everything, suspect
    for row, kept in enumerate(states, start=1):
        changes = np.flatnonzero(used[:, kept != before].any(axis=1))
        if len(changes):
            current = current.copy()
            current[changes] = split.answers(_rows(activations, changes), kept)
        answers[row] = current
        before = kept
    return answers


def used_channels(activations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which channels are not zero everywhere on an image: bool (n, channels).

    Args:
        activations: (n, ..., channels).
    """
    return np.asarray((activations != 0).any(axis=tuple(range(1, activations.ndim - 1))))


def _rows(activations: Tensors, rows: NDArray[np.int64]) -> Tensors:
    if len(rows) == len(activations[0]):
        return activations
    return [tf.gather(tensor, rows) for tensor in activations]


def mean_activations(
    split: Split, dataset: Dataset, scale: Scale, progress: Progress = no_progress
) -> NDArray[np.float64]:
    """The mean output of each channel of the layer over a data set, float64 (channels,)."""
    total = np.zeros(split.channels)
    positions = 1
    for rows, images in dataset.blocks(scale):
        layer = split.activations(images)[0].numpy()
        positions = layer[0, ..., 0].size
        total += layer.reshape(-1, split.channels).sum(axis=0, dtype=np.float64)
        progress(rows.stop, len(dataset))
    return total / (len(dataset) * positions)


def find_scale(
    split: Split, valid: Dataset, *, source: object, progress: Progress = no_progress
) -> ScaleFound:
    """The pixel scale at which the suspect answers clean validation images better.

    Raises:
        RequestRefused: it is near chance at both.
    """
    tried = {scale: clean_accuracy(split, valid, scale, progress) for scale in Scale}
    return choose_scale(tried, valid.chance, source)


def clean_accuracy(
    split: Split, clean: Dataset, scale: Scale, progress: Progress = no_progress
) -> Share:
    """The share of a clean set that the suspect answers right."""
    everything = np.ones((1, split.channels), dtype=bool)
    counts = tally(split, clean, scale, everything, progress)
    return Share(int(counts.correct[0]), counts.count)
