"""A network with models inside becomes one network that answers the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, NETWORKS, random_images, randomise, save

from goodnet.backend import keras
from goodnet.errors import ModelRefused, RequestRefused
from goodnet.network.classifier import LogitModel
from goodnet.network.graph import Layer
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing import prune
from goodnet.report.inspection import describe_model

layers = keras.layers
INSIDE = ("nested", "teachable", "transfer", "siamese")


@pytest.mark.parametrize("name", INSIDE)
def test_a_suspect_has_no_models_inside(name: str, as_suspect: Callable[..., Suspect]) -> None:
    suspect = as_suspect(NETWORKS[name]())
    assert all(isinstance(layer, Layer) for layer in suspect.plan.layers)
    assert not any(isinstance(layer, keras.Model) for layer in suspect.network.layers)
    assert suspect.network.count_params() == NETWORKS[name]().count_params()


def test_layers_are_named_by_the_models_around_them(as_suspect: Callable[..., Suspect]) -> None:
    """In Keras' networks with "." for the "/", which it does not allow."""
    suspect = as_suspect(NETWORKS["teachable"]())
    info = describe_model(suspect)
    assert info.layer == "base/pool"
    names = [name for name, _ in info.layers]
    assert names[1:4] == ["base/mobile/padding", "base/mobile/conv_1", "base/mobile/depthwise"]
    assert names[-3:] == ["base/pool", "head/dense", "head/scores"]
    assert [layer.name.replace(".", "/") for layer in suspect.network.layers] == names
    assert choose_layer(suspect.plan, "base/mobile/out", "made") == "base/mobile/out"
    with pytest.raises(
        RequestRefused, match=r"can be pruned: base/mobile/conv_1, .*base/pool, head/dense$"
    ):
        choose_layer(suspect.plan, "pool", "made")


def test_a_model_used_twice_has_layers_used_twice(as_suspect: Callable[..., Suspect]) -> None:
    suspect = as_suspect(NETWORKS["siamese"]())
    assert suspect.plan.uses["base/conv"] == suspect.plan.uses["base/pool"] == 2
    with pytest.raises(RequestRefused, match=r"'base/pool' .* has no channels that can be pruned"):
        choose_layer(suspect.plan, "base/pool", "made")


def test_a_layer_is_trainable_if_all_models_around_it_are(
    as_suspect: Callable[..., Suspect],
) -> None:
    network = NETWORKS["transfer"]()
    network.get_layer("base").get_layer("conv").trainable = True  # and the model around it is not
    suspect = as_suspect(network)
    trainable = {layer.name: layer.trainable for layer in suspect.plan.layers}
    assert not (trainable["base/conv"] or trainable["base/norm"])
    assert trainable["scores"]
    assert not suspect.network.get_layer("base.conv").trainable


@pytest.mark.one_in(4)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", INSIDE)
def test_a_repaired_model_opens_again_and_is_pruned_alike(
    name: str, suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path
) -> None:
    """As one flat network, in Keras and here."""
    suspect, images = as_suspect(NETWORKS[name](), suffix), random_images(32)
    repaired = prune(suspect, choose_layer(suspect.plan, "auto", name), [1, 2])
    save_network(repaired, tmp_path / f"repaired{suffix}")
    again = open_suspect(tmp_path / f"repaired{suffix}")
    expected = np.asarray(repaired(images))
    assert not np.array_equal(expected, np.asarray(suspect.network(images)))
    np.testing.assert_array_equal(np.asarray(again.network(images)), expected)
    in_keras = keras.models.load_model(tmp_path / f"repaired{suffix}", compile=False)
    np.testing.assert_array_equal(np.asarray(in_keras(images)), expected)
    kept = choose_layer(again.plan, "auto", name)
    assert kept == choose_layer(suspect.plan, "auto", name).replace("/", ".")


@pytest.mark.parametrize("name", INSIDE)
def test_the_logits_are_those_below_the_softmax(
    name: str, as_suspect: Callable[..., Suspect]
) -> None:
    suspect, images = as_suspect(NETWORKS[name]()), random_images(16)
    logits = LogitModel.from_suspect(suspect, UNIT).logits(images)
    expected = np.asarray(suspect.network(images))
    np.testing.assert_allclose(np.asarray(keras.ops.softmax(logits)), expected, rtol=1e-5)


def test_two_layers_of_one_name_in_keras_are_refused(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Conv2D(3, 3, name="b")], name="a")
    same = layers.Conv2D(3, 3, name="a.b")
    end: list[Any] = [layers.Flatten(), layers.Dense(CLASSES)]
    network = randomise(keras.Sequential([keras.Input(IMAGE_SHAPE), inner, same, *end]))
    with pytest.raises(ModelRefused, match=r"do not fit together.*a\.b"):
        open_suspect(save(network, tmp_path / "model.keras"))
