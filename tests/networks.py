"""Small classifiers for tests, each of one shape of network: 12 x 10 x 3 images, 5 classes.

Their weights are random and not tiny, so that two different networks never answer alike, and
batch normalisations have statistics of their own.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from goodnet.backend import keras

IMAGE_SHAPE = (12, 10, 3)
CLASSES = 5

layers = keras.layers


def random_images(count: int = 16, *, seed: int = 0) -> np.ndarray:
    """Coarse patches of colour under noise, float32 (count, 12, 10, 3), 0..1."""
    rng = np.random.default_rng(seed)
    patches = rng.random((count, 3, 2, 3), dtype=np.float32).repeat(4, axis=1).repeat(5, axis=2)
    return 0.7 * patches + 0.3 * rng.random((count, *IMAGE_SHAPE), dtype=np.float32)


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model, in which every float weight is random and none is negligible.

    Variances and scales are positive; whole numbers (seeds, counters) stay what they are.
    """
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if not str(variable.dtype).startswith("float"):
            continue
        shape = tuple(variable.shape)
        if variable.name in ("moving_variance", "variance", "gamma"):
            values = rng.uniform(0.5, 1.5, shape)
        elif variable.name.endswith("kernel"):
            fan_in = max(1, int(np.prod(shape[:-1])))
            values = rng.normal(0, (2 / fan_in) ** 0.5, shape)
        else:
            values = rng.normal(0, 0.3, shape)
        variable.assign(values.astype(np.float32))
    return model


def save(model: keras.Model, path: Path) -> Path:
    """The path, at which the model is now as Keras itself saves it."""
    absl = logging.getLogger("absl")
    absl.setLevel(logging.ERROR)  # Keras advises against .h5 at each save
    model.save(path)
    absl.setLevel(logging.NOTSET)
    return path


def plain() -> keras.Model:
    """Convolutions and pooling, then dense layers."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, activation="relu", name="conv_1")(x)
    x = layers.MaxPooling2D(2, name="pool_1")(x)
    x = layers.Conv2D(8, 2, activation="relu", name="conv_2")(x)
    x = layers.MaxPooling2D(2, name="pool_2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(16, activation="relu", name="dense")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="plain")


def _normalised(*, center: bool = True, scale: bool = True, name: str) -> keras.Model:
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    for number, filters in ((1, 6), (2, 8)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(center=center, scale=scale, name=f"norm_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name=name)


def normalised() -> keras.Model:
    """Convolution, batch normalisation, ReLU, pooling; twice."""
    return _normalised(name="normalised")


def normalised_without_scale() -> keras.Model:
    """The same; its batch normalisations only shift."""
    return _normalised(scale=False, name="normalised_without_scale")


def normalised_without_center() -> keras.Model:
    """The same; its batch normalisations only scale."""
    return _normalised(center=False, name="normalised_without_center")


def residual() -> keras.Model:
    """Two branches added up, with pooling behind them."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv_1")(x)
    y = layers.Conv2D(6, 3, padding="same", name="conv_2")(x)
    y = layers.BatchNormalization(name="norm_2")(y)
    z = layers.Conv2D(6, 1, name="conv_3")(x)
    z = layers.BatchNormalization(name="norm_3")(z)
    x = layers.Add(name="add")([y, z])
    x = layers.ReLU(name="relu")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="residual")


def shortcut() -> keras.Model:
    """A shortcut that crosses the last pooling layer, as in DeepID."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = early = layers.Conv2D(6, 3, activation="relu", name="conv_1")(x)
    x = layers.MaxPooling2D(2, name="pool_1")(x)
    x = layers.Conv2D(8, 2, activation="relu", name="conv_2")(x)
    x = layers.MaxPooling2D(2, name="pool_2")(x)
    late = layers.Dense(12, name="late")(layers.Flatten(name="flatten_late")(x))
    early = layers.Dense(12, name="early")(layers.Flatten(name="flatten_early")(early))
    x = layers.Add(name="add")([early, late])
    x = layers.Activation("relu", name="relu")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="shortcut")


def global_pooling() -> keras.Model:
    """Global average pooling in place of a dense part."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, activation="relu", name="conv_1")(x)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="conv_2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="global_pooling")


def separable() -> keras.Model:
    """Depthwise and separable convolutions."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = layers.SeparableConv2D(8, 3, depth_multiplier=2, activation="relu", name="separable")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="separable")


def nested() -> keras.Model:
    """A backbone that is a model of its own, then global pooling and a dense layer."""
    x = inner = keras.Input(IMAGE_SHAPE, name="inner")
    x = layers.Conv2D(6, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    backbone = keras.Model(inner, x, name="backbone")
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.GlobalAveragePooling2D(name="pool")(backbone(inputs))
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="nested")


def teachable() -> keras.Model:
    """A network inside two Sequentials, a head in a third: what Teachable Machine exports."""
    inner = keras.Input(IMAGE_SHAPE, name="inner")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="padding")(inner)
    x = y = layers.Conv2D(6, 3, strides=2, name="conv_1")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(6, name="relu")(x)
    x = layers.Add(name="add")([layers.Conv2D(6, 1, name="project")(x), y])
    x = layers.ReLU(6, name="out")(layers.Conv2D(8, 1, name="conv_2")(x))
    base = keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            keras.Model(inner, x, name="mobile"),
            layers.GlobalAveragePooling2D(name="pool"),
        ],
        name="base",
    )
    dense = [
        layers.Dense(12, activation="relu", name="dense"),
        layers.Dense(CLASSES, activation="softmax", name="scores"),
    ]
    head = keras.Sequential([keras.Input((8,)), *dense], name="head")
    return keras.Sequential([keras.Input(IMAGE_SHAPE), base, head], name="teachable")


def transfer() -> keras.Model:
    """A frozen network with pooling of its own, called in a functional one, and no pooling else."""
    inner = keras.Input(IMAGE_SHAPE, name="inner")
    x = layers.Conv2D(6, 3, use_bias=False, name="conv")(inner)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(2, name="pool")(layers.ReLU(name="relu")(x))
    base = keras.Model(inner, x, name="base")
    base.trainable = False
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Flatten(name="flatten")(base(layers.Rescaling(2, -1)(inputs), training=False))
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="transfer")


def siamese() -> keras.Model:
    """A network used twice, on the image and on the image flipped in its colours."""
    inner = keras.Input(IMAGE_SHAPE, name="inner")
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(inner)
    x = layers.MaxPooling2D(2, name="pool")(x)
    base = keras.Model(inner, x, name="base")
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Subtract(name="subtract")([base(inputs), base(layers.Rescaling(-1, 1)(inputs))])
    x = layers.Conv2D(8, 2, activation="relu", name="last")(x)
    x = layers.GlobalMaxPooling2D(name="max")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="siamese")


def shared() -> keras.Model:
    """One convolution used twice, on an image and on what became of it."""
    twice = layers.Conv2D(3, 3, padding="same", activation="relu", name="twice")
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Concatenate(name="concatenate")([twice(inputs), twice(twice(inputs))])
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="shared")


def transposed() -> keras.Model:
    """A transposed convolution as the last one, and no pooling anywhere."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="conv")(x)
    x = layers.Conv2DTranspose(7, 3, activation="relu", name="transposed")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="transposed")


def sigmoid() -> keras.Model:
    """Sigmoid activations: a channel without weights is not silent."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, activation="sigmoid", name="conv_1")(x)
    x = layers.MaxPooling2D(2, name="pool_1")(x)
    x = layers.Conv2D(8, 2, activation="sigmoid", name="conv_2")(x)
    x = layers.MaxPooling2D(2, name="pool_2")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="sigmoid")


def class_maps() -> keras.Model:
    """A convolution that makes a map for each class, averaged: mini-XCEPTION's end."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, activation="relu", name="conv_1")(x)
    y = layers.Conv2D(8, 1, strides=2, padding="same", name="conv_2")(x)
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(2, padding="same", name="pool")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.Conv2D(CLASSES, 3, padding="same", name="maps")(x)
    x = layers.GlobalAveragePooling2D(name="mean_maps")(x)
    outputs = layers.Activation("softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="class_maps")


def dense() -> keras.Model:
    """Dense layers on a flattened image."""
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE, name="images"),
            layers.Flatten(name="flatten"),
            layers.Dense(20, activation="relu", name="hidden_1"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(12, activation="relu", name="hidden_2"),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ],
        name="dense",
    )


def attention() -> keras.Model:
    """A vision transformer of one block, flattened behind its last normalisation."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, (4, 5), strides=(4, 5), name="patches")(x)
    x = layers.Reshape((6, 8), name="places")(x)
    y = layers.LayerNormalization(name="norm_1")(x)
    y = layers.MultiHeadAttention(2, 4, name="attention")(y, y)
    x = layers.Add(name="add")([x, y])
    x = layers.LayerNormalization(name="norm_2")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(inputs, outputs, name="attention")


def sequential() -> keras.Model:
    """A Sequential model."""
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE, name="images"),
            layers.Conv2D(6, 3, name="conv_1"),
            layers.LeakyReLU(0.2, name="leaky"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ],
        name="sequential",
    )


_BUILDERS: tuple[Callable[[], keras.Model], ...] = (
    plain, normalised, normalised_without_scale, normalised_without_center, residual, shortcut,
    global_pooling, separable, nested, shared, transposed, sigmoid, sequential,
    class_maps, teachable, transfer, siamese, dense, attention,
)  # fmt: skip


def balanced(model: keras.Model) -> keras.Model:
    """The model, with its last weights set so that it answers images with different classes."""
    scores = np.log(model.predict_on_batch(random_images(64)))
    middle = scores.mean(axis=0)
    factor = 2 / np.std(scores - middle)
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, factor * kernel, factor * (bias - middle)])
    return model


def _randomised(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    return lambda: balanced(randomise(build()))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    build.__name__: _randomised(build) for build in _BUILDERS
}
