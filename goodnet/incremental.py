"""The answers of a network from state to state, at the cost of what a state changes.

A state is a set of kept channels: kept_c is 1 or 0. Behind the pruned layer channels first stay
apart (region.py): a feature x of channel c comes out as f(x) if c is kept and as f(0) if not,

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

from goodnet.architecture import Ref, refs_of
from goodnet.backend import tf
from goodnet.execution import (
    Execution,
    Tensor,
    Tensors,
    kernel_matrix,
    weighed_rows,
    with_bias,
)
from goodnet.region import Region

ROUND = 32  # images are gathered in multiples of it: few shapes, each prepared once


class Terms(NamedTuple):
    """What the states of one block of n images are put together from.

    Attributes:
        start: for each mixer b + W f(0), its sums with no channel kept, (n, ..., outputs).
        whole: for each mixer d, all channels in one tensor, (n, ..., features); of a convolution
            the patches that it weighs.
        parts: for each mixer d_c, (channels, n, ..., features of one channel).
        masked: f(x) and f(0) for each tensor of the region that something else takes.
        crossing: what the remainder takes from before the cut.
    """

    start: Tensors
    whole: Tensors
    parts: Tensors
    masked: list[tuple[Tensor, Tensor]]
    crossing: Tensors


class Stepper:
    """Runs what lies behind a cut, state by state.

    Args:
        execution: runs the suspect's calls.
        region: where channels stay apart.
        ends: the cut and the tensors that cross it.
        channels: how many channels the pruned layer has.
    """

    def __init__(
        self, execution: Execution, region: Region, ends: Sequence[Ref], channels: int
    ) -> None:
        self._execution = execution
        self._region, self._ends = region, ends
        self._channels = channels
        self._layers = [execution.operations[call.layer] for _, call in region.mixers]
        self._inputs = [next(refs_of(call)) for _, call in region.mixers]
        self._repeats = [region.repeats[taken] for taken in self._inputs]
        self._kernels = [kernel_matrix(layer) for layer in self._layers]
        self._kernel_parts = [
            _by_channel(kernel, channels, repeats, 0)
            for kernel, repeats in zip(self._kernels, self._repeats, strict=True)
        ]
        given = {made for made, _ in region.mixers} | set(region.masked) | set(ends[1:])
        self._remainder = execution.graph.needed({execution.output}, given)
        self.terms = tf.function(self._terms, reduce_retracing=True, autograph=False)
        self.jump = tf.function(self._jump, reduce_retracing=True, autograph=False)
        self.climb = tf.function(self._climb, reduce_retracing=True, autograph=False)

    def trace(self, activations: Tensors) -> Terms:
        """What `terms` gives for such activations, as shapes; all functions are traced for it.

        Args:
            activations: the head's output, shapes and types only.
        """
        terms: Terms = self.terms.get_concrete_function(activations).structured_outputs
        rows, kept = tf.TensorSpec([None], tf.int32), tf.TensorSpec([self._channels])
        features = [tf.TensorSpec([None], tf.int64) for _ in self._layers]
        self.jump.get_concrete_function(terms.start, terms, rows, features, kept)
        steps = tf.TensorSpec([None, self._channels])
        self.climb.get_concrete_function(terms.start, terms, rows, rows, rows, steps)
        return terms

    def _terms(self, activations: Tensors) -> Terms:
        """The terms of a block: the layer's output, (n, ..., channels), then what crosses."""
        region, (cut, *crossing) = self._region, activations
        known = dict(zip(self._ends[1:], crossing, strict=True))
        full = self._execution.run(region.calls, {self._ends[0]: cut, **known})
        alone = all(ref in region.repeats for _, call in region.calls for ref in refs_of(call))
        zero = tf.zeros_like(cut[:1] if alone else cut)  # alone, f(0) is the same for all images
        none = self._execution.run(region.calls, {self._ends[0]: zero, **known})
        start, whole, parts = [], [], []
        for layer, taken, kernel, repeats in zip(
            self._layers, self._inputs, self._kernels, self._repeats, strict=True
        ):
            sums = with_bias(layer, weighed_rows(layer, none[taken]) @ kernel)
            start.append(tf.repeat(sums, tf.shape(cut)[0], axis=0) if alone else sums)
            whole.append(weighed_rows(layer, full[taken] - none[taken]))
            parts.append(_by_channel(whole[-1], self._channels, repeats, -1))
        masked = [(full[ref], none[ref] + tf.zeros_like(full[ref])) for ref in region.masked]
        return Terms(start, whole, parts, masked, crossing)

    def features(self, channels: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """For each mixer the features, of those it multiplies, that belong to these channels."""
        return [
            np.flatnonzero(channels[self._owners(kernel.shape[0], repeats)])
            for kernel, repeats in zip(self._kernels, self._repeats, strict=True)
        ]

    def _jump(
        self, sums: Tensors, terms: Terms, rows: Tensor, features: Tensors, kept: Tensor
    ) -> tuple[Tensors, Tensor]:
        """Sums with several channels added, and the classes of some rows.

        Args:
            sums: z for each mixer, (n, ...).
            terms: of the block.
            rows: int32 (m,), rows of the block.
            features: of the channels to add, see `features`.
            kept: float (channels,), 1 for a channel kept then.
        """
        new = [
            z + tf.gather(d, these, axis=-1) @ tf.gather(kernel, these)
            for z, d, these, kernel in zip(sums, terms.whole, features, self._kernels, strict=True)
        ]
        return new, self._classes(new, terms, rows, kept)

    def _climb(
        self,
        sums: Tensors,
        terms: Terms,
        channels: Tensor,
        rows: Tensor,
        ends: Tensor,
        kept: Tensor,
    ) -> tuple[Tensors, Tensor]:
        """Sums with one channel after the other added, and the classes after each.

        Args:
            sums: z for each mixer, (n, ...).
            terms: of the block.
            channels: int32 (steps,), the channel that each step adds.
            rows: int32, the rows that each step changes, one step behind the other.
            ends: int32 (steps + 1,), where each step's rows start, and where the last's end.
            kept: float (steps, channels), 1 for a channel kept after the step.
        """
        steps = tf.size(channels)

        def step(at: Tensor, sums: Tensors, found: Any) -> tuple[Tensor, Tensors, Any]:
            these, c = rows[ends[at] : ends[at + 1]], channels[at]
            new = [
                z + d[c] @ W[c]
                for z, d, W in zip(sums, terms.parts, self._kernel_parts, strict=True)
            ]
            classes = self._classes(new, terms, these, kept[at])
            return at + 1, new, found.write(at, classes)

        found = tf.TensorArray(tf.int32, steps, infer_shape=False, element_shape=[None])
        _, sums, found = tf.while_loop(
            lambda at, *_: at < steps, step, [tf.constant(0), sums, found], parallel_iterations=1
        )
        return sums, found.concat()

    def _classes(self, sums: Tensors, terms: Terms, rows: Tensor, kept: Tensor) -> Tensor:
        """The classes of these rows: the remainder of the network, run on their sums."""
        region, execution = self._region, self._execution
        crossing = (tf.gather(tensor, rows) for tensor in terms.crossing)
        given = dict(zip(self._ends[1:], crossing, strict=True))
        for (made, _), z in zip(region.mixers, sums, strict=True):
            given[made] = execution.activated(made, tf.gather(z, rows))
        for ref, (full, none) in zip(region.masked, terms.masked, strict=True):
            these = tf.gather(kept, self._owners(full.shape[-1], region.repeats[ref])) > 0
            given[ref] = tf.where(these, tf.gather(full, rows), tf.gather(none, rows))
        return execution.classes(execution.run(self._remainder, given)[execution.output])

    def _owners(self, features: int, repeats: int) -> NDArray[np.int64]:
        """The channel that each feature belongs to."""
        return np.arange(features) // repeats % self._channels


def filled_up(rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """The rows with the last one repeated, so that few different counts of rows occur."""
    missing = -len(rows) % ROUND
    return np.pad(rows.astype(np.int32), (0, missing), mode="edge")


def _by_channel(tensor: Tensor, channels: int, repeats: int, axis: int) -> Tensor:
    """An axis of features taken apart: (channels, ..., features of one channel, ...).

    Args:
        tensor: features on its last axis (-1) or, of a kernel, its first (0).
        channels: channels of the pruned layer.
        repeats: features in a row that belong to one channel.
        axis: -1 or 0.
    """
    places = tensor.shape[axis] // (channels * repeats)
    shape, at = tf.shape(tensor), axis % len(tensor.shape)
    taken_apart = [places, channels, repeats]
    apart = tf.reshape(tensor, tf.concat([shape[:at], taken_apart, shape[at + 1 :]], 0))
    others = [number for number in range(len(apart.shape)) if number != at + 1]
    first = tf.transpose(apart, [at + 1, *others])
    merged = tf.concat([[channels], shape[:at], [places * repeats], shape[at + 1 :]], 0)
    whole = tf.reshape(first, merged)
    static = list(tensor.shape)
    static[at] = places * repeats
    whole.set_shape([channels, *static])
    return whole
