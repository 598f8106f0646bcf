"""The last layer: a backdoored class has an output kernel of its own kind.

Statistic: for class c the column sum s_c = sum_i W_ic of the output kernel W, as a robust z score
over the classes, (s_c - median) / (1.4826 MAD). Training on poisoned images makes many features
push one class.

Source: the column sums are the weights' side of Fields et al., "Trojan Signatures in DNN Weights",
ICCV workshops 2021 (arXiv 2109.02836).

Limits: it costs milliseconds and needs no image, and it misses about half of all backdoors; a
trigger that uses few features leaves no trace. Few classes are too few columns to compare with: one
of our clean networks of ten classes has a z score of 5.7.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.method import DirectMethod
from goodnet.detection.outliers import robust_z
from goodnet.network.classifier import LogitModel

MIN_CLASSES: Final = 20


def score(model: LogitModel) -> dict[int, float] | None:
    """Each class's robust z score; None for few classes, or where the output has no kernel."""
    kernel = output_kernel(model)
    if kernel is None or model.classes < MIN_CLASSES:
        return None
    return dict(enumerate(robust_z(kernel.sum(axis=0)).tolist()))


def output_kernel(model: LogitModel) -> NDArray[np.float64] | None:
    """The last dense kernel, (features, classes); None where there is none."""
    layers = [layer for layer in model.network.layers if layer.weights]
    kernel = np.asarray(layers[-1].get_weights()[0], dtype=np.float64) if layers else None
    fits = kernel is not None and kernel.ndim == 2 and kernel.shape[1] == model.classes
    return kernel if fits else None


LAST_LAYER: Final = DirectMethod(
    "last layer",
    threshold=6.0,
    suspicion_threshold=5.0,
    score=lambda model, clean, seed: score(model),
)
