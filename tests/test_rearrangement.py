"""Operations that move numbers become layers that answer as Keras' operations do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, random_images, randomise, save
from test_architecture import layer
from test_arithmetic import IMAGES, keras_2, tf_function
from test_layers import legacy_config

from goodnet.backend import keras, tf
from goodnet.errors import ModelRefused, RequestRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.classifier import LogitModel
from goodnet.network.forms import find_forms
from goodnet.network.layers import LAYERS
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing_plan import find_zeroing

layers, ops = keras.layers, keras.ops
RNG = np.random.default_rng(0)
TABLE = RNG.random(IMAGE_SHAPE).astype(np.float32)

MOVES: dict[str, Callable[[Any], Any]] = {
    "caffe": lambda x: keras.applications.vgg16.preprocess_input(255 * x),
    "turned": lambda x: x[..., ::-1],
    "turned, in full": lambda x: x[:, :, :, ::-1],
    "flipped": lambda x: ops.flip(x, axis=-1),
    "some channels": lambda x: ops.stack([x[..., 2], x[:, :, :, 0]], axis=-1),
    "transposed": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "reshaped": lambda x: ops.reshape(x, (-1, 10, 12, 3)),
    "patches": lambda x: ops.image.extract_patches(x, (4, 5)),
    "patches and a rest": lambda x: ops.image.extract_patches(x, 4, strides=4),
    "mean": lambda x: ops.mean(x, axis=(1, 2)),
    "mean, kept": lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
    "maximum": lambda x: ops.max(x, axis=[1, 2]),
    "mean of places": lambda x: ops.mean(layers.Reshape((120, 3))(x), axis=1),
    "mean image": lambda x: x - TABLE,
    "places": lambda x: layers.Reshape((120, 3))(x) + RNG.random((1, 120, 3)).astype(np.float32),
    "activations": lambda x: ops.relu(ops.tanh(ops.sigmoid(x - 0.5) - 0.5)),
    "hard swish": lambda x: x * layers.ReLU(6.0)(x + 3.0) * (1 / 6),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", sorted(MOVES))
def test_operations_become_layers(name: str, tmp_path: Any) -> None:
    """From the configuration in `.keras` files and from that in `.h5` files, which has no names of
    modules."""
    inputs = keras.Input(IMAGE_SHAPE)
    model = keras.Model(inputs, layers.Flatten()(MOVES[name](inputs)))
    images = random_images(4)
    expected = np.asarray(model(images))
    for config in (json.loads(model.to_json()), legacy_config(model, tmp_path)):
        plan = parse_architecture(config, "made")
        forms = find_forms(plan, build_network(plan, "made"), None, "made")
        assert {each.kind for each in forms.plan.layers} <= {"InputLayer", *LAYERS}
        found = np.asarray(forms.network(images))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


NO_MOVES: dict[str, Callable[[Any], Any]] = {
    "flipped in all ways": lambda x: ops.flip(x),
    "taken of a batch": lambda x: ops.take(x, [0, 0], axis=0),
    "rolled images": lambda x: ops.roll(x, 1, axis=0),
    "rolled as a row": lambda x: ops.roll(x, 1),
    "sums of one": lambda x: ops.einsum("bhwc,bhwd->bhd", x, x),
    "products of three": lambda x: ops.einsum("bhwc,bhwc,bhwc->bhwc", x, x, x),
    "products of images": lambda x: ops.einsum("bhwc,dhwc->bd", x, x),
    "mean of images": lambda x: x + ops.mean(x, axis=0, keepdims=True),
    "mixed images": lambda x: ops.transpose(x, (1, 0, 2, 3)),
}


@pytest.mark.parametrize("name", sorted(NO_MOVES))
def test_other_operations_are_refused(name: str) -> None:
    inputs = keras.Input(IMAGE_SHAPE)
    model = keras.Model(inputs, NO_MOVES[name](inputs))
    with pytest.raises(
        ModelRefused, match=r"not allowed|is called with|layers do not fit"
    ) as found:
        build_network(parse_architecture(json.loads(model.to_json()), "made"), "made")
    assert "\n" not in found.value.fault


def slicing(*items: Any) -> dict[str, Any]:
    key = {"class_name": "__tuple__", "items": list(items)}
    entry = tf_function("a", IMAGES, "__operators__.getitem", slice_spec=key)
    return {**entry, "class_name": "SlicingOpLambda"}


ALL = {"start": None, "stop": None, "step": None}
TURNED = {**ALL, "step": -1}
DOTS = {"class_name": "__ellipsis__"}
FUNCTIONS: dict[str, tuple[list[dict[str, Any]], Callable[[Any], Any]]] = {
    "turned": ([slicing(DOTS, TURNED)], lambda x: x[..., ::-1]),
    "turned, in full": ([slicing(ALL, ALL, ALL, TURNED)], lambda x: x[..., ::-1]),
    "reversed": ([tf_function("a", IMAGES, "reverse", axis=[-1])], lambda x: x[..., ::-1]),
    "caffe": (
        [slicing(DOTS, TURNED), tf_function("b", ("a", 0, 0), "nn.bias_add", bias=[-1.0, 2, 3])],
        lambda x: x[..., ::-1] + np.array([-1, 2, 3], np.float32),
    ),
    "mean": (
        [tf_function("a", IMAGES, "math.reduce_mean", axis=[1, 2], keepdims=True)],
        lambda x: x.mean(axis=(1, 2)),
    ),
    "reshaped": (
        [tf_function("a", IMAGES, "reshape", shape=[-1, 10, 36])],
        lambda x: x.reshape(-1, 10, 36),
    ),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_of_keras_2_become_layers(name: str) -> None:
    entries, expected = FUNCTIONS[name]
    plan = parse_architecture(keras_2(*entries), "made")
    images = random_images(4)
    found = np.asarray(find_forms(plan, build_network(plan, "made"), None, "made").network(images))
    np.testing.assert_allclose(found, expected(images).reshape(found.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "entry",
    [
        slicing(TURNED, DOTS),
        slicing(),
        slicing(ALL, 12),
        slicing(ALL, -13),
        slicing(ALL, 10**9),
        slicing(ALL, {**ALL, "start": 7, "stop": 3}),
        slicing(ALL, {**ALL, "step": 0}),
        slicing(ALL, {**ALL, "stop": -(10**30)}),
        slicing(ALL, {**ALL, "stop": 1.5}),
        slicing(ALL, {"start": ["images", 0, 0], "stop": None, "step": None}),
        slicing(ALL, [0, 1, 2]),
        slicing(ALL, ["images", 0, 0]),
        slicing(ALL, {"evil": 1}),
        slicing(ALL, True),
        slicing(DOTS, DOTS),
        slicing(*[ALL] * 5),
        tf_function("a", IMAGES, "__operators__.getitem", slice_spec=0),
        tf_function("a", IMAGES, "split", num_or_size_splits=5, axis=1),
        tf_function("a", IMAGES, "split", num_or_size_splits=10**9, axis=1),
        tf_function("a", IMAGES, "split", num_or_size_splits=[-1, 13], axis=1),
        tf_function("a", IMAGES, "split", num_or_size_splits=2, axis=0),
        tf_function("a", IMAGES, "unstack", axis=7),
        tf_function("a", IMAGES, "squeeze", axis=1),
        tf_function("a", IMAGES, "math.pow", y=400),
        tf_function("a", IMAGES, "clip_by_value", clip_value_min="0", clip_value_max=1),
        tf_function("a", IMAGES, "math.reduce_mean"),
        tf_function("a", IMAGES, "math.reduce_max", axis=[0, 1]),
        tf_function("a", IMAGES, "compat.v1.pad", paddings=[[1, 0], [0, 0], [0, 0], [0, 0]]),
        tf_function("a", IMAGES, "compat.v1.pad", paddings=[[0, 0]] * 3, mode="CONSTANT"),
        tf_function("a", IMAGES, "compat.v1.pad", paddings=[[0, 0], [12, 0]], mode="REFLECT"),
        tf_function("a", IMAGES, "compat.v1.pad", paddings=[[0, 0]] * 4, mode="EVIL"),
        tf_function("a", IMAGES, "compat.v1.gather", indices=[0, 3], axis=-1),
        tf_function("a", IMAGES, "compat.v1.gather", indices=["images", 0, 0], axis=-1),
        tf_function("a", IMAGES, "compat.v1.gather", indices=[0, 1] * 300, axis=-1),
        tf_function("a", IMAGES, "tile", multiples=[2, 1, 1, 1]),
        tf_function("a", IMAGES, "repeat", repeats=2, axis=0),
        tf_function("a", ("_CONSTANT_VALUE", -1, "bhwc,bhvc->bhwv"), "einsum"),
        slicing(*[DOTS] * 9),
        tf_function("a", IMAGES, "__operators__.getitem", slice_spec="evil"),
        tf_function("a", IMAGES, "reverse", axis=[0]),
        tf_function("a", IMAGES, "reshape", shape=[10, 36]),
        layer("GetItem", "a", [("images", 0)]),
        layer("ExtractPatches", "a", [("images", 0)], size={"evil": 1}),
    ],
)
def test_functions_that_do_something_else_are_refused(entry: dict[str, Any]) -> None:
    config = keras_2(entry)
    with pytest.raises(ModelRefused, match=r"not allowed|damaged|layers do not fit") as refused:
        build_network(parse_architecture(config, "made"), "made")
    assert "\n" not in refused.value.fault and len(refused.value.fault) < 300


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_an_activation_that_is_a_layer_is_one_behind_its_layer(
    functional: bool, suffix: str, tmp_path: Path
) -> None:
    """It has the name; weights and answers are as in Keras."""
    stack = [
        layers.Conv2D(6, 3, activation=layers.LeakyReLU(negative_slope=0.1), name="conv"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(8, activation=layers.ReLU(6.0), name="dense"),
        layers.Dense(CLASSES, activation=layers.Softmax(), name="scores"),
    ]
    x = inputs = keras.Input(IMAGE_SHAPE)
    for each in stack:
        x = each(x)
    model = keras.Model(inputs, x) if functional else keras.Sequential([inputs, *stack])
    suspect = open_suspect(save(randomise(model), tmp_path / f"model{suffix}"))
    images = random_images(8)
    np.testing.assert_array_equal(np.asarray(suspect.network(images)), np.asarray(model(images)))
    kinds = {each.name: each.kind for each in suspect.plan.layers}
    assert (kinds["conv_linear"], kinds["conv"]) == ("Conv2D", "LeakyReLU")
    assert choose_layer(suspect.plan, "conv", "made") == "conv"
    logits = LogitModel.from_suspect(suspect, UNIT).logits(images)
    np.testing.assert_allclose(np.asarray(ops.softmax(logits)), model(images), rtol=1e-5)


def test_an_activation_that_is_a_function_is_known_by_its_name() -> None:
    """As Keras 3 writes `tf.nn.softmax`, which it does not open again itself."""
    functions = [tf.nn.relu, tf.nn.swish, tf.nn.softmax]
    stack = [layers.Dense(CLASSES, activation=each) for each in functions]
    model = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Flatten(), *stack])
    config = json.loads(model.to_json())
    built = build_network(parse_architecture(config, "made"), "made")
    built.set_weights(model.get_weights())
    images = random_images(4)
    np.testing.assert_array_equal(np.asarray(built(images)), np.asarray(model(images)))
    config["config"]["layers"][-1]["config"]["activation"]["config"] = "mine"
    with pytest.raises(ModelRefused, match="argument activation = mine is not allowed"):
        parse_architecture(config, "made")


def test_the_hard_sigmoid_of_keras_2_has_its_own_slope() -> None:
    """Keras 3 answers otherwise: it takes one function for the other, by their name."""
    dense = layer("Dense", "dense", [("images", 0)], units=3, activation="hard_sigmoid")
    entries = [dense, layer("Activation", "a", [("dense", 0)], activation="hard_sigmoid")]
    plan = parse_architecture(keras_2(*entries), "made")
    assert [each.kind for each in plan.layers if each.name == "a"] == ["ReLU"]
    built, images = build_network(plan, "made"), 8 * random_images(4) - 4
    kernel = RNG.normal(0, 1, (3, 3)).astype(np.float32)
    built.set_weights([kernel, np.zeros(3)])
    inner = np.clip(0.2 * (images @ kernel) + 0.5, 0, 1)
    expected = np.clip(0.2 * inner + 0.5, 0, 1).reshape(4, -1)
    np.testing.assert_allclose(np.asarray(built(images)), expected, atol=1e-6)
    model = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Activation("hard_sigmoid")])
    plan = parse_architecture(json.loads(model.to_json()), "made")
    assert {each.kind for each in plan.layers} == {"InputLayer", "Activation"}


def test_a_normalisation_of_keras_2_counts_the_last_axis_from_the_front() -> None:
    places = layer("Reshape", "places", [("images", 0)], target_shape=[120, 3])
    entries = [places, layer("LayerNormalization", "norm", [("places", 0)], axis=[2])]
    config = keras_2(*entries, layer("Dense", "dense", [("norm", 0)], units=2, activation="tanh"))
    plan = parse_architecture(config, "made")
    network, images = randomise(build_network(plan, "made")), random_images(4)
    forms = find_forms(plan, network, None, "made")
    assert forms.plan.layer("norm").arguments["axis"] == -1
    found, expected = (np.asarray(each(images)) for each in (forms.network, network))
    np.testing.assert_array_equal(found, expected)
    assert find_zeroing(forms.plan, "norm")


def test_what_keras_cannot_open_from_hdf5_is_written_in_its_own_format(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            *(keras.Input(IMAGE_SHAPE), layers.LayerNormalization(axis=[1, 2, 3])),
            *(layers.Flatten(), layers.Dense(CLASSES)),
        ]
    )
    suspect = open_suspect(save(randomise(model), tmp_path / "model.h5"))
    assert suspect.format == ".keras"


def test_the_thresholded_relu_of_keras_2_is_a_relu() -> None:
    entry = layer("ThresholdedReLU", "a", [("images", 0)], theta=0.4)
    plan = parse_architecture(keras_2(entry), "made")
    assert plan.layer("a")[1:3] == ("ReLU", {"threshold": 0.4})


def test_auto_says_that_layers_are_used_more_than_once() -> None:
    inputs = keras.Input(IMAGE_SHAPE)
    conv, mean = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()
    x = layers.Average()([mean(conv(x)) for x in (inputs, ops.flip(inputs, axis=2))])
    model = keras.Model(inputs, layers.Dense(CLASSES)(x))
    plan = parse_architecture(json.loads(model.to_json()), "made")
    with pytest.raises(RequestRefused, match="before its class scores more than once"):
        choose_layer(plan, "auto", "made")
