"""Formats: what a file is, by its first bytes, and what it takes to add one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import PROJECT
from hostile import archive, data_file, good_h5, good_members, good_network, raw

from goodnet.datasets.dataset import open_dataset
from goodnet.errors import InputRefused
from goodnet.files import formats
from goodnet.files.formats import HDF5, ZIP, Kind, recognise
from goodnet.job.inputs import glance
from goodnet.network.suspect import open_suspect

# All of a new format: its lines in the table, and its readers.
RECORDS = """
ROWS = Container("rows", "a file of rows", b"ROWS")
LISTS = Container("lists", "a file of lists", b"LISTS")
FORMATS += (
    Format("dataset", ROWS, (".rows",), "rows.read_rows", 1 * MIB),
    Format("model", LISTS, (".lists",), "rows.read_lists", 1 * MIB),
)
"""
READERS = """
import json

import numpy as np

from goodnet.sandbox.reader.arrays import Arrays
from goodnet.sandbox.reader.datasets import content


def read_rows(path, folder, input_shape):
    said = json.loads(path.read_bytes().removeprefix(b"ROWS"))
    label = np.array(said["label"])
    return content(np.array(said["data"], np.uint8), {"label": label}, folder, input_shape)


def read_lists(path, folder):
    said, arrays = json.loads(path.read_bytes().removeprefix(b"LISTS")), Arrays(folder)
    layers = [
        {"name": name, "weights": [arrays.save(np.array(each, np.float32)) for each in weights]}
        for name, weights in said["layers"].items()
    ]
    return {"config": said["config"], "layout": "keras_3", "layers": layers}
"""
PROGRAM = """
import json, sys
from goodnet.datasets.dataset import open_dataset
from goodnet.job.inputs import glance
from goodnet.job.suspects import find_models
from goodnet.network.suspect import open_suspect
(model,) = find_models(["."])
glance(model, "model")
suspect = open_suspect(model)
fits = {"input_shape": suspect.input_shape, "classes": suspect.classes}
data = open_dataset("faces.rows", **fits)
print(json.dumps({
    "weights": [array.tolist() for array in suspect.network.get_weights()],
    "format": suspect.format,
    "pixels": data.pixels.tolist(),
    "labels": data.labels.tolist(),
    "axes": data.axes,
}))
"""


def test_a_new_format_takes_its_lines_in_the_table_and_its_reader(tmp_path: Path) -> None:
    """A data set and a model in it are found, recognised and opened in the reader process."""
    shutil.copytree(PROJECT / "goodnet", tmp_path / "goodnet")
    with (tmp_path / "goodnet/files/formats.py").open("a") as table:
        table.write(RECORDS)
    (tmp_path / "goodnet/sandbox/reader/rows.py").write_text(READERS)
    network = good_network()
    layers = {
        layer.name: [array.tolist() for array in layer.get_weights()]
        for layer in network.layers
        if layer.get_weights()
    }
    model = {"config": json.loads(network.to_json()), "layers": layers}
    (tmp_path / "net.lists").write_text(f"LISTS{json.dumps(model)}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 10))
    rows = {"data": pixels.tolist(), "label": [4, 0]}
    (tmp_path / "faces.rows").write_text(f"ROWS{json.dumps(rows)}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened = json.loads(done.stdout)
    for array, expected in zip(opened["weights"], network.get_weights(), strict=True):
        np.testing.assert_array_equal(np.array(array, np.float32), expected)
    np.testing.assert_array_equal(opened["pixels"], pixels.transpose(0, 2, 3, 1))
    assert (opened["labels"], opened["axes"], opened["format"]) == ([4, 0], "NCHW", ".keras")


@pytest.mark.parametrize(
    ("start", "kind", "fault"),
    [
        (b"", "model", "is empty"),
        (b"hello", "model", "is not an HDF5 file, a zip archive or a SavedModel"),
        (b"hello", "dataset", "is not an HDF5 file, a zip archive or a folder of class folders"),
        (
            bytes(100) + HDF5.signature,
            "model",
            "is not an HDF5 file, a zip archive or a SavedModel",
        ),
        (bytes(512) + ZIP.signature, "model", "is not an HDF5 file, a zip archive or a SavedModel"),
        (b"version https://git-lfs.github.com", "dataset", "it is a pointer to a file in Git LFS"),
    ],
)
def test_what_begins_otherwise_is_refused(start: bytes, kind: Kind, fault: str) -> None:
    with pytest.raises(InputRefused) as refused:
        recognise("a.h5", start, kind)
    assert fault in refused.value.fault


def test_what_a_file_is_its_first_bytes_say_whatever_its_name() -> None:
    hdf5, keras, _, dataset, npz, *_ = formats.FORMATS
    for uri in ("folder/A.HDF5", "a.keras", "s3://bucket/net", "liveness.model"):
        assert recognise(uri, HDF5.signature + b"...", "model") == hdf5
        assert recognise(uri, ZIP.signature, "model") == keras
        assert recognise(uri, HDF5.signature, "dataset") == dataset
        assert recognise(uri, ZIP.signature, "dataset") == npz
    assert formats.suffixes("model") == (".h5", ".hdf5", ".model", ".keras")


def test_a_user_block_may_come_before_hdf5_and_what_is_in_a_zip_archive_is_no_sign() -> None:
    hdf5, keras, *_ = formats.FORMATS
    for power in range(9, 20):
        assert recognise("a", bytes(1 << power) + HDF5.signature, "model") == hdf5
    assert formats.telling_bytes() == (1 << 19) + len(HDF5.signature)
    assert recognise("a", ZIP.signature.ljust(512) + HDF5.signature, "model") == keras


NAMES = ("net.hdf5", "liveness.model", "net.keras", "net.h5", "net", "net.v2.final")


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [archive(good_members(), "made"), raw("made", good_h5)])
def test_models_open_by_their_content(make: Any, name: str, tmp_path: Path) -> None:
    path = make(tmp_path).rename(tmp_path / name)
    glance(str(path), "model")
    suspect = open_suspect(path)
    written_by_hdf5 = path.read_bytes().startswith(HDF5.signature)
    assert (suspect.classes, suspect.format) == (5, ".h5" if written_by_hdf5 else ".keras")


@pytest.mark.parametrize("size", [512, 2048, 65536])
def test_hdf5_behind_a_user_block_opens(size: int, tmp_path: Path) -> None:
    """A model, and images."""
    for name, content in (("net.h5", good_h5()), ("data.h5", data_file()(tmp_path).read_bytes())):
        (tmp_path / "plain").write_bytes(content)
        with (
            h5py.File(tmp_path / "plain") as plain,
            h5py.File(tmp_path / name, "w", userblock_size=size) as copy,
        ):
            for each in plain:
                plain.copy(each, copy)
            copy.attrs.update(plain.attrs)
        with (tmp_path / name).open("r+b") as file:
            file.write(b"MATLAB")
    assert open_suspect(tmp_path / "net.h5").classes == 5
    assert len(open_dataset(tmp_path / "data.h5", input_shape=(12, 10, 3), classes=5)) == 6


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"my net/{name}",
        lambda name: f"my net\\{name}",
        lambda name: name if name != "metadata.json" else "__MACOSX/._config.json",
        lambda name: name if name != "metadata.json" else "assets\\layer\\vocabulary.txt",
    ],
)
def test_keras_archives_packed_by_hand_open(rename: Any, tmp_path: Path) -> None:
    """In a folder, by Windows with its own separator, with other files beside."""
    members = {rename(name): content for name, content in good_members().items()}
    assert open_suspect(archive(members)(tmp_path)).classes == 5
