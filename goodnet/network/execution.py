"""Parts of a suspect's network, run call by call on tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goodnet.backend import keras, tf
from goodnet.network.architecture import Call, Ref, refs_of
from goodnet.network.calls import with_tensors
from goodnet.network.graph import Graph
from goodnet.network.suspect import Suspect

Tensor = Any
Tensors = list[Tensor]

GROUP = 32  # classes
LOWEST = -1e37  # below every score of a network that is not about to overflow


class Execution:
    """Runs calls of the plan with the layers of the network that was built from it.

    Attributes:
        graph: the plan's calls.
        operations: the network's layers and operations by name.
        monotone: whether the output's softmax is left out. It keeps the order of finite scores.
    """

    def __init__(self, suspect: Suspect) -> None:
        self.graph = Graph(suspect.plan)
        operations = getattr(suspect.network, "operations", suspect.network.layers)
        self.operations = {operation.name: operation for operation in operations}
        self.output = suspect.plan.outputs[0]
        self.input = Ref(suspect.plan.inputs[0].layer, 0, 0)
        self.monotone = self._ends_in_softmax()
        last = self.operations.get(self.output.layer)
        self._last = grouped_kernel(last) if isinstance(last, keras.layers.Dense) else None

    def _ends_in_softmax(self) -> bool:
        call = self.graph.made_by.get(self.output)
        if call is None or self.graph.takers(self.output):
            return False
        kind, arguments = self.graph.kind(call.layer), self.graph.arguments(call.layer)
        if kind == "Softmax":
            return bool(arguments.get("axis", -1) == -1)
        return kind in ("Dense", "Activation") and arguments.get("activation") == "softmax"

    def run(self, calls: Sequence[tuple[Ref, Call]], given: dict[Ref, Tensor]) -> dict[Ref, Tensor]:
        """All tensors: the given ones and those that the calls make of them."""
        tensors = dict(given)
        for made, call in calls:
            arguments = [with_tensors(argument, tensors) for argument in call.arguments]
            if made == self.output and self.monotone:
                tensors[made] = self._without_softmax(call.layer, arguments[0])
            else:
                tensors[made] = self.operations[call.layer](*arguments)
        return tensors

    def _without_softmax(self, name: str, tensor: Tensor) -> Tensor:
        layer = self.operations[name]
        if self.graph.kind(name) != "Dense":
            return tensor
        return with_bias(layer, tensor @ layer.kernel)

    def activated(self, made: Ref, sums: Tensor) -> Tensor:
        """What the layer that makes a tensor does with its weighted sums."""
        if made == self.output and self.monotone:
            return sums
        activation = self.operations[made.layer].activation
        return sums if activation is None else activation(sums)

    def answers(self, calls: Sequence[tuple[Ref, Call]], given: dict[Ref, Tensor]) -> Tensor:
        """The classes, int32 (n,), that the calls lead to from the given tensors."""
        if not (calls and self.monotone and calls[-1][0] == self.output):
            return self.classes(self.run(calls, given)[self.output])
        layer, (taken, *_) = self.operations[self.output.layer], refs_of(calls[-1][1])
        tensor = self.run(calls[:-1], given)[taken]
        if self._last is None or len(tensor.shape) != 2:
            return self.classes(self._without_softmax(layer.name, tensor))
        return self._dense_answers(layer, self._last, tensor)

    def _dense_answers(self, layer: Any, kernel: Tensor, tensor: Tensor) -> Tensor:
        """The class with the highest score of a last dense layer.

        The bias is a row of the kernel, and the highest score is looked for in groups of GROUP:
        nothing is written twice, and a maximum is found faster than its place.
        """
        largest = tf.reduce_max(abs(kernel[:, : layer.units]))

        def grouped() -> Tensor:
            whole = tf.concat([tensor, tf.ones([tf.shape(tensor)[0], 1])], axis=1)
            scores = tf.reshape(whole @ kernel, [-1, kernel.shape[1] // GROUP, GROUP])
            best = tf.argmax(tf.reduce_max(scores, axis=-1), axis=-1, output_type=tf.int32)
            among = tf.gather(scores, best, batch_dims=1)
            return best * GROUP + tf.argmax(among, axis=-1, output_type=tf.int32)

        bound = (tf.reduce_sum(abs(tensor)) + 1) * largest  # on any score; NaN is below nothing
        return tf.cond(
            bound < -LOWEST,
            grouped,
            lambda: self.classes(self._without_softmax(layer.name, tensor)),
        )

    def classes(self, scores: Tensor) -> Tensor:
        """The class with the highest score, int32 (n,), as NumPy finds it after softmax."""

        def exactly() -> Tensor:
            probabilities = tf.nn.softmax(scores) if self.monotone else scores
            infinite = tf.fill(tf.shape(scores), tf.constant(np.inf, probabilities.dtype))
            first = tf.where(tf.math.is_nan(probabilities), infinite, probabilities)
            return tf.argmax(first, axis=-1, output_type=tf.int32)

        finite = tf.reduce_all(tf.math.is_finite(tf.reduce_sum(scores, axis=-1)))
        return tf.cond(finite, lambda: tf.math.top_k(scores, k=1).indices[:, 0], exactly)


def grouped_kernel(layer: Any) -> Tensor:
    """Kernel and, as its last row, bias of a dense layer, filled up with classes that never win."""
    kernel = np.zeros((layer.kernel.shape[0] + 1, -(-layer.units // GROUP) * GROUP), np.float32)
    kernel[:-1, : layer.units] = layer.kernel.numpy()
    kernel[-1, : layer.units] = layer.bias.numpy() if layer.use_bias else 0
    kernel[-1, layer.units :] = LOWEST
    return tf.constant(kernel)


def weighed_rows(layer: Any, tensor: Tensor) -> Tensor:
    """What a Conv2D or Dense layer multiplies with its kernel matrix: (n, ..., features).

    A convolution's are the patches under its kernel: its places, row by row, then the channels.
    """
    if isinstance(layer, keras.layers.Dense):
        return tensor
    rows, columns = layer.kernel_size

    def under(axis: int, place: int) -> slice:
        """What one place of the kernel sees along an axis, all its positions."""
        step, behind = layer.dilation_rate[axis], layer.kernel_size[axis] - 1 - place
        return slice(place * step, -behind * step or None, layer.strides[axis])

    if layer.padding == "valid":
        return tf.concat(
            [
                tensor[:, under(0, row), under(1, column)]
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
