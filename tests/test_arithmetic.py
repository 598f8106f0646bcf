"""Preprocessing written as operations: it becomes layers that answer as Keras' operations do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, balanced, random_images, randomise, save
from test_architecture import functional, images_layer, layer

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.layers import LAYERS, RANDOM
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing import prune

layers = keras.layers
MEANS = np.array([103.9, 116.8, 123.7], dtype=np.float32)

PREPROCESSING: dict[str, Callable[[Any], Any]] = {
    "-1..1": lambda x: x / 127.5 - 1,
    "0..1": lambda x: keras.ops.divide(x, 255),
    "turned": lambda x: 2 * (1 - x),
    "less means": lambda x: x - MEANS,
    "plus a tensor": lambda x: x + keras.ops.convert_to_tensor(-MEANS[None, None, None]),
    "mean and deviation": lambda x: (x / 255.0 - MEANS / 255) / (MEANS / 500),
    "torch": lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    "MobileNet's": keras.applications.mobilenet_v2.preprocess_input,
}  # fmt: skip


def network(before: Callable[[Any], Any]) -> keras.Model:
    """A network with something in front of its first convolution."""
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(before(inputs))
    x = layers.MaxPooling2D(2, name="pool")(x)
    return randomise(keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x))))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", sorted(PREPROCESSING))
def test_operations_with_constants_become_rescaling(name: str, suffix: str, tmp_path: Path) -> None:
    """Repaired models open in plain Keras, which cannot open what it wrote to .h5 itself."""
    model, images = network(PREPROCESSING[name]), 255 * random_images(32)
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    expected = np.asarray(model(images))
    np.testing.assert_allclose(np.asarray(suspect.network(images)), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1, "a network with one answer shows nothing"
    layer = choose_layer(suspect.plan, "auto", name)
    repaired = prune(suspect, layer, [0, 3])
    save_network(repaired, tmp_path / f"repaired{suffix}")
    again = keras.models.load_model(tmp_path / f"repaired{suffix}", compile=False)
    np.testing.assert_array_equal(np.asarray(again(images)), np.asarray(repaired(images)))


@pytest.mark.parametrize(
    "before",
    [
        lambda x: 2**x,
        lambda x: x / 0.0,
        lambda x: keras.ops.arctan2(x, x),
    ],
)
def test_other_operations_are_refused(before: Callable[[Any], Any]) -> None:
    inputs = keras.Input(IMAGE_SHAPE)
    model = keras.Model(inputs, layers.Flatten()(before(inputs)))
    with pytest.raises(ModelRefused, match=r"not allowed|is called with"):
        parse_architecture(json.loads(model.to_json()), "made")


def test_a_class_of_somebody_elses_is_no_operation() -> None:
    inputs = keras.Input(IMAGE_SHAPE)
    config = json.loads(keras.Model(inputs, layers.Flatten()(inputs / 2)).to_json())
    config["config"]["layers"][1] |= {"module": "mine", "registered_name": "mine>TrueDivide"}
    with pytest.raises(
        ModelRefused, match=r"'TrueDivide \(mine>TrueDivide\)', which is not allowed"
    ):
        parse_architecture(config, "made")


def tf_function(name: str, source: Any, function: str, **arguments: Any) -> dict[str, Any]:
    """A layer of Keras 2 that is a function of TensorFlow."""
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    node = [*source, {"name": None, **arguments}]  # no list in a list, as for other layers
    return {"class_name": "TFOpLambda", "name": name, "config": config, "inbound_nodes": [node]}


def keras_2(*entries: dict[str, Any]) -> dict[str, Any]:
    """A functional model of Keras 2: these layers, the last of which is flattened."""
    last = layer("Flatten", "flatten", [(entries[-1]["name"], 0)])
    return functional([images_layer(), *entries, last], [["flatten", 0, 0]])


IMAGES = ("images", 0, 0)
FUNCTIONS: dict[str, tuple[list[dict[str, Any]], Callable[[Any], Any]]] = {
    "-1..1": (
        [
            tf_function("tf.math.truediv", IMAGES, "math.truediv", y=127.5),
            tf_function("tf.math.subtract", ("tf.math.truediv", 0, 0), "math.subtract", y=1.0),
        ],
        lambda x: x / 127.5 - 1,
    ),
    "bias": (
        [tf_function("a", IMAGES, "nn.bias_add", bias=[-1.0, 2, 3], data_format="NHWC")],
        lambda x: x + np.array([-1, 2, 3], np.float32),
    ),
    "constant first": (
        [tf_function("a", ("_CONSTANT_VALUE", -1, 1.0), "math.subtract", y=list(IMAGES))],
        lambda x: 1 - x,
    ),
    "two tensors": (
        [
            tf_function("a", IMAGES, "math.multiply", y=3),
            tf_function("b", ("a", 0, 0), "__operators__.add", y=list(IMAGES)),
        ],
        lambda x: 4 * x,
    ),
    "activation": ([tf_function("a", IMAGES, "nn.relu")], lambda x: np.maximum(x, 0)),
    "cast": ([tf_function("a", IMAGES, "cast", dtype="float32")], lambda x: x),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_of_keras_2_become_layers(name: str) -> None:
    entries, expected = FUNCTIONS[name]
    built = build_network(parse_architecture(keras_2(*entries), "made"), "made")
    images = 100 * random_images(4) - 50
    found = np.asarray(built(images)).reshape(images.shape)
    np.testing.assert_allclose(found, expected(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "entry",
    [
        tf_function("a", IMAGES, "io.read_file"),
        tf_function("a", IMAGES, "math.subtract", y="1"),
        tf_function("a", IMAGES, "math.subtract", y=[[1, 2], [3]]),
        tf_function("a", IMAGES, "math.subtract", y=[[1, 2], [3, "4"]]),
        tf_function("a", IMAGES, "math.subtract", y=1.0, evil=1),
        tf_function("a", IMAGES, "cast", dtype="uint8"),
        tf_function("a", IMAGES, "nn.relu", y=1),
        tf_function("a", ("_CONSTANT_VALUE", -1, 1.0), "math.subtract", y=2.0),
        tf_function("a", IMAGES, "math.truediv", y=0),
        tf_function("a", IMAGES, "nn.bias_add", bias=[1.0, 2, 3], data_format="NCHW"),
    ],
)
def test_other_functions_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused, match=r"not allowed|damaged"):
        parse_architecture(keras_2(entry), "made")


@pytest.mark.parametrize("kind", sorted(RANDOM))
def test_random_layers_do_nothing(kind: str) -> None:
    """As in Keras when no network is trained; an Identity stands for each, whatever it says."""
    inputs = keras.Input(IMAGE_SHAPE)
    model = keras.Model(inputs, layers.Flatten()(layers.Identity(name="random")(inputs)))
    config = json.loads(model.to_json())
    entry = config["config"]["layers"][1]
    entry |= {"class_name": kind, "registered_name": kind}
    entry["config"] |= {"factor": [-0.1, 0.2], "seed": 3, "fill_mode": "reflect"}
    plan = parse_architecture(config, "made")
    assert [each.kind for each in plan.layers] == ["InputLayer", "Identity", "Flatten"]
    assert not plan.layer("random").arguments
    if in_keras := getattr(layers, kind, None):
        amounts = {"height_factor": 0.5, "width_factor": 0.5}
        known = in_keras.__init__.__code__.co_varnames
        arguments = {k: v for k, v in amounts.items() if k in known}
        arguments |= {"factor": 4} if kind == "RandomPosterization" else {}
        if "factor" in known and not arguments:
            arguments = {"factor": 0.3}
        images = 255 * random_images(4)
        np.testing.assert_array_equal(
            np.asarray(in_keras(**arguments)(images, training=False)), images
        )
    else:
        assert kind in ("RandomHeight", "RandomWidth")  # Keras 2's


def test_a_random_layer_that_is_on_always_is_refused() -> None:
    entry = layer("RandomFlip", "flip", [("images", 0)], mode="horizontal")
    entry["inbound_nodes"][0][0][3]["training"] = True
    with pytest.raises(ModelRefused, match="'flip' is called with 'training=True'"):
        parse_architecture(keras_2(entry), "made")


def test_random_layers_between_others_open_as_keras_3_stores_them() -> None:
    """With `training=True`, which is no more than the default of their call."""
    x = inputs = keras.Input(IMAGE_SHAPE)
    for make in (layers.RandomFlip(), layers.RandomContrast(0.5)):
        x = make(x)
    model = randomise(keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x))))
    config, images = json.loads(model.to_json()), 255 * random_images(4)
    assert config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] == {"training": True}
    built = build_network(parse_architecture(config, "made"), "made")
    built.set_weights(model.get_weights())
    np.testing.assert_array_equal(np.asarray(built(images)), model.predict(images, verbose=0))


def test_random_layers_of_a_nested_sequential_open(tmp_path: Path) -> None:
    """As in Keras' tutorials: augmentation and rescaling in front of a network, and dropout."""
    model = keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomZoom(0.1, 0.2)]),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model, images = balanced(randomise(model)), 255 * random_images(8)
    for suffix in (".h5", ".keras"):
        suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
        assert {"Identity"} == {each.kind for each in suspect.plan.layers if "random" in each.name}
        expected = model.predict(images, verbose=0)
        np.testing.assert_array_equal(suspect.network.predict(images, verbose=0), expected)
        np.testing.assert_array_equal(np.asarray(suspect.network(images)), expected)


def test_the_dropout_of_older_efficientnets_is_dropout() -> None:
    entry = layer("FixedDropout", "drop", [("images", 0)], rate=0.2, noise_shape=[None, 1, 1, 1])
    assert parse_architecture(keras_2(entry), "made").layer("drop").kind == "Dropout"
    assert "FixedDropout" in LAYERS["Dropout"].aliases
