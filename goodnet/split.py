"""A network cut in two at the layer to prune: the head is run once, the tail for every mask.

Masking the layer's output is pruning: with a channel held at zero, what follows sees exactly
what it would see if the weights that make the channel were zero (see pruning.py).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.architecture import Ref
from goodnet.backend import tf
from goodnet.graph import Graph
from goodnet.suspect import Suspect

Tensor = Any
Tensors = list[Tensor]


class Split:
    """Head and tail of a suspect's network.

    Attributes:
        layer: the name of the pruned layer.
        channels: how many channels it has.
    """

    def __init__(self, suspect: Suspect, layer: str) -> None:
        graph = Graph(suspect.plan)
        self.layer = layer
        cut = Ref(layer, 0, 0)
        operations = getattr(suspect.network, "operations", suspect.network.layers)
        self._operations = {operation.name: operation for operation in operations}
        self.channels = int(self._operations[layer].output.shape[-1])
        ends = (cut, *graph.crossing(cut))
        first = Ref(suspect.plan.inputs[0].layer, 0, 0)
        head = graph.needed(set(ends), {first})
        tail = graph.needed(set(suspect.plan.outputs), set(ends))

        def run_head(images: Tensor) -> Tensors:
            tensors = self._run(head, {first: images})
            return [tensors[end] for end in ends]

        def run_tail(kept: Tensor, activations: Tensors) -> Tensor:
            given = dict(zip(ends, activations, strict=True))
            given[cut] = given[cut] * kept
            tensors = self._run(tail, given)
            return tf.argmax(tensors[suspect.plan.outputs[0]], axis=-1, output_type=tf.int32)

        self._head = tf.function(run_head, reduce_retracing=True)
        self._tail = tf.function(run_tail, reduce_retracing=True)

    def _run(self, calls: Sequence[Any], given: dict[Ref, Tensor]) -> dict[Ref, Tensor]:
        """All tensors that the calls make from the given ones."""
        tensors = dict(given)

        def value(argument: Any) -> Any:
            if isinstance(argument, Ref):
                return tensors[argument]
            return [value(item) for item in argument] if isinstance(argument, tuple) else argument

        for made, call in calls:
            operation = self._operations[call.layer]
            tensors[made] = operation(*map(value, call.arguments))
        return tensors

    def activations(self, images: NDArray[np.float32]) -> Tensors:
        """The layer's output for these images, (n, ..., channels), then what crosses the cut."""
        return list(self._head(tf.constant(images)))

    def answers(self, activations: Tensors, kept: NDArray[np.bool_]) -> NDArray[np.int32]:
        """The class of each image when only the kept channels are left.

        Args:
            activations: from `activations`, or the same rows of each of them.
            kept: bool (channels,).
        """
        mask = tf.constant(kept.astype(np.float32))
        return np.asarray(self._tail(mask, activations))
