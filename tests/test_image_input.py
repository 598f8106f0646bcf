"""Dense networks on images without channels, or in a row: a suspect takes images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, randomise, save
from test_sweep import as_dataset, plainly

from goodnet.backend import keras
from goodnet.network.image_input import image_shape
from goodnet.network.save import save_network
from goodnet.network.suspect import as_written, open_suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers, mean_activations
from goodnet.pruning.zeroing import prune

layers = keras.layers


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((55, 47, 3), (55, 47, 3)),
        ((None, None, 3), (None, None, 3)),
        ((28, 28, 2), None),
        ((28, 28), (28, 28, 1)),
        ((None, 28), None),
        ((60, 1), None),
        ((784,), (28, 28, 1)),
        ((64,), (8, 8, 1)),
        ((3072,), (32, 32, 3)),
        ((20,), None),
        ((16,), None),
        ((785,), None),
        ((None,), None),
        ((4, 28, 28, 3), None),
    ],
)
def test_what_images_an_input_takes(shape: Any, images: Any) -> None:
    assert image_shape(shape) == images


def small(shape: tuple[int, ...]) -> keras.Model:
    """A dense network."""
    first = [layers.Flatten()] if len(shape) > 1 else []
    hidden = [layers.Dense(16, activation="relu", name=f"hidden_{n}") for n in (1, 2)]
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")
    return randomise(keras.Sequential([keras.Input(shape), *first, *hidden, scores]))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("suffix", [".h5", pytest.param(".keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shape", "images"), [((12, 10), (12, 10, 1)), ((144,), (12, 12, 1)), ((192,), (8, 8, 3))]
)
def test_networks_without_image_axes_are_swept_and_pruned_as_others(
    shape: tuple[int, ...], images: tuple[int, ...], suffix: str, tmp_path: Path
) -> None:
    model = small(shape)
    pixels = np.random.default_rng(0).random((64, *images), dtype=np.float32)
    scores = np.log(model(pixels.reshape(64, *shape)))
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, 3 * kernel, 3 * (bias - scores.mean(axis=0))])
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    assert suspect.input_shape == images
    expected = np.asarray(model(pixels.reshape(64, *shape)))
    assert len(np.unique(expected.argmax(axis=1))) > 1, "a network with one answer shows nothing"
    np.testing.assert_array_equal(np.asarray(suspect.network(pixels)), expected)
    assert choose_layer(suspect.plan, "auto", "made") == "hidden_2"
    split = Split(suspect, "hidden_2")
    assert split.form == "incremental"
    means = mean_activations(split, as_dataset(pixels, np.zeros(64, np.int64)), RAW)
    order = order_channels(means, "ascending")
    (plain,) = plainly(suspect, "hidden_2", order.channels, pixels)
    assert np.array_equal(block_answers(split, pixels, order.kept())[1:], plain)
    repaired = prune(suspect, "hidden_2", [0, 1, 2])
    save_network(as_written(suspect, repaired), tmp_path / f"repaired{suffix}")
    again = keras.models.load_model(tmp_path / f"repaired{suffix}", compile=False)
    answers = np.asarray(repaired(pixels))
    np.testing.assert_array_equal(np.asarray(again(pixels.reshape(64, *shape))), answers)
    reopened = open_suspect(tmp_path / f"repaired{suffix}")
    np.testing.assert_array_equal(np.asarray(reopened.network(pixels)), answers)
