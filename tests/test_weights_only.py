"""Weights without their architecture: it is found beside them, or they are recognised."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras.src.applications.efficientnet as efficientnet
import numpy as np
import pytest
from networks import NETWORKS, randomise
from test_suspect import answers, save_weights

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.files.models import architecture_beside, json_name
from goodnet.job.request import Request, parse_request, with_architecture_beside
from goodnet.network.applications import APPLICATIONS, recognise
from goodnet.network.suspect import open_suspect
from goodnet.network.weights import slots_of

LAYOUTS = ("model.weights.h5", "model.h5")


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("net.weights.h5", "net.json"),
        ("net.weights.h5", "net.weights.json"),
        ("net_weights.h5", "net_weights.json"),
        ("net_weights.h5", "net.json"),
        ("net.h5", "model.json"),
        ("net", "config.json"),
    ],
)
def test_a_keras_json_beside_weights_is_found(name: str, beside: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    (tmp_path / beside).write_text(NETWORKS["plain"]().to_json())
    assert architecture_beside(str(tmp_path / name)) == str(tmp_path / beside)
    assert _request(tmp_path / name).architecture.uri == str(tmp_path / beside)


def _request(path: Path, architecture: str = "auto") -> Any:
    asked: Request = parse_request(
        order="both", drop=[2], layer="auto", preprocessing="auto", architecture=architecture,
        method="auto", budget=2, minutes=5,
    )  # fmt: skip
    return with_architecture_beside(asked, str(path))


def test_json_of_other_things_and_of_other_files_is_passed_over(tmp_path: Path) -> None:
    """TensorFlow.js' model.json, a list of classes, a link, what is asked for by name."""
    path = tmp_path / "net.weights.h5"
    NETWORKS["plain"]().save_weights(path)
    (tmp_path / "net.json").write_text('{"0": "cat"}')
    (tmp_path / "model.json").write_text('{"modelTopology": {"class_name": "Functional"}}')
    (tmp_path / "other.json").write_text(NETWORKS["plain"]().to_json())
    (tmp_path / "config.json").symlink_to("other.json")
    assert architecture_beside(str(path)) is None
    assert _request(path).architecture == "auto"
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(NETWORKS["plain"]().to_json())
    assert _request(path, "deepid").architecture == "deepid"
    assert _request(path).architecture.uri == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("a/net.weights.h5", "net.json"),
        ("s3://bucket/a/Net_Weights.H5", "Net.json"),
        ("net", "net.json"),
        ("weights.h5", "weights.json"),
        ("a.b-weights.hdf5", "a.b.json"),
    ],
)
def test_the_json_is_called_as_the_weights(uri: str, name: str) -> None:
    assert json_name(uri) == name


def test_the_refusal_says_how_to_make_the_json(tmp_path: Path) -> None:
    model = NETWORKS["plain"]()
    path = tmp_path / "net.weights.h5"
    model.save_weights(path)
    with pytest.raises(ModelRefused) as refused:
        open_suspect(path)
    line = "open('net.json', 'w').write(model.to_json())"
    assert refused.value.fault.endswith(f"write its layers to a file beside this one: {line}")
    with (tmp_path / "net.json").open("w") as file:
        file.write(model.to_json())
    suspect = open_suspect(path)
    assert suspect.described_by == str(tmp_path / "net.json")
    np.testing.assert_array_equal(answers(suspect.network), answers(model))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_in_bfloat16_are_read_as_float32(layout: str, tmp_path: Path) -> None:
    """HDF5 has no such type: Keras stores two bytes that mean nothing to it."""
    model = NETWORKS["plain"]()
    (tmp_path / "model.json").write_text(model.to_json())
    weights = model.get_weights()
    for layer in model.layers:
        layer.dtype_policy = "bfloat16"
    half = keras.models.clone_model(model)
    half.set_weights(weights)
    assert half.weights[0].dtype == "bfloat16"
    if layout == "model.h5":
        half.save(tmp_path / "whole.h5")
        with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / layout, "w") as file:
            file.attrs.update(whole["model_weights"].attrs)
            for name in whole["model_weights"]:
                whole.copy(f"model_weights/{name}", file)
    else:
        half.save_weights(tmp_path / layout)
    opened = open_suspect(tmp_path / layout).network.get_weights()
    for one, other in zip(opened, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=2**-8)


@pytest.mark.parametrize("layout", [LAYOUTS[0], pytest.param(LAYOUTS[1], marks=pytest.mark.slow)])
def test_a_network_of_keras_is_recognised_by_its_weights(layout: str, tmp_path: Path) -> None:
    """A narrow MobileNet with three classes; its names are those that any session gives it."""
    keras.layers.Conv2D(1, 1)
    model = randomise(keras.applications.MobileNet(weights=None, classes=3, alpha=0.25))
    save_weights(model, tmp_path / layout)
    suspect = open_suspect(tmp_path / layout)
    assert suspect.described_by == "Keras' MobileNet, alpha 0.25 for 224 x 224 pixels"
    np.testing.assert_array_equal(answers(suspect.network, 2), answers(model, 2))


@pytest.mark.slow
def test_without_its_top_a_network_of_keras_is_refused_for_that(tmp_path: Path) -> None:
    model = keras.applications.MobileNet(weights=None, include_top=False, alpha=0.25)
    model.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(
        ModelRefused, match="those of MobileNet without its top, which makes the cl"
    ):
        open_suspect(tmp_path / "net.weights.h5")


def _stored() -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    model = keras.applications.MobileNet(weights=None, classes=3, alpha=0.25)
    for layer in model.layers:
        if layer.weights:
            yield layer.name, [tuple(weight.shape) for weight in layer.weights]


@pytest.mark.slow
def test_what_only_looks_like_a_network_of_keras_is_none() -> None:
    """Other names, another shape, another width of one layer."""
    stored = list(_stored())
    assert recognise(stored, "keras_2")
    assert (
        recognise([(f"mine_{n}", shapes) for n, (_, shapes) in enumerate(stored)], "keras_2")
        is None
    )
    (name, _), *others = stored
    assert recognise([(name, [(3, 3, 1, 8)]), *others], "keras_2") is None
    assert recognise([*stored[:-1], (stored[-1][0], [(1, 1, 256, 3), (4,)])], "keras_2") is None


SMALL = ("VGG16", "ResNet50", "ResNet50V2", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0",
         "EfficientNetV2B0", "DenseNet121", "InceptionV3", "Xception", "NASNetMobile",
         "ConvNeXtTiny")  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SMALL)
def test_networks_of_keras_are_recognised(name: str, layout: str, tmp_path: Path) -> None:
    shape = {"input_shape": (64, 64, 3)} if name == "VGG16" else {}
    model = randomise(getattr(keras.applications, name)(weights=None, classes=7, **shape))
    save_weights(model, tmp_path / layout)
    suspect = open_suspect(tmp_path / layout)
    assert suspect.described_by.startswith(f"Keras' {name}")
    np.testing.assert_allclose(answers(suspect.network, 1), answers(model, 1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda each: each.name)
def test_every_entry_of_the_table_is_true(application: Any) -> None:
    variant = {"input_shape": (96, 96, 3)} if application.flat else application.variants[-1]
    model = getattr(keras.applications, application.name)(weights=None, classes=9, **variant)
    for layout in ("keras_2", "paths"):
        names = [x.name for x in model.layers if x.weights]
        stored = [
            (key, [tuple(w.shape) for w in weights])
            for key, _, weights in slots_of(model, layout, names)
        ]
        found = recognise(stored, layout)
        assert found is not None
        assert re.match(f"Keras' {application.name}[ ,]", found.name)
        assert json.dumps(found.config)


@pytest.mark.slow
def test_an_efficientnet_with_imagenets_weights_has_their_rescaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `weights="imagenet"` makes it, which has one layer more."""
    model = randomise(keras.applications.EfficientNetB0(weights=None))
    for weight, values in zip(
        next(x for x in model.layers if x.name.startswith("normalization")).weights[:2],
        ([0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]),
        strict=True,
    ):
        weight.assign(values)
    save_weights(model, tmp_path / "model.h5")
    weights = str(tmp_path / "model.h5")
    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: weights)
    expected = keras.applications.EfficientNetB0(weights="imagenet")
    suspect = open_suspect(weights)
    assert "with the rescaling that goes with ImageNet's weights" in suspect.described_by
    np.testing.assert_allclose(answers(suspect.network, 1), answers(expected, 1), atol=1e-5)
