"""The answers of a network from state to state, at the cost of what a state changes.

A state is a set of kept channels: kept_c is 1 or 0. Behind the pruned layer channels first stay
apart (channelwise.py): a feature x of channel c comes out as f(x) if c is kept and as f(0) if not,

    u_c(kept) = f_c(0) + kept_c d_c,    d_c = f_c(x) - f_c(0).

The first layers that mix channels, convolution or dense, are linear before their activation, so

    z(kept) = b + W f(0) + sum_c kept_c W_c d_c

where W_c is the part of the kernel that reads channel c. Two states that differ by one channel
differ by one term, W_c d_c, and only in images in which the channel is not zero. That term is all
that a step of a sweep adds; what follows z, the remainder of the network, is run for the images
that the step changes. Terms are added, never taken away: a sweep goes from its last state, where
the fewest channels are left, to its first, so nothing cancels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.network.calls import Ref, refs_of
from goodnet.network.execution import (
    Execution,
    Tensor,
    Tensors,
    im2col_rows,
    kernel_matrix,
    with_bias,
)
from goodnet.pruning.channelwise import ChannelwiseRegion

ROUND = 8  # images are gathered in multiples of it: few shapes, each prepared once


class ChannelTerms(NamedTuple):
    """What the states of one block of n images are put together from.

    Attributes:
        start: for each mixer b + W f(0), its sums with no channel kept, (n, ..., outputs).
        parts: for each mixer d_c of every channel, (channels, features of one channel, rows): of
            a dense layer an image is a row, of a convolution each patch under its kernel.
        masked: f(x) and f(0) for each tensor of the region that something else takes.
        skips: what the remainder takes from before the cut.
    """

    start: Tensors
    parts: Tensors
    masked: list[tuple[Tensor, Tensor]]
    skips: Tensors


class StepBatch(NamedTuple):
    """Several steps, one behind the other. Step i owns the entries ends[i] to ends[i + 1].

    Attributes:
        added: int32, the channels that each step adds.
        added_ends: int32 (steps + 1,).
        images: int32, the images of the block that each step changes.
        image_ends: int32 (steps + 1,).
        kept: float32 (steps, channels), 1 for a channel kept after the step.
    """

    added: Tensor
    added_ends: Tensor
    images: Tensor
    image_ends: Tensor
    kept: Tensor


class IncrementalSweep:
    """Runs what lies behind a cut, state by state.

    Args:
        execution: runs the suspect's calls.
        region: where channels stay apart.
        ends: the cut and the tensors that shortcuts take past it.
        channels: how many channels the pruned layer has.
    """

    def __init__(
        self, execution: Execution, region: ChannelwiseRegion, ends: Sequence[Ref], channels: int
    ) -> None:
        self._execution = execution
        self._region, self._ends = region, ends
        self._channels = channels
        self._layers = [execution.operations[node.call.layer] for node in region.mixers]
        self._inputs = [next(refs_of(node.call)) for node in region.mixers]
        self._kernels = [
            by_channel(tf.transpose(kernel_matrix(layer)), channels, region.repeats[source])
            for layer, source in zip(self._layers, self._inputs, strict=True)
        ]
        starts = {node.tensor for node in region.mixers} | set(region.masked) | set(ends[1:])
        self._remainder = execution.plan.ancestors({execution.output}, starts)
        self.terms = tf.function(self._terms, reduce_retracing=True, autograph=False)
        self.classes = tf.function(self._classes, reduce_retracing=True, autograph=False)

    def trace(self, activations: Tensors) -> ChannelTerms:
        """What `terms` gives for such activations, as shapes; all functions are traced for it.

        Args:
            activations: the head's output, shapes and types only.
        """
        terms: ChannelTerms = self.terms.get_concrete_function(activations).structured_outputs
        numbers, kept = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, self._channels])
        steps = StepBatch(numbers, numbers, numbers, numbers, kept)
        self.classes.get_concrete_function(terms, steps)
        return terms

    def _terms(self, activations: Tensors) -> ChannelTerms:
        """The terms of a block: of the layer's output, (n, ..., channels), and the shortcuts."""
        region, (cut, *skips) = self._region, activations
        shortcuts = dict(zip(self._ends[1:], skips, strict=True))
        full = self._execution.run(region.nodes, {self._ends[0]: cut, **shortcuts})
        alone = all(ref in region.repeats for node in region.nodes for ref in refs_of(node.call))
        zero = tf.zeros_like(cut[:1] if alone else cut)  # alone, f(0) is the same for all images
        none = self._execution.run(region.nodes, {self._ends[0]: zero, **shortcuts})
        start, parts = [], []
        for layer, source in zip(self._layers, self._inputs, strict=True):
            sums = with_bias(layer, im2col_rows(layer, none[source]) @ kernel_matrix(layer))
            start.append(tf.repeat(sums, tf.shape(cut)[0], axis=0) if alone else sums)
            rows = im2col_rows(layer, full[source] - none[source])
            parts.append(by_channel(rows, self._channels, region.repeats[source]))
        masked = [(full[ref], none[ref] + tf.zeros_like(full[ref])) for ref in region.masked]
        return ChannelTerms(start, parts, masked, skips)

    def _classes(self, terms: ChannelTerms, steps: StepBatch) -> Tensor:
        """The classes of each step's images after it, int32, one step behind the other."""
        count = tf.shape(steps.kept)[0]

        def add(i: Tensor, sums: Tensors, classes: Any) -> tuple[Tensor, Tensors, Any]:
            added = steps.added[steps.added_ends[i] : steps.added_ends[i + 1]]
            images = steps.images[steps.image_ends[i] : steps.image_ends[i + 1]]
            new = [
                z + tf.reshape(_sum_of_terms(d, kernel, added), tf.shape(z))
                for z, d, kernel in zip(sums, terms.parts, self._kernels, strict=True)
            ]
            after = self._classes_of(images, new, terms, steps.kept[i])
            return i + 1, new, classes.write(i, after)

        classes = tf.TensorArray(tf.int32, count, infer_shape=False, element_shape=[None])
        start = [tf.constant(0), terms.start, classes]
        *_, classes = tf.while_loop(lambda i, *_: i < count, add, start, parallel_iterations=1)
        return classes.concat()

    def _classes_of(
        self, images: Tensor, sums: Tensors, terms: ChannelTerms, kept: Tensor
    ) -> Tensor:
        """The classes of these images: the remainder of the network, run on their sums."""
        region, execution = self._region, self._execution
        skips = (tf.gather(tensor, images) for tensor in terms.skips)
        inputs = dict(zip(self._ends[1:], skips, strict=True))
        for (ref, _), z in zip(region.mixers, sums, strict=True):
            inputs[ref] = execution.activated(ref, tf.gather(z, images))
        for ref, (full, none) in zip(region.masked, terms.masked, strict=True):
            owners = np.arange(full.shape[-1]) // region.repeats[ref] % self._channels
            mask = tf.gather(kept, owners) > 0
            inputs[ref] = tf.where(mask, tf.gather(full, images), tf.gather(none, images))
        return execution.answers(self._remainder, inputs)


def _sum_of_terms(parts: Tensor, kernels: Tensor, added: Tensor) -> Tensor:
    """The sum of W_c d_c over the added channels c, (rows, outputs)."""
    d, kernel = tf.gather(parts, added), tf.gather(kernels, added)
    features = tf.size(added) * parts.shape[1]
    d = tf.reshape(d, [features, tf.shape(parts)[2]])
    return tf.matmul(d, tf.reshape(kernel, [features, kernels.shape[2]]), transpose_a=True)


def pad_to_multiple(images: NDArray[np.int64]) -> NDArray[np.int32]:
    """The images with the last one repeated, so that few different counts of them occur."""
    missing = -len(images) % ROUND
    return np.pad(images.astype(np.int32), (0, missing), mode="edge")


def by_channel(tensor: Tensor, channels: int, repeats: int) -> Tensor:
    """Features taken apart by channel: (channels, features of one channel, rows).

    Args:
        tensor: features on its last axis; all other axes together are the rows.
        channels: channels of the pruned layer.
        repeats: features in a row that belong to one channel.
    """
    places = tensor.shape[-1] // (channels * repeats)
    apart = tf.reshape(tensor, [-1, places, channels, repeats])
    ordered = tf.transpose(apart, [2, 1, 3, 0])
    return tf.reshape(ordered, [channels, places * repeats, tf.shape(apart)[0]])
