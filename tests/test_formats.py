"""Formats: what a file is, by its first bytes and its ending, and what it takes to add one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from hostile import good_network

from goodnet.errors import InputRefused
from goodnet.files import formats
from goodnet.files.formats import HDF5, ZIP, Kind, recognise

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
from goodnet.job.inputs import find_models, glance
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
    ("uri", "start", "kind", "fault"),
    [
        ("a.h5", b"", "model", "is empty"),
        ("a.h5", ZIP.signature, "model", "is a zip archive, which does not fit the ending '.h5'"),
        ("a.KERAS", HDF5.signature, "model", "is an HDF5 file, which does not fit the ending"),
        ("s3://b.h5/a", HDF5.signature, "model", "which does not fit the ending ''"),
        ("a.h5", b"hello", "model", "is neither HDF5 nor zip, which does not fit the ending"),
        ("a.h5", b"hello", "dataset", "is not an HDF5 file, a zip archive or a folder"),
    ],
)
def test_what_begins_otherwise_is_refused(uri: str, start: bytes, kind: Kind, fault: str) -> None:
    with pytest.raises(InputRefused) as refused:
        recognise(uri, start, kind)
    assert fault in refused.value.fault


def test_a_model_is_known_by_its_ending_and_a_data_set_by_its_first_bytes() -> None:
    hdf5, keras, dataset, npz, *_ = formats.FORMATS
    assert recognise("folder/A.HDF5", HDF5.signature + b"...", "model") == hdf5
    assert recognise("s3://bucket/a.keras", ZIP.signature, "model") == keras
    assert recognise("data", HDF5.signature, "dataset") == dataset
    assert recognise("data.h5", ZIP.signature, "dataset") == npz
    assert formats.suffixes("model") == (".h5", ".hdf5", ".keras")
