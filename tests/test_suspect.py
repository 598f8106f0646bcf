"""Models that Keras itself wrote open without Keras' loading, and answer exactly as with it."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import EVALUATION
from networks import CLASSES, IMAGE_SHAPE, NETWORKS, randomise, save

from goodnet.backend import keras
from goodnet.errors import ModelRefused, RequestRefused
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.suspect import Suspect, open_suspect

layers = keras.layers
SUFFIXES = (".h5", ".keras")
SHARED = pytest.mark.skipif(not EVALUATION.is_dir(), reason="the evaluation data is not here")


def answers(network: keras.Model, count: int = 8) -> Any:
    """The scores of random images, of the network's size or 40 x 32."""
    height, width, channels = network.input_shape[1:]
    shape = (count, height or 40, width or 32, channels)
    images = np.random.default_rng(1).random(shape, dtype=np.float32)
    return np.asarray(network(images, training=False))


def assert_opens_as_in_keras(path: Path) -> Suspect:
    """The suspect, whose scores equal those of Keras' own loading, bit by bit."""
    suspect = open_suspect(path)
    expected = answers(keras.models.load_model(path, compile=False))
    np.testing.assert_array_equal(answers(suspect.network), expected)
    assert len(np.unique(expected.round(6))) > 1, "a network with one answer shows nothing"
    return suspect


def head(x: Any) -> Any:
    """Scores of five classes."""
    return layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x))


def backbone(name: str = "backbone", channels: int = 3) -> keras.Model:
    """A model of one input and one output of the same shape, with trainable and other weights."""
    x = inner = keras.Input((*IMAGE_SHAPE[:2], channels))
    x = layers.Conv2D(channels, 3, padding="same", name="conv_a")(x)
    x = layers.BatchNormalization(name="norm_a")(x)
    x = layers.Conv2D(channels, 3, padding="same", name="conv_b")(x)
    x = layers.BatchNormalization(name="norm_b")(x)
    return keras.Model(inner, x, name=name)


def around(inner: keras.Model) -> keras.Model:
    """A classifier with the model inside."""
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(inner(inputs)))


def frozen_layer() -> keras.Model:
    model = NETWORKS["normalised"]()
    model.get_layer("norm_1").trainable = False
    model.get_layer("conv_2").trainable = False
    return model


def frozen_model() -> keras.Model:
    model = NETWORKS["normalised"]()
    model.trainable = False
    return model


def frozen_nested() -> keras.Model:
    inner = backbone()
    inner.trainable = False
    return around(inner)


def partly_frozen_nested() -> keras.Model:
    inner = backbone()
    inner.get_layer("conv_a").trainable = False
    return around(inner)


def partly_thawed_nested() -> keras.Model:
    inner = backbone()
    inner.trainable = False
    inner.get_layer("conv_b").trainable = True
    return around(inner)


def nested_twice() -> keras.Model:
    inner, inputs = backbone(), keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(inner(inner(inputs))))


def nested_side_by_side() -> keras.Model:
    inner, inputs = backbone(), keras.Input(IMAGE_SHAPE)
    twice = layers.Conv2D(3, 1)(inner(inputs))
    return keras.Model(inputs, head(layers.Add()([inner(inputs), inner(twice)])))


def nested_as_output() -> keras.Model:
    """The output is the second of two uses of a nested model."""
    inner = keras.Input((CLASSES,))
    squash = keras.Model(inner, layers.Dense(CLASSES, activation="softmax")(inner), name="squash")
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, squash(layers.Dense(CLASSES)(squash(head(inputs)))))


def nested_alone() -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, NETWORKS["plain"]()(inputs))


def nested_sequentials() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input(IMAGE_SHAPE), layers.Conv2D(4, 3), layers.BatchNormalization()]
    )
    return keras.Sequential(
        [keras.Input(IMAGE_SHAPE), inner, layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)]
    )


def sequential_first() -> keras.Model:
    """A Sequential without an input layer of its own: the first layer is a model."""
    inner = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Conv2D(4, 3), layers.Flatten()])
    return keras.Sequential([inner, layers.Dense(CLASSES)])


def sequential_built_late() -> keras.Model:
    model = keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(CLASSES)])
    model.build((None, *IMAGE_SHAPE))
    return model


def sequential_in_functional() -> keras.Model:
    """A Sequential used twice, and a functional model inside it."""
    inner = keras.Sequential([keras.Input(IMAGE_SHAPE), backbone(), layers.Conv2D(3, 1)])
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, head(layers.Multiply()([inner(inputs), inner(inner(inputs))])))


def sequential_as_output() -> keras.Model:
    squash = keras.Sequential([keras.Input((CLASSES,)), layers.Dense(CLASSES)])
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, squash(squash(head(inputs))))


def three_deep() -> keras.Model:
    return around(keras.Sequential([keras.Input(IMAGE_SHAPE), around_same(backbone("deep"))]))


def around_same(inner: keras.Model) -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, layers.Conv2D(3, 1)(inner(layers.Conv2D(3, 1)(inputs))))


def backbone_with_frozen_call() -> keras.Model:
    """As in transfer learning: the backbone is called with training=False."""
    inputs, inner = keras.Input(IMAGE_SHAPE), backbone()
    return keras.Model(inputs, head(inner(inputs, training=False)))


def shared_layers() -> keras.Model:
    conv, norm = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()
    inputs = keras.Input(IMAGE_SHAPE)
    x = norm(conv(inputs))
    return keras.Model(inputs, head(layers.Concatenate()([x, norm(conv(x)), conv(norm(x))])))


def dropouts() -> keras.Model:
    x = inputs = keras.Input(IMAGE_SHAPE)
    for layer in (
        layers.Conv2D(4, 3), layers.Dropout(0.3), layers.SpatialDropout2D(0.2),
        layers.Dropout(0.2, seed=3), layers.AlphaDropout(0.1), layers.GaussianDropout(0.1),
        layers.GaussianNoise(0.5), layers.ActivityRegularization(0.1, 0.1),
    ):  # fmt: skip
        x = layer(x)
    return keras.Model(inputs, head(x))


def many_layers() -> keras.Model:
    """The list of layer names is longer than an HDF5 attribute may be."""
    x = inputs = keras.Input(IMAGE_SHAPE)
    for number in range(400):
        x = layers.Activation("relu", name=f"a_rather_long_name_{number:0170d}")(x)
    return keras.Model(inputs, head(x))


def unused_branch() -> keras.Model:
    """A model cut out of a larger one."""
    whole = NETWORKS["residual"]()
    return keras.Model(whole.input, head(whole.get_layer("norm_3").output))


def any_size() -> keras.Model:
    x = inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


MODELS: dict[str, Callable[[], keras.Model]] = {
    build.__name__: build
    for build in (
        frozen_layer, frozen_model, frozen_nested, partly_frozen_nested, partly_thawed_nested,
        nested_twice, nested_side_by_side, nested_as_output, nested_alone, nested_sequentials,
        sequential_first, sequential_built_late, sequential_in_functional, sequential_as_output,
        three_deep, backbone_with_frozen_call, shared_layers, dropouts, many_layers,
        unused_branch, any_size,
    )
}  # fmt: skip


@pytest.mark.one_in(4)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_small_networks_answer_as_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    suspect = assert_opens_as_in_keras(save(NETWORKS[name](), tmp_path / f"model{suffix}"))
    assert suspect.format == suffix
    assert suspect.described_by == "its own configuration"
    assert (suspect.input_shape, suspect.classes) == (IMAGE_SHAPE, CLASSES)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_of_every_make_answer_as_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    assert_opens_as_in_keras(save(randomise(MODELS[name]()), tmp_path / f"model{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tensors_added_with_plus_are_added(suffix: str, tmp_path: Path) -> None:
    """Keras stores `a + b` as a function, and cannot open the .h5 file it then writes."""
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    x = (x + inputs) * layers.Conv2D(3, 1)(inputs) - x
    model = randomise(keras.Model(inputs, head(x)))
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    np.testing.assert_array_equal(answers(suspect.network), answers(model))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("axis", [-1, None])
def test_adapted_normalization_keeps_what_it_learnt(
    axis: int | None, suffix: str, tmp_path: Path
) -> None:
    """Also where Keras' own loading fails: in .h5 files with nested models or without an axis."""
    images = np.random.default_rng(0).normal(3, 2, (50, *IMAGE_SHAPE))
    outer, inner = layers.Normalization(axis=axis), layers.Normalization(axis=axis)
    outer.adapt(images)
    inner.adapt(images / 2)
    nested = keras.Sequential([keras.Input(IMAGE_SHAPE), inner])
    inputs = keras.Input(IMAGE_SHAPE)
    for number, x in enumerate((outer(inputs), nested(outer(inputs)))):
        model = keras.Model(inputs, head(x))
        suspect = open_suspect(save(model, tmp_path / f"{number}{suffix}"))
        np.testing.assert_array_equal(answers(suspect.network), answers(model))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_state_of_the_training_is_passed_over(suffix: str, tmp_path: Path) -> None:
    """Optimizer, loss and metrics of a model that was trained."""
    model = NETWORKS["normalised"]()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = np.random.default_rng(0).random((32, *IMAGE_SHAPE), dtype=np.float32)
    model.fit(images, np.arange(32) % CLASSES, epochs=2, verbose=0)
    assert_opens_as_in_keras(save(model, tmp_path / f"model{suffix}"))


def deepid(classes: int = 7) -> keras.Model:
    """A DeepID network with random weights."""
    return randomise(build_network(parse_architecture(deepid_config(classes), "made"), "made"))


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
def test_weights_of_deepid_need_no_architecture(name: str, tmp_path: Path) -> None:
    """In Keras 3's layout, and in Keras 2.3's, as the lab's files are."""
    model = deepid()
    save_weights(model, tmp_path / name)
    suspect = open_suspect(tmp_path / name)
    assert (suspect.described_by, suspect.classes) == ("the built-in DeepID", 7)
    np.testing.assert_array_equal(answers(suspect.network), answers(model))


def save_weights(model: keras.Model, path: Path) -> None:
    """Weights only, in Keras 3's layout, or in that of Keras 2.3 with its names."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
        return
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.3.1"
        for layer in model.layers:
            group = file.create_group(layer.name)
            weights = layer.trainable_weights + layer.non_trainable_weights
            names = [f"{layer.name}/{weight.name}:0" for weight in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group[name] = weight.numpy()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
@pytest.mark.parametrize("make", ["normalised", "separable", "shared", "nested", "sequential"])
def test_weights_open_with_their_architecture(make: str, name: str, tmp_path: Path) -> None:
    model = NETWORKS[make]()
    save_weights(model, tmp_path / name)
    plan = tmp_path / "plan.json"
    plan.write_text(model.to_json())
    suspect = open_suspect(tmp_path / name, architecture=str(plan))
    assert suspect.described_by == str(plan)
    np.testing.assert_array_equal(answers(suspect.network), answers(model))
    with pytest.raises(ModelRefused, match="holds weights only, and they are not those of DeepID"):
        open_suspect(tmp_path / name)


def test_architecture_that_is_none_is_refused(tmp_path: Path) -> None:
    deepid().save_weights(tmp_path / "model.weights.h5")
    for content, fault in (
        ("{", "it is not JSON"),
        ("[" * 100_000, "nested more than 200 deep"),
        ("7", "damaged"),
        ('{"a": NaN}', "holds NaN"),
        ("", "is empty"),
        ("[]", "damaged model configuration"),
    ):
        (tmp_path / "plan.json").write_text(content)
        with pytest.raises((RequestRefused, ModelRefused), match=fault):
            open_suspect(tmp_path / "model.weights.h5", architecture=str(tmp_path / "plan.json"))
    with pytest.raises(RequestRefused, match="no such file"):
        open_suspect(tmp_path / "model.weights.h5", architecture=str(tmp_path / "none.json"))


@SHARED
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("lab3/bd_weights.h5", 1283),
        ("anonymous_1/bd_weights.h5", 1283),
        ("glint12/models/bd_net.h5", 12),
        ("glint12/models/bd_net.keras", 12),
        ("glint12/models/bd_weights.h5", 12),
        ("glint12/models/clean_net.h5", 12),
    ],
)
def test_real_suspects_open(name: str, classes: int) -> None:
    suspect = open_suspect(EVALUATION / name)
    assert (suspect.classes, suspect.input_shape) == (classes, (55, 47, 3))
    if "weights" in name:
        model = build_network(parse_architecture(deepid_config(classes), "made"), "made")
        model.load_weights(EVALUATION / name)
    else:
        model = keras.models.load_model(EVALUATION / name, compile=False)
    np.testing.assert_array_equal(answers(suspect.network), answers(model))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "name", ["ResNet50V2", "MobileNetV2", "EfficientNetB0", "VGG16", "DenseNet121"]
)
def test_applications_answer_as_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    """With random weights, for small images."""
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(64, 64, 3), classes=10)
    assert_opens_as_in_keras(save(randomise(model), tmp_path / f"model{suffix}"))


@pytest.mark.slow
def test_the_deepest_application_opens(tmp_path: Path) -> None:
    """1,028 layers, one behind the other; for images of any size."""
    model = keras.applications.EfficientNetV2L(weights=None, include_top=False, pooling="avg")
    model = keras.Sequential([model, layers.Dense(CLASSES)])
    assert_opens_as_in_keras(save(model, tmp_path / "model.keras"))


NO_CLASSIFIERS: dict[str, tuple[Callable[[], list[keras.layers.Layer]], str]] = {
    "numbers": (
        lambda: [keras.Input((20,)), layers.Dense(3)],
        "takes 20 numbers, no images",
    ),
    "image to image": (
        lambda: [keras.Input(IMAGE_SHAPE), layers.Conv2D(3, 3, padding="same")],
        "makes an image or map of 12 x 10 x 3, no class scores",
    ),
    "one number": (
        lambda: [keras.Input(IMAGE_SHAPE), layers.Flatten(), layers.Dense(1)],
        "makes 1 number and has no sigmoid: that is no score of two classes",
    ),
}


@pytest.mark.parametrize("name", sorted(NO_CLASSIFIERS))
def test_what_is_no_classifier_is_refused_for_its_true_reason(name: str, tmp_path: Path) -> None:
    make, reason = NO_CLASSIFIERS[name]
    with pytest.raises(ModelRefused, match=reason):
        open_suspect(save(keras.Sequential(make()), tmp_path / "model.keras"))


@pytest.mark.parametrize(
    ("group", "reason"),
    [("layer_0", "before version 1"), ("weight0", "it holds 'weight0', and names no layers")],
)
def test_other_weights_are_refused_for_what_they_are(
    group: str, reason: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file[f"{group}/param_0"] = np.zeros(3)
    with pytest.raises(ModelRefused, match=reason):
        open_suspect(tmp_path / "model.h5")


def with_windows_names(path: Path, *, twice: bool = False) -> None:
    """Rename the groups of weights as Keras 2 on Windows named them, with metrics among them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with h5py.File(path.with_suffix(".h5"), "w") as file:

        def rename(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                layer, _, number = name.partition("/vars/")
                file[f"{layer}/vars/{number}".replace("/", "\\", layer.count("/"))] = item[()]

        with h5py.File(io.BytesIO(members["model.weights.h5"])) as old:
            old.visititems(rename)
        file["metrics\\mean/vars/0"] = np.zeros(3)
        if twice:
            file["layers/dense/vars/0"] = np.zeros(3)
    members["model.weights.h5"] = path.with_suffix(".h5").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["plain", "nested"])
def test_files_written_on_windows_open(name: str, tmp_path: Path) -> None:
    """Keras itself opens these on Windows only."""
    model = NETWORKS[name]()
    with_windows_names(save(model, tmp_path / "model.keras"))
    suspect = open_suspect(tmp_path / "model.keras")
    np.testing.assert_array_equal(answers(suspect.network), answers(model))


def test_weights_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    with_windows_names(save(NETWORKS["plain"](), tmp_path / "model.keras"), twice=True)
    with pytest.raises(ModelRefused, match="weights for one layer twice"):
        open_suspect(tmp_path / "model.keras")
