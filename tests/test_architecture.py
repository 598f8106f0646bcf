"""Configurations as each Keras wrote them become the same network; by hand, as none is here."""

import base64
import json
import marshal
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, randomise

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.architecture import (
    DEEPEST_NESTING,
    MOST_CALLS,
    MOST_LAYERS,
    parse_architecture,
)
from goodnet.network.build import build_network
from goodnet.network.graph import Architecture

IMAGES = np.random.default_rng(3).random((6, *IMAGE_SHAPE), dtype=np.float32)


def layer(kind: str, name: str, *nodes: Any, **arguments: Any) -> dict[str, Any]:
    """A layer's entry; of each node a list of (layer, call) that it takes."""
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **arguments},
        "inbound_nodes": [[[source, call, 0, {}] for source, call in node] for node in nodes],
    }


def in_keras_3(entry: dict[str, Any]) -> dict[str, Any]:
    """The same entry with its nodes as Keras 3 writes them."""

    def tensor(source: str, call: int, output: int, _: Any) -> dict[str, Any]:
        history = {"keras_history": [source, call, output]}
        return {"class_name": "__keras_tensor__", "config": history}

    nodes = [[tensor(*item) for item in node] for node in entry["inbound_nodes"]]
    args = [node if len(node) == 1 else [node] for node in nodes]
    return {**entry, "inbound_nodes": [{"args": arg, "kwargs": {}} for arg in args]}


def functional(
    layers: list[dict[str, Any]], outputs: list[Any], name: str = "model", start: str = "images"
) -> dict[str, Any]:
    """A functional model's configuration."""
    ends = {"input_layers": [[start, 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}


def images_layer(shape: tuple[int, ...] = IMAGE_SHAPE, name: str = "images") -> dict[str, Any]:
    """An input layer as Keras 2 writes it."""
    return layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32")


def squash(kind: str) -> dict[str, Any]:
    """A model of 5 numbers to 5 numbers, to be nested."""
    dense = {"units": CLASSES, "activation": "tanh"}
    if kind == "Sequential":
        first = images_layer((CLASSES,), "numbers")
        config = {"name": "squash", "layers": [first, layer("Dense", "inner", **dense)]}
        return {"class_name": "Sequential", "name": "squash", "config": config}
    layers = [
        images_layer((CLASSES,), "numbers"),
        layer("Dense", "inner", [("numbers", 0)], **dense),
    ]
    model = functional(layers, [["inner", 0, 0]], "squash", "numbers")
    return {**model, "class_name": kind, "name": "squash"}


def built(config: dict[str, Any]) -> keras.Model:
    """The network of a configuration, with weights that are not tiny."""
    return randomise(build_network(parse_architecture(config, "made"), "made"))


def answers(network: keras.Model) -> Any:
    return np.asarray(network(IMAGES))


@pytest.mark.parametrize(
    ("kind", "keras_2", "inner", "outer"),
    [
        ("Model", True, 1, 2),
        ("Functional", True, 1, 2),
        ("Sequential", True, 1, 2),
        ("Sequential", True, 0, 1),  # built late: without an input layer of its own
        ("Functional", False, 0, 2),
        ("Functional", False, 1, 2),  # the first versions of Keras 3
        ("Sequential", False, 0, 1),
    ],
)
def test_uses_of_a_nested_model_are_told_apart(
    kind: str, keras_2: bool, inner: int, outer: int
) -> None:
    """One is taken by another layer, the next one is the output."""
    entries = [
        images_layer(),
        layer("Flatten", "flatten", [("images", 0)]),
        layer("Dense", "first", [("flatten", 0)], units=CLASSES),
        layer("Dense", "second", [("squash", inner)], units=CLASSES),
        {**squash(kind), "inbound_nodes": [[["first", 0, 0, {}]], [["second", 0, 0, {}]]]},
    ]
    if not keras_2:
        entries = [in_keras_3(entry) for entry in entries]
    network = built(functional(entries, [["squash", outer, 0]]))
    flatten, first, second, nested = map(
        network.get_layer, ("flatten", "first", "second", "squash")
    )
    expected = nested(second(nested(first(flatten(IMAGES)))))
    np.testing.assert_array_equal(answers(network), np.asarray(expected))


@pytest.mark.parametrize("numbers", [(1, 1), (0, 3), (5, 2)])
def test_misnumbered_uses_of_a_nested_model_are_refused(numbers: tuple[int, int]) -> None:
    entries = [
        images_layer(),
        layer("Flatten", "flatten", [("images", 0)]),
        layer("Dense", "first", [("flatten", 0)], units=CLASSES),
        layer("Dense", "second", [("squash", numbers[0])], units=CLASSES),
        {**squash("Model"), "inbound_nodes": [[["first", 0, 0, {}]], [["second", 0, 0, {}]]]},
    ]
    with pytest.raises(ModelRefused, match="misnumbered"):
        parse_architecture(functional(entries, [["squash", numbers[1], 0]]), "made")


def test_layers_shared_in_keras_2_are_called_in_their_order() -> None:
    """Whatever order the file has them in."""
    entries = [
        layer("Dense", "scores", [("flatten", 0)], units=CLASSES),
        layer("Flatten", "flatten", [("twice", 1)]),
        layer("Add", "add", [("images", 0), ("twice", 0)]),
        layer("Conv2D", "twice", [("images", 0)], [("add", 0)], filters=3, kernel_size=[1, 1]),
        images_layer(),
    ]
    network = built(functional(entries, [["scores", 0, 0]]))
    twice, scores = network.get_layer("twice"), network.get_layer("scores")
    x = twice(IMAGES + twice(IMAGES))
    expected = scores(keras.ops.reshape(x, (len(IMAGES), -1)))
    np.testing.assert_allclose(answers(network), np.asarray(expected), rtol=1e-6)


KERAS_2_LAYERS = [
    {
        "class_name": "Conv2D",
        "config": {
            "name": "conv1/3x3",
            "trainable": True,
            "batch_input_shape": [None, *IMAGE_SHAPE],
            "dtype": "float32",
            "filters": 4,
            "kernel_size": [3, 3],
            "strides": [1, 1],
            "padding": "valid",
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "groups": 1,
            "activation": "relu",
            "use_bias": True,
            "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0}},
        },
    },
    {
        "class_name": "BatchNormalizationV1",
        "config": {"name": "conv1/bn", "axis": [3], "momentum": 0.99, "fused": True},
    },
    {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.25}},
    {"class_name": "MaxPool2D", "config": {"name": "pool", "pool_size": [2, 2], "strides": [2, 2]}},
    {"class_name": "Flatten", "config": {"name": "flatten", "data_format": "channels_last"}},
    {"class_name": "Dense", "config": {"name": "scores", "units": CLASSES}},
]


@pytest.mark.parametrize("config", [{"name": "old", "layers": KERAS_2_LAYERS}, KERAS_2_LAYERS])
def test_sequential_of_keras_2_has_its_input_shape_in_its_first_layer(config: Any) -> None:
    """Also as a plain list of layers; "/" in names, which Keras 3 does not allow, is replaced."""
    network = built({"class_name": "Sequential", "config": config})
    names = [layer.name for layer in network.layers]
    assert names == ["conv1_3x3", "conv1_bn", "leaky", "pool", "flatten", "scores"]
    assert network.get_layer("leaky").negative_slope == 0.25
    assert network.input_shape == (None, *IMAGE_SHAPE)
    assert len(np.unique(answers(network))) > 1


@pytest.mark.parametrize("momentum", [0.9, 0, 1, None])
def test_normalisation_keeps_its_momentum(momentum: float | None) -> None:
    """Also in the layout of Keras 2; a file that says none has Keras' default."""
    entry = {**KERAS_2_LAYERS[1], "config": {**KERAS_2_LAYERS[1]["config"], "momentum": momentum}}
    if momentum is None:
        del entry["config"]["momentum"]
    entries = [KERAS_2_LAYERS[0], entry, *KERAS_2_LAYERS[2:]]
    network = built({"class_name": "Sequential", "config": {"layers": entries}})
    expected = 0.99 if momentum is None else momentum
    assert network.get_layer("conv1_bn").momentum == expected


@pytest.mark.parametrize("momentum", [-0.1, 1.01, True, "0.9", None, float("nan")])
def test_a_momentum_that_is_no_share_is_refused(momentum: Any) -> None:
    entry = {**KERAS_2_LAYERS[1], "config": {**KERAS_2_LAYERS[1]["config"], "momentum": momentum}}
    with pytest.raises(ModelRefused, match=r"argument momentum = .* is not allowed"):
        built({"class_name": "Sequential", "config": [*KERAS_2_LAYERS[:1], entry]})


def test_frozen_layers_stay_frozen() -> None:
    entries = [
        {**entry, "config": {**entry["config"], "trainable": False}} for entry in KERAS_2_LAYERS[:2]
    ]
    layers = [*entries, *KERAS_2_LAYERS[2:]]
    network = built({"class_name": "Sequential", "config": {"layers": layers}})
    assert [layer.trainable for layer in network.layers] == [False, False, True, True, True, True]


def test_names_and_order_of_the_plan_are_those_of_the_file() -> None:
    plan = parse_architecture({"class_name": "Sequential", "config": KERAS_2_LAYERS}, "made")
    assert isinstance(plan, Architecture)
    kinds = "InputLayer Conv2D BatchNormalization LeakyReLU MaxPooling2D Flatten Dense"
    assert [layer.kind for layer in plan.layers] == kinds.split()
    assert [call.layer for call in plan.calls] == [layer.name for layer in plan.layers[1:]]


def chain(count: int) -> dict[str, Any]:
    """A Sequential of that many layers, its input included."""
    relus = [layer("ReLU", f"relu_{number}") for number in range(count - 1)]
    return {"class_name": "Sequential", "config": {"layers": [images_layer(), *relus]}}


def test_limits_on_layers_nesting_and_uses_are_just_kept() -> None:
    assert len(parse_architecture(chain(MOST_LAYERS), "made").layers) == MOST_LAYERS
    with pytest.raises(ModelRefused, match=f"more than {MOST_LAYERS} layers"):
        parse_architecture(chain(MOST_LAYERS + 1), "made")
    for depth in (DEEPEST_NESTING, DEEPEST_NESTING + 1):
        config = chain(2)
        for number in range(depth):
            config = {
                "class_name": "Sequential",
                "config": {"layers": [images_layer(name=f"i{number}"), config]},
            }
        if depth == DEEPEST_NESTING:
            parse_architecture(config, "made")
        else:
            with pytest.raises(ModelRefused, match=f"nested more than {DEEPEST_NESTING} deep"):
                parse_architecture(config, "made")


def test_nested_models_count_at_each_use() -> None:
    """Three levels of twenty uses are 16,420 uses."""
    inner = chain(2)
    for level in range(3):
        start = f"images_{level}"
        config = {**inner, "name": "inner"}
        config["config"] = {**inner["config"], "name": "inner"}
        nodes = [[[start, 0, 0, {}]], *([["inner", call, 0, {}]] for call in range(1, 20))]
        entries = [images_layer(name=start), {**config, "inbound_nodes": nodes}]
        inner = functional(entries, [["inner", 20, 0]], f"level_{level}", start)
    with pytest.raises(
        ModelRefused, match=f"uses layers 16420 times in all, more than {MOST_CALLS}"
    ):
        parse_architecture(inner, "made")


REASONS = [
    (layer("LSTM", "memory", units=3), r"'LSTM', which is not allowed: it is no part of an image"),
    (layer("Conv3D", "conv"), "it is no part of an image classifier"),
    (layer("AdditiveAttention", "heads"), "none of the layers that can be rebuilt"),
    (
        layer("Lambda", "code", function=["4wEAAAA=", None, None]),
        "is a Lambda, .* code of the file",
    ),
    (
        {**layer("Lambda", "code"), "module": "keras.layers", "registered_name": None},
        "is a Lambda, which is not allowed: it is code of the file's author, and that is never run",
    ),
    (
        {**layer("Patches", "own"), "module": "builtins", "registered_name": "mine>Patches"},
        r"'Patches \(mine>Patches\)', which is not allowed: it is its author's own",
    ),
    (layer("TFOpLambda", "f", function="io.read_file"), "TensorFlow's function 'io.read_file'"),
]


@pytest.mark.parametrize(("entry", "reason"), REASONS)
def test_a_layer_is_refused_for_its_true_reason(entry: dict[str, Any], reason: str) -> None:
    """Nothing harmless is said to run code, and a Lambda is."""
    config = {"class_name": "Sequential", "config": [images_layer(), entry]}
    with pytest.raises(ModelRefused, match=reason) as refusal:
        parse_architecture(config, "made")
    assert "may run code" not in str(refusal.value)


def lambda_of_keras_2(function: Any) -> dict[str, Any]:
    """A Lambda as Keras 2 wrote it: the function marshalled, in base64, with line ends."""
    code = base64.encodebytes(marshal.dumps(function.__code__)).decode()
    return layer("Lambda", "code", function=[code, None, None], function_type="lambda")


def lambda_of_keras_3(function: Any) -> dict[str, Any]:
    inputs = keras.Input((4, 4, 3))
    config = json.loads(keras.Model(inputs, keras.layers.Lambda(function)(inputs)).to_json())
    return {**config["config"]["layers"][1], "name": "code", "inbound_nodes": []}


@pytest.mark.parametrize("written", [lambda_of_keras_2, lambda_of_keras_3])
def test_the_names_that_a_lambda_uses_are_quoted(written: Any) -> None:
    """So that its user sees what it does; nothing of it is run or unmarshalled."""
    entry = written(lambda x: keras.ops.tanh(x))
    config = {"class_name": "Sequential", "config": [images_layer(), entry]}
    with pytest.raises(ModelRefused, match=r"\(it uses the names .*keras, ops, .*tanh"):
        parse_architecture(config, "made")


@pytest.mark.parametrize(
    "function",
    [None, 3, [], {}, {"config": None}, {"config": {"code": 3}}, "x" * 5, "=" * 9, "2pZG" * 99999],
)
def test_a_lambda_without_readable_code_is_refused_likewise(function: Any) -> None:
    config = {
        "class_name": "Sequential",
        "config": [images_layer(), layer("Lambda", "code", function=function)],
    }
    with pytest.raises(ModelRefused, match="is a Lambda, which is not allowed"):
        parse_architecture(config, "made")


def test_a_subclass_of_model_is_refused_for_its_code() -> None:
    with pytest.raises(ModelRefused, match="class 'Mine', whose code is not in the file"):
        parse_architecture({"class_name": "Mine", "config": {}}, "made")
