"""Vision transformers, and gates as in squeeze-and-excite: what of them is pruned, and how."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import CLASSES, IMAGE_SHAPE, balanced, random_images, randomise, save

from goodnet.backend import keras
from goodnet.detection.reference_models import _fan_in
from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.cost import LARGEST_TENSOR
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.split import Split
from goodnet.pruning.zeroing import prune
from goodnet.pruning.zeroing_plan import plan_zeroing

layers = keras.layers


def transformer(
    *, pooled: bool = False, hidden: bool = False, cut: bool = False, blocks: int = 2
) -> keras.Model:
    """As in Keras' example, without classes of its own: places are added, not looked up."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    if cut:
        x = layers.Reshape((-1, 60))(keras.ops.image.extract_patches(x, (4, 5)))
        x = layers.Dense(8, name="projection")(x)
    else:
        x = layers.Conv2D(8, (4, 5), strides=(4, 5), name="patches")(x)
        x = layers.Reshape((6, 8))(x)
    x = x + layers.Embedding(6, 8, name="places")(keras.ops.arange(6))
    for number in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        attention = layers.MultiHeadAttention(2, 4, dropout=0.1, name=f"attention_{number}")
        y = attention(query=y, value=y) if number else attention(y, y)
        x = layers.Add()([y, x])
        y = layers.Dense(16, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([layers.Dense(8)(layers.Dropout(0.1)(y)), x])
    x = layers.LayerNormalization(epsilon=1e-6, name="representation")(x)
    x = layers.GlobalAveragePooling1D(name="pooled")(x) if pooled else layers.Flatten()(x)
    x = layers.Dense(12, activation="gelu", name="hidden")(x) if hidden else x
    x = layers.Dense(CLASSES, activation="softmax")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, x)


def gated(*, pooled: bool = False, dense: bool = False) -> keras.Model:
    """Squeeze-and-excite behind the last pooling of a network."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(8, 3, activation="swish", name="conv")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    y = layers.GlobalAveragePooling2D(name="squeeze", keepdims=True)(x)
    if dense:
        y = layers.Dense(8, activation="hard_sigmoid")(layers.Dense(2, activation="relu")(y))
    else:
        y = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(y))
    x = layers.Multiply()([x, y])
    x = layers.GlobalMaxPooling2D(name="pooled")(x) if pooled else layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


CHOICES: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "flattened": (transformer, "representation"),
    "pooled": (lambda: transformer(pooled=True, hidden=True), "pooled"),
    "hidden": (lambda: transformer(hidden=True), "hidden"),
    "cut": (lambda: transformer(cut=True, hidden=True), "hidden"),
    "gated": (gated, "pool"),
    "gated by dense layers": (lambda: gated(dense=True), "pool"),
    "gated and pooled": (lambda: gated(pooled=True), "pooled"),
}


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_the_layer_is_what_represents_an_image(name: str) -> None:
    """Not the patches of a transformer, and not what only weighs channels."""
    make, layer = CHOICES[name]
    plan = parse_architecture(json.loads(make().to_json()), "made")
    assert choose_layer(plan, "auto", "made") == layer


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param(name, suffix, marks=[] if quick else pytest.mark.slow)
        for name in ("flattened", "pooled", "cut", "gated")
        for suffix in (".h5", ".keras")
        for quick in [(name, suffix) == ("flattened", ".keras")]
    ],
)
def test_a_network_with_attention_is_opened_pruned_and_saved_as_others(
    name: str, suffix: str, tmp_path: Path
) -> None:
    make, layer = CHOICES[name]
    images, model = random_images(64), balanced(randomise(make()))
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    expected = np.asarray(model(images))
    np.testing.assert_allclose(np.asarray(suspect.network(images)), expected, atol=1e-6)
    channels = [0, 1, 3]
    repaired = prune(suspect, layer, channels)
    output = Split(replace(suspect, network=repaired), layer).activations(images)[0].numpy()
    assert not output[..., channels].any() and output[..., 2].any()
    save_network(repaired, tmp_path / f"repaired{suffix}")
    save_network(join(suspect, repaired, UNIT), tmp_path / "goodnet.keras")
    answers = np.asarray(repaired(images))
    for path in (tmp_path / f"repaired{suffix}", tmp_path / "goodnet.keras"):
        again = keras.models.load_model(path, compile=False)
        before, after = expected.argmax(axis=1), answers.argmax(axis=1)
        agreed = after if "repaired" in path.name else np.where(before == after, before, CLASSES)
        assert np.array_equal(np.asarray(again(images)).argmax(axis=1), agreed)
        reopened = np.asarray(open_suspect(path).network(images))
        assert np.array_equal(reopened.argmax(axis=1), agreed)
    assert len(np.unique(agreed)) > 1


def test_attention_of_every_place_to_every_other_has_its_cost(tmp_path: Path) -> None:
    side = int((LARGEST_TENSOR / 2) ** 0.25) + 1
    inputs = keras.Input((side, side, 1))
    x = layers.Reshape((side * side, 1))(inputs)
    x = layers.MultiHeadAttention(2, 1, name="attention")(x, x)
    x = layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))
    path = save(keras.Model(inputs, x), tmp_path / "model.keras")
    with pytest.raises(ModelRefused, match=r"layer 'attention' makes 2 x .* values of one image"):
        open_suspect(path)


def test_masks_and_scores_of_an_attention_are_refused() -> None:
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Reshape((12, 30))(inputs)
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    model = keras.Model(inputs, layers.Flatten()(attention(x, x, use_causal_mask=True)))
    with pytest.raises(ModelRefused, match="'attention' is called with 'use_causal_mask=True'"):
        parse_architecture(json.loads(model.to_json()), "made")


def test_kernels_of_an_attention_sum_over_their_inputs() -> None:
    """What a reference network's initial values go by."""
    inputs = keras.Input((6, 10))
    attention = layers.MultiHeadAttention(2, 4)
    attention(inputs, inputs)
    parts = attention._query_dense, attention._value_dense, attention._output_dense
    assert [_fan_in(part, part.kernel) for part in parts] == [10, 10, 8]


@pytest.mark.parametrize(("scale", "side"), [(True, "made"), (False, "read")])
def test_normalised_channels_are_zeroed_by_their_scale(scale: bool, side: str) -> None:
    """Without one they are moved by the mean of all, and only what reads them can leave them."""
    x = inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Dense(8)(layers.Reshape((12, 30))(x))
    x = layers.LayerNormalization(scale=scale, name="normalised")(x)
    x = layers.Dense(CLASSES)(layers.Flatten()(x))
    plan = parse_architecture(json.loads(keras.Model(inputs, x).to_json()), "made")
    assert plan_zeroing(plan, "normalised", "made").side == side
