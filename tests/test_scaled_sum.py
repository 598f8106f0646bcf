"""InceptionResNetV2's own layer is opened as the layers that do the same."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from networks import CLASSES, IMAGE_SHAPE, keras, layers, random_images, randomise, save
from test_suspect import answers, save_weights

from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.suspect import open_suspect


def residual() -> Any:
    """A network with two such layers."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(x)
    for number, scale in enumerate((0.17, 0.3)):
        up = layers.Conv2D(6, 3, padding="same", name=f"up_{number}")(x)
        x = CustomScaleLayer(scale, name=f"sum_{number}")([x, up])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return randomise(keras.Model(inputs, outputs))


@pytest.mark.parametrize("suffix", [".keras", pytest.param(".h5", marks=pytest.mark.slow)])
def test_it_answers_the_same_and_is_written_without_it(suffix: str, tmp_path: Path) -> None:
    network = residual()
    suspect = open_suspect(save(network, tmp_path / f"net{suffix}"))
    images = random_images(16)
    np.testing.assert_array_equal(suspect.network(images), network(images))
    kinds = {type(layer).__name__ for layer in suspect.network.layers}
    assert {"Rescaling", "Add"} <= kinds and "CustomScaleLayer" not in kinds


def test_keras_2_s_form_is_read_too_and_another_s_layer_of_that_name_is_refused() -> None:
    config: Any = {"class_name": "Functional", "config": residual().get_config()}
    old = copy.deepcopy(config)
    for layer in old["config"]["layers"]:
        layer["inbound_nodes"] = [
            [[*each["config"]["keras_history"], {}] for each in np.ravel(node["args"])]
            for node in layer["inbound_nodes"]
        ]
    plans = [parse_architecture(each, "net.h5") for each in (config, old)]
    assert plans[0].calls == plans[1].calls and plans[0].layers == plans[1].layers
    for layer in old["config"]["layers"]:  # as Keras 2.16 wrote it
        if layer["class_name"] == "CustomScaleLayer":
            layer |= {"class_name": "Custom>CustomScaleLayer", "registered_name": None}
    assert parse_architecture(old, "net.h5").layers == plans[0].layers
    for change in ({"module": "theirs"}, {"registered_name": "theirs>CustomScaleLayer"}):
        other = copy.deepcopy(config)
        next(x for x in other["config"]["layers"] if "Scale" in x["class_name"]).update(change)
        with pytest.raises(ModelRefused, match="CustomScaleLayer"):
            parse_architecture(other, "net.h5")
    beyond = copy.deepcopy(config)
    (first, *_) = (x for x in beyond["config"]["layers"] if "Scale" in x["class_name"])
    first["config"]["scale"] = "1"
    with pytest.raises(ModelRefused, match=r"scale = '?1'? is not allowed"):
        parse_architecture(beyond, "net.h5")


@pytest.mark.slow
def test_inception_resnet_is_recognised_by_its_weights(tmp_path: Path) -> None:
    model = randomise(keras.applications.InceptionResNetV2(weights=None, classes=9))
    for name in ("model.weights.h5", "model.h5"):
        save_weights(model, tmp_path / name)
        suspect = open_suspect(tmp_path / name)
        assert suspect.described_by.startswith("Keras' InceptionResNetV2 for 299 x 299")
        np.testing.assert_allclose(answers(suspect.network), answers(model), atol=1e-5)
