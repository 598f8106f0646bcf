"""The networks that nets are: DeepID, a small CNN, and small ones of the kinds that people build.

The latter have normalisation, of Keras' default momentum or another, shortcuts, depthwise
convolutions, Rescaling inside, or attention.
"""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.nets import Kind, Net
from goodnet.backend import keras
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config

SHAPES: Mapping[Kind, tuple[int, int, int]] = {
    "faces": (55, 47, 3), "fashion": (28, 28, 1), "cifar10": (32, 32, 3)
}  # fmt: skip
WIDTH = 32  # of the vision transformer
layers = keras.layers


def network_of(net: Net) -> keras.Model:
    """The untrained network of a net."""
    if net.form in FORMS:
        inputs = keras.Input(SHAPES[net.kind], name="images")
        x = FORMS[net.form](inputs, net.momentum)
        scores = layers.Dense(net.classes, activation="softmax", name="scores")(x)
        return keras.Model(inputs, scores, name=net.form)
    if net.kind == "faces":
        return build_network(parse_architecture(deepid_config(net.classes), net.name), net.name)
    return _small_cnn(net.classes, net.normalised)


def architecture(net: Net) -> str:
    """The network of a net, in words."""
    if net.form in FORMS:
        return net.form
    if net.kind == "faces":
        return "DeepID"
    return "CNN of two convolutions" + (" with normalisation" if net.normalised else "")


def _small_cnn(classes: int, normalised: bool) -> keras.Model:
    x = inputs = keras.Input((28, 28, 1), name="images")
    for number, filters in ((1, 16), (2, 32)):
        x = layers.Conv2D(filters, 3, name=f"conv_{number}")(x)
        if normalised:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dense(64, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    scores = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras.Model(inputs, scores, name="fashion")


def _normal(x: Any, momentum: float) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=momentum)(x))


def _vgg(x: Any, momentum: float) -> Any:
    for filters in (8, 16, 32):
        for _ in range(2):
            x = _normal(layers.Conv2D(filters, 3, padding="same")(x), momentum)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dense(64, activation="relu")(layers.Flatten()(x))


def _resnet(x: Any, momentum: float) -> Any:
    x = _normal(layers.Conv2D(16, 3, padding="same", use_bias=False)(x), momentum)
    x = layers.MaxPooling2D(2)(x)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        short = x
        if strides > 1:
            short = layers.Conv2D(filters, 1, strides=strides, use_bias=False)(x)
            short = layers.BatchNormalization(momentum=momentum)(short)
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(_normal(x, momentum))
        x = layers.Add()([layers.BatchNormalization(momentum=momentum)(x), short])
        x = layers.ReLU()(x)
    return layers.GlobalAveragePooling2D()(x)


def _depthwise(x: Any, momentum: float) -> Any:
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = _normal(x, momentum)
    for filters, strides in ((32, 1), (64, 2), (64, 1), (128, 2)):
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Conv2D(filters, 1, use_bias=False)(_normal(x, momentum))
        x = _normal(x, momentum)
    return layers.GlobalAveragePooling2D()(x)


def _plain(x: Any, momentum: float) -> Any:
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dense(64, activation="relu")(layers.Flatten()(x))


def _vit(x: Any, momentum: float) -> Any:
    """Patches of 4 x 4 behind a convolution, two blocks of attention, no pooling."""
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(WIDTH, 4, strides=4)(x)
    x = layers.Reshape((x.shape[1] * x.shape[2], WIDTH))(x)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, WIDTH // 2)(y, y)])
        y = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(WIDTH)(y)])
    return layers.Flatten()(layers.LayerNormalization()(x))


FORMS: Mapping[str, Callable[[Any, float], Any]] = {
    "vgg": _vgg,
    "resnet": _resnet,
    "depthwise": _depthwise,
    "plain": _plain,
    "vit": _vit,
    "rescaled": lambda x, momentum: _plain(layers.Rescaling(1 / 255)(x), momentum),
    "centred": lambda x, momentum: _plain(layers.Rescaling(1 / 127.5, offset=-1)(x), momentum),
}
