"""Parts of a suspect's network, run call by call on tensors."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from goodnet.backend import tf
from goodnet.network.calls import Node, Ref, refs_of, with_tensors
from goodnet.network.graph import Architecture, keras_name
from goodnet.network.grouped_argmax import GroupedArgmax

Tensor = Any
Tensors = list[Tensor]


class Planned(Protocol):
    """A network and its plan: a suspect, or the logits of one."""

    @property
    def plan(self) -> Architecture:
        """The architecture."""

    @property
    def network(self) -> Any:
        """What was built from it."""


class Execution:
    """Runs calls of the plan with the layers of the network that was built from it.

    Attributes:
        plan: the suspect's.
        operations: the network's layers and operations by name.
        monotone: whether the output's softmax is left out. It keeps the order of finite scores.
    """

    def __init__(self, planned: Planned) -> None:
        self.plan = planned.plan
        operations = getattr(planned.network, "operations", planned.network.layers)
        by_name = {operation.name: operation for operation in operations}
        self.operations = {
            layer.name: by_name[keras_name(layer.name)]
            for layer in self.plan.layers
            if keras_name(layer.name) in by_name
        }
        self.output = self.plan.outputs[0]
        self.input = Ref(self.plan.inputs[0].layer, 0, 0)
        last = self.plan.layer(self.output.layer)
        self.monotone = last.activation == "softmax" and last.bare is not None
        self._weighs = last.traits.weighted_sums
        self._argmax = (
            GroupedArgmax(self.operations[last.name]) if self.monotone and self._weighs else None
        )

    def run(self, nodes: Sequence[Node], inputs: dict[Ref, Tensor]) -> dict[Ref, Tensor]:
        """All tensors: the inputs and those that the nodes make of them."""
        tensors = dict(inputs)
        for ref, call in nodes:
            arguments = [with_tensors(argument, tensors) for argument in call.arguments]
            if ref == self.output and self.monotone:
                tensors[ref] = self._without_softmax(arguments[0])
            else:
                tensors[ref] = self.operations[call.layer](*arguments)
        return tensors

    def _without_softmax(self, tensor: Tensor) -> Tensor:
        """The output for what its layer takes."""
        layer = self.operations[self.output.layer]
        return with_bias(layer, tensor @ layer.kernel) if self._weighs else tensor

    def activated(self, ref: Ref, sums: Tensor) -> Tensor:
        """What the layer that makes a tensor does with its weighted sums."""
        if ref == self.output and self.monotone:
            return sums
        activation = self.operations[ref.layer].activation
        return sums if activation is None else activation(sums)

    def answers(self, nodes: Sequence[Node], inputs: dict[Ref, Tensor]) -> Tensor:
        """The classes, int32 (n,), that the nodes lead to from the inputs."""
        if not (nodes and self.monotone and nodes[-1].tensor == self.output):
            return self.classes(self.run(nodes, inputs)[self.output])
        source, *_ = refs_of(nodes[-1].call)
        tensor = self.run(nodes[:-1], inputs)[source]
        if self._argmax is None:
            return self.classes(self._without_softmax(tensor))
        return self._argmax(tensor, lambda: self.classes(self._without_softmax(tensor)))

    def classes(self, scores: Tensor) -> Tensor:
        """The class with the highest score, int32 (n,), as NumPy finds it after softmax."""

        def exactly() -> Tensor:
            probabilities = tf.nn.softmax(scores) if self.monotone else scores
            infinite = tf.fill(tf.shape(scores), tf.constant(np.inf, probabilities.dtype))
            first = tf.where(tf.math.is_nan(probabilities), infinite, probabilities)
            return tf.argmax(first, axis=-1, output_type=tf.int32)

        finite = tf.reduce_all(tf.math.is_finite(tf.reduce_sum(scores, axis=-1)))
        return tf.cond(finite, lambda: tf.math.top_k(scores, k=1).indices[:, 0], exactly)


def im2col_rows(layer: Any, tensor: Tensor) -> Tensor:
    """What a Conv2D or Dense layer multiplies with its kernel matrix: (n, ..., features).

    A convolution's are the patches under its kernel: its places, row by row, then the channels.
    """
    if len(layer.kernel.shape) == 2:  # a dense layer's
        return tensor
    rows, columns = layer.kernel_size

    def window(axis: int, place: int) -> slice:
        """What one place of the kernel sees along an axis, all its positions."""
        step, behind = layer.dilation_rate[axis], layer.kernel_size[axis] - 1 - place
        return slice(place * step, -behind * step or None, layer.strides[axis])

    if layer.padding == "valid":
        return tf.concat(
            [
                tensor[:, window(0, row), window(1, column)]
                for row in range(rows)
                for column in range(columns)
            ],
            axis=-1,
        )
    return tf.image.extract_patches(
        tensor,
        sizes=[1, *layer.kernel_size, 1],
        strides=[1, *layer.strides, 1],
        rates=[1, *layer.dilation_rate, 1],
        padding=layer.padding.upper(),
    )


def kernel_matrix(layer: Any) -> Tensor:
    """The kernel of a Conv2D or Dense layer, (features, outputs)."""
    return tf.reshape(layer.kernel, [-1, layer.kernel.shape[-1]])


def with_bias(layer: Any, sums: Tensor) -> Tensor:
    """The sums and the layer's bias, if it has one."""
    return sums + layer.bias if layer.use_bias else sums
