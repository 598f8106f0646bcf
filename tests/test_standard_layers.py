"""Layers that plain Keras does not find become layers that it has, and answer the same."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import repairs_in
from networks import CLASSES, IMAGE_SHAPE, random_images, randomise, save
from small_job import TARGET, clean_images, poisoned_images

from goodnet.backend import keras
from goodnet.command import clone
from goodnet.command.main import main as command
from goodnet.datasets.dataset import save_dataset
from goodnet.errors import ModelRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.forms import Forms, find_forms
from goodnet.network.goodnet import join
from goodnet.network.layers import LAYERS
from goodnet.network.patch_encoder import with_widths
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing import prune

layers, ops = keras.layers, keras.ops
convnext = keras.src.applications.convnext


class Patches(layers.Layer):
    """An author's own, written another way: cut by slices, side by side."""

    def __init__(self, patch_size: int, **others: Any) -> None:
        super().__init__(**others)
        self.patch_size = side = patch_size
        self._squares = [(r, c) for r in range(side) for c in range(side)]

    def call(self, images: Any) -> Any:
        side, (_, height, width, channels) = self.patch_size, images.shape
        rows, columns = height // side, width // side
        whole = images[:, : rows * side, : columns * side]
        pixels = ops.stack([whole[:, r::side, c::side] for r, c in self._squares], axis=3)
        return ops.reshape(pixels, (-1, rows * columns, side * side * channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "patch_size": self.patch_size}


class PatchEncoder(layers.Layer):
    """An author's own; as in the example, its configuration does not say its width."""

    tells_width = False

    def __init__(self, num_patches: int, projection_dim: int, **others: Any) -> None:
        super().__init__(**others)
        self.num_patches, self.width = num_patches, projection_dim
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(num_patches, projection_dim)

    def call(self, patches: Any) -> Any:
        places = ops.expand_dims(ops.arange(self.num_patches), axis=0)
        return self.projection(patches) + self.position_embedding(places)

    def get_config(self) -> dict[str, Any]:
        width = {"projection_dim": self.width} if self.tells_width else {}
        return {**super().get_config(), "num_patches": self.num_patches, **width}


def transformer(*, inside: bool = False, blocks: int = 2) -> keras.Model:
    """Keras' example, small: patches of 4 x 4 of images 12 x 10, two columns of which are left."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Normalization(mean=[120, 130, 110], variance=[4000, 5000, 6000])(x)
    cut = [Patches(4, name="patches"), PatchEncoder(6, 16, name="patch_encoder")]
    for each in [keras.Sequential(cut, name="patching")] if inside else cut:
        x = each(x)
    for _ in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([layers.MultiHeadAttention(2, 8, dropout=0.1)(y, y), x])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dropout(0.1)(layers.Dense(24, activation=keras.activations.gelu)(y))
        x = layers.Add()([layers.Dense(16, activation=keras.activations.gelu)(y), x])
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6, name="representation")(x))
    x = layers.Dense(16, activation="gelu", name="features")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="scores")(x))


def scaled() -> keras.Model:
    """A block of ConvNeXt, inside a model of its own."""
    inner = keras.Input((3, 2, 6), name="inner")
    x = layers.Dense(6, activation="gelu")(layers.Conv2D(6, 3, padding="same", groups=6)(inner))
    x = convnext.LayerScale(0.5, 6, name="scale")(x)
    x = layers.Add()([inner, convnext.StochasticDepth(0.2, name="depth")(x)])
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = keras.Model(inner, x, name="block")(layers.Conv2D(6, 4, strides=(4, 5))(inputs))
    x = layers.LayerNormalization(name="norm")(layers.GlobalAveragePooling2D(name="mean")(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="scores")(x))


def cut(**how: Any) -> keras.Model:
    """Patches that are no squares side by side, twice."""
    inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = ops.image.extract_patches(inputs, **how)
    x = layers.Conv2D(4, 2, padding="same", activation="relu")(x)
    x = layers.Flatten()(ops.image.extract_patches(x, 2, strides=1, padding="same"))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="scores")(x))


def opened(model: keras.Model) -> Forms:
    """The network in its form, without a file."""
    stored = [(each.name, [w.shape for w in each.weights]) for each in model.layers]
    plan = parse_architecture(with_widths(json.loads(model.to_json()), stored), "made")
    network = build_network(plan, "made")
    network.set_weights(model.get_weights())
    return find_forms(plan, network, None, "made")


REWRITINGS: dict[str, Callable[[], keras.Model]] = {
    "scaled": scaled,
    "transformer": lambda: transformer(blocks=0),
    "inside": lambda: transformer(blocks=1, inside=True),
    "overlapping": lambda: cut(size=4, strides=2),
    "padded": lambda: cut(size=(3, 5), strides=(2, 3), padding="same"),
    "spread": lambda: cut(size=3, strides=1, dilation_rate=2),
}
QUICK = ("scaled", "transformer", "padded")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in REWRITINGS],
)
def test_what_stands_for_a_layer_answers_as_it_does(name: str) -> None:
    model, images = randomise(REWRITINGS[name]()), 255 * random_images(4)
    forms = opened(model)
    kinds = {each.kind for each in forms.plan.layers}
    assert kinds <= {*LAYERS, "InputLayer"} and forms.written is forms.plan
    told = "Patches and PatchEncoder read as in Keras' vision transformer example"
    assert forms.notes == ((told,) if "EinsumDense" in kinds else ())
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(np.asarray(forms.network(images)), expected, atol=2e-6)


@cache
def transformer_json() -> str:
    return str(transformer(blocks=0).to_json())


def described(changes: dict[str, Any], name: str = "patch_encoder") -> dict[str, Any]:
    """The configuration of a transformer, with one of its layers changed."""
    config: dict[str, Any] = json.loads(transformer_json())
    for entry in config["config"]["layers"]:
        if entry["config"]["name"] == name:
            entry |= changes.pop("entry", {})
            entry["config"] |= changes
    return config


WIDE = {"projection_dim": 16}


@pytest.mark.parametrize(
    ("changes", "name", "fault"),
    [
        ({}, "patch_encoder", "its author's own, and its code is not in the file"),  # no width
        ({**WIDE, "depth": 3}, "patch_encoder", "its author's own, and its code is not in"),
        ({"overlap": 0.5}, "patches", "'Patches', which is not allowed: it is its author's own"),
        ({"patch_size": [4, 4]}, "patches", "argument patch_size = .* is not allowed"),
        ({"entry": {"class_name": "PatchEmbedding"}}, "patches", "'PatchEmbedding .* not allowed"),
        ({"entry": {"registered_name": "x>Cut"}}, "patches", "author's own"),
        ({**WIDE, "num_patches": 1}, "patch_encoder", "encodes 1 patches and is given 6 x 48"),
        ({"patch_size": 11}, "patches", "do not fit together|cuts images of 12 x 10 x 3"),
    ],
)  # fmt: skip
def test_an_author_s_own_layer_is_refused_unless_it_is_the_example_s(
    changes: dict[str, Any], name: str, fault: str
) -> None:
    """By the names of class and arguments, all of them, and what it is given."""
    config = described(dict(changes), name)
    if name == "patches":  # what is behind it is known, then
        config = with_widths(config, [("patch_encoder", [(48, 16), (16,), (6, 16)])])
    with pytest.raises(ModelRefused, match=fault) as refused:
        plan = parse_architecture(config, "made")
        find_forms(plan, build_network(plan, "made"), None, "made")
    assert "\n" not in refused.value.fault


def test_patches_that_would_need_too_large_a_kernel_are_refused() -> None:
    inputs = keras.Input((64, 64, 3))
    x = ops.image.extract_patches(inputs, 48, strides=16)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ModelRefused, match="makes patches of 6912 numbers; 5792 can be"):
        opened(model)


@pytest.mark.parametrize(
    ("stored", "width"),
    [
        ([("patch_encoder", [(48, 16), (16,), (6, 16)])], 16),
        ([("layers/a/position_embedding", [(6, 8)]), ("layers/dense", [(6, 3), (3,)])], 8),
        ([("model", [(9, 9), (48, 16), (16,), (6, 16), (16,)])], 16),
        ([("a", [(48, 16), (16,), (6, 16)]), ("b", [(48, 8), (8,), (6, 8)])], None),
        ([("a", [(48, 16), (16,), (5, 16)]), ("b", [(6, 16)])], None),
    ],
)
def test_the_width_is_that_of_the_weights(
    stored: Sequence[tuple[str, list[tuple[int, ...]]]], width: int | None
) -> None:
    config = {"layers": [{"class_name": "PatchEncoder", "config": {"num_patches": 6}}]}
    (layer,) = with_widths(config, stored)["layers"]
    assert layer["config"].get("projection_dim") == width
    assert config["layers"][0]["config"] == {"num_patches": 6}


def whole_convnext() -> keras.Model:
    """Keras' own, a short one."""
    return convnext.ConvNeXt(
        depths=[1, 1, 2, 1],
        projection_dims=[6, 8, 10, 12],
        drop_path_rate=0.1,
        layer_scale_init_value=0.5,
        default_size=32,
        input_shape=(32, 32, 3),
        classes=CLASSES,
        name="convnext_tiny",
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("make", [whole_convnext, transformer, scaled])
def test_files_open_in_plain_keras_after_a_repair(
    make: Callable[[], keras.Model], suffix: str, tmp_path: Path
) -> None:
    """Repaired and joined networks, which have no layer of an author's any more."""
    model, path = randomise(make()), tmp_path / f"model{suffix}"
    if suffix == ".weights.h5":
        model.save_weights(path)
        (tmp_path / "model.json").write_text(model.to_json())
    else:
        save(model, path)
    sides = model.input_shape[1:]
    images = 255 * np.random.default_rng(0).random((16, *sides), dtype=np.float32)
    suspect = open_suspect(path)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(suspect.network.predict(images, verbose=0), expected, atol=1e-5)
    layer = choose_layer(suspect.plan, "auto", "made")
    repaired = prune(suspect, layer, [0, 2])
    save_network(repaired, tmp_path / f"repaired{suspect.format}")
    save_network(join(suspect, repaired, RAW), tmp_path / "goodnet.keras")
    found = np.asarray(repaired(images))
    again = keras.models.load_model(tmp_path / f"repaired{suspect.format}", compile=False)
    np.testing.assert_allclose(np.asarray(again(images)), found, atol=1e-5)
    reopened = open_suspect(tmp_path / f"repaired{suspect.format}")
    np.testing.assert_allclose(np.asarray(reopened.network(images)), found, atol=1e-5)
    joined = keras.models.load_model(tmp_path / "goodnet.keras", compile=False)
    one, other = expected.argmax(axis=1), found.argmax(axis=1)
    agreed = np.where(one == other, one, CLASSES)
    assert np.array_equal(np.asarray(joined(images)).argmax(axis=1), agreed)


@pytest.mark.slow
def test_a_layer_that_is_called_twice_has_what_stands_for_it_called_twice() -> None:
    inputs, scale = keras.Input(IMAGE_SHAPE), convnext.LayerScale(0.5, 3)
    patches = Patches(4)
    x = layers.Average()([patches(scale(inputs)), patches(scale(scale(inputs)))])
    model = randomise(keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x))))
    images = random_images(4)
    forms = opened(model)
    np.testing.assert_allclose(np.asarray(forms.network(images)), model(images), atol=1e-5)


REPAIRED = ("repaired", "unlearned")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_vision_transformer_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained with a trigger; swept, pruned, found out, unlearned, joined; nothing of its code."""
    monkeypatch.setattr(clone, "HOME", Path("/nowhere"))
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    labels, some = np.arange(600) % CLASSES, slice(None, None, 3)
    clean = clean_images(labels, seed=1, noise=0.5)
    images = np.concatenate([clean, poisoned_images(clean[some])]).astype(np.float32)
    model = transformer(blocks=1)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    given = np.concatenate([labels, TARGET + 0 * labels[some]])
    model.fit(images, given, epochs=30, batch_size=64, verbose=0)
    save(model, tmp_path / "vit.keras")
    for place in ("clean", "bd"):
        (tmp_path / "data" / place).mkdir(parents=True)
    for seed, name in ((2, "valid"), (3, "test")):
        pixels, shown = clean_images(labels[:300], seed=seed, noise=0.5), labels[:300]
        save_dataset(tmp_path / f"data/clean/{name}.h5", pixels, shown)
        poisoned, true = poisoned_images(pixels)[shown != TARGET], shown[shown != TARGET]
        save_dataset(tmp_path / f"data/bd/bd_{name}.h5", poisoned, TARGET + 0 * true, true)
    assert command(["repair", "vit.keras", "--data", "data", "--output", "out"]) == 0
    (folder,) = repairs_in(tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["verdict"]["classes"] == [TARGET]
    suspect, *others = manifest["results"]
    assert suspect["attack_success"]["value"] > 0.99 < suspect["clean_accuracy"]["value"]
    assert {each["order"] for each in others} == {"ascending", "descending", "unlearned"}
    (unlearned,) = (each for each in others if (each["model"], each["order"]) == REPAIRED)
    assert unlearned["clean_accuracy"]["value"] > 0.95
    assert unlearned["attack_success"]["value"] < 0.05
    network = keras.models.load_model(folder / "recommended/model.keras", compile=False)
    right = np.asarray(network(poisoned.astype(np.float32))).argmax(axis=1) == true
    assert right.mean() > 0.9
