"""Operations between layers become layers that answer as Keras' operations do."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, random_images, randomise, save
from test_architecture import layer
from test_arithmetic import IMAGES, keras_2, tf_function
from test_layers import legacy_config
from test_rearrangement import ALL, DOTS, slicing

from goodnet.backend import keras, tf
from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network, load_network
from goodnet.network.classifier import LogitModel
from goodnet.network.forms import find_forms
from goodnet.network.goodnet import join
from goodnet.network.layers import LAYERS, OPERATIONS
from goodnet.network.save import save_network
from goodnet.network.suspect import as_written, open_suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing import prune

layers, ops = keras.layers, keras.ops
PIXELS = random_images(3)


def places(x: Any) -> Any:
    return layers.Reshape((30, 12))(x)


OF_KERAS: dict[str, Callable[[Any], Any]] = {
    "first": lambda x: places(x)[:, 0],
    "last": lambda x: places(x)[:, -1],
    "one channel": lambda x: x[..., 1],
    "a part": lambda x: x[:, :, 1:],
    "a part of places": lambda x: places(x)[:, 3:-4, 2:],
    "every other": lambda x: x[:, 1::3, ::2],
    "every other channel": lambda x: x[..., ::2],
    "beyond the end": lambda x: x[:, -7:-1, :2],
    "new axis": lambda x: x[:, None, 0],
    "two numbers": lambda x: x[:, 3, 4],
    "of all kinds": lambda x: x[:, 0, ..., 1:],
    "halves": lambda x: ops.subtract(*ops.split(x, 2, axis=-2)),
    "sections": lambda x: ops.split(x, [2, 5], axis=1)[1],
    "turned": lambda x: layers.Concatenate()(ops.split(x, 3, axis=-1)[::-1]),
    "turned twice": lambda x: layers.Concatenate()([x[..., ::-1], (x + 1)[..., ::-1]]),
    "unstacked": lambda x: ops.unstack(x, axis=2)[4],
    "approximate gelu": lambda x: keras.activations.gelu(4 * x - 2, approximate=True),
    "exact gelu": lambda x: ops.gelu(4 * x - 2, approximate=False),
    "clipped": lambda x: ops.clip(x, 0.2, 0.6),
    "at least": lambda x: ops.maximum(x, 0.5),
    "at most": lambda x: ops.minimum(0.5, x),
    "powers": lambda x: x**2 + ops.power(x, 3) + ops.square(x) + x**1,
    "fractional powers": lambda x: x**1.5 + ops.power(x + 1, -1 / 3) + (x + 1) ** -2,
    "roots": lambda x: ops.sqrt(x) + x**0.5 + ops.rsqrt(x + 1),
    "signs": lambda x: -x + 3 * ops.sign(x - 0.5) * abs(x - 0.5),
    "exponential": lambda x: ops.exp(x) + ops.log(x + 1),
    "quotients": lambda x: 1 / (x + 1) + ops.reciprocal(x + 1) + x / (x + 1),
    "mean of channels": lambda x: ops.mean(x, axis=-1, keepdims=True),
    "mean of rows": lambda x: ops.mean(x, axis=1),
    "mean of axes apart": lambda x: ops.mean(x, axis=(1, 3)),
    "sum": lambda x: ops.sum(x, axis=(1, 2)) / 100,
    "largest": lambda x: ops.max(x, axis=-1),
    "smallest": lambda x: ops.min(x, axis=2, keepdims=True),
    "deviation": lambda x: ops.var(x, axis=-1) + ops.std(x, axis=3),
    "unit": lambda x: x / ops.norm(x, axis=-1, keepdims=True),
    "normalised": lambda x: ops.normalize(x, axis=-1, epsilon=1e-12),
    "more axes": lambda x: ops.expand_dims(ops.expand_dims(x, 1), -1),
    "fewer axes": lambda x: ops.squeeze(x[:, :1, :, :1]),
    "swapped": lambda x: ops.swapaxes(x, 1, -1),
    "moved": lambda x: ops.moveaxis(x, (3, 1), (1, 2)),
    "in a row": lambda x: ops.reshape(x, (-1, 360)),
    "behind each other": lambda x: ops.concatenate([x, x + 1], axis=1),
    "stacked": lambda x: ops.stack([x, x + 1, x - 1], axis=-2),
    "activations": lambda x: ops.elu(x - 1, alpha=0.3) + ops.leaky_relu(x - 1, negative_slope=0.3),
    "more activations": lambda x: ops.selu(x - 1) + ops.softsign(x) + ops.celu(x - 1),
    "shrunk": lambda x: ops.soft_shrink(x) + ops.hard_shrink(x) + ops.tanh_shrink(x),
    "softmax": lambda x: ops.softmax(x, axis=1) + ops.log_softmax(x),
    "padded": lambda x: ops.pad(x, ((0, 0), (1, 2), (3, 1), (0, 0))),
    "a place in front": lambda x: ops.pad(places(x), ((0, 0), (1, 0), (0, 0))),
    "pooled": lambda x: ops.average_pool(ops.max_pool(x, 2, padding="same"), (2, 3)),
    "resized": lambda x: ops.image.resize(x, (6, 7)),
    "ones": lambda x: x + ops.ones_like(x) + ops.cast(ops.stop_gradient(x), "float32"),
    "products": lambda x: ops.matmul(places(x), ops.transpose(places(x), (0, 2, 1))),
    "dots": lambda x: layers.Dot(axes=1, normalize=True)([places(x), places(x)]),
    "turned round": lambda x: x[:, ::-1, :, ::-1],
    "backwards in steps": lambda x: x[:, -2:0:-3, ::-2],
    "turned places": lambda x: places(x)[:, ::-1, 2:],
    "flipped": lambda x: ops.concatenate([ops.flip(x, axis=2), x], axis=-1),
    "flipped twice": lambda x: ops.flip(x, axis=(1, -1)) + x,
    "turned channels": lambda x: ops.take(x, [2, 1, 0], axis=-1),
    "taken": lambda x: ops.take(places(x), np.array([-1, 3, 3, 4, 9, 8, 7, 6, 5, 4]), axis=1),
    "taken alone": lambda x: ops.take(x, -2, axis=2),
    "rolled": lambda x: ops.roll(ops.roll(x, (-2, 3), axis=(1, 2)), 1, axis=-1),
    "repeated": lambda x: ops.repeat(x, 2, axis=-1),
    "tiled": lambda x: ops.tile(x[:, :2], (1, 2, 1, 3)),
    "reflected": lambda x: ops.pad(x, ((0, 0), (2, 3), (0, 1), (0, 0)), mode="reflect"),
    "mirrored": lambda x: ops.pad(x, ((0, 0), (6, 0), (1, 2), (3, 3)), mode="symmetric"),
    "mirrored places": lambda x: ops.pad(places(x), ((0, 0), (1, 1), (0, 0)), mode="symmetric"),
    "padded with ones": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (1, 0)), "constant", 0.7),
    "products of matrices": lambda x: ops.einsum("bhwc,bvwc->bwhv", x, x),
    "outer products": lambda x: ops.einsum("b...i,b...j->b...ji", x, x)[:, 3],
    "sums": lambda x: ops.einsum("bhwc->bch", x),
    "gated": lambda x: ops.glu(ops.concatenate([x, 3 * x], axis=-1), axis=-1),
    "swish gated": lambda x: ops.silu(x[..., :2]) * x[..., 1:],
    "attention": lambda x: ops.dot_product_attention(x, 3 * x, x - 1),
    "attention to rows": lambda x: layers.Attention()([places(x), places(x) - 1, 2 * places(x)]),
    "attention to itself": lambda x: layers.Attention(dropout=0.1)([places(x), places(x)]),
    "the same token": lambda x: ops.full_like(x[:, :1], 0.3) * x[:, -1:] + ops.zeros_like(x),
    "heads": lambda x: layers.EinsumDense("abc,cde->aebd", (4, 30, 2), bias_axes="ed")(places(x)),
    "heads together": lambda x: layers.EinsumDense("abcd,cde->abe", (12, 5), bias_axes="e")(x),
    "over places": lambda x: layers.EinsumDense("abc,bd->adc", (6, 12), activation="gelu")(
        places(x)
    ),
    "as ever": lambda x: layers.EinsumDense("...x,xy->...y", 4, bias_axes="y")(x),
    "positions": lambda x: places(x) + layers.Embedding(30, 12)(ops.arange(30)),
}


@cache
def found_and_expected(legacy: bool, folder: Path) -> Mapping[str, tuple[Any, Any]]:
    """What all operations make of images, in one network: as layers, and in Keras."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(IMAGE_SHAPE)
    rows = [layers.Flatten()(make(inputs)) for make in OF_KERAS.values()]
    model = keras.Model(inputs, layers.Concatenate()(rows))
    config = legacy_config(model, folder) if legacy else json.loads(model.to_json())
    plan = parse_architecture(config, "made")
    network = build_network(plan, "made")
    network.set_weights(model.get_weights())
    forms = find_forms(plan, network, None, "made")
    assert {each.kind for each in forms.plan.layers} <= {"InputLayer", *LAYERS, *OPERATIONS}
    ends = np.cumsum([row.shape[1] for row in rows])[:-1]
    answers = (np.split(np.asarray(each(PIXELS)), ends, axis=1) for each in (forms.network, model))
    return dict(zip(OF_KERAS, zip(*answers, strict=True), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configurations")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("legacy", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(OF_KERAS))
def test_operations_of_keras_become_layers(name: str, legacy: bool, folder: Path) -> None:
    found, expected = found_and_expected(legacy, folder)[name]
    assert expected.std() > 0.01, "one answer shows nothing"
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


def parts(operation: str, **arguments: Any) -> list[dict[str, Any]]:
    """A function with several results, and two of these, in another order."""
    both = layer("Concatenate", "both", axis=1)
    both["inbound_nodes"] = [[["a", 0, 1, {}], ["a", 0, 0, {}]]]
    return [tf_function("a", IMAGES, operation, **arguments), both]


SHAPE = tf_function("s", IMAGES, "compat.v1.shape", out_type="int32")
SIZE = tf_function("n", ("s", 0, 0), "__operators__.getitem", slice_spec=0)
OF_TENSORFLOW: dict[str, tuple[list[dict[str, Any]], Callable[[Any], Any]]] = {
    "first": ([slicing(ALL, 0)], lambda x: x[:, 0]),
    "from behind": ([slicing(DOTS, -1)], lambda x: x[..., -1]),
    "new axis": ([slicing(ALL, None, 0)], lambda x: x[:, None, 0]),
    "halves": (
        parts("split", num_or_size_splits=2, axis=1),
        lambda x: np.concatenate([x[:, 6:], x[:, :6]], 1),
    ),
    "sizes": (
        parts("split", num_or_size_splits=[2, 10], axis=1),
        lambda x: np.concatenate([x[:, 2:], x[:, :2]], 1),
    ),
    "unstacked": (
        parts("unstack", axis=-1),
        lambda x: np.concatenate([x[..., 1], x[..., 0]], 1),
    ),
    "gelu": (
        [tf_function("a", IMAGES, "nn.gelu", approximate=True)],
        lambda x: tf.nn.gelu(x, approximate=True).numpy(),
    ),
    "clipped": (
        [tf_function("a", IMAGES, "clip_by_value", clip_value_min=0.2, clip_value_max=0.7)],
        lambda x: x.clip(0.2, 0.7),
    ),
    "at least": ([tf_function("a", IMAGES, "math.maximum", y=0.5)], lambda x: x.clip(0.5, None)),
    "square": ([tf_function("a", IMAGES, "math.pow", y=2.0)], lambda x: x**2),
    "unit": ([tf_function("a", IMAGES, "math.l2_normalize", axis=[1, 2])], lambda x: _unit(x)),
    "leaky": (
        [
            tf_function("b", IMAGES, "math.subtract", y=0.5),
            tf_function("a", ("b", 0, 0), "nn.leaky_relu"),
        ],
        lambda x: np.where(x > 0.5, x - 0.5, 0.2 * (x - 0.5)),
    ),
    "fewer axes": (
        [
            slicing(ALL, {**ALL, "stop": 1}),
            tf_function("b", ("a", 0, 0), "compat.v1.squeeze", axis=[1]),
        ],
        lambda x: x[:, 0],
    ),
    "transposed": (
        [tf_function("a", IMAGES, "compat.v1.transpose", perm=[0, 3, 1, 2], conjugate=False)],
        lambda x: x.transpose(0, 3, 1, 2),
    ),
    "mean": ([tf_function("a", IMAGES, "math.reduce_mean", axis=[3])], lambda x: x.mean(axis=3)),
    "deviation": ([tf_function("a", IMAGES, "math.reduce_std", axis=2)], lambda x: x.std(axis=2)),
    "reshaped": (
        [
            SHAPE,
            SIZE,
            tf_function("a", IMAGES, "reshape", shape=[["n", 0, 0], -1]),
        ],
        lambda x: x.reshape(-1, 360),
    ),
    "products": (
        [tf_function("a", IMAGES, "linalg.matmul", b=list(IMAGES), transpose_b=True)],
        lambda x: x @ x.swapaxes(2, 3),
    ),
    "quotients": (
        [
            tf_function("b", IMAGES, "__operators__.add", y=1),
            tf_function("a", IMAGES, "math.truediv", y=["b", 0, 0]),
        ],
        lambda x: x / (x + 1),
    ),
}


def padding(mode: str, value: float) -> dict[str, Any]:
    widths = [[0, 0], [2, 1], [0, 3], [0, 0]]
    said = {"mode": mode, "constant_values": value}
    return tf_function("a", IMAGES, "compat.v1.pad", paddings=widths, **said)


def for_each_image(function: str, source: Any, **said: Any) -> list[dict[str, Any]]:
    """A token in front of the places of images, and what says how many images there are."""
    together = tf_function("c", ("n", 0, 0), "stack")
    together["inbound_nodes"] = [[["n", 0, 0, {}], *constants(2, 3)]]
    rows = tf_function("r", IMAGES, "reshape", shape=[["n", 0, 0], 120, 3])
    token = tf_function("t", source, function, **said)
    if isinstance(source[0], list):
        token["inbound_nodes"] = [[[*each[:3], said] for each in source]]
    both = tf_function("a", ("t", 0, 0), "concat")
    both["inbound_nodes"] = [[["t", 0, 0, {"axis": 1}], ["r", 0, 0, {"axis": 1}]]]
    return [SHAPE, SIZE, together, rows, token, both]


def constants(*values: Any) -> list[Any]:
    return [["_CONSTANT_VALUE", -1, each] for each in values]


TOKEN = np.linspace(-1, 1, 6, dtype=np.float32).reshape(1, 2, 3)
(GIVEN,) = constants(TOKEN.tolist())
COUNT = ["n", 0, 0]
TOKENS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "tiled": (for_each_image("tile", GIVEN, multiples=[COUNT, 1, 1]), TOKEN),
    "broadcast": (for_each_image("broadcast_to", GIVEN, shape=[COUNT, 2, 3]), TOKEN),
    "of a row": (
        for_each_image("broadcast_to", *constants([0.5, 1.0, 2.0]), shape=["c", 0, 0]),
        np.array([0.5, 1, 2], np.float32),
    ),
    "repeated": (for_each_image("repeat", GIVEN, repeats=COUNT, axis=0), TOKEN),
    "zeros": (for_each_image("zeros", [COUNT, *constants(2, 3)]), 0),
    "filled": (for_each_image("fill", [COUNT, *constants(2, 3)], value=0.5), 0.5),
}
REDUCED = tf_function("m", IMAGES, "math.reduce_mean", axis=[1, 2], keepdims=True)
NEIGHBOURS = {"depth_radius": 1, "bias": 1.5, "alpha": 0.7, "beta": 0.75}
PARTED = ((0, 0), (2, 1), (0, 3), (0, 0))
OF_TENSORFLOW |= {
    f"a token, {name}": (
        entries,
        lambda x, token=token: np.concatenate(
            [np.broadcast_to(token, (len(x), 2, 3)), x.reshape(-1, 120, 3)], axis=1
        ),
    )
    for name, (entries, token) in TOKENS.items()
}
OF_TENSORFLOW |= {
    "standardised": (
        [tf_function("a", IMAGES, "image.per_image_standardization")],
        lambda x: tf.image.per_image_standardization(x).numpy(),
    ),
    "among neighbours": (
        [tf_function("a", IMAGES, "nn.local_response_normalization", **NEIGHBOURS)],
        lambda x: tf.nn.local_response_normalization(x, **NEIGHBOURS).numpy(),
    ),
    "grey": (
        [tf_function("a", IMAGES, "image.rgb_to_grayscale")],
        lambda x: tf.image.rgb_to_grayscale(x).numpy(),
    ),
    "transposed matrices": (
        [tf_function("a", IMAGES, "linalg.matrix_transpose", conjugate=False)],
        lambda x: x.swapaxes(2, 3),
    ),
    "broadcast": (
        [
            *(SHAPE, SIZE, REDUCED),
            tf_function("a", ("m", 0, 0), "broadcast_to", shape=[COUNT, 12, 10, 3]),
        ],
        lambda x: np.broadcast_to(x.mean(axis=(1, 2), keepdims=True), x.shape),
    ),
    "turned round": ([slicing(ALL, {**ALL, "step": -2})], lambda x: x[:, ::-2]),
    "turned channels": (
        [tf_function("a", IMAGES, "compat.v1.gather", indices=[2, 1, 0], axis=-1, batch_dims=0)],
        lambda x: x[..., ::-1],
    ),
    "reversed": ([tf_function("a", IMAGES, "reverse", axis=[1])], lambda x: x[:, ::-1]),
    "mirrored": ([tf_function("a", IMAGES, "image.flip_left_right")], lambda x: x[:, :, ::-1]),
    "rolled": (
        [tf_function("a", IMAGES, "roll", shift=[-2, 1], axis=[1, 2])],
        lambda x: np.roll(x, (-2, 1), (1, 2)),
    ),
    "reflected": ([padding("REFLECT", 0)], lambda x: np.pad(x, PARTED, "reflect")),
    "padded": (
        [padding("CONSTANT", 0.5)],
        lambda x: np.pad(x, PARTED, constant_values=0.5),
    ),
    "copied": (
        [tf_function("a", IMAGES, "tile", multiples=[1, 1, 2, 3])],
        lambda x: np.tile(x, (1, 1, 2, 3)),
    ),
    "each repeated": (
        [tf_function("a", IMAGES, "repeat", repeats=3, axis=-1)],
        lambda x: x.repeat(3, axis=-1),
    ),
    "patches": (
        [
            tf_function(
                "a",
                IMAGES,
                "image.extract_patches",
                sizes=[1, 4, 5, 1],
                strides=[1, 4, 5, 1],
                rates=[1, 1, 1, 1],
                padding="VALID",
            )
        ],
        lambda x: x.reshape(-1, 3, 4, 2, 5, 3).swapaxes(2, 3),
    ),
    "blocks": (
        [tf_function("a", IMAGES, "nn.space_to_depth", block_size=2)],
        lambda x: x.reshape(-1, 6, 2, 5, 2, 3).swapaxes(2, 3),
    ),
    "pooled": (
        [
            tf_function(
                "a",
                IMAGES,
                "nn.max_pool2d",
                ksize=[1, 3, 2, 1],
                strides=[1, 3, 2, 1],
                padding="VALID",
            )
        ],
        lambda x: x.reshape(-1, 4, 3, 5, 2, 3).max(axis=(2, 4)),
    ),
}


def _unit(x: Any) -> Any:
    return x / np.sqrt((x**2).sum(axis=(1, 2), keepdims=True))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", sorted(OF_TENSORFLOW))
def test_functions_of_keras_2_become_layers(name: str) -> None:
    """As Keras 2 writes them: their tensor is in no list of its own."""
    entries, expected = OF_TENSORFLOW[name]
    config = keras_2(*entries)
    plan = parse_architecture(config, "made")
    found = np.asarray(find_forms(plan, build_network(plan, "made"), None, "made").network(PIXELS))
    np.testing.assert_allclose(found, expected(PIXELS).reshape(found.shape), rtol=1e-5, atol=1e-5)


def test_what_leads_to_no_output_is_left_out() -> None:
    """Calls of a layer that is used elsewhere, too; the others are counted anew."""
    dense = layer("Dense", "dense", [("dead", 0)], [("a", 0)], units=2)
    entries = [
        tf_function("dead", IMAGES, "reverse", axis=[1]),
        tf_function("a", IMAGES, "reverse", axis=[2]),
        *(dense, layer("Activation", "last", [("dense", 1)], activation="tanh")),
    ]
    plan = parse_architecture(keras_2(*entries), "made")
    network = randomise(build_network(plan, "made"))
    forms = find_forms(plan, network, None, "made")
    assert not any(name.startswith("dead") for name in forms.plan.names)
    kernel, bias = (np.asarray(weight) for weight in network.get_layer("dense").weights)
    expected = np.tanh(PIXELS[:, :, ::-1] @ kernel + bias).reshape(len(PIXELS), -1)
    np.testing.assert_allclose(np.asarray(forms.network(PIXELS)), expected, atol=1e-6)


def transformer(take: Callable[[Any], Any]) -> keras.Model:
    """A vision transformer as people write it: learned positions, and a class token or a mean."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, (4, 5), strides=(4, 5), name="patches")(layers.Rescaling(1 / 255)(inputs))
    x = ops.pad(ops.reshape(x, (-1, 6, 8)), ((0, 0), (1, 0), (0, 0)))
    x = x + layers.Embedding(7, 8)(ops.expand_dims(ops.arange(7), 0))
    y = layers.LayerNormalization(name="before")(x)
    x = x + layers.MultiHeadAttention(2, 4, name="attention")(y, y)
    x = x + layers.Dense(8)(ops.gelu(layers.Dense(12)(x)))
    x = take(layers.LayerNormalization(name="norm")(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="scores")(x))


def attention_by_hand() -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = ops.reshape(layers.Conv2D(8, (4, 5), strides=(4, 5))(inputs), (-1, 6, 8))
    query, key, value = ops.split(layers.Dense(24)(x), 3, axis=-1)
    weights = ops.softmax(ops.matmul(query, ops.swapaxes(key, 1, 2)) / 2.0)
    x = layers.LayerNormalization(name="norm")(x + ops.matmul(weights, value))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def attending_to_channels_and_places() -> keras.Model:
    """CBAM: what makes weights for channels, then for places, is no layer to prune."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    first, second = layers.Dense(4, activation="relu"), layers.Dense(8)
    means, tops = (f(x, axis=(1, 2), keepdims=True) for f in (ops.mean, ops.max))
    x = x * ops.sigmoid(second(first(means)) + second(first(tops)))
    both = [ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)]
    gate = layers.Conv2D(1, 5, padding="same", activation="sigmoid")(ops.concatenate(both, -1))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x * gate)))


def channels_first() -> keras.Model:
    """Inside another model: cut and split where their channels come first."""
    how = {"data_format": "channels_first"}
    inner = keras.Input((3, 12, 10))
    x = layers.Conv2D(8, 3, activation="relu", name="conv", **how)(inner)
    one, other = ops.split(x[:, :, 1:-1, ::2], 2, axis=1)
    x = ops.concatenate([other, one], axis=1)
    x = layers.AveragePooling2D(2, data_format="channels_last")(x)  # of channels and rows
    block = keras.Model(inner, layers.Flatten()(x), name="block")
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = block(layers.Permute((3, 1, 2))(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def with_two_ends(used: tuple[int, ...]) -> keras.Model:
    """A model inside that makes two tensors, of which some are used."""
    inner = keras.Input(IMAGE_SHAPE)
    x = layers.MaxPooling2D(name="pool")(layers.Conv2D(6, 3, activation="relu", name="conv")(inner))
    backbone = keras.Model(inner, [x, layers.Conv2D(8, 3, name="late")(x)], name="backbone")
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    ends = backbone(inputs)
    x = [layers.GlobalAveragePooling2D(name=f"mean_{n}")(ends[n]) for n in used]
    x = layers.Concatenate()(x) if len(x) > 1 else x[0]
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def spectral() -> keras.Model:
    """Kernels divided in training, and poolings to a size."""
    return keras.Sequential([
        keras.Input(IMAGE_SHAPE),
        layers.SpectralNormalization(layers.Conv2D(8, 3, activation="relu"), name="conv"),
        layers.AdaptiveAveragePooling2D((4, 3)),
        layers.AdaptiveMaxPooling2D(2, name="pool"),
        layers.Flatten(),
        layers.SpectralNormalization(layers.Dense(CLASSES, activation="softmax")),
    ])  # fmt: skip


def weighing_channels() -> keras.Model:
    """ECA-Net: a convolution along channels weighs them."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    weights = layers.Reshape((8, 1))(layers.GlobalAveragePooling2D()(x))
    weights = layers.Conv1D(2, 3, padding="same")(weights)
    weights = layers.Conv1D(1, 3, padding="same", use_bias=False, activation="sigmoid")(weights)
    x = layers.Multiply()([x, layers.Reshape((1, 1, 8))(weights)])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def cosines() -> keras.Model:
    """Scores that are cosines: roots and quotients, which no layer makes."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.MaxPooling2D(4, name="pool")(layers.Conv2D(6, 3, activation="relu")(inputs))
    x = layers.Flatten()(x)
    x = x / ops.maximum(ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)), 1e-9)
    return keras.Model(inputs, 9 * layers.Dense(CLASSES, use_bias=False)(x))


def shifted() -> keras.Model:
    """A transformer by hand, behind channels and rows turned round: shifted places, heads, GLU."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = ops.pad(ops.flip(inputs[..., ::-1], axis=1), ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    x = ops.roll(layers.Conv2D(8, (3, 4), strides=(4, 4))(x), (-1, 1), axis=(1, 2))
    x = ops.reshape(x, (-1, 9, 8))
    query, key, value = (
        layers.EinsumDense("abc,cde->abde", (9, 2, 4), bias_axes="de")(x) for _ in range(3)
    )
    weights = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", query, key) / 2)
    x = x + ops.reshape(ops.einsum("bhqk,bkhd->bqhd", weights, value), (-1, 9, 8))
    x = x + ops.glu(layers.Dense(16)(x))
    x = layers.GlobalAveragePooling1D(name="mean")(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


NETWORKS: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "class token": (lambda: transformer(lambda x: x[:, 0]), "norm"),
    "last token": (lambda: transformer(lambda x: x[:, -1]), "norm"),
    "mean": (lambda: transformer(lambda x: ops.mean(x, axis=1)), "mean"),
    "by hand": (attention_by_hand, "mean"),
    "attending": (attending_to_channels_and_places, "conv"),
    "channels first": (channels_first, "block/average_pooling2d"),
    "first of two ends": (lambda: with_two_ends((0,)), "mean_0"),
    "second of two ends": (lambda: with_two_ends((1,)), "mean_1"),
    "both ends": (lambda: with_two_ends((1, 0)), "mean_"),
    "spectral": (spectral, "pool"),
    "weighing": (weighing_channels, "mean"),
    "shifted": (shifted, "mean"),
    "cosines": (cosines, "pool"),
}
QUICK = ("class token", "channels first")


@pytest.mark.parametrize("suffix", [".keras", pytest.param(".h5", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in NETWORKS]
)
def test_networks_with_operations_are_pruned_joined_and_saved(
    name: str, suffix: str, tmp_path: Path
) -> None:
    """Opened they answer as in Keras; what is written of them does in plain Keras, too."""
    make, layer_name = NETWORKS[name]
    model, images = randomise(make()), random_images(12)
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    expected = model.predict(images, verbose=0)  # eagerly, TensorFlow's channels_first is wrong
    scale = max(1, np.abs(expected).max())
    found = np.asarray(suspect.network(images))
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    chosen = choose_layer(suspect.plan, "auto", name)
    assert chosen.startswith(layer_name)
    repaired = prune(suspect, chosen, [0, 2])
    pruned, written = np.asarray(repaired(images)), as_written(suspect, repaired)
    save_network(written, tmp_path / f"repaired{suspect.format}")
    save_network(join(suspect, repaired, RAW), tmp_path / "goodnet.keras")
    again = keras.models.load_model(tmp_path / f"repaired{suspect.format}", compile=False)
    np.testing.assert_allclose(np.asarray(again(images)) / scale, pruned / scale, atol=1e-5)
    reopened = open_suspect(tmp_path / f"repaired{suspect.format}")
    np.testing.assert_array_equal(np.asarray(reopened.network(images)), pruned)
    gate = keras.models.load_model(tmp_path / "goodnet.keras", compile=False)
    one, other = expected.argmax(axis=1), pruned.argmax(axis=1)
    agreed = np.where(one == other, one, CLASSES)
    assert np.array_equal(np.asarray(gate(images)).argmax(axis=1), agreed)
    logits = LogitModel.from_suspect(suspect, RAW)
    pixels = tf.constant(images / 255)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        total = tf.reduce_sum(logits.logits(pixels)[:, 0])
    slopes = np.asarray(tape.gradient(total, pixels))
    assert np.isfinite(slopes).all() and np.abs(slopes).max() > 0


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "two inputs": (
        lambda x: keras.Model(
            [x, extra := keras.Input((4,))],
            layers.Dense(2)(layers.Concatenate()([layers.Flatten()(x), extra])),
        ),
        "has 2 inputs and 1 outputs, not one and one",
    ),
    "in time": (
        lambda x: keras.Model(x, layers.TimeDistributed(layers.Dense(4))(x)),
        "TimeDistributed .* is no part of an image classifier",
    ),
    "sequences": (
        lambda x: keras.Sequential(
            [
                *(keras.Input((28, 28)), layers.Conv1D(4, 3, name="along"), layers.Flatten()),
                layers.Dense(3),
            ]
        ),
        "layer 'along' is of class 'Conv1D', .* no part of an image classifier",
    ),
    "drawn": (
        lambda x: keras.Model(
            x, layers.Dropout(0.5, name="drop")(layers.Dense(2)(x), training=True)
        ),
        "layer 'drop' is called with 'training=True'",
    ),
    "wrapped": (
        lambda x: keras.Model(
            x, layers.SpectralNormalization(layers.Conv2D(4, 3, activation=layers.LeakyReLU()))(x)
        ),
        "argument activation = .* is not allowed",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_is_for_its_true_reason(name: str, tmp_path: Path) -> None:
    make, fault = REFUSED[name]
    path = save(make(keras.Input(IMAGE_SHAPE)), tmp_path / "model.keras")
    with pytest.raises(ModelRefused, match=fault) as refused:
        open_suspect(path)
    assert "\n" not in refused.value.fault


def test_a_wrapped_layer_is_checked_as_any_is() -> None:
    config = json.loads(spectral().to_json())
    wrapped = config["config"]["layers"][1]["config"]["layer"]
    for changes, fault in (
        ({"class_name": "Lambda", "config": {"function": "evil"}}, "is a Lambda"),
        ({"class_name": "Flatten", "config": {"name": "f"}}, "wraps 'f' .Flatten."),
        ({"module": "evil", "registered_name": "x>Conv2D"}, "its author's own"),
    ):
        config["config"]["layers"][1]["config"]["layer"] = {**wrapped, **changes}
        with pytest.raises(ModelRefused, match=fault):
            parse_architecture(config, "made")


def test_operations_that_would_become_too_many_layers_are_refused() -> None:
    x = inputs = keras.Input(IMAGE_SHAPE)
    config = json.loads(keras.Model(inputs, layers.Flatten()(ops.gelu(x))).to_json())
    first, gelu, last = config["config"]["layers"]
    chain = []
    for number in range(900):
        name = json.dumps(gelu["config"]["name"])
        entry = json.loads(json.dumps(gelu).replace(name, f'"gelu{number}"'))
        source = f"gelu{number - 1}" if number else first["name"]
        entry["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = source
        chain.append(entry)
    last["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "gelu899"
    config["config"]["layers"] = [first, *chain, last]
    plan = parse_architecture(config, "made")
    with pytest.raises(ModelRefused, match="uses layers 5401 times in all, more than 5000"):
        find_forms(plan, build_network(plan, "made"), None, "made")


def test_a_product_of_matrices_counts_what_it_costs() -> None:
    """Two tensors of ten million numbers are multiplied in far more steps than these are."""
    inputs = keras.Input((4096, 4, 3))
    x = layers.UpSampling2D((1, 512))(inputs)
    x = ops.reshape(x, (-1, 4096, 6144))
    x = ops.matmul(x, ops.swapaxes(x, 1, 2)) + ops.matmul(x, ops.swapaxes(x, 1, 2))
    model = keras.Model(inputs, layers.GlobalMaxPooling1D()(x))
    assert model.output_shape == (None, 4096)
    with pytest.raises(ModelRefused, match=r"more than \d+ multiplications for one image"):
        load_network(parse_architecture(json.loads(model.to_json()), "made"), "paths", [], "made")
