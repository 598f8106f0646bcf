"""A network cut in two at the layer to prune: the head is run once, what follows state by state.

Masking the layer's output is pruning: with a channel held at zero, what follows sees exactly
what it would see if the weights that make the channel were zero (see zeroing.py).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.errors import ModelRefused
from goodnet.network.calls import Ref
from goodnet.network.cost import LARGEST_TENSOR, costs_of_calls
from goodnet.network.execution import Execution, Tensor, Tensors
from goodnet.network.suspect import Suspect
from goodnet.pruning.activations import ActivationCache
from goodnet.pruning.channelwise import bare_region, find_region
from goodnet.pruning.incremental import IncrementalSweep, StepBatch, pad_to_multiple

Form = Literal["auto", "masked"]


class Split:
    """Head and tail of a suspect's network.

    Args:
        suspect: an opened classifier.
        layer: the layer to prune.
        form: "auto" adds channels where that is possible; "masked" runs all that follows the
            layer for each state.

    Attributes:
        suspect: as above.
        layer: the name of the pruned layer.
        channels: how many channels it has.
        form: how states are put together: "incremental", "masked", or "both".
        cache: the layer's output for images seen so far.
    """

    def __init__(self, suspect: Suspect, layer: str, form: Form = "auto") -> None:
        self.suspect = suspect
        self._execution = execution = Execution(suspect)
        plan, cut = suspect.plan, Ref(layer, 0, 0)
        self.layer, self.channels = layer, suspect.channels(layer)
        self.cache = ActivationCache(self)
        self._sizes: dict[tuple[int, ...], int] = {}
        self._largest: dict[tuple[int, ...], int] = {}
        ends = (cut, *plan.skip_inputs(cut))
        self._nodes_of_head = head = plan.ancestors(set(ends), {execution.input})
        tail = plan.ancestors({execution.output}, set(ends))

        def run_head(images: Tensor) -> Tensors:
            tensors = execution.run(head, {execution.input: images})
            return [tensors[end] for end in ends]

        def run_tail(activations: Tensors) -> Tensor:
            return execution.answers(tail, dict(zip(ends, activations, strict=True)))

        self._head = tf.function(run_head, reduce_retracing=True, autograph=False)
        self._tail = tf.function(run_tail, reduce_retracing=True, autograph=False)
        region = find_region(suspect, layer) if form == "auto" else bare_region(layer)
        self.form = region.form
        self._sweep = IncrementalSweep(execution, region, ends, self.channels)

    def bytes_per_image(self, shape: tuple[int, ...]) -> int:
        """What the activations of one image take, with what a sweep makes of them.

        The functions are traced here, once, for any count of images.

        Args:
            shape: of an image, (H, W, C).
        """
        if shape not in self._sizes:
            images = tf.TensorSpec((None, *shape))
            head = self._head.get_concrete_function(images).structured_outputs
            self._tail.get_concrete_function(head)
            self._sizes[shape] = sum(
                4 * math.prod(side or 1 for side in tensor.shape)
                for tensor in tf.nest.flatten((head, self._sweep.trace(head)))
            )
        return self._sizes[shape]

    def largest(self, shape: tuple[int, ...]) -> int:
        """The values of one image in the head's largest tensor.

        Args:
            shape: of an image, (H, W, C).
        """
        if shape not in self._largest:
            try:
                costs = costs_of_calls(self.suspect.plan, self._execution.operations, shape)
            except ModelRefused:  # it takes images of any size, and these are huge
                costs = {}
            tensors = (costs[node.tensor][1] for node in self._nodes_of_head if costs)
            self._largest[shape] = max(
                (math.prod(each) for each in tensors), default=LARGEST_TENSOR
            )
        return self._largest[shape]

    def activations(self, images: NDArray[np.float32]) -> Tensors:
        """The layer's output for these images, (n, ..., channels), then what shortcuts take."""
        return list(self._head(tf.constant(images)))

    def answers(self, activations: Tensors) -> NDArray[np.int32]:
        """The suspect's class of each image, from its `activations`."""
        return np.asarray(self._tail(activations))

    def walk(self, activations: Tensors) -> "SweepWalk":
        """A walk through states of the images with these activations."""
        return SweepWalk(self._sweep, activations)


class Step(NamedTuple):
    """One step of a walk.

    Attributes:
        kept: the channels kept after it, bool (channels,).
        added: those of them that were not kept before and matter to `images`, bool (channels,).
        images: indices of the images that the step changes, at least one.
    """

    kept: NDArray[np.bool_]
    added: NDArray[np.bool_]
    images: NDArray[np.int64]


class SweepWalk:
    """One block of images on the way from few channels kept to many."""

    def __init__(self, sweep: IncrementalSweep, activations: Tensors) -> None:
        self._sweep, self._terms = sweep, sweep.terms(activations)

    def answers(self, steps: Sequence[Step]) -> list[NDArray[np.int32]]:
        """The classes of each step's images after it; the walk starts with no channel kept."""
        images = [pad_to_multiple(step.images) for step in steps]
        added = [np.flatnonzero(step.added) for step in steps]
        kept = np.array([step.kept for step in steps], dtype=np.float32)
        batch = StepBatch(*_joined(added), *_joined(images), tf.constant(kept))
        classes = self._sweep.classes(self._terms, batch).numpy()
        starts = batch.image_ends.numpy()
        return [
            classes[start : start + len(step.images)]
            for start, step in zip(starts, steps, strict=False)
        ]


def _joined(lists: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """The lists one behind the other, and where each starts and the last ends, int32."""
    ends = np.cumsum([0, *map(len, lists)])
    return tf.constant(np.concatenate(lists), tf.int32), tf.constant(ends, tf.int32)
