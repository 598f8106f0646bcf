"""CIFAR-10, photographs of ten kinds of things, and the small networks that are trained on it.

The images are evaluation data, see `../shared/evaluation/README.md`: they lie beside the project
and are never copied into it. The networks are those that people build: with normalisation, of
Keras' default momentum or another, with shortcuts, depthwise, or with Rescaling inside.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goodnet.backend import keras

CIFAR10 = Path(__file__).resolve().parents[2] / "shared" / "evaluation" / "cifar10"
SHAPE = 32, 32, 3
layers = keras.layers


@cache
def photographs(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 32, 32, 3) and labels of "train", "valid" or "test"."""
    if part == "train":
        with np.load(CIFAR10 / "train.npz") as file:
            return file["x_train"], file["y_train"].ravel().astype(np.int64)
    folders = sorted(path for path in (CIFAR10 / part).iterdir() if path.is_dir())
    files = [(path, label) for label, folder in enumerate(folders) for path in folder.iterdir()]
    images = [np.asarray(Image.open(path).convert("RGB")) for path, _ in sorted(files)]
    return np.stack(images), np.array([label for _, label in sorted(files)], np.int64)


def photograph_network(form: str, classes: int, momentum: float) -> keras.Model:
    """A network of this form, see FORMS, with this momentum of its normalisation."""
    inputs = keras.Input(SHAPE, name="images")
    x = FORMS[form](inputs, momentum)
    return keras.Model(
        inputs, layers.Dense(classes, activation="softmax", name="scores")(x), name=form
    )


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


FORMS: Mapping[str, Callable[[Any, float], Any]] = {
    "vgg": _vgg,
    "resnet": _resnet,
    "depthwise": _depthwise,
    "plain": _plain,
    "rescaled": lambda x, momentum: _plain(layers.Rescaling(1 / 255)(x), momentum),
    "centred": lambda x, momentum: _plain(layers.Rescaling(1 / 127.5, offset=-1)(x), momentum),
}
