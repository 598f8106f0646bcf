"""What speaks for a preprocessing beside accuracy, where several answer images equally well.

- A network with batch normalisation says how its inputs looked in training: the moving mean and
  variance of its first such layers are held against those of clean images. Ioffe and Szegedy,
  "Batch normalization", ICML 2015, arXiv 1502.03167, section 3.1.
- A network fits its labels best on the inputs that it learnt them from: the cross-entropy, at the
  temperature that suits each preprocessing best. That is kept within what trained networks need
  (Guo et al., "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599): without
  any, a larger gain would pass for confidence, and with any at all no gain could be told apart.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import keras
from goodnet.datasets.dataset import CleanDataset
from goodnet.datasets.images import CleanImages, Labels
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import UNIT, Evidence, Preprocessing

MOST_BYTES: Final = 64_000_000  # of images
MOST: Final = 512  # images
GROUPS: Final = 16  # of images, each with statistics of its own
FIRST: Final = 3  # layers of batch normalisation
TEMPERATURES: Final = np.geomspace(1 / 4, 4, 33)

Array = NDArray[np.float64]
Moments = tuple[Array, Array]


def measure_evidence(
    suspect: Suspect, clean: CleanDataset, choices: Iterable[Preprocessing]
) -> dict[Preprocessing, Evidence]:
    """What clean images say of each preprocessing.

    Args:
        suspect: the network.
        clean: clean validation images; up to MOST are looked at, evenly spread.
        choices: those that are to be told apart.
    """
    images = CleanImages.of(clean, MOST_BYTES)
    images = images.take(np.unique(np.linspace(0, len(images) - 1, MOST).astype(np.int64)))
    groups = np.array_split(images.pixels, min(GROUPS, len(images)))
    found = {}
    model = LogitModel.from_suspect(suspect, UNIT)
    norms = trained_norms(model.network)
    inputs = keras.Model(model.network.inputs[0], [norm.input for norm in norms]) if norms else None
    for each in choices:
        logits = LogitModel(model.plan, model.network, each).all_logits(images.pixels)
        found[each] = Evidence(losses(logits, images.labels), np.zeros(0))
        if inputs:
            some = [moments(norms, inputs(each.apply(group), training=False)) for group in groups]
            apart = np.array([distance(norms, group) for group in some])
            found[each] = Evidence(found[each].losses, apart, distance(norms, pooled(some)))
    return found


def losses(logits: NDArray[np.float32], labels: Labels) -> Array:
    """The cross-entropy of each image, (N,), at the temperature with the smallest mean."""
    exact = logits.astype(np.float64)
    right = exact[np.arange(len(labels)), labels]
    each = [
        np.logaddexp.reduce(exact / temperature, axis=1) - right / temperature
        for temperature in TEMPERATURES
    ]
    return min(each, key=lambda some: float(some.mean()))


def trained_norms(network: keras.Model) -> list[Any]:
    """The first layers of batch normalisation that have seen images, at most FIRST."""
    kind = keras.layers.BatchNormalization
    norms = [layer for layer in network.layers if isinstance(layer, kind)]
    return [layer for layer in norms if np.any(layer.moving_mean.numpy() != 0)][:FIRST]


def moments(norms: list[Any], inputs: Any) -> list[Moments]:
    """Mean and mean square of each channel of some layers' inputs, a tensor (n, ..., C) or more."""
    found = []
    for norm, each in zip(norms, inputs if isinstance(inputs, list) else [inputs], strict=True):
        values = np.moveaxis(np.asarray(each, np.float64), norm.axis, -1)
        values = values.reshape(-1, values.shape[-1])
        found.append((values.mean(axis=0), (values**2).mean(axis=0)))
    return found


def pooled(groups: list[list[Moments]]) -> list[Moments]:
    """The moments of groups of about as many images together."""
    return [
        (np.mean([mean for mean, _ in layer], axis=0), np.mean([sq for _, sq in layer], axis=0))
        for layer in zip(*groups, strict=True)
    ]


def distance(norms: list[Any], found: list[Moments]) -> float:
    """How far the inputs of these layers are from what they were in training.

    It is log(1 + KL) of the two normal distributions of each channel, averaged over channels, and
    then over layers.

    Args:
        norms: from `trained_norms`.
        found: the moments of their inputs.
    """
    apart = []
    for norm, (mean, square) in zip(norms, found, strict=True):
        variance = np.maximum(square - mean**2, 0) + norm.epsilon
        trained = norm.moving_variance.numpy().astype(np.float64) + norm.epsilon
        away = mean - norm.moving_mean.numpy()
        divergence = 0.5 * ((variance + away**2) / trained - 1 - np.log(variance / trained))
        apart.append(np.log1p(np.maximum(divergence, 0)).mean())
    return float(np.mean(apart))
