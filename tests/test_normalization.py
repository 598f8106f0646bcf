"""A Normalization that was adapted: its means are weights, and count wherever these go."""

from pathlib import Path

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, random_images, save

from goodnet.backend import keras
from goodnet.network.build import build_network, take_preprocessing
from goodnet.network.classifier import LogitModel
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.zeroing import prune

layers = keras.layers
IMAGES = 255 * random_images(16)


@pytest.fixture(scope="module")
def suspect(tmp_path_factory: pytest.TempPathFactory) -> Suspect:
    adapted = layers.Normalization()
    adapted.adapt(IMAGES)
    stack = [
        layers.Conv2D(6, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(CLASSES),
    ]
    model = keras.Sequential([keras.Input(IMAGE_SHAPE), adapted, *stack])
    return open_suspect(save(model, tmp_path_factory.mktemp("model") / "model.keras"))


def test_a_reference_normalises_as_its_suspect_does(suspect: Suspect) -> None:
    network = build_network(suspect.plan, "a reference")
    take_preprocessing(network, suspect.network)
    (ours,), (theirs,) = (
        [each for each in one.layers if isinstance(each, layers.Normalization)]
        for one in (network, suspect.network)
    )
    np.testing.assert_array_equal(np.asarray(ours(IMAGES)), np.asarray(theirs(IMAGES)))
    kernels = (one.get_layer("conv").kernel for one in (network, suspect.network))
    assert not np.array_equal(*map(np.asarray, kernels))


def test_copies_of_a_network_normalise_as_it_does(suspect: Suspect, tmp_path: Path) -> None:
    """Its logits, a copy to train, what is pruned, in memory and in a file, and a GoodNet."""
    expected = np.asarray(suspect.network(IMAGES))
    logits = LogitModel.from_suspect(suspect, RAW)
    for model in (logits, logits.copy()):
        np.testing.assert_allclose(np.asarray(model.logits(IMAGES / 255)), expected, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(prune(suspect, "conv", [])(IMAGES)), expected)
    repaired = prune(suspect, "conv", [0, 3])
    found = np.asarray(repaired(IMAGES))
    for name, network in (("repaired", repaired), ("goodnet", join(suspect, repaired, RAW))):
        save_network(network, tmp_path / f"{name}.keras")
    again = keras.models.load_model(tmp_path / "repaired.keras", compile=False)
    np.testing.assert_array_equal(np.asarray(again(IMAGES)), found)
    one, other = expected.argmax(axis=1), found.argmax(axis=1)
    agreed = np.where(one == other, one, CLASSES)
    for gate in (join(suspect, repaired, RAW), keras.models.load_model(tmp_path / "goodnet.keras")):
        np.testing.assert_array_equal(np.asarray(gate(IMAGES)).argmax(axis=1), agreed)
