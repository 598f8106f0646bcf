"""Pruning for real: weights by which channels are exactly zero."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, random_images, randomise

from goodnet.backend import keras
from goodnet.errors import RequestRefused
from goodnet.network.suspect import Suspect
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune
from goodnet.report.inspection import describe_model


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_pruned_channels_are_exactly_zero_and_the_suspect_is_unchanged(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    suspect = as_suspect(NETWORKS[name]())
    found = describe_model(suspect)
    channels = tuple(range(0, found.channels, 2))
    before = [array.copy() for array in suspect.network.get_weights()]
    repaired = prune(suspect, found.layer, channels)
    assert all(map(np.array_equal, suspect.network.get_weights(), before))
    assert not all(map(np.array_equal, repaired.get_weights(), before))
    assert [layer.name for layer in repaired.layers] == [
        layer.name for layer in suspect.network.layers
    ]
    if found.pruned_by == "made":
        as_it_is = replace(suspect, source="repaired", network=repaired)
        output = Split(as_it_is, found.layer).activations(random_images(16))[0].numpy()
        assert not output[..., channels].any()
        assert output.any()


def test_weights_that_others_see_too_are_left_alone(as_suspect: Callable[..., Suspect]) -> None:
    """Zeroing what makes the pooled channels would also change the shortcut around the pool."""
    layers = keras.layers
    images = keras.Input((12, 10, 3))
    hidden = layers.Conv2D(6, 3, activation="relu", name="seen_twice")(images)
    pooled = layers.Flatten()(layers.MaxPooling2D(2, name="pool")(hidden))
    around = layers.Flatten()(hidden)
    both = layers.Concatenate()([layers.Dense(8)(pooled), layers.Dense(8)(around)])
    network = keras.Model(images, layers.Dense(5, activation="softmax", name="scores")(both))
    suspect = as_suspect(randomise(network))
    assert describe_model(suspect).pruned_by == "read"
    kept = np.arange(6) > 2
    answers = block_answers(Split(suspect, "pool"), random_images(64), kept[None])[1]
    repaired = prune(suspect, "pool", [0, 1, 2])
    plain = repaired.predict(random_images(64), verbose=0).argmax(axis=1)
    assert np.array_equal(answers, plain)
    for before, after in zip(
        suspect.network.get_layer("seen_twice").get_weights(),
        repaired.get_layer("seen_twice").get_weights(),
        strict=True,
    ):
        assert np.array_equal(before, after)


def test_a_layer_whose_channels_no_weights_make_zero_is_refused(
    as_suspect: Callable[..., Suspect],
) -> None:
    layers = keras.layers
    images = keras.Input((12, 10, 3))
    hidden = layers.Conv2D(4, 3, activation="sigmoid", name="shut")(images)
    hidden = layers.BatchNormalization()(hidden)
    scores = layers.Dense(5, activation="softmax")(layers.Flatten()(hidden))
    suspect = as_suspect(keras.Model(images, scores))
    with pytest.raises(RequestRefused, match=r"'shut' cannot be made exactly zero.*--layer"):
        prune(suspect, "shut", [0])
