"""Folders of class folders, as Keras' `image_dataset_from_directory` reads them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Toy, repairs_in
from networks import keras
from PIL import Image, ImageOps
from test_command_line import goodnet as command
from test_dataset import all_images

import goodnet
from flows.repair import main as repair
from goodnet.backend import tf
from goodnet.datasets.dataset import Dataset, open_dataset
from goodnet.errors import DataRefused
from goodnet.files import folders
from goodnet.job.inputs import find_data, glance, locate_data
from goodnet.network.suspect import open_suspect
from tasks import opened as opened_inputs

CLASSES = ("Cat", "a dog", "bird", "über")  # in alphanumeric order
SIDES = (12, 10)


def picture(seed: int, size: tuple[int, int] = (19, 23)) -> Image.Image:
    """A soft colourful picture, of which JPEG leaves something."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write(path: Path, image: Image.Image | None = None, **options: Any) -> Path:
    """The picture as a file, in folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or picture(len(path.name))).save(path, **options)
    return path


def class_folders(folder: Path, endings: tuple[str, ...] = ("png", "bmp", "PNG")) -> Path:
    """A folder with pictures of several sizes in the folders of four classes."""
    for label, name in enumerate(CLASSES):
        for number, ending in enumerate(endings):
            image = picture(10 * label + number, (9 + 4 * number, 17 - label))
            write(folder / name / f"{number}.{ending}", image)
    write(folder / "bird" / "more" / "0.png", picture(99))
    (folder / "bird" / "notes.txt").write_text("no picture")
    (folder / "README.md").write_text("no picture")
    write(folder / ".hidden" / "0.png")
    return folder


def opened(folder: Path, sides: Any = SIDES, channels: int = 3, classes: int = 4) -> Dataset:
    return open_dataset(folder, input_shape=(*sides, channels), classes=classes)


def by_keras(folder: Path, sides: tuple[int, int] = SIDES, **options: Any) -> tuple[Any, Any, Any]:
    """Pictures, labels and class names as Keras loads them."""
    loaded = keras.utils.image_dataset_from_directory(
        folder, image_size=sides, shuffle=False, verbose=False, **options
    )
    images, labels = zip(*loaded, strict=True)
    return np.concatenate(images), np.concatenate(labels), tuple(loaded.class_names)


@pytest.mark.parametrize("sides", [SIDES, (1, 1), (17, 9), (40, 31)])
def test_class_folders_are_read_as_keras_reads_them(sides: tuple[int, int], tmp_path: Path) -> None:
    """Order, labels, names and every pixel, larger and smaller."""
    folder = class_folders(tmp_path / "set")
    dataset = opened(folder, sides)
    images, labels, names = by_keras(folder, sides)
    np.testing.assert_array_equal(all_images(dataset), images)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.class_names == names == CLASSES
    assert (dataset.white, dataset.axes, dataset.stored_dtype) == (255, "NHWC", "uint8")


def test_jpeg_gif_and_webp_are_read_as_pillow_and_keras_read_them(tmp_path: Path) -> None:
    """JPEG as `load_img` does; Keras' other loader takes a coarser transform, a few levels off."""
    folder = class_folders(tmp_path / "set", ("jpg", "JPEG", "gif"))
    images, labels, _ = by_keras(folder)
    dataset = opened(folder)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert np.abs(all_images(dataset) - images).mean() < 1
    files = [Path(folder, name) for name in folders.ordered_files(str(folder)) if name[-1] != "/"]
    loaded = [tf.image.resize(np.array(keras.utils.load_img(file)), SIDES) for file in files]
    np.testing.assert_array_equal(all_images(dataset), np.stack(loaded))
    image = write(tmp_path / "one/a/0.webp", lossless=True)
    write(tmp_path / "one/b/0.gif", picture(1), save_all=True, append_images=[picture(2)])
    read = all_images(opened(tmp_path / "one", (23, 19), classes=2))
    np.testing.assert_array_equal(read[0], np.array(Image.open(image).convert("RGB")))
    assert np.abs(read[1] - np.array(picture(1))).mean() < 20 < np.abs(read[1] - read[0]).mean()


def deep(colours: bool) -> Any:
    """16 bits a channel, whose lower 8 matter to whoever clips or rounds."""
    shape = (9, 8, 3) if colours else (9, 8)
    return np.random.default_rng(5).integers(0, 1 << 16, shape).astype(np.uint16)


def png16(path: Path, values: Any) -> Path:
    """A PNG of 16-bit RGB, which Pillow cannot write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(values).numpy())
    return path


MODES: dict[str, tuple[Callable[[Path], Path], Callable[[Any], Any]]] = {
    "16-bit gray": (
        lambda path: write(path, Image.fromarray(deep(False))),
        lambda _: np.repeat((deep(False) >> 8)[..., None], 3, axis=2),
    ),
    "16-bit colours": (lambda path: png16(path, deep(True)), lambda _: deep(True) >> 8),
    "1 bit": (
        lambda path: write(path, picture(1).convert("1")),
        lambda _: np.array(picture(1).convert("1").convert("RGB")),
    ),
    "palette": (
        lambda path: write(path, picture(1).quantize(30)),
        lambda _: np.array(picture(1).quantize(30).convert("RGB")),
    ),
    "palette with a transparent colour": (
        lambda path: write(path, picture(1).quantize(30), transparency=2),
        lambda _: np.array(picture(1).quantize(30).convert("RGB")),
    ),
    "alpha": (
        lambda path: write(path, Image.merge("RGBA", (*picture(1).split(), picture(2).split()[0]))),
        lambda _: np.array(picture(1)),
    ),
    "gray and alpha": (
        lambda path: write(path, picture(1).convert("L").convert("LA")),
        lambda _: np.array(picture(1).convert("L").convert("RGB")),
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb_as_in_both_of_keras_loaders(mode: str, tmp_path: Path) -> None:
    """Alpha is dropped; of 16 bits the upper 8 are taken, which only one of the two gets right."""
    build, expected = MODES[mode]
    path = build(tmp_path / "set/a/0.png")
    (tmp_path / "set/b").mkdir()
    pixels = expected(None)
    sides = pixels.shape[:2]
    dataset = opened(tmp_path / "set", sides, classes=2)
    np.testing.assert_array_equal(all_images(dataset)[0], pixels)
    np.testing.assert_array_equal(by_keras(tmp_path / "set", sides)[0][0], pixels)
    if "16" not in mode:
        np.testing.assert_array_equal(np.array(keras.utils.load_img(path)), pixels)


def test_cmyk_and_gray_are_converted_as_load_img_does(tmp_path: Path) -> None:
    path = write(tmp_path / "set/a/0.jpg", picture(1).convert("CMYK"))
    (tmp_path / "set/b").mkdir()
    for channels, mode in ((3, "rgb"), (1, "grayscale"), (4, "rgba")):
        loaded = np.array(keras.utils.load_img(path, color_mode=mode)).reshape(23, 19, channels)
        dataset = opened(tmp_path / "set", (23, 19), channels, classes=2)
        np.testing.assert_array_equal(all_images(dataset)[0], loaded)
    with pytest.raises(DataRefused, match="pictures have no 2 channels"):
        opened(tmp_path / "set", (23, 19), 2, classes=2)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("orientation", [*range(9), 77])
def test_a_picture_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    """As Pillow's own function does it; Keras shows such a picture lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path / "set/a/0.jpg", picture(1), exif=exif)
    (tmp_path / "set/b").mkdir()
    with Image.open(path) as image:
        upright = np.array(ImageOps.exif_transpose(image))
    turned = orientation in (5, 6, 7, 8)
    assert upright.shape == ((19, 23, 3) if turned else (23, 19, 3))
    dataset = opened(tmp_path / "set", upright.shape[:2], classes=2)
    np.testing.assert_array_equal(all_images(dataset)[0], upright)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_names.txt", "über\nbird\nCat\na dog\n"),
        ("labels.txt", "\ufeffüber\r\n\r\nbird\r\nCat\r\na dog"),
        ("labels.txt", "0 über\n1 bird\n2 Cat\n3 a dog\n"),
    ],
)
def test_a_list_inside_gives_the_order_of_the_classes(name: str, text: str, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "set")
    (folder / name).write_bytes(text.encode())
    dataset = opened(folder)
    names = ("über", "bird", "Cat", "a dog")
    images, labels, _ = by_keras(folder, class_names=list(names))
    assert dataset.class_names == names
    for label in range(4):
        expected = images[labels == label]
        np.testing.assert_array_equal(all_images(dataset)[dataset.labels == label], expected)


def test_a_list_may_name_classes_of_which_there_are_no_pictures(tmp_path: Path) -> None:
    """Of poisoned ones there is but the target; without a list nobody knows which class it is."""
    write(tmp_path / "bad/stop/0.png")
    with pytest.raises(DataRefused, match="has 1 class folders and the model 3 classes; a file"):
        opened(tmp_path / "bad", classes=3)
    (tmp_path / "bad/labels.txt").write_text("go\nwait\nstop\n")
    assert opened(tmp_path / "bad", classes=3).labels.tolist() == [2]


def test_a_network_of_any_size_takes_pictures_of_one_size(tmp_path: Path) -> None:
    for name in ("a/0.png", "b/0.png"):
        write(tmp_path / "set" / name)
    assert all_images(opened(tmp_path / "set", (None, None), classes=2)).shape == (2, 23, 19, 3)
    write(tmp_path / "set/b/1.png", picture(2, (30, 20)))
    with pytest.raises(DataRefused, match=r"b/1\.png has 30 x 20 pixels and the first picture 19"):
        opened(tmp_path / "set", (None, None), classes=2)


def test_the_digest_of_a_folder_is_that_of_names_and_contents(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "set")
    stored = folders.identify(str(folder))
    assert opened(folder).sha256 == stored.sha256
    shutil.copytree(folder, tmp_path / "copy")
    assert folders.identify(str(tmp_path / "copy")) == stored._replace(uri=str(tmp_path / "copy"))
    (folder / "README.md").write_text("no part of it")
    (folder / ".hidden" / "0.png").unlink()
    assert folders.identify(str(folder)) == stored
    digests = {stored.sha256}
    for change in (
        lambda: (folder / "Cat/0.png").rename(folder / "Cat/00.png"),
        lambda: (folder / "Cat/00.png").rename(folder / "bird/00.png"),
        lambda: (folder / "bird/00.png").write_bytes((folder / "bird/0.png").read_bytes()),
        lambda: (folder / "class_names.txt").write_text("\n".join(CLASSES)),
        lambda: (folder / "zebra").mkdir(),
    ):
        change()
        digests.add(folders.identify(str(folder)).sha256)
    assert len(digests) == 6


def test_valid_and_test_are_found_as_class_folders(tmp_path: Path) -> None:
    """Nothing is decoded for it; a second set for a role is refused by name."""
    for name in ("valid", "test", "bd/bd_test"):
        write(tmp_path / name / "a/0.png")
    roles = locate_data(str(tmp_path))
    assert {role: source.uri for role, source in roles.items()} == {
        "clean valid": str(tmp_path / "valid"),
        "clean test": str(tmp_path / "test"),
        "poisoned test": str(tmp_path / "bd/bd_test"),
    }
    for uri, reading in roles.values():
        assert reading.part == "whole"
        glance(uri, "dataset")
    stored = find_data(str(tmp_path))["clean valid"].stored
    assert stored == folders.identify(str(tmp_path / "valid"))
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean/valid.npz").write_bytes(b"")
    with pytest.raises(DataRefused, match=r"has clean/valid\.npz and valid/, both as clean valid"):
        locate_data(str(tmp_path))


def test_a_folder_that_is_no_data_set_is_refused_at_a_glance(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for fault in ("has no pictures in class folders", "a/pipe.png is not a regular file"):
        with pytest.raises(DataRefused, match=fault):
            glance(str(tmp_path), "dataset")
        if not (tmp_path / "a/pipe.png").exists():
            os.mkfifo(tmp_path / "a/pipe.png")


def as_class_folders(small: Toy, ending: str) -> Path:
    """The small job's data as class folders, and no files beside them."""
    suspect = open_suspect(small.model)
    places = {"clean/valid": "valid", "clean/test": "test", "bd/bd_test": "bd/bd_test"}
    data = small.folder / "pictures"
    for source, target in places.items():
        path = small.data / f"{source}.h5"
        images = open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
        for row, pixels in enumerate(images.pictures(slice(None))):
            path = data / target / str(images.labels[row]) / f"{row:02}.{ending}"
            write(path, Image.fromarray(pixels))
        lines = "\n".join(str(label) for label in range(suspect.classes))
        (data / target / "class_names.txt").write_text(lines)
    return data


def test_inspect_and_load_images_take_a_folder_of_jpegs(small: Toy) -> None:
    """They see what Keras' own loader sees."""
    folder = as_class_folders(small, "jpg") / "valid"
    (folder / "class_names.txt").unlink()
    model = goodnet.load_model(small.model)
    clean = goodnet.load_images(folder, model)
    images, labels, _ = by_keras(folder)
    np.testing.assert_array_equal(clean.labels, labels)
    answers = model.keras.predict(images / 255, verbose=0).argmax(axis=1)
    ours = model.keras.predict(all_images(clean) / 255, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(ours, answers)
    assert (answers == labels).mean() > 0.5, "they are told apart"
    done = command("inspect", small.model, folder)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (f"sha256         {clean.sha256}", "60, uint8, NHWC", "0..4, 5"):
        assert said in done.stdout


def test_a_folder_that_changed_while_it_was_worked_on_is_refused(small: Toy) -> None:
    stored = find_data(str(as_class_folders(small, "png")))["clean valid"]
    network: Any = open_suspect(small.model)
    assert len(opened_inputs.dataset(stored, network, "clean test")) == 60
    opened_inputs._dataset.cache_clear()
    (Path(stored.uri) / "0" / "00.png").unlink()
    with pytest.raises(DataRefused, match="valid: changed while it was being worked on"):
        opened_inputs.dataset(stored, network, "clean test")


@pytest.mark.slow
def test_a_repair_from_class_folders_is_that_from_the_same_images_in_hdf5(
    small: Toy, prefect_server: None
) -> None:
    data = as_class_folders(small, "png")
    (small.data / "bd/bd_valid.h5").unlink()
    with h5py.File(small.data / "bd/bd_test.h5", "a") as file:
        del file["true_label"]  # which folders cannot say
    results = []
    for name, source in (("hdf5", small.data), ("folders", data)):
        output = small.folder / name
        few = ("--order", "ascending", "--drop", "4", "--method", "pruning")
        assert repair([str(small.model), "--data", str(source), "--output", str(output), *few]) == 0
        (folder,) = repairs_in(output)
        results.append([(folder / each).read_bytes() for each in ("curves.csv", "evaluation.csv")])
    assert results[0] == results[1]
    inputs = json.loads((folder / "manifest.json").read_text())["inputs"]
    assert inputs["clean valid"] == folders.identify(str(data / "valid"))._asdict()


@pytest.mark.parametrize("content", [b"longer than it was", b"x"])
def test_a_picture_that_changes_while_its_folder_is_read_is_refused(
    content: bytes, tmp_path: Path
) -> None:
    """Its size was noted before."""
    path = tmp_path / "a" / "0.png"
    path.parent.mkdir()
    path.write_bytes(b"as it was")
    reading = folders.blocks(str(tmp_path))
    while next(reading) != len(b"as it was").to_bytes(8, "big"):
        pass
    path.write_bytes(content)
    with pytest.raises(DataRefused, match=r"a/0\.png changed while it was read"):
        list(reading)


def test_there_may_be_so_many_files_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they are: a folder of millions is given up while it is listed."""
    folder = class_folders(tmp_path / "set")
    monkeypatch.setattr(folders, "MOST_FILES", 9)
    for look in (folders.ordered_files, folders.every_picture):
        with pytest.raises(DataRefused, match="has more than 9 files"):
            look(str(folder))
    monkeypatch.setattr(folders, "MOST_FILES", 100)
    for number in range(100):
        (folder / "Cat" / f"{number}.txt").write_text("no picture")
    with pytest.raises(DataRefused, match="has more than 100 files"):
        folders.ordered_files(str(folder))
