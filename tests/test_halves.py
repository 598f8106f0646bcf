"""One set split in two: class by class, evenly, and what belongs together in one half."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Toy, repairs_in
from invented import invented_verdict
from PIL import Image, ImageEnhance
from test_pictures import picture, write

import goodnet
from goodnet.api import verbs
from goodnet.command.main import main as command
from goodnet.datasets.dataset import Dataset, open_dataset
from goodnet.errors import DataRefused
from goodnet.files import folders
from goodnet.job.inputs import find_data, locate_data
from goodnet.report import inspection
from goodnet.sandbox.reader import halves
from goodnet.sandbox.reader.arrays import Refused
from goodnet.sandbox.reader.halves import half, stem_of, thumbnails

rng = np.random.default_rng(8)
SMOOTH = rng.integers(0, 256, (200, 64)).astype(np.float32)  # thumbnails, none near another


def both(labels: Any, seen: Any, names: Any = None) -> list[list[int]]:
    """The rows of both halves, which together are all rows."""
    names = names or [""] * len(labels)
    parts = [half(part, np.array(labels), seen, names).rows.tolist() for part in halves.PARTS]
    assert sorted(parts[0] + parts[1]) == list(range(len(labels)))
    return parts


def test_every_class_is_halved_and_an_odd_image_is_for_validation() -> None:
    labels = np.arange(35) % 5
    for rows, count in zip(both(labels, SMOOTH[:35]), (4, 3), strict=True):
        assert np.bincount(labels[rows]).tolist() == [count] * 5


def test_names_and_places_decide_nothing_where_no_image_is_like_another() -> None:
    """The same images are in the same half in any order and under any names."""
    order = rng.permutation(100)
    first, _ = both([0] * 100, SMOOTH[:100])
    names = [f"{letter}x.png" for letter in "abcdefghij" for _ in range(10)]
    mixed, _ = both([0] * 100, SMOOTH[order], [f"{n}{name}" for n, name in enumerate(names)])
    assert sorted(order[mixed].tolist()) == first
    assert first != list(range(50)), "drawn, and not the first of them"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("person12_3.jpg", "person12"), ("00012_00003.png", "00012"), ("cat_7.jpg", "cat_7"),
        ("cat_7_flipped.jpg", "cat_7"), ("cat_7 (2).jpg", "cat_7"), ("cat.jpg", "cat"),
        ("12.png", "12"), ("12-crop-3.png", "12"), ("a/1.png", "a/"), ("noending", "noending"),
        ("dog-12_jpg.rf.ab1.jpg", "dog-12"), ("IMG_20230101_120000.jpg", "IMG_20230101"),
    ],
)  # fmt: skip
def test_a_stem_ends_after_the_first_part_with_a_number(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_pictures_of_one_person_or_one_track_stay_together() -> None:
    names = [f"person{person}_{number}.jpg" for person in range(10) for number in range(6)]
    for rows in both([0] * 60, SMOOTH[:60], names):
        assert len(rows) == 30
        assert np.bincount(np.array(rows) // 6, minlength=10).tolist().count(6) == 5
    assert half("test", np.zeros(60), SMOOTH[:60], names).together == 60


def test_a_beginning_that_more_than_half_of_a_class_shares_says_nothing() -> None:
    """ImageNet's names begin with the class."""
    names = [f"n02084071_{number}.JPEG" for number in range(20)]
    assert [len(rows) for rows in both([0] * 20, SMOOTH[:20], names)] == [10, 10]
    assert half("test", np.zeros(20), SMOOTH[:20], names).together == 0


def test_near_copies_stay_together_mirrored_or_not() -> None:
    images = SMOOTH[:40].copy()
    for copy, original in ((30, 3), (31, 3), (32, 20)):
        images[copy] = images[original] + rng.normal(0, 2, 64)
    images[33] = images[7].reshape(8, 8)[:, ::-1].ravel()
    parts = both([0] * 40, images)
    for together in ({3, 30, 31}, {20, 32}, {7, 33}):
        assert sum(together <= set(rows) for rows in parts) == 1
    assert [len(rows) for rows in parts] == [20, 20]
    assert half("test", np.zeros(40), images, [""] * 40).together == 7


def test_frames_of_one_video_are_cut_once_in_the_order_of_their_numbers() -> None:
    """ "frame10" comes after "frame9": a half is a run of frames."""
    frames = SMOOTH[:1] + np.arange(30)[:, None].astype(np.float32)
    order = rng.permutation(30)
    names = [f"frame{number}.jpg" for number in order]
    first, second = both([0] * 30, frames[order], names)
    runs = sorted(sorted(order[rows].tolist()) for rows in (first, second))
    assert runs == [list(range(15)), list(range(15, 30))]


def test_what_is_far_apart_in_a_large_class_is_compared_within_a_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(halves, "WINDOW", 5)
    images = SMOOTH[:20].copy()
    images[6], images[13] = images[2], images[4]
    assert [(row, others.tolist()) for row, others in halves.near_copies(images)] == [(2, [6])]


def test_thumbnails_are_means_of_stretches_as_equal_as_can_be() -> None:
    images = rng.random((2, 24, 16, 3), dtype=np.float32)
    plain = images.mean(axis=3).reshape(2, 8, 3, 8, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(thumbnails(images), plain.reshape(2, 64), rtol=1e-5)
    small = thumbnails(images[:, :3, :1])
    assert small.shape == (2, 64)
    np.testing.assert_allclose(small.reshape(2, 8, 8)[0, [0, -1], 0], images[0, [0, 2], 0].mean(-1))


def test_a_set_of_one_image_a_class_cannot_be_split() -> None:
    assert len(half("validation", np.arange(3), SMOOTH[:3], [""] * 3).rows) == 3
    with pytest.raises(Refused, match="has too few images to be split in two"):
        half("test", np.arange(3), SMOOTH[:3], [""] * 3)


def opened(path: Path, part: str, **fits: Any) -> Dataset:
    (source,) = (s for s in locate_data(str(path)).values() if s.reading.part == part)
    return open_dataset(source.uri, reading=source.reading, **fits)


FITS: dict[str, Any] = {"input_shape": (12, 10, 3), "classes": 5}


@pytest.mark.parametrize("ending", ["npz", "h5"])
@pytest.mark.parametrize("channels_first", [True, False])
def test_a_file_is_split_in_two(small: Toy, ending: str, channels_first: bool) -> None:
    """Whatever block is read at a time; a copy of a picture goes where it is."""
    from goodnet.datasets.dataset import save_dataset

    whole = open_dataset(small.data / "clean/valid.h5", **FITS)
    images, labels = whole.pictures(slice(None)), whole.labels.copy()
    images[40:45] = images[0:5]
    path = small.folder / f"photos.{ending}"
    if ending == "h5":
        save_dataset(path, images, labels)
    else:
        np.savez(path, x=images.transpose(0, 3, 1, 2) if channels_first else images / 255, y=labels)
    parts = [opened(path, part, **FITS) for part in halves.PARTS]
    assert [len(part) for part in parts] == [30, 30]
    assert [part.half for part in parts] == [(60, 10), (60, 10)]
    found = [part.pictures(slice(None)) for part in parts]
    rows = [[int((images == one).all((1, 2, 3)).argmax()) for one in some] for some in found]
    copies = list(range(40)) + list(range(5)) + list(range(45, 60))
    assert sorted(rows[0] + rows[1]) == sorted(copies)
    assert not set(rows[0]) & set(rows[1])
    for part, some in zip(parts, rows, strict=True):
        np.testing.assert_array_equal(part.labels, labels[some])


def test_a_folder_of_class_folders_is_split_in_two(tmp_path: Path) -> None:
    """A photograph saved anew, smaller or mirrored, goes with the photograph."""
    for label in "ab":
        for number in range(6):
            image = picture(100 * ord(label) + number, (64, 48))
            write(tmp_path / label / f"{number}.png", image)
        first = picture(100 * ord(label), (64, 48))
        write(tmp_path / label / "x.jpg", first, quality=60)
        write(
            tmp_path / label / "y.webp",
            first.resize((40, 30)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        )
    fits = {"input_shape": (16, 16, 3), "classes": 2}
    parts = [opened(tmp_path, part, **fits) for part in halves.PARTS]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[4, 4], [4, 4]]
    assert [part.half for part in parts] == [(16, 6), (16, 6)]
    whole = open_dataset(tmp_path, **fits)
    images = np.concatenate([part.pictures(slice(None)) for part in parts])
    assert sorted(map(bytes, images)) == sorted(map(bytes, whole.pictures(slice(None))))
    assert parts[0].sha256 == parts[1].sha256 == folders.identify(str(tmp_path)).sha256


def test_brightness_alone_does_not_hide_a_copy_under_the_same_stem(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "a" / f"cat_{number}.png", picture(number))
        write(
            tmp_path / "a" / f"cat_{number}_dark.png",
            ImageEnhance.Brightness(picture(number)).enhance(0.5),
        )
        write(tmp_path / "b" / f"{number}.png", picture(50 + number))
    dataset = opened(tmp_path, "test", input_shape=(8, 8, 3), classes=2)
    assert dataset.half == (24, 16)


def roles(folder: Path) -> dict[str, tuple[str, str]]:
    """Name and part of each data set by role."""
    found = locate_data(str(folder)).items()
    return {role: (Path(uri).name, reading.part) for role, (uri, reading) in found}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("valid test train", ("valid whole", "test whole")),
        ("val testing", ("val whole", "testing whole")),
        ("Validation Test", ("Validation whole", "Test whole")),
        ("clean/valid clean/test", ("valid whole", "test whole")),
        ("val train", ("val whole", "")),
        ("train test", ("test validation", "test test")),
        ("Training", ("Training validation", "Training test")),
        ("cats dogs", ("data validation", "data test")),
    ],
)
def test_folders_are_found_as_people_name_them(
    names: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    """Pictures that a network was trained on are taken where there are no others."""
    for name in names.split():
        for label in "ab":
            write(tmp_path / "data" / name / label / "0.png")
    found = roles(tmp_path / "data")
    said = [" ".join(found.get(role, ("", ""))).strip() for role in ("clean valid", "clean test")]
    assert said == list(expected)


def test_classes_named_valid_and_test_are_classes_where_pictures_are_in_them(
    tmp_path: Path,
) -> None:
    for name in ("data/valid/0.png", "data/test/0.png"):
        write(tmp_path / name)
    assert roles(tmp_path / "data")["clean valid"] == ("data", "validation")


def test_what_unpacking_an_archive_leaves_is_looked_through(tmp_path: Path) -> None:
    """A folder in a folder, beside another that only a Mac has use for."""
    for name in ("Animals/set/cats/0.png", "Animals/set/dogs/0.png", "__MACOSX/cats/0.png"):
        write(tmp_path / "data" / name)
    (tmp_path / "data/README.txt").write_text("Animals")
    found = {"clean valid": ("set", "validation"), "clean test": ("set", "test")}
    assert roles(tmp_path / "data") == found
    write(tmp_path / "data/Animals/set/__MACOSX/0.png")
    names = folders.ordered_files(str(tmp_path / "data/Animals/set"))
    assert names == ["cats/", "cats/0.png", "dogs/", "dogs/0.png"]
    write(tmp_path / "other/all/train/cats/0.png")
    write(tmp_path / "other/all/test/0.png")
    assert roles(tmp_path / "other")["clean test"] == ("train", "test")


def test_files_of_one_set_are_found_alone(tmp_path: Path) -> None:
    (tmp_path / "photos.npz").write_bytes(b"x")
    expected = {"clean valid": ("photos.npz", "validation"), "clean test": ("photos.npz", "test")}
    assert roles(tmp_path) == roles(tmp_path / "photos.npz") == expected
    (tmp_path / "more.h5").write_bytes(b"x")
    with pytest.raises(
        DataRefused, match=r"has no clean/valid\.h5, no valid/ and no class folders"
    ):
        locate_data(str(tmp_path))
    (tmp_path / "poisoned").mkdir()
    (tmp_path / "poisoned/test.h5").write_bytes(b"x")
    (tmp_path / "test.h5").write_bytes(b"x")
    assert roles(tmp_path)["poisoned test"] == ("test.h5", "whole")
    assert roles(tmp_path)["clean test"] == ("test.h5", "test")
    sets = find_data(str(tmp_path))
    assert sets["clean valid"].stored == sets["clean test"].stored


def test_a_verdict_rests_on_the_half_that_a_repair_validates_with(
    small: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said; and the API opens the same half."""
    seen: list[Dataset] = []

    def detect(model: goodnet.Model, images: Dataset, **_: Any) -> goodnet.Verdict:
        seen.append(images)
        return invented_verdict()

    monkeypatch.setattr(verbs, "detect", detect)
    monkeypatch.setattr(inspection, "verdict_lines", lambda verdict: [])
    photos = small.data / "clean/valid.h5"
    assert command(["inspect", "--verdict", str(small.model), "--data", str(photos)]) == 0
    assert capsys.readouterr().out == f"{inspection.half_line(30, 60, 0)}\n"
    clean = goodnet.load_images(photos, goodnet.load_model(small.model), part="validation")
    assert clean.half == (60, 0)
    np.testing.assert_array_equal(clean.pixels, seen[0].pixels)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("part", halves.PARTS)
def test_a_broken_picture_refuses_both_halves(part: str, ending: str, tmp_path: Path) -> None:
    """Which half it would be in cannot be known."""
    for number in range(4):
        write(tmp_path / "ab"[number % 2] / f"{number}.{ending}", picture(number, (90, 80)))
    bad = tmp_path / "b" / f"3.{ending}"
    bad.write_bytes(bad.read_bytes()[:-200])
    with pytest.raises(DataRefused, match=f"b/3.{ending} is not a readable picture"):
        opened(tmp_path, part, input_shape=(8, 8, 3), classes=2)


@pytest.mark.slow
def test_a_repair_from_one_set_says_that_it_was_split(small: Toy, prefect_server: None) -> None:
    from flows.repair import main as repair

    output = small.folder / "out"
    few = ("--order", "ascending", "--drop", "4", "--method", "pruning", "--output", str(output))
    assert repair([str(small.model), "--data", str(small.data / "clean/valid.h5"), *few]) == 0
    (folder,) = repairs_in(output)
    report = (folder / "report.md").read_text()
    assert "; one set, split in two, class by class: 30 of its 60 images" in report
    assert "Of the set that was split, 0 images are near copies of others" in report
    assert "The same file was given" not in report
    inputs = json.loads((folder / "manifest.json").read_text())["inputs"]
    assert [inputs[role]["part"] for role in ("clean valid", "clean test")] == list(halves.PARTS)
