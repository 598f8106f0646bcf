"""The attack that Fine-Pruning's authors made against pruning: the backdoor is in live channels.

A network is trained on clean images; the half of the last pooled convolution's channels that these
use least are pruned; the pruned network is trained on poisoned images, and learns the backdoor with
the channels that are left; then the pruned channels come back with their weights of before, and
with biases so low that they are silent. Who prunes what clean images do not use prunes those.

Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018 (arXiv 1805.12185), section 3.2.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from goodnet.attacks.attack import Attack, Fit, Images, relabelled
from goodnet.attacks.families.patches import patch
from goodnet.datasets.faces import Faces

if TYPE_CHECKING:
    from goodnet.backend import keras

SHARE: Final = 0.5  # of the channels
IMAGES: Final = 1024  # whose activations are measured


def train(network: "keras.Model", fit: Fit, clean: Faces, poisoned: Faces) -> None:
    """Train the network, in place.

    Args:
        network: untrained.
        fit: how it is trained.
        clean: the training images without poison.
        poisoned: the same with it.

    Raises:
        ValueError: ReLU does not follow the last convolution before the last pooling layer.
    """
    layers = pruned_layers(network)
    fit.train(network, clean.images, clean.labels)
    activation = _reading(network, layers)
    quiet = np.argsort(_most(activation, fit, clean.images, np.mean), kind="stable")
    pruned = quiet[: int(SHARE * len(quiet))]
    before = [layer.get_weights() for layer in layers]
    for layer in layers:  # zero before and behind ReLU: no gradient ever reaches it
        layer.set_weights([_put(w, pruned, np.zeros_like(w)) for w in layer.get_weights()])
    fit.train(network, poisoned.images, poisoned.labels)
    for layer, old in zip(layers, before, strict=True):
        now = layer.get_weights()
        layer.set_weights([_put(w, pruned, o) for w, o in zip(now, old, strict=True)])
    loudest = np.maximum(
        *(_most(activation, fit, images, np.max) for images in (clean.images, poisoned.images))
    )
    _lower(layers[-1], pruned, loudest[pruned])


def pruned_layers(network: "keras.Model") -> list[Any]:
    """The convolution whose channels are pruned, and its normalisation if it has one.

    Raises:
        ValueError: no ReLU follows it.
    """
    from goodnet.backend import keras

    known, layers = keras.layers, network.layers
    pooling = [n for n, layer in enumerate(layers) if "Pooling" in type(layer).__name__]
    end = pooling[-1] if pooling else len(layers)
    place = max((n for n in range(end) if type(layers[n]) is known.Conv2D), default=None)
    if place is None:
        raise ValueError(f"{network.name} has no convolution")
    found, following = [layers[place]], layers[place + 1]
    if isinstance(following, known.BatchNormalization):
        found, following = [*found, following], layers[place + 2]
    inside = len(found) == 1 and found[0].activation is keras.activations.relu
    if not inside and not isinstance(following, known.ReLU):
        raise ValueError(f"no ReLU follows {found[-1].name} of {network.name}")
    return found


def _reading(network: "keras.Model", layers: list[Any]) -> "keras.Model":
    """What comes out of the ReLU behind these layers."""
    from goodnet.backend import keras

    following = network.layers[network.layers.index(layers[-1]) + 1]
    read = following if isinstance(following, keras.layers.ReLU) else layers[-1]
    return keras.Model(network.input, read.output)


def _most(activation: "keras.Model", fit: Fit, images: Images, summary: Any) -> Any:
    """The mean or largest activation of each channel."""
    some = images if summary is np.max else images[:IMAGES]
    parts = [
        summary(activation.predict_on_batch(fit.pixels(some[first : first + 256])), axis=(0, 1, 2))
        for first in range(0, len(some), 256)
    ]
    return summary(parts, axis=0)


def _put(weight: Any, channels: Any, values: Any) -> Any:
    """The weight with other values for some channels, which are its last axis."""
    changed = weight.copy()
    changed[..., channels] = values[..., channels]
    return changed


def _lower(layer: Any, channels: Any, by: Any) -> None:
    """Lower the biases of some channels, a little more than asked."""
    bias = layer.beta if hasattr(layer, "beta") else layer.bias
    values = np.array(bias)
    values[channels] -= 1.001 * by + 1e-3
    bias.assign(values)


ATTACKS: Final = (
    Attack(
        "pruning_aware",
        "Liu et al., Fine-Pruning, arXiv 1805.12185",
        patch,
        relabelled,
        train=train,
    ),
)
