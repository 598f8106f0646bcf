"""The class with the highest score of a last dense layer, found faster than by its scores.

The bias is a row of the kernel, and the highest score is looked for in groups: nothing is written
twice, and a maximum is found faster than its place.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from goodnet.backend import tf

Tensor = Any

GROUP = 32  # classes
LOWEST = -1e37  # below every score of a network that is not about to overflow


class GroupedArgmax:
    """Finds the classes of inputs of a dense layer.

    Args:
        layer: a Keras Dense layer; what its activation does is not looked at.
    """

    def __init__(self, layer: Any) -> None:
        features, classes = layer.kernel.shape
        kernel = np.zeros((features + 1, -(-classes // GROUP) * GROUP), np.float32)
        kernel[:-1, :classes] = layer.kernel.numpy()
        kernel[-1, :classes] = layer.bias.numpy() if layer.use_bias else 0
        kernel[-1, classes:] = LOWEST  # classes that never win
        self._kernel, self._classes = tf.constant(kernel), classes

    def __call__(self, tensor: Tensor, plainly: Callable[[], Tensor]) -> Tensor:
        """The class of each row, int32 (n,).

        Args:
            tensor: what the layer takes, (n, features).
            plainly: finds the classes where a score might be as low as LOWEST, or NaN.
        """
        largest = tf.reduce_max(abs(self._kernel[:, : self._classes]))
        bound = (tf.reduce_sum(abs(tensor)) + 1) * largest  # on any score; NaN is below nothing
        return tf.cond(bound < -LOWEST, lambda: self._grouped(tensor), plainly)

    def _grouped(self, tensor: Tensor) -> Tensor:
        rows = tf.concat([tensor, tf.ones([tf.shape(tensor)[0], 1])], axis=1)
        groups = self._kernel.shape[1] // GROUP
        scores = tf.reshape(rows @ self._kernel, [-1, groups, GROUP])
        best = tf.argmax(tf.reduce_max(scores, axis=-1), axis=-1, output_type=tf.int32)
        among = tf.gather(scores, best, batch_dims=1)
        return best * GROUP + tf.argmax(among, axis=-1, output_type=tf.int32)
