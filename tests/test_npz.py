"""Data sets as NumPy's archives, and HDF5 under other names: read as they were written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_dataset import CLASSES, COUNT, IMAGES, LABELS, all_images, opened

from goodnet.datasets.dataset import open_dataset
from goodnet.errors import DataRefused
from goodnet.job.inputs import find_data, locate_data
from goodnet.sandbox.reader import datasets

Save = Callable[..., None]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "form",
    [np.ascontiguousarray, np.asfortranarray, lambda images: images.astype(">f8")],
    ids=["C", "Fortran", "big-endian"],
)
def test_an_archive_is_read_as_it_was_written(
    form: Any, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of 13 images, too."""
    path = tmp_path / "set.npz"
    save(path, x=form(IMAGES), y=LABELS)
    dataset = opened(path)
    np.testing.assert_array_equal(all_images(dataset), IMAGES)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert (dataset.axes, dataset.true_labels) == ("NHWC", None)
    monkeypatch.setattr(datasets, "BLOCK", 13 * 90)
    (folder := tmp_path / "arrays").mkdir()
    said = datasets.read_npz(path, folder, (6, 5, 3))
    np.testing.assert_array_equal(np.load(folder / said["data"]["file"]), IMAGES)
    assert len(list(folder.iterdir())) == 2, "nothing unpacked is left"


def test_channels_first_grayscale_and_true_labels_work_as_in_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x=IMAGES.transpose(0, 3, 1, 2), y=LABELS, true_label=LABELS[::-1])
    dataset = opened(path)
    np.testing.assert_array_equal(dataset.true_labels, LABELS[::-1])
    np.testing.assert_array_equal(all_images(dataset), IMAGES)
    np.savez(path, x=IMAGES[..., 0] / 255, y=LABELS)
    np.testing.assert_allclose(all_images(opened(path, (6, 5, 1))), IMAGES[..., :1], rtol=1e-6)


OTHER = IMAGES[::-1], LABELS[::-1]
NAMES: dict[str, dict[str, Any]] = {
    name: {image: IMAGES, label: LABELS}
    for name, image, label in (
        ("x", "x", "y"),
        ("images", "images", "labels"),
        ("x_test", "x_test", "y_test"),
        ("x_valid", "x_valid", "y_valid"),
        ("x_val", "x_val", "y_val"),
        ("x_train", "x_train", "y_train"),
        ("lab", "data", "label"),
        ("others", "pictures", "target"),
        ("data and classes", "data", "classes"),
    )
} | {
    "Keras' own": {"x_train": OTHER[0], "y_train": OTHER[1], "x_test": IMAGES, "y_test": LABELS},
    "one-hot": {"x": IMAGES, "y": np.eye(CLASSES)[LABELS]},
    "one-hot, other names": {"a": IMAGES, "b": np.eye(CLASSES, dtype=np.int8)[LABELS]},
    "column": {"x": IMAGES, "y": LABELS[:, None]},
    "more beside": {"a": IMAGES, "b": LABELS, "names": np.array(["x", "y"]), "c": np.zeros(3)},
    "lab before others": {"data": IMAGES, "label": LABELS, "x": OTHER[0], "y": OTHER[1]},
}


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_found_by_name_or_by_their_axes(
    name: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"set{suffix}"
    if suffix == ".npz":
        np.savez(path, **NAMES[name])
    else:
        with h5py.File(path, "w") as file:
            for key, values in NAMES[name].items():
                file[key] = values.astype("S") if values.dtype.kind == "U" else values
    dataset = opened(path)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    np.testing.assert_array_equal(all_images(dataset), IMAGES)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"x": IMAGES, "y": LABELS, "images": IMAGES, "labels": LABELS},
         "holds x/y, images/labels: which of them is meant? Keep one pair in a file"),
        ({"x_test": IMAGES, "y_test": LABELS, "x_valid": IMAGES, "y_valid": LABELS}, "which of"),
        ({"a": IMAGES, "b": LABELS, "c": LABELS}, "has no array 'data'; it holds a, b, c"),
        ({"a": IMAGES, "b": IMAGES, "c": LABELS}, "has no array 'data'; it holds a, b, c"),
        ({"a": IMAGES, "b": LABELS[1:]}, "has no array 'data'"),
        ({"x": IMAGES, "y": LABELS[1:]}, "'y' has the shape (299,) for 300 images"),
        ({"x": IMAGES, "y": np.eye(CLASSES)[LABELS] * 2}, "7 columns, and row 0 is not one-hot"),
        ({"x": IMAGES, "y": np.ones((COUNT, 7))}, "row 0 is not one-hot"),
        ({"x": IMAGES, "y": np.full((COUNT, 7), np.nan)}, "row 0 is not one-hot"),
        ({"none": np.zeros(0)}, "has no array 'data'; it holds none"),
    ],
)  # fmt: skip
def test_what_does_not_say_which_is_which_is_refused(
    arrays: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataRefused) as refused:
        opened(path)
    assert fault in refused.value.fault


SETS = [
    ("x_val", "y_val", "x_test", "y_test"),
    ("x_valid", "y_valid", "x_test", "y_test"),
    ("X_validation", "Y_validation", "X_test", "Y_test"),
    ("Xval", "yval", "Xtest", "ytest"),
    ("valX", "valY", "testX", "testY"),
    ("val_images", "val_labels", "test_images", "test_labels"),
    ("images_valid", "targets_valid", "images_test", "targets_test"),
    ("dev_set_x", "dev_set_y", "test_set_x", "test_set_y"),
    ("valid_data", "valid_label", "testing_data", "testing_label"),
    ("val/images", "val/labels", "test/images", "test/labels"),
    ("Validation/x", "Validation/y", "Test/x", "Test/y"),
]


@pytest.mark.one_in(8)
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("names", SETS, ids=lambda names: names[0])
def test_validation_and_test_of_one_file_are_the_two_sets(
    names: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    """And what is to be trained on is passed over."""
    path, (x, y, test_x, test_y) = tmp_path / f"all{suffix}", names
    sets = {x: IMAGES[:9], y: LABELS[:9], test_x: OTHER[0], test_y: OTHER[1]}
    train = [name.lower().replace("testing", "test").replace("test", "train") for name in names[2:]]
    sets |= {train[0]: IMAGES[9:], train[1]: LABELS[9:]}
    if suffix == ".npz":
        np.savez(path, **sets)
    else:
        with h5py.File(path, "w") as file:
            for name, values in sets.items():
                file[name] = values
    read = {}
    for role, (uri, reading) in locate_data(str(path)).items():
        read[role] = open_dataset(uri, input_shape=(6, 5, 3), classes=CLASSES, reading=reading)
    valid, test = read["clean valid"], read["clean test"]
    np.testing.assert_array_equal(all_images(valid), IMAGES[:9])
    np.testing.assert_array_equal(test.labels, OTHER[1])
    assert (valid.array, test.array, valid.half, test.half) == (x, test_x, None, None)
    with pytest.raises(DataRefused, match=r"which of them is meant\? Keep one pair"):
        opened(path)


def test_one_of_both_in_a_file_is_split_in_two(tmp_path: Path) -> None:
    for name in ("val", "test"):
        np.savez(path := tmp_path / f"{name}.npz", **{f"X_{name}": IMAGES, f"y_{name}": LABELS})
        sources = locate_data(str(path)).values()
        halves = [
            open_dataset(uri, input_shape=(6, 5, 3), classes=CLASSES, reading=reading)
            for uri, reading in sources
        ]
        assert sum(map(len, halves)) == COUNT and all(half.half for half in halves)


def test_a_group_that_is_a_link_is_passed_over(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "set.h5", "w") as file:
        file["x"], file["y"] = IMAGES, LABELS
        file["val"], file["test"] = h5py.SoftLink("/"), h5py.ExternalLink("/etc/passwd", "/")
        file["dev/train"] = h5py.SoftLink("/dev")
    np.testing.assert_array_equal(opened(path).labels, LABELS)


def test_roles_of_a_folder_are_found_under_any_ending(tmp_path: Path) -> None:
    """Two files for one role are refused by name."""
    for folder in ("clean", "bd", "cl"):
        (tmp_path / folder).mkdir()
    for name in ("clean/valid.npz", "cl/test.hdf5", "bd/bd_test.npz"):
        (tmp_path / name).write_bytes(name.encode())
    roles = locate_data(str(tmp_path))
    assert {role: Path(uri).name for role, (uri, _) in roles.items()} == {
        "clean valid": "valid.npz", "clean test": "test.hdf5", "poisoned test": "bd_test.npz",
    }  # fmt: skip
    assert set(find_data(str(tmp_path))) == set(roles)
    (tmp_path / "clean/valid.h5").write_bytes(b"")
    with pytest.raises(DataRefused) as refused:
        locate_data(str(tmp_path))
    assert refused.value.fault == (
        "has clean/valid.h5 and clean/valid.npz, both as clean valid; keep one"
    )
