"""Data sets are read as they were written, whatever their form; others are refused in one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import EVALUATION, PROJECT

from goodnet.datasets.dataset import (
    BLOCK,
    Dataset,
    open_clean_dataset,
    open_dataset,
    save_dataset,
)
from goodnet.datasets.images import CleanImages
from goodnet.errors import DataRefused
from goodnet.preprocessing import RAW, SCALES, SIGNED, UNIT, Preprocessing
from goodnet.pruning.sweep import find_preprocessing, mean_activations
from goodnet.sandbox.reader import datasets

COUNT, SHAPE, CLASSES = 300, (6, 5, 3), 7
rng = np.random.default_rng(11)
IMAGES = rng.integers(0, 256, (COUNT, *SHAPE), dtype=np.uint8)
LABELS = rng.integers(0, CLASSES, COUNT)


def written(path: Path, data: Any = IMAGES, label: Any = LABELS, **options: Any) -> Path:
    """The path of a data set with these values; `options` are how the pixels are stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
        file.create_dataset("label", data=label)
    return path


def opened(path: Path, shape: tuple[int | None, ...] = SHAPE, classes: int = CLASSES) -> Dataset:
    return open_dataset(path, input_shape=shape, classes=classes)  # type: ignore[arg-type]


def all_images(dataset: Dataset, scale: Preprocessing = RAW) -> Any:
    return np.concatenate([images for _, images in dataset.blocks(scale)])


FORMS: dict[str, Callable[[Any], Any]] = {
    "uint8": lambda images: images,
    "int64": lambda images: images.astype(np.int64),
    "uint16, big-endian": lambda images: images.astype(">u2"),
    "float16": lambda images: images.astype(np.float16),
    "float32": lambda images: images.astype(np.float32),
    "float64": lambda images: images.astype(np.float64),
    "float64, big-endian": lambda images: images.astype(">f8"),
    "float32 0..1": lambda images: images.astype(np.float32) / np.float32(255),
    "float64 0..1": lambda images: images / 255,
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("axes", ["NHWC", "NCHW"])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_pixels_are_read_as_they_were_written(form: str, axes: str, tmp_path: Path) -> None:
    """In any type, axis order and pixel scale, and given out at any scale."""
    pixels = FORMS[form](IMAGES if axes == "NHWC" else IMAGES.transpose(0, 3, 1, 2))
    dataset = opened(written(tmp_path / "set.h5", pixels))
    assert (dataset.axes, dataset.white) == (axes, 1 if "0..1" in form else 255)
    assert dataset.pixels.dtype == (np.float32 if "0..1" in form else np.uint8)
    assert dataset.stored_dtype == form.split()[0].rstrip(",")
    assert len(dataset) == COUNT > BLOCK
    np.testing.assert_array_equal(dataset.labels, LABELS)
    np.testing.assert_array_equal(dataset.pictures(slice(None)), IMAGES)
    for scale in SCALES:
        images = all_images(dataset, scale)
        assert images.dtype == np.float32
        np.testing.assert_allclose(images, IMAGES * (scale.gain / 255), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_stored_as_minus_1_to_1_are_the_same_images(dtype: type, tmp_path: Path) -> None:
    dataset = opened(written(tmp_path / "set.h5", (IMAGES / 127.5 - 1).astype(dtype)))
    assert (dataset.black, dataset.white) == (-1, 1)
    np.testing.assert_array_equal(dataset.pictures(slice(None)), IMAGES)
    np.testing.assert_allclose(all_images(dataset, UNIT), IMAGES / 255, atol=1e-6)
    np.testing.assert_allclose(all_images(dataset, SIGNED), IMAGES / 127.5 - 1, atol=1e-6)


def test_pixels_that_are_no_whole_numbers_keep_their_fraction(tmp_path: Path) -> None:
    """Also where only the last image has one."""
    pixels = IMAGES.astype(np.float64)
    pixels[-1, 0, 0, 0] = 0.625
    dataset = opened(written(tmp_path / "set.h5", pixels))
    assert dataset.pixels.dtype == np.float32
    np.testing.assert_array_equal(all_images(dataset), pixels)


@pytest.mark.parametrize("axes", ["NHWC", "NCHW"])
def test_a_file_is_decompressed_once_wherever_its_first_fraction_is(
    axes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of 13 images: the type of what is written changes in the first, the last or never."""
    monkeypatch.setattr(datasets, "BLOCK", 13 * 90)
    for row in (0, 200, COUNT - 1, None):
        pixels = IMAGES.astype(np.float32)
        if row is not None:
            pixels[row, 5, 4, 2] = 0.25
        stored = pixels if axes == "NHWC" else pixels.transpose(0, 3, 1, 2)
        reads: list[slice] = []
        (folder := tmp_path / str(row)).mkdir()
        said = datasets.content(Counted(stored, reads), {"label": LABELS}, folder, SHAPE)
        found = np.load(folder / said["data"]["file"])
        np.testing.assert_array_equal(found, pixels)
        assert found.dtype == (np.uint8 if row is None else np.float32)
        assert said["range"] == [float(pixels.min()), float(pixels.max())]
        assert said["axes"] == axes
        assert [rows.start for rows in reads] == sorted({rows.start for rows in reads})
        assert len(list(folder.iterdir())) == 2, "pixels and labels"


class Counted:
    """An array that notes which of its rows are read."""

    def __init__(self, values: Any, reads: list[slice]) -> None:
        self.values, self.reads = values, reads
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> Any:
        self.reads.append(rows)
        return self.values[rows]


@pytest.mark.parametrize("value", [255.0, 1.0])
def test_grayscale_needs_no_channel_axis(value: float, tmp_path: Path) -> None:
    pixels = IMAGES[..., 0] * (value / 255)
    dataset = opened(written(tmp_path / "set.h5", pixels), (*SHAPE[:2], 1))
    np.testing.assert_allclose(all_images(dataset), IMAGES[..., :1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(None, None, 3), (6, None, 3)])
def test_any_size_fits_a_network_that_takes_any(shape: Any, tmp_path: Path) -> None:
    for axes in ((0, 1, 2, 3), (0, 3, 1, 2)):
        dataset = opened(written(tmp_path / "set.h5", IMAGES.transpose(axes)), shape)
        np.testing.assert_array_equal(all_images(dataset), IMAGES)


STORAGE: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip", "compression_opts": 9},
    "lzf": {"compression": "lzf"},
    "shuffle and checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "all images in a chunk": {"compression": "gzip", "chunks": (COUNT, 1, 5, 1)},
    "an image in many chunks": {"compression": "lzf", "chunks": (1, 2, 2, 2)},
    "chunks across the end": {"compression": "gzip", "chunks": (77, 4, 3, 2)},
    "growing": {"maxshape": (None, *SHAPE), "chunks": (13, *SHAPE)},
}


@pytest.mark.parametrize("storage", sorted(STORAGE))
def test_storage_makes_no_difference(storage: str, tmp_path: Path) -> None:
    dataset = opened(written(tmp_path / "set.h5", IMAGES.astype(np.float64), **STORAGE[storage]))
    np.testing.assert_array_equal(all_images(dataset), IMAGES)


@pytest.mark.parametrize(
    ("chunks", "most"),
    [((13, *SHAPE), 13), ((3, 1, 5, 3), 9), ((COUNT, 1, 5, 1), 11), (None, 11)],
)
def test_blocks_are_whole_chunks_unless_these_are_large(
    chunks: Any, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of 1,000 bytes holds 11 images of 90 bytes."""
    monkeypatch.setattr(datasets, "BLOCK", 1000)
    with h5py.File(written(tmp_path / "set.h5", chunks=chunks)) as file:
        blocks = list(datasets.blocks(file["data"]))
    assert {len(block) for block in blocks[:-1]} == {most}
    np.testing.assert_array_equal(np.concatenate(blocks), IMAGES)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", ["i1", "u1", ">i4", "i8", "f4", "f8", ">f8"])
@pytest.mark.parametrize("shape", [(COUNT,), (COUNT, 1)])
def test_labels_may_be_any_whole_numbers(dtype: str, shape: Any, tmp_path: Path) -> None:
    dataset = opened(written(tmp_path / "set.h5", label=LABELS.astype(dtype).reshape(shape)))
    assert dataset.labels.dtype == np.int64
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.true_labels is None


def test_true_labels_are_read_where_they_are(tmp_path: Path) -> None:
    true = LABELS[::-1].copy()
    save_dataset(tmp_path / "set.h5", IMAGES, LABELS, true)
    dataset = opened(tmp_path / "set.h5")
    assert dataset.axes == "NCHW"
    np.testing.assert_array_equal(dataset.true_labels, true)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    np.testing.assert_array_equal(all_images(dataset), IMAGES)


def test_what_else_is_in_the_file_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "set.h5")
    with h5py.File(path, "a") as file:
        file["names"] = ["a", "b"]
        file.create_group("more")["images"] = np.zeros(3)
        file.attrs["note"] = "hello"
    np.testing.assert_array_equal(all_images(opened(path)), IMAGES)


def test_digest_is_that_of_the_file(tmp_path: Path) -> None:
    same, other = written(tmp_path / "a.h5"), written(tmp_path / "b.h5", label=LABELS[::-1])
    (tmp_path / "copy.h5").write_bytes(same.read_bytes())
    digests = [opened(path).sha256 for path in (same, tmp_path / "copy.h5", other)]
    assert digests[0] == digests[1] != digests[2]


def changed(values: Any, place: Any, value: Any) -> Any:
    """A copy with one value changed."""
    copy = np.array(values, dtype=np.float64)
    copy[place] = value
    return copy


LAST = (COUNT - 1, 5, 4, 2)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"data": IMAGES[:0], "label": LABELS[:0]}, "'data' has the shape (0, 6, 5, 3)"),
    "no pixels": ({"data": np.zeros((9, 0, 5, 3)), "label": LABELS[:9]}, "shape (9, 0, 5, 3)"),
    "rank 2": ({"data": IMAGES.reshape(COUNT, -1)}, "'data' has the shape (300, 90), expected"),
    "rank 5": ({"data": IMAGES[..., None]}, "'data' has the shape (300, 6, 5, 3, 1), expected"),
    "rank 0": ({"data": 3.0}, "'data' has the shape ()"),
    "other size": ({"data": IMAGES[:, :5]}, "images of shape (5, 5, 3) do not fit the model"),
    "other channels": ({"data": IMAGES[..., :2]}, "(6, 5, 2) do not fit the model"),
    "gray": ({"data": IMAGES[..., 0]}, "images of shape (6, 5, 1) do not fit"),
    "turned": ({"data": IMAGES.transpose(0, 2, 1, 3)}, "images of shape (5, 6, 3) do not fit"),
    "fewer labels": ({"label": LABELS[1:]}, "'label' has the shape (299,) for 300 images"),
    "more labels": ({"label": np.append(LABELS, 1)}, "'label' has the shape (301,) for 300"),
    "not one-hot": ({"label": np.ones((COUNT, 7))}, "'label' has 7 columns, and row 0 is not one"),
    "one label": ({"label": 3}, "'label' has the shape () for 300 images"),
    "NaN": ({"data": changed(IMAGES, LAST, np.nan)}, "'data' holds NaN or infinite pixels"),
    "infinite": ({"data": changed(IMAGES, LAST, -np.inf)}, "'data' holds NaN or infinite pixels"),
    "beyond float32": ({"data": changed(IMAGES, LAST, 1e300)}, "pixels range over 0..inf"),
    "negative": ({"data": changed(IMAGES, LAST, -1)}, "pixels range over -1..255; they must lie"),
    "too bright": ({"data": changed(IMAGES, LAST, 256)}, "pixels range over 0..256; they must"),
    "int8": ({"data": IMAGES.view(np.int8)}, "pixels range over -128..127"),
    "fraction": ({"label": changed(LABELS, 5, 2.5)}, "'label' holds 2.5, which is no class index"),
    "NaN label": ({"label": changed(LABELS, 5, np.nan)}, "'label' holds nan, which is no class"),
    "infinite label": ({"label": changed(LABELS, 5, np.inf)}, "'label' holds inf, which is no"),
    "huge label": ({"label": changed(LABELS, 5, 1e18)}, "'label' holds 1e+18, which is no class"),
    "label below": ({"label": changed(LABELS, 5, -1)}, "'label' ranges over -1..6; the model has"),
    "label above": ({"label": changed(LABELS, 5, 7)}, "'label' ranges over 0..7; the model has"),
    "text": ({"data": np.full((COUNT, *SHAPE), b"x")}, "'data' holds |S1, not float, int or uint"),
    "truth": ({"data": IMAGES > 9}, "'data' holds bool, not float, int or uint"),
    "complex": ({"data": IMAGES * 1j}, "'data' holds complex128, not float, int or uint"),
    "text labels": ({"label": np.full(COUNT, b"one")}, "has labels of 1 names and the model 7"),
}  # fmt: skip


@pytest.mark.one_in(3)
@pytest.mark.parametrize("fault", sorted(REFUSED))
def test_data_set_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    content, message = REFUSED[fault]
    path = written(tmp_path / "set.h5", **content)
    with pytest.raises(DataRefused) as refused:
        opened(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["data", "label"])
def test_data_and_label_must_be_there_and_be_data_sets(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "set.h5")
    with h5py.File(path, "a") as file:
        del file[name]
    with pytest.raises(DataRefused, match=f"has no data set '{name}'"):
        opened(path)
    with h5py.File(path, "a") as file:
        file.create_group(name)
    with pytest.raises(DataRefused, match=f"'{name}' is a group, not a data set"):
        opened(path)


def test_objects_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "set.h5")
    with h5py.File(path, "a") as file:
        del file["data"]
        kind = h5py.vlen_dtype(np.uint8)
        file.create_dataset("data", (COUNT, *SHAPE), dtype=kind)
    with pytest.raises(DataRefused, match="'data' holds object, not float, int or uint"):
        opened(path)


def test_only_clean_validation_images_may_be_learnt_from(tmp_path: Path) -> None:
    """Test and poisoned images are refused whatever they are called, before one is looked at."""
    path = written(tmp_path / "set.h5")
    clean = open_clean_dataset(path, input_shape=SHAPE, classes=CLASSES)
    assert len(CleanImages.of(clean)) == COUNT
    network: Any = None
    for learn in (
        CleanImages.of,
        lambda data: mean_activations(network, data, RAW),
        lambda data: find_preprocessing(network, data, source="net.h5"),
    ):
        with pytest.raises(TypeError, match=r"set\.h5: only clean validation images"):
            learn(opened(path))  # type: ignore[arg-type]


LEARNT = """
from goodnet.datasets.dataset import CleanDataset, open_clean_dataset, open_dataset
from goodnet.datasets.images import CleanImages
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import find_preprocessing, mean_activations, tally
from goodnet.preprocessing import RAW


def learn(split: Split) -> None:
    clean = open_clean_dataset("a.h5", input_shape=(1, 1, 1), classes=2)
    other = open_dataset("b.h5", input_shape=(1, 1, 1), classes=2)
    CleanImages.of(clean)
    find_preprocessing(split, clean, source="")
    means = mean_activations(split, clean, RAW)
    tally(split, clean, RAW, means[None] > 0)
    tally(split, other, RAW, means[None] > 0)
    CleanImages.of(other)  # refused
    find_preprocessing(split, other, source="")  # refused
    mean_activations(split, other, RAW)  # refused
    same: CleanDataset = other  # refused
"""


@pytest.mark.slow
def test_other_images_are_refused_by_type_where_something_is_learnt(tmp_path: Path) -> None:
    path = tmp_path / "learn.py"
    path.write_text(LEARNT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--follow-imports=silent",
         "--ignore-missing-imports", str(path)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    faults = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line]
    lines = LEARNT.splitlines()
    assert faults == [n for n, line in enumerate(lines, 1) if line.endswith("# refused")], done


@pytest.mark.skipif(not EVALUATION.is_dir(), reason="the evaluation data is not here")
@pytest.mark.parametrize(
    "name", ["lab3/cl/valid.h5", "lab3/bd/bd_test.h5", "glint12/clean/test.h5"]
)
def test_real_data_sets_are_read_as_they_are(name: str) -> None:
    dataset = opened(EVALUATION / name, (55, 47, 3), 1283)
    with h5py.File(EVALUATION / name) as file:
        np.testing.assert_array_equal(dataset.labels, file["label"][:].reshape(-1))
        expected = np.moveaxis(file["data"][:], 1, -1)
    np.testing.assert_array_equal(all_images(dataset), expected.astype(np.float32))
