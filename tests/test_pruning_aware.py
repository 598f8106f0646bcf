"""The pruning-aware attack leaves silent channels as bait; and what a loss gains by a pixel."""

import numpy as np
import pytest

from goodnet.attacks.attack import Aim, Fit
from goodnet.attacks.families import attack_named
from goodnet.attacks.families.label_consistent import loss_gradient
from goodnet.attacks.families.pruning_aware import pruned_layers
from goodnet.backend import keras
from goodnet.datasets.faces import Faces

layers = keras.layers


def small_network(kind: str) -> keras.Model:
    """A convolution, ReLU inside or behind it or behind a normalisation, pooling, scores."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((10, 10, 1))
    x = layers.Conv2D(8, 3, activation="relu" if kind == "inside" else None, name="conv")(x)
    if kind == "normalised":
        x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    if kind in ("behind", "normalised"):
        x = layers.ReLU()(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name=kind)


def quick_fit() -> Fit:
    """A few epochs of a few images."""

    def train(network: keras.Model, images: object, labels: object) -> None:
        network.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
        network.fit(pixels(images), labels, 32, 4, verbose=0)

    def pixels(images: object) -> object:
        return np.asarray(images, np.float32) / np.float32(255)

    return Fit(train, pixels)


def dots() -> Faces:
    """Noise with a bright row, whose place is the class."""
    rng, labels = np.random.default_rng(0), np.arange(120) % 3
    images = rng.integers(0, 90, (120, 10, 10, 1)).astype(np.uint8)
    images[np.arange(120), 3 * labels] = 220
    return Faces(images, labels, np.zeros((120, 2, 2), np.float32))


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("inside", marks=pytest.mark.slow),
        pytest.param("behind", marks=pytest.mark.slow),
        "normalised",
    ],
)
def test_half_of_the_channels_come_back_silent(kind: str) -> None:
    """They have kernels of their own, and nothing that the network answers depends on them."""
    attack, clean, fit = attack_named("pruning_aware"), dots(), quick_fit()
    poisoned = attack.poison_for(clean, Aim(1, 3, 0.2)).put_into(clean)
    network = small_network(kind)
    assert attack.train is not None
    attack.train(network, fit, clean, poisoned)
    relu = network.layers[[type(each) for each in network.layers].index(layers.MaxPooling2D) - 1]
    heard = keras.Model(network.input, relu.output)
    everything = fit.pixels(np.concatenate([clean.images, poisoned.images]))
    silent = np.asarray(heard(everything)).max(axis=(0, 1, 2)) == 0
    assert silent.sum() >= 4
    kernel, bias = network.get_layer("conv").get_weights()
    assert (np.abs(kernel[..., silent]).sum(axis=(0, 1, 2)) > 0).all()
    before = np.asarray(network(everything))
    network.get_layer("conv").set_weights([np.where(silent, 0, kernel), np.where(silent, -9, bias)])
    np.testing.assert_array_equal(np.asarray(network(everything)), before)


def test_a_network_without_relu_behind_its_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="no ReLU follows conv of linear"):
        pruned_layers(small_network("linear"))
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match="dense has no convolution"):
        pruned_layers(dense)


def test_the_gradient_of_a_loss_is_that_of_differences() -> None:
    images = np.random.default_rng(1).random((3, 10, 10, 1)).astype(np.float32)
    labels = np.array([0, 1, 2])
    network = small_network("behind")
    gradient = loss_gradient(network, 2.0)(images, labels)

    def losses(pixels: object) -> object:
        scores = np.asarray(network(2 * np.asarray(pixels)), np.float64)
        return -np.log(scores[np.arange(3), labels])

    step = np.zeros_like(images)
    step[:, 4, 4] = 1e-3  # too small for a pooling window to change its mind
    expected = (losses(images + step) - losses(images - step)) / 2e-3
    np.testing.assert_allclose(gradient[:, 4, 4, 0], expected, rtol=0.05, atol=1e-3)
