"""Preprocessings with which a network is as accurate: told apart by what else clean images say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, keras, layers, randomise, save
from small_job import clean_images

import goodnet
from goodnet.datasets.dataset import save_dataset
from goodnet.preprocessing import (
    BUILT_IN,
    CAFFE,
    RAW,
    SIGNED,
    TORCH,
    UNIT,
    Evidence,
    Preprocessing,
    PreprocessingInfo,
    candidates,
    choose_preprocessing,
    settle_near_ties,
)
from goodnet.pruning.preprocessing_evidence import TEMPERATURES, losses

COUNT = 240
LABELS = np.arange(COUNT) % CLASSES
NOISE = np.random.default_rng(0).normal(size=400)


def evidence(loss: float, *distances: float, whole: float = 0.001) -> Evidence:
    """Losses about this one, and distances in groups."""
    return Evidence(np.abs(loss + loss * NOISE / 4), np.array(distances), whole)


NEAR, FAR = (0.002,) * 16, (0.3,) * 16


@pytest.mark.parametrize(
    ("unit", "signed", "choice", "near", "settled"),
    [
        (evidence(0.4), evidence(0.4), UNIT, ("signed",), ()),
        (evidence(0.4), evidence(0.1), SIGNED, (), ("unit",)),
        (evidence(0.1), evidence(0.4), UNIT, (), ("signed",)),
        (evidence(0.0), evidence(0.005), UNIT, ("signed",), ()),  # sure, both of them
        (evidence(0.4, *FAR), evidence(0.4, *NEAR), SIGNED, (), ("unit",)),
        (evidence(0.4, *FAR), evidence(0.4, *NEAR, whole=0.1), UNIT, ("signed",), ()),
        (evidence(0.4, *NEAR), evidence(0.1, *FAR), UNIT, ("signed",), ()),  # they disagree
        (evidence(0.4, 0.1, 0.9), evidence(0.4, 0.2, 0.001), UNIT, ("signed",), ()),
    ],
)
def test_evidence_settles_a_tie_where_it_is_clear(
    unit: Evidence,
    signed: Evidence,
    choice: Preprocessing,
    near: tuple[str, ...],
    settled: tuple[str, ...],
) -> None:
    hits = np.arange(1000) < 900
    right = {RAW: hits[::-1] & hits, UNIT: hits, SIGNED: hits}
    info = choose_preprocessing(right, 0.1, "net.h5")
    found = settle_near_ties(info, right, {UNIT: unit, SIGNED: signed})
    assert (found.preprocessing, found.near_ties, found.settled) == (choice, near, settled)
    assert found.accuracies == info.accuracies


def test_of_several_the_one_that_none_beats_is_taken() -> None:
    right = {each: np.ones(400, bool) for each in (RAW, UNIT, SIGNED, CAFFE, TORCH)}
    info = choose_preprocessing(right, 0.1, "net.h5")
    given = {RAW: 0.9, UNIT: 0.5, SIGNED: 0.2, CAFFE: 0.2, TORCH: 0.7}
    found = settle_near_ties(info, right, {p: evidence(loss) for p, loss in given.items()})
    assert found.preprocessing == SIGNED
    assert (found.near_ties, found.settled) == (("caffe",), ("raw", "unit", "torch"))


def test_a_loss_does_not_depend_on_a_gain_that_trained_networks_may_have() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(300, 5)).astype(np.float32), rng.integers(0, 5, 300)
    logits[np.arange(300), labels] += 2
    plain = losses(logits, labels)
    np.testing.assert_allclose(losses(2 * logits, labels), plain, atol=0.02)
    assert losses(255 * logits, labels).mean() > plain.mean() + 1
    assert losses(logits / 255, labels).mean() > plain.mean() + 0.5
    assert TEMPERATURES[len(TEMPERATURES) // 2] == pytest.approx(1)


def normalised(owner: Preprocessing) -> keras.Model:
    """A network with batch normalisation that has seen images as its owner feeds them."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(x)
    before = keras.Model(inputs, x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(2, name="pool")(x))
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    network = randomise(keras.Model(inputs, outputs))
    images = owner.apply((clean_images(LABELS, seed=1) / 255).astype(np.float32))
    seen = np.asarray(before(images)).reshape(-1, 8)
    ones, zeros = np.ones(8), np.zeros(8)
    network.get_layer("norm").set_weights([ones, zeros, seen.mean(axis=0), seen.var(axis=0)])
    features = np.asarray(keras.Model(inputs, x)(images))
    targets = 12 * np.eye(CLASSES)[LABELS] - 6
    normal = features.T @ features + 10 * np.eye(features.shape[1])
    network.get_layer("scores").set_weights(
        [np.linalg.solve(normal, features.T @ targets), np.zeros(CLASSES)]
    )
    return network


def found_for(network: keras.Model, folder: Path, noise: float = 0.3) -> PreprocessingInfo:
    """What is found for a network."""
    save_dataset(folder / "valid.h5", clean_images(LABELS, seed=2, noise=noise), LABELS)
    model = goodnet.load_model(save(network, folder / "model.keras"))
    goodnet.load_images(folder / "valid.h5", model)
    info: Any = model.preprocessing_info
    return info


def owners() -> list[Preprocessing]:
    """Each that is tried of clean images."""
    images = clean_images(LABELS, seed=1) / 255
    return candidates(images.mean(axis=(0, 1, 2)), (images**2).mean(axis=(0, 1, 2)))


@pytest.mark.one_in(6)
@pytest.mark.parametrize("owner", [each.name for each in BUILT_IN])
def test_batch_normalisation_tells_what_it_was_trained_with(owner: str, tmp_path: Path) -> None:
    (preprocessing,) = (each for each in BUILT_IN if each.name == owner)
    info = found_for(normalised(preprocessing), tmp_path)
    assert (info.preprocessing.name, info.near_ties) == (owner, ())
    assert info.accuracies[owner].value == 1
    others = [n for n, s in info.accuracies.items() if s.value > 0.99 and n != owner]
    assert set(info.settled) >= set(others)
    if owner in ("signed", "centred", "torch"):
        assert others, "it is a tie"


@pytest.mark.slow
@pytest.mark.parametrize("owner", range(8))
@pytest.mark.parametrize("norms", [True, False], ids=["normalised", "plain"])
def test_trained_networks_are_told_apart_or_said_to_be_near_ties(
    owner: int, norms: bool, tmp_path: Path
) -> None:
    """With batch normalisation, the owner's is found; without, it is, or it is among near-ties."""
    chosen = owners()[owner]
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    for number in range(2):
        x = layers.Conv2D(16, 3, padding="same", use_bias=not norms, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(x) if norms else x
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(layers.ReLU(name=f"relu_{number}")(x))
    x = layers.Dense(32, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    network = keras.Model(inputs, outputs)
    network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    labels = np.arange(2000) % CLASSES
    images = (clean_images(labels, seed=11, noise=0.7) / 255).astype(np.float32)
    network.fit(chosen.apply(images), labels, epochs=4, batch_size=64, verbose=0)
    info = found_for(network, tmp_path, noise=0.7)
    close = {"standardised", "standardised-by-channel"}  # nearly the same where channels are
    same = close if chosen.name in close else {chosen.name}
    assert same & {info.preprocessing.name, *(() if norms else info.near_ties)}, info
    assert chosen.name not in info.settled
