"""Adam, one step of it, on plain tensors."""

from typing import Any

from goodnet.backend import tf

Tensor = Any


def adam_step(value: Tensor, slope: Tensor, moments: Tensor, step: Tensor, rate: Any) -> Any:
    """The value one step up the slope, and the new moments (2, *shape of the value).

    Source: Kingma, Ba, "Adam", ICLR 2015 (arXiv 1412.6980), algorithm 1.
    """
    first = 0.9 * moments[0] + 0.1 * slope
    second = 0.999 * moments[1] + 0.001 * slope * slope
    size = tf.sqrt(second / (1 - 0.999**step)) + 1e-8
    return value + rate * first / (1 - 0.9**step) / size, tf.stack([first, second])
