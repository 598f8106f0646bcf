"""A network cut in two: together the parts are the network, wherever it is cut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import IMAGE_SHAPE, NETWORKS

from goodnet import backend
from goodnet.network.classifier import LogitModel
from goodnet.network.cut import Cut, find_cut
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW

layers = backend.keras.layers


@pytest.mark.parametrize("name", ["plain", "residual", "siamese", "shared", "attention"])
def test_both_parts_together_are_the_network(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    """A front that does less leaves more weights to train; no shortcut leads around it."""
    view = LogitModel.from_suspect(as_suspect(NETWORKS[name]()), RAW)
    images = np.random.default_rng(0).random((3, *IMAGE_SHAPE), dtype=np.float32)
    whole, trained = np.asarray(view.logits(images)), []
    for share in (1.0, 0.5, 0.1):
        cut = find_cut(view, share)
        logits = np.asarray(cut.rest(cut.front(images)))
        np.testing.assert_allclose(logits, whole, rtol=1e-5, atol=1e-4)
        trained.append(len(cut.variables))
    assert trained == sorted(trained, reverse=True)
    assert len(view.network.trainable_variables) >= trained[0] > 0
    assert Cut(view, None).variables == view.network.trainable_variables


def test_arithmetic_behind_the_cut_is_part_of_the_rest(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    """As in MobileNetV3: x relu(x + 3) / 6."""
    images = backend.keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(8, 3, name="first")(images)
    x = layers.Conv2D(4, 3)(x)
    x = x * layers.ReLU()(x + 3) / 6
    x = layers.Dense(4, activation="relu")(layers.Flatten()(x))
    suspect = as_suspect(backend.keras.Model(images, layers.Dense(3, activation="softmax")(x)))
    view, shown = LogitModel.from_suspect(suspect, RAW), np.ones((2, *IMAGE_SHAPE), np.float32)
    cut = find_cut(view, 0.7)
    assert cut.place is not None and cut.place.layer == "first" and len(cut.variables) == 6
    np.testing.assert_allclose(cut.rest(cut.front(shown)), view.logits(shown), rtol=1e-5)


def test_the_cut_is_the_first_that_leaves_little_enough(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    """The first convolution is four fifths of the network's work, the two dense layers a fiftieth.

    The second of them alone would be too little to train, and no place has nothing behind it.
    """
    view = LogitModel.from_suspect(as_suspect(NETWORKS["plain"]()), RAW)
    places = [find_cut(view, share).place for share in (1.0, 0.5, 0.05, 0.01, 0.0)]
    names = [None, "conv_1", "conv_2", "flatten", None]
    assert [place and place.layer for place in places] == names
