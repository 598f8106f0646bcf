"""SavedModel folders of Keras 2 open without TensorFlow's loading, and answer as they did there.

They are written by the Keras 2 that TensorFlow has inside.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import saved_models
from hostile import good_members, good_network, raw
from networks import randomise
from saved_models import GRAPH, METADATA, field

from goodnet.backend import keras
from goodnet.errors import ModelRefused, RequestRefused
from goodnet.files import formats, models
from goodnet.job.inputs import glance, identify_model
from goodnet.job.suspects import find_models
from goodnet.network.suspect import open_suspect

SHAPE = (12, 10, 3)
IMAGES = np.random.default_rng(3).random((6, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def keras_2() -> Any:
    """The package of Keras 2 within TensorFlow's; it lacks only its own version."""
    from tensorflow.python import keras as keras_2
    from tensorflow.python.keras import layers, models

    keras_2.__version__ = "2.10.0"

    class BatchNormalization(layers.Layer):  # type: ignore[misc]
        """The one layer that is not in it any more, for inference."""

        def build(self, shape: Any) -> None:
            for name, start in (("gamma", "ones"), ("beta", "zeros")):
                setattr(self, name, self.add_weight(name, shape[-1:], initializer=start))
            for name, start in (("moving_mean", "zeros"), ("moving_variance", "ones")):
                weight = self.add_weight(name, shape[-1:], initializer=start, trainable=False)
                setattr(self, name, weight)

        def call(self, inputs: Any) -> Any:
            factor = self.gamma / (self.moving_variance + 0.001) ** 0.5
            return (inputs - self.moving_mean) * factor + self.beta

        def get_config(self) -> Any:
            return {**super().get_config(), "axis": [3], "epsilon": 0.001, "momentum": 0.99}

    layers.BatchNormalization = BatchNormalization
    return type("Keras2", (), {"layers": layers, "models": models})


def sequential(k: Any) -> Any:
    return k.models.Sequential(
        [
            k.layers.Conv2D(4, 3, activation="relu", input_shape=SHAPE),
            k.layers.BatchNormalization(),
            k.layers.MaxPooling2D(2),
            k.layers.Flatten(),
            k.layers.Dropout(0.5),
            k.layers.Dense(5, activation="softmax"),
        ]
    )


def branches(k: Any) -> Any:
    """Two branches of the same form, a shared layer, and a separable convolution."""
    inputs, shared = k.layers.Input(SHAPE), k.layers.Conv2D(4, 3)
    one, two = (k.layers.SeparableConv2D(4, 3, padding="same")(inputs) for _ in range(2))
    sides = [shared(k.layers.BatchNormalization()(side)) for side in (one, two)]
    pooled = k.layers.GlobalAveragePooling2D()(k.layers.Concatenate()(sides))
    return k.models.Model(inputs, k.layers.Dense(5, activation="softmax")(pooled))


def transfer(k: Any) -> Any:
    """A partly frozen network inside another one."""
    base = k.models.Sequential(
        [
            k.layers.Conv2D(4, 3, input_shape=SHAPE),
            k.layers.BatchNormalization(),
            k.layers.Conv2D(4, 3),
        ]
    )
    base.layers[2].trainable = False
    inputs = k.layers.Input(SHAPE)
    hidden = k.layers.Conv2D(4, 1)(base(inputs))
    return k.models.Model(inputs, k.layers.Dense(5)(k.layers.Flatten()(hidden)))


@pytest.mark.parametrize("build", [sequential, branches, transfer])
def test_a_saved_model_of_keras_2_answers_as_it_did_there(
    build: Callable[[Any], Any], keras_2: Any, tmp_path: Path
) -> None:
    model = build(keras_2)
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(0.1, 1, each.shape) for each in model.get_weights()])
    model.compile("adam", "categorical_crossentropy")
    model.save(tmp_path / "net", save_format="tf")
    assert (tmp_path / "net" / METADATA).exists()
    glance(str(tmp_path / "net"), "model")
    suspect = open_suspect(tmp_path / "net")
    expected = np.asarray(model(IMAGES))
    np.testing.assert_allclose(np.asarray(suspect.network(IMAGES)), expected, atol=1e-5, rtol=1e-5)
    assert (suspect.classes, suspect.input_shape, suspect.format) == (5, SHAPE, ".keras")
    assert suspect.sha256 == identify_model(f"{tmp_path}/net/").sha256


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A network with random weights."""
    return randomise(good_network())


def answers(path: Path | str) -> Any:
    """The scores of a suspect."""
    return np.asarray(open_suspect(path).network(IMAGES))


@pytest.mark.parametrize("listed", [True, False])
def test_weights_are_found_listed_or_by_their_names(
    listed: bool, network: keras.Model, tmp_path: Path
) -> None:
    saved_models.write(saved_models.files_of(network, listed=listed), tmp_path)
    np.testing.assert_array_equal(answers(tmp_path), np.asarray(network(IMAGES)))


def test_what_keras_wrote_into_the_graph_before_it_had_a_file_of_its_own_is_found(
    network: keras.Model, tmp_path: Path
) -> None:
    files = saved_models.files_of(network)
    del files[METADATA]
    text = json.dumps({"model_config": json.loads(network.to_json())})
    root = field(4, field(1, "_tf_keras_network") + field(3, text))
    files[GRAPH] = field(1, 1) + field(2, field(2, b"") + field(7, field(1, root) + field(1, b"")))
    saved_models.write(files, tmp_path)
    np.testing.assert_array_equal(answers(tmp_path), np.asarray(network(IMAGES)))


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_other_precisions_are_read_as_float32(
    kind: str, network: keras.Model, tmp_path: Path
) -> None:
    nodes, arrays = saved_models.objects_of(network)
    others = {key: array.astype(kind) for key, array in arrays.items()}
    files = saved_models.files_of(network) | saved_models.checkpoint(nodes, others)
    saved_models.write(files, tmp_path)
    np.testing.assert_allclose(answers(tmp_path), np.asarray(network(IMAGES)), atol=2e-3)


def test_a_model_that_keras_3_exported_is_refused_for_its_true_reason(tmp_path: Path) -> None:
    network = good_network()
    network.export(tmp_path / "net", format="tf_saved_model", verbose=False)
    with pytest.raises(ModelRefused, match="holds a graph, which is never run") as refused:
        open_suspect(tmp_path / "net")
    assert "save the model with model.save('NAME.keras')" in refused.value.fault


def test_a_keras_archive_that_was_unpacked_opens(tmp_path: Path) -> None:
    saved_models.write(good_members(), tmp_path / "net")
    assert open_suspect(tmp_path / "net").classes == 5


def test_models_in_a_folder_are_files_and_folders_by_name_and_by_content(tmp_path: Path) -> None:
    saved_models.write(good_members(), tmp_path / "b")
    (tmp_path / "no_model" / "images").mkdir(parents=True)
    for name in ("a.model", "c", "d.keras", "notes.txt", ".hidden.h5"):
        raw(name, formats.HDF5.signature)(tmp_path)
    for name in ("README", "empty"):
        raw(name, b"hello" if name == "README" else b"")(tmp_path)
    (tmp_path / "link").symlink_to("c")
    names = ["a.model", "b", "c", "d.keras"]
    assert find_models([str(tmp_path)]) == tuple(str(tmp_path / name) for name in names)
    assert find_models([str(tmp_path / "b")]) == (str(tmp_path / "b"),)
    with pytest.raises(RequestRefused, match=r"has no \.h5 or \.keras file and no SavedModel fold"):
        find_models([str(tmp_path / "no_model")])


def test_a_folders_identity_is_the_content_of_all_its_files(tmp_path: Path) -> None:
    folder = saved_models.write(good_members(), tmp_path / "net")
    before, listed = models.identify(str(folder)), models.entries(str(tmp_path))
    copied = saved_models.write(good_members(), tmp_path / "copy")
    (copied / ".hidden").write_text("passed over")
    assert models.identify(str(copied)).sha256 == before.sha256
    saved_models.write({"assets/new.txt": b"x"}, folder)
    assert models.identify(str(folder)).sha256 != before.sha256
    (after,) = (each for each in models.entries(str(tmp_path)) if each.uri == str(folder))
    assert after.mark != listed[-1].mark
    assert after.bytes == listed[-1].bytes + 1
