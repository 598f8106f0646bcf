"""The sweep against the plainest way: prune for real, ask Keras for its answers, at every k."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import Toy
from networks import NETWORKS, random_images

from goodnet.datasets.dataset import CleanDataset, open_clean_dataset
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import RAW, UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import DIRECTIONS, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import (
    block_answers,
    find_preprocessing,
    mean_activations,
    tally,
    used_channels,
)
from goodnet.pruning.zeroing import prune


def as_dataset(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> CleanDataset:
    """A data set of these images at the raw scale."""
    return CleanDataset("made", "", images, "NHWC", 255.0, labels, None, "float32")


def plainly(suspect: Suspect, layer: str, channels: tuple[int, ...], *sets: Any) -> Any:
    """For each set, the classes `predict_on_batch` gives after each channel is pruned for real."""
    network = prune(suspect, layer, [])
    answers: list[list[Any]] = [[] for _ in sets]
    for k in range(len(channels) + 1):
        network.set_weights(prune(suspect, layer, channels[:k]).get_weights())
        for images, found in zip(sets, answers, strict=True):
            found.append(network.predict_on_batch(images).argmax(axis=1))
    return [np.stack(found) for found in answers]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_sweep_answers_as_pruning_for_real_does(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    """Image by image, at every k, in both orders."""
    suspect = as_suspect(NETWORKS[name]())
    layer = choose_layer(suspect.plan, "auto", name)
    split, images = Split(suspect, layer), random_images(64)
    labels = np.zeros(64, dtype=np.int64)
    means = mean_activations(split, as_dataset(images, labels), RAW)
    for direction in DIRECTIONS:
        order = order_channels(means, direction)
        swept = block_answers(split, images, order.kept())
        (plain,) = plainly(suspect, layer, order.channels, images)
        assert len(np.unique(plain)) > 1, "a network with one answer shows nothing"
        assert np.array_equal(swept[1:], plain)
        assert np.array_equal(swept[0], plain[0])


@pytest.mark.slow
def test_sweep_of_the_toy_backdoor_answers_as_pruning_for_real_does(made_toy: Toy) -> None:
    suspect = open_suspect(made_toy.model)
    split = Split(suspect, "pool_3")
    sets = [
        open_clean_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
        for path in (made_toy.data / "clean" / "valid.h5", made_toy.data / "bd" / "bd_valid.h5")
    ]
    means = mean_activations(split, sets[0], UNIT)
    for direction in DIRECTIONS:
        order = order_channels(means, direction)
        blocks = [dataset.images(slice(0, 200), UNIT) for dataset in sets]
        plainest = plainly(suspect, "pool_3", order.channels, *blocks)
        for images, plain in zip(blocks, plainest, strict=True):
            assert np.array_equal(block_answers(split, images, order.kept())[1:], plain)


def test_counts_are_those_of_the_answers(made_small: Toy) -> None:
    suspect = open_suspect(made_small.model)
    split = Split(suspect, "pool")
    path = made_small.data / "clean" / "test.h5"
    clean = open_clean_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
    labelled = replace(clean, true_labels=np.roll(clean.labels, 1))
    states = order_channels(np.arange(10.0), "ascending").kept()[4::2]
    counts = tally(split, labelled, UNIT, states)
    images = labelled.images(slice(None), UNIT)
    suspects, *answers = block_answers(split, images, states)
    truth = labelled.true_labels
    for state, answer in zip(counts, answers, strict=True):
        goodnet = np.where(answer == suspects, suspects, suspect.classes)
        assert state.count == len(clean)
        assert state.correct == (answer == clean.labels).sum()
        assert state.agreed == (goodnet == clean.labels).sum()
        assert state.flagged == (goodnet == suspect.classes).sum()
        assert state.true_correct == (answer == truth).sum()
        assert state.agreed_true == (goodnet == truth).sum()
    (unlabelled, *_) = tally(split, clean, UNIT, states[:1])
    assert (unlabelled.true_correct, unlabelled.agreed_true) == (None, None)


def test_mean_activations_are_the_layers_mean_output(made_small: Toy) -> None:
    suspect = open_suspect(made_small.model)
    valid = open_clean_dataset(
        made_small.data / "clean" / "valid.h5",
        input_shape=suspect.input_shape,
        classes=suspect.classes,
    )
    from goodnet.backend import keras

    head = keras.Model(suspect.network.input, suspect.network.get_layer("pool").output)
    output = head.predict(valid.images(slice(None), UNIT), verbose=0).astype(np.float64)
    means = mean_activations(Split(suspect, "pool"), valid, UNIT)
    assert means == pytest.approx(output.mean(axis=(0, 1, 2)), rel=1e-5)
    assert order_channels(means, "ascending").dead == tuple(
        np.flatnonzero((output == 0).all(axis=(0, 1, 2)))
    )


def test_the_scale_is_found(made_small: Toy) -> None:
    suspect = open_suspect(made_small.model)
    valid = open_clean_dataset(
        made_small.data / "clean" / "valid.h5",
        input_shape=suspect.input_shape,
        classes=suspect.classes,
    )
    found = find_preprocessing(Split(suspect, "pool"), valid, source="small")
    assert found.preprocessing == UNIT
    assert found.accuracies["unit"].count == found.accuracies["raw"].count == len(valid)


def test_a_channel_is_used_where_any_place_of_it_is_not_zero() -> None:
    activations = np.zeros((2, 2, 2, 3), dtype=np.float32)
    activations[0, 1, 1, 2] = -1e-30
    assert used_channels(activations).tolist() == [[False, False, True], [False] * 3]
