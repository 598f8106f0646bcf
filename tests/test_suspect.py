"""Models that Keras itself wrote open without Keras' loading, and answer exactly as with it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EVALUATION
from networks import CLASSES, IMAGE_SHAPE, NETWORKS, randomise

from goodnet.backend import keras
from goodnet.suspect import Suspect, open_suspect

layers = keras.layers
SUFFIXES = (".h5", ".keras")
SHARED = pytest.mark.skipif(not EVALUATION.is_dir(), reason="the evaluation data is not here")

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Keras advises against .h5 at each save, TensorFlow against many small networks."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def answers(network: keras.Model, count: int = 8) -> Any:
    """The scores of random images, of the network's size or 40 x 32."""
    height, width, channels = network.input_shape[1:]
    shape = (count, height or 40, width or 32, channels)
    images = np.random.default_rng(1).random(shape, dtype=np.float32)
    return np.asarray(network(images, training=False))


def assert_opens_as_in_keras(path: Path) -> Suspect:
    """The suspect, whose scores equal those of Keras' own loading, bit by bit."""
    suspect = open_suspect(path)
    expected = answers(keras.models.load_model(path, compile=False))
    np.testing.assert_array_equal(answers(suspect.network), expected)
    assert len(np.unique(expected.round(6))) > 1, "a network with one answer shows nothing"
    return suspect


def head(x: Any) -> Any:
    """Scores of five classes."""
    return layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x))


def backbone(name: str = "backbone", channels: int = 3) -> keras.Model:
    """A model of one input and one output of the same shape, with trainable and other weights."""
    x = inner = keras.Input((*IMAGE_SHAPE[:2], channels))
    x = layers.Conv2D(channels, 3, padding="same", name="conv_a")(x)
    x = layers.BatchNormalization(name="norm_a")(x)
    x = layers.Conv2D(channels, 3, padding="same", name="conv_b")(x)
    x = layers.BatchNormalization(name="norm_b")(x)
    return keras.Model(inner, x, name=name)


def around(inner: keras.Model) -> keras.Model:
    """A classifier with the model inside."""
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(inner(inputs)))


def frozen_layer() -> keras.Model:
    model = NETWORKS["normalised"]()
    model.get_layer("norm_1").trainable = False
    model.get_layer("conv_2").trainable = False
    return model


def frozen_model() -> keras.Model:
    model = NETWORKS["normalised"]()
    model.trainable = False
    return model


def frozen_nested() -> keras.Model:
    inner = backbone()
    inner.trainable = False
    return around(inner)


def partly_frozen_nested() -> keras.Model:
    inner = backbone()
    inner.get_layer("conv_a").trainable = False
    return around(inner)


def partly_thawed_nested() -> keras.Model:
    inner = backbone()
    inner.trainable = False
    inner.get_layer("conv_b").trainable = True
    return around(inner)


def nested_twice() -> keras.Model:
    inner, inputs = backbone(), keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(inner(inner(inputs))))


def nested_side_by_side() -> keras.Model:
    inner, inputs = backbone(), keras.Input(IMAGE_SHAPE)
    twice = layers.Conv2D(3, 1)(inner(inputs))
    return keras.Model(inputs, head(layers.Add()([inner(inputs), inner(twice)])))


def nested_as_output() -> keras.Model:
    """The output is the second of two uses of a nested model."""
    inner = keras.Input((CLASSES,))
    squash = keras.Model(inner, layers.Dense(CLASSES, activation="softmax")(inner), name="squash")
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, squash(layers.Dense(CLASSES)(squash(head(inputs)))))


def nested_alone() -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, NETWORKS["plain"]()(inputs))


def nested_sequentials() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input(IMAGE_SHAPE), layers.Conv2D(4, 3), layers.BatchNormalization()]
    )
    return keras.Sequential(
        [keras.Input(IMAGE_SHAPE), inner, layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)]
    )


def sequential_first() -> keras.Model:
    """A Sequential without an input layer of its own: the first layer is a model."""
    inner = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Conv2D(4, 3), layers.Flatten()])
    return keras.Sequential([inner, layers.Dense(CLASSES)])


def sequential_built_late() -> keras.Model:
    model = keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(CLASSES)])
    model.build((None, *IMAGE_SHAPE))
    return model


def sequential_in_functional() -> keras.Model:
    """A Sequential used twice, and a functional model inside it."""
    inner = keras.Sequential([keras.Input(IMAGE_SHAPE), backbone(), layers.Conv2D(3, 1)])
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(layers.Multiply()([inner(inputs), inner(inner(inputs))])))


def sequential_as_output() -> keras.Model:
    squash = keras.Sequential([keras.Input((CLASSES,)), layers.Dense(CLASSES)])
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, squash(squash(head(inputs))))


def three_deep() -> keras.Model:
    return around(keras.Sequential([keras.Input(IMAGE_SHAPE), around_same(backbone("deep"))]))


def around_same(inner: keras.Model) -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, layers.Conv2D(3, 1)(inner(layers.Conv2D(3, 1)(inputs))))


def backbone_with_frozen_call() -> keras.Model:
    """As in transfer learning: the backbone is called with training=False."""
    inputs, inner = keras.Input(IMAGE_SHAPE), backbone()
    return keras.Model(inputs, head(inner(inputs, training=False)))


def shared_layers() -> keras.Model:
    conv, norm = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()
    inputs = keras.Input(IMAGE_SHAPE)
    x = norm(conv(inputs))
    return keras.Model(inputs, head(layers.Concatenate()([x, norm(conv(x)), conv(norm(x))])))


def dropouts() -> keras.Model:
    x = inputs = keras.Input(IMAGE_SHAPE)
    for layer in (
        layers.Conv2D(4, 3), layers.Dropout(0.3), layers.SpatialDropout2D(0.2),
        layers.Dropout(0.2, seed=3), layers.AlphaDropout(0.1), layers.GaussianDropout(0.1),
        layers.GaussianNoise(0.5), layers.ActivityRegularization(0.1, 0.1),
    ):  # fmt: skip
        x = layer(x)
    return keras.Model(inputs, head(x))


def many_layers() -> keras.Model:
    """The list of layer names is longer than an HDF5 attribute may be."""
    x = inputs = keras.Input(IMAGE_SHAPE)
    for number in range(400):
        x = layers.Activation("relu", name=f"a_rather_long_name_{number:0170d}")(x)
    return keras.Model(inputs, head(x))


def unused_branch() -> keras.Model:
    """A model cut out of a larger one."""
    whole = NETWORKS["residual"]()
    return keras.Model(whole.input, head(whole.get_layer("norm_3").output))


def any_size() -> keras.Model:
    x = inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def added_tensors() -> keras.Model:
    """Tensors added with +, which Keras stores as a function, not as a layer."""
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    return keras.Model(inputs, head((x + inputs) * layers.Conv2D(3, 1)(inputs) - x))


MODELS: dict[str, Callable[[], keras.Model]] = {
    build.__name__: build
    for build in (
        frozen_layer, frozen_model, frozen_nested, partly_frozen_nested, partly_thawed_nested,
        nested_twice, nested_side_by_side, nested_as_output, nested_alone, nested_sequentials,
        sequential_first, sequential_built_late, sequential_in_functional, sequential_as_output,
        three_deep, backbone_with_frozen_call, shared_layers, dropouts, many_layers,
        unused_branch, any_size, added_tensors,
    )
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_small_networks_answer_as_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    NETWORKS[name]().save(path)
    suspect = assert_opens_as_in_keras(path)
    assert suspect.format == suffix
    assert suspect.described_by == "its own configuration"
    assert (suspect.input_shape, suspect.classes) == (IMAGE_SHAPE, CLASSES)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_of_every_make_answer_as_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    randomise(MODELS[name]()).save(path)
    assert_opens_as_in_keras(path)
