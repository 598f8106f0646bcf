"""Every layer of the allow-list, with every argument that matters, is rebuilt as Keras has it."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import PROJECT
from networks import CLASSES, IMAGE_SHAPE, balanced, random_images, randomise
from test_sweep import as_dataset, plainly

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.checks import IS_DATA_FORMAT, IS_SIZES
from goodnet.network.layers import (
    ACTIVATIONS,
    LAYERS,
    TRAINING_ONLY,
    LayerTraits,
    always,
    traits_of,
)
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import DIRECTIONS, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers, mean_activations
from goodnet.pruning.zeroing_plan import plan_zeroing
from goodnet.training.finetune import pixel_kernels

layers = keras.layers
rng = np.random.default_rng(7)

INSTANCES: dict[str, list[dict[str, Any]]] = {
    "Dense": [{"units": 4}, {"units": 4, "activation": "tanh", "use_bias": False}],
    "EinsumDense": [
        {"equation": "abc,cd->abd", "output_shape": (120, 4), "bias_axes": "bd"},
        {"equation": "abc,cd->abd", "output_shape": (120, 4), "activation": "relu"},
    ],
    "Conv2D": [
        {"filters": 4, "kernel_size": (3, 2), "strides": (2, 1), "padding": "same"},
        {"filters": 6, "kernel_size": 2, "dilation_rate": (2, 3), "use_bias": False},
        {"filters": 6, "kernel_size": 3, "groups": 3, "activation": "gelu"},
    ],
    "DepthwiseConv2D": [
        {"kernel_size": 3, "depth_multiplier": 2, "activation": "relu"},
        {"kernel_size": (2, 3), "strides": 2, "padding": "same", "use_bias": False},
        {"kernel_size": 3, "dilation_rate": 2},
    ],
    "SeparableConv2D": [
        {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "activation": "elu"},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False},
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2},
    ],
    "Conv2DTranspose": [
        {"filters": 4, "kernel_size": 3, "strides": 2, "activation": "relu"},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
        {"filters": 4, "kernel_size": (2, 3), "use_bias": False},
    ],
    "MaxPooling2D": [{}, {"pool_size": (3, 2), "strides": 1, "padding": "same"}],
    "AveragePooling2D": [{"pool_size": 2}, {"pool_size": 3, "strides": (1, 2), "padding": "same"}],
    "AdaptiveAveragePooling2D": [{"output_size": 4}, {"output_size": (5, 3)}],
    "AdaptiveMaxPooling2D": [{"output_size": (1, 7)}],
    "Dot": [{"axes": 2}, {"axes": (1, 1), "normalize": True}],
    "GlobalMaxPooling2D": [{}, {"keepdims": True}],
    "GlobalAveragePooling2D": [{}, {"keepdims": True}],
    "GlobalMaxPooling1D": [{}, {"keepdims": True}],
    "GlobalAveragePooling1D": [{}, {"keepdims": True}],
    "MultiHeadAttention": [
        {"num_heads": 2, "key_dim": 4},
        {"num_heads": 3, "key_dim": 2, "value_dim": 5, "use_bias": False, "dropout": 0.2},
        {"num_heads": 1, "key_dim": 4, "output_shape": 6, "attention_axes": [1, 2]},
    ],
    "BatchNormalization": [
        {},
        {"epsilon": 0.1, "scale": False},
        {"axis": 1, "center": False},
        {"momentum": 0.5, "center": False, "scale": False},
    ],
    "LayerNormalization": [{}, {"axis": [1, 2, 3], "epsilon": 0.1}, {"center": False}],
    "RMSNormalization": [{}, {"epsilon": 0.1}],
    "UnitNormalization": [{}, {"axis": [1, 2]}],
    "GroupNormalization": [{"groups": 3}, {"groups": -1, "scale": False}],
    "Activation": [{"activation": name} for name in sorted(ACTIVATIONS)],
    "ReLU": [{}, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}],
    "LeakyReLU": [{}, {"negative_slope": 0.1}],
    "PReLU": [{}, {"shared_axes": [1, 2]}],
    "ELU": [{}, {"alpha": 0.5}],
    "Softmax": [{}, {"axis": 1}, {"axis": [1, 2]}],
    "Add": [{}],
    "Subtract": [{}],
    "Multiply": [{}],
    "Average": [{}],
    "Maximum": [{}],
    "Minimum": [{}],
    "Concatenate": [{}, {"axis": 1}],
    "Flatten": [{}],
    "Reshape": [{"target_shape": (10, 12, 3)}, {"target_shape": (-1, 6)}],
    "Permute": [{"dims": (2, 1, 3)}],
    "Identity": [{}],
    "Dropout": [{"rate": 0.5}, {"rate": 0.5, "seed": 4, "noise_shape": (None, 1, 1, 3)}],
    "SpatialDropout2D": [{"rate": 0.5}],
    "AlphaDropout": [{"rate": 0.5}],
    "GaussianDropout": [{"rate": 0.5}],
    "GaussianNoise": [{"stddev": 0.5}],
    "ActivityRegularization": [{"l1": 0.1, "l2": 0.2}],
    "ZeroPadding2D": [{}, {"padding": 2}, {"padding": (1, 2)}, {"padding": ((1, 2), (3, 0))}],
    "Cropping2D": [{"cropping": 1}, {"cropping": (1, 2)}, {"cropping": ((1, 2), (3, 0))}],
    "CenterCrop": [{"height": 8, "width": 6}, {"height": 14, "width": 6}],
    "UpSampling2D": [{}, {"size": (2, 3), "interpolation": "bilinear"}],
    "Rescaling": [
        {"scale": 0.1},
        {"scale": 2.0, "offset": -1.0},
        {"scale": [1.0, 2.0, 3.0], "offset": [0.1, 0.2, 0.3]},
    ],
    "Normalization": [
        {"mean": 0.4, "variance": 0.1, "axis": None},
        {"mean": [0.4, 0.5, 0.6], "variance": [0.1, 0.2, 0.3]},
    ],
    "Resizing": [
        {"height": 8, "width": 9},
        {"height": 20, "width": 9, "interpolation": "bicubic", "antialias": True},
        {"height": 8, "width": 6, "crop_to_aspect_ratio": True},
        {"height": 8, "width": 6, "pad_to_aspect_ratio": True, "fill_value": 1.0},
        *({"height": 20, "width": 5, "interpolation": i} for i in ("area", "lanczos3", "nearest")),
    ],
}
CASES = [(kind, arguments) for kind in INSTANCES for arguments in INSTANCES[kind]]


def around(layer: keras.layers.Layer) -> keras.Model:
    """A classifier with the layer in its middle."""
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    kind = type(layer).__name__
    if traits_of(kind).merging or kind in ("Concatenate", "Dot"):
        pair = [inputs, x]
        x = layer(
            pair if isinstance(layer, layers.Subtract | layers.Dot) else [*pair, layers.ReLU()(x)]
        )
    else:
        x = layers.Reshape((120, 3))(x) if kind.endswith(("1D", "EinsumDense")) else x
        x = layer(x, x) if traits_of(kind).operands else layer(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="scores")(layers.Flatten()(x)))


def influences(layer: keras.layers.Layer) -> dict[str, Any]:
    """The layer's own configuration, as JSON, without what matters only in training."""
    config = json.loads(json.dumps(layer.get_config()))
    return {key: value for key, value in config.items() if key not in TRAINING_ONLY}


def legacy_config(model: keras.Model, folder: Path) -> Any:
    """The configuration as Keras writes it into an .h5 file."""
    model.save(folder / "model.h5")
    with h5py.File(folder / "model.h5") as file:
        return json.loads(file.attrs["model_config"])


def test_every_class_of_the_allow_list_is_tried_and_documented() -> None:
    assert set(INSTANCES) == set(LAYERS)
    *_, section = (PROJECT / "docs" / "extending.md").read_text().partition("## A layer\n")
    listed = section.partition("Known layers:")[2].partition("\n\n")[0]
    assert re.findall(r"\w+", listed) == sorted(LAYERS)


def test_no_other_module_lists_layer_classes() -> None:
    """What is known of them follows from the table."""
    files = [path for path in (PROJECT / "goodnet").rglob("*.py") if path.name != "layers.py"]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict | ast.Set | ast.List | ast.Tuple):
                items = node.keys if isinstance(node, ast.Dict) else node.elts
                names = {item.value for item in items if isinstance(item, ast.Constant)}
                assert len(names & {*LAYERS, "InputLayer"}) < 2, f"{path.name}:{node.lineno}"


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("kind", "arguments"), CASES, ids=[f"{k}{n}" for n, (k, _) in enumerate(CASES)]
)
def test_layer_is_rebuilt_as_keras_has_it(
    kind: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    """From the configuration in `.keras` files and from that in `.h5` files."""
    model = randomise(around(getattr(layers, kind)(**arguments)))
    images = rng.random((4, *IMAGE_SHAPE), dtype=np.float32)
    for config in (json.loads(model.to_json()), legacy_config(model, tmp_path)):
        built = build_network(parse_architecture(config, "model"), "model")
        built.set_weights(model.get_weights())
        for ours, theirs in zip(built.layers, model.layers, strict=True):
            assert influences(ours) == influences(theirs)
        expected = np.asarray(model(images, training=False))
        np.testing.assert_array_equal(np.asarray(built(images, training=False)), expected)


def test_one_record_is_all_that_a_new_layer_needs(
    monkeypatch: pytest.MonkeyPatch, as_suspect: Callable[[Any], Suspect]
) -> None:
    """A pooling layer without one is refused; with it, it is chosen, swept, trained through."""
    monkeypatch.delitem(LAYERS, "AdaptiveMaxPooling2D")
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.AdaptiveMaxPooling2D((9, 8))(inputs)
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(x)
    x = layers.AdaptiveMaxPooling2D(3, name="adaptive")(x)
    outputs = layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x))
    network = balanced(randomise(keras.Model(inputs, outputs)))
    with pytest.raises(ModelRefused, match=r"'AdaptiveMaxPooling2D .* not allowed"):
        as_suspect(network)
    record = LayerTraits(
        arguments={
            "output_size": IS_SIZES,
            "data_format": IS_DATA_FORMAT,
        },
        role="pooling",
        prunable=True,
        keeps_zero=always,
        channelwise=always,
        keeps_scale=True,
    )
    monkeypatch.setitem(LAYERS, "AdaptiveMaxPooling2D", record)
    suspect = as_suspect(network)
    assert choose_layer(suspect.plan, "auto", "model") == "adaptive"
    assert plan_zeroing(suspect.plan, "adaptive", "model").side == "made"
    (kernel,) = pixel_kernels(suspect.plan, suspect.network)
    assert kernel is suspect.network.get_layer("conv").kernel
    images = random_images(64)
    for layer in ("adaptive", "conv"):
        split = Split(suspect, layer)
        assert split.form == "incremental"
        means = mean_activations(split, as_dataset(images, np.zeros(64, np.int64)), RAW)
        for direction in DIRECTIONS:
            order = order_channels(means, direction)
            (plain,) = plainly(suspect, layer, order.channels, images)
            assert len(np.unique(plain)) > 1, "a network with one answer shows nothing"
            assert np.array_equal(block_answers(split, images, order.kept())[1:], plain)
