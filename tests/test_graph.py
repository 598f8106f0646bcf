"""The layer that is pruned: the last one whose channels are not the classes themselves."""

import json
from collections.abc import Callable

import pytest
from networks import CLASSES, IMAGE_SHAPE, NETWORKS

from goodnet.backend import keras
from goodnet.errors import RequestRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.flatten import flatten_plan
from goodnet.network.graph import Architecture
from goodnet.pruning.layer_choice import choose_layer, score_layers
from goodnet.pruning.zeroing_plan import find_zeroing

layers = keras.layers


def plan_of(network: keras.Model) -> Architecture:
    """The plan of a Keras model."""
    return flatten_plan(parse_architecture(json.loads(network.to_json()), "made"))


def averaged_maps(end: Callable[[], list[keras.layers.Layer]]) -> keras.Model:
    """Two convolutions and a pooling layer, a convolution with a map for each class, an end."""
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            layers.Conv2D(6, 3, name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(7, 2, name="wide"),
            layers.Conv2D(CLASSES, (4, 3), name="maps"),
            *end(),
        ]
    )


ENDS: dict[str, Callable[[], list[keras.layers.Layer]]] = {
    "softmax behind the mean": lambda: [
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Activation("softmax", name="softmax"),
    ],
    "mean behind the softmax": lambda: [
        layers.Softmax(name="softmax"),
        layers.GlobalMaxPooling2D(name="mean"),
    ],
    "one place, flattened": lambda: [
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Dropout(0.5, name="dropout"),
        layers.Flatten(name="flatten"),
    ],
    "scaled by a depthwise convolution": lambda: [
        layers.DepthwiseConv2D(1, name="depthwise"),
        layers.Reshape((CLASSES,), name="reshape"),
    ],
}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_the_classes_are_never_pruned(end: str) -> None:
    """Not by "auto", and a layer whose channels they are is refused for that."""
    plan = plan_of(averaged_maps(ENDS[end]))
    behind = {layer.name for layer in ENDS[end]()}
    assert score_layers(plan) == {"maps", *behind}
    assert choose_layer(plan, "auto", "made") == "pool"
    assert choose_layer(plan, "wide", "made") == "wide"
    for name in ("maps", *behind):
        with pytest.raises(
            RequestRefused,
            match=rf"'{name}' .*its channels are the classes; .* can be pruned: conv, pool, wide$",
        ):
            choose_layer(plan, name, "made")


def test_without_pooling_the_last_convolution_before_the_scores_is_taken() -> None:
    x = inputs = keras.Input(IMAGE_SHAPE)
    for name in ("conv_1", "conv_2", "maps"):
        x = layers.Conv2D(CLASSES, 3, activation="relu", name=name)(x)
    plan = plan_of(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    assert choose_layer(plan, "auto", "made") == "conv_2"


def both_poolings(*, normalised: bool) -> keras.Model:
    """A shortcut before the pooling, behind which something bars the way to what reads it."""
    x = inputs = keras.Input(IMAGE_SHAPE)
    x = layers.MaxPooling2D(2, name="first")(layers.Conv2D(6, 3, name="conv_1")(x))
    y = layers.Conv2D(6, 3, padding="same", name="conv_2")(x)
    x = layers.Add(name="add")([x, y])
    if normalised:
        x = layers.LayerNormalization(name="norm")(layers.GlobalAveragePooling2D(name="mean")(x))
    else:
        pooled = layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D()(x)
        x = layers.Concatenate(name="both")(pooled)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


@pytest.mark.parametrize(("normalised", "layer"), [(True, "norm"), (False, "conv_2")])
def test_where_no_weights_make_the_pooling_zero_another_layer_is_taken(
    normalised: bool, layer: str
) -> None:
    """As in ConvNeXt, and where mean and maximum are put together: not the first pooling layer."""
    plan = plan_of(both_poolings(normalised=normalised))
    assert find_zeroing(plan, "mean") is None
    assert choose_layer(plan, "auto", "made") == layer
    assert find_zeroing(plan, layer)


def test_every_branch_of_added_scores_makes_scores() -> None:
    x = inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(6, 3, name="conv")(x)
    one = layers.GlobalAveragePooling2D(name="one")(layers.Conv2D(CLASSES, 3, name="maps")(x))
    other = layers.Dense(CLASSES, name="other")(layers.Flatten()(x))
    plan = plan_of(keras.Model(inputs, layers.Average(name="mean")([one, other])))
    assert score_layers(plan) == {"one", "maps", "other", "mean"}
    assert choose_layer(plan, "auto", "made") == "conv"


def test_a_network_that_only_makes_scores_has_no_layer_to_prune() -> None:
    plan = plan_of(
        keras.Sequential(
            [keras.Input(IMAGE_SHAPE), layers.Conv2D(CLASSES, (12, 10)), layers.Flatten()]
        )
    )
    with pytest.raises(
        RequestRefused, match="no pooling, convolution or dense layer of its own before"
    ):
        choose_layer(plan, "auto", "made")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_small_networks_are_pruned_where_they_were(name: str) -> None:
    """The rule changes nothing where a dense layer makes the scores; models inside are seen."""
    expected = {
        "normalised": "pool_2", "normalised_without_scale": "pool_2", "plain": "pool_2",
        "normalised_without_center": "pool_2", "shortcut": "pool_2", "sigmoid": "pool_2",
        "transposed": "transposed", "teachable": "base/pool", "transfer": "base/pool",
        "siamese": "max", "dense": "hidden_2", "attention": "norm_2",
    }  # fmt: skip
    assert choose_layer(plan_of(NETWORKS[name]()), "auto", name) == expected.get(name, "pool")
