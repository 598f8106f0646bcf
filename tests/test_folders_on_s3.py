"""Folders of class folders on S3 are the data sets that the same folders on disk are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_stores import moto_server, new_bucket
from test_dataset import all_images
from test_pictures import CLASSES, class_folders, opened, picture, write

from goodnet.errors import DataRefused, InputRefused
from goodnet.files import folders, s3, storage
from goodnet.job.inputs import find_data, glance, locate_data


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of moto's S3."""
    with moto_server() as address:
        yield address


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket."""
    return new_bucket(address, monkeypatch)


def uploaded(folder: Path, uri: str) -> str:
    """The URI of a copy of a folder, hidden files and all."""
    for path in folder.rglob("*"):
        if path.is_file():
            storage.put(path, f"{uri}/{path.relative_to(folder)}")
    return uri


def test_the_same_pictures_are_the_same_set(bucket: str, tmp_path: Path) -> None:
    """Of two dozen files of all kinds, fetched at the same time, each is where it belongs."""
    folder = class_folders(tmp_path / "set", ("png", "bmp", "jpg", "gif", "webp"))
    (folder / "labels.txt").write_text("\n".join(CLASSES[::-1]))
    uri = uploaded(folder, f"{bucket}/deep/set")
    assert folders.ordered_files(uri) == folders.ordered_files(str(folder))
    assert folders.identify(uri) == folders.identify(str(folder))._replace(uri=uri)
    here, there = opened(folder), opened(uri)  # type: ignore[arg-type]
    np.testing.assert_array_equal(all_images(there), all_images(here))
    np.testing.assert_array_equal(there.labels, here.labels)
    assert (there.sha256, there.class_names) == (here.sha256, CLASSES[::-1])
    every = [
        f"{uri}/{Path(path).relative_to(folder)}" for path in folders.every_picture(str(folder))
    ]
    assert folders.every_picture(uri) == every


@pytest.mark.slow
def test_another_picture_is_another_set(bucket: str, tmp_path: Path) -> None:
    uri = uploaded(class_folders(tmp_path / "set"), f"{bucket}/set")
    digests = {folders.identify(uri).sha256}
    for name, content in (
        ("Cat/0.png", (tmp_path / "set/Cat/1.bmp").read_bytes()),
        ("bird/9.png", (tmp_path / "set/Cat/1.bmp").read_bytes()),
        ("class_names.txt", "\n".join(CLASSES).encode()),
        ("zebra/", b""),
    ):
        storage.put(content, f"{uri}/{name}")
        digests.add(folders.identify(uri).sha256)
    assert len(digests) == 5
    assert "zebra/" in folders.ordered_files(uri)


def test_a_picture_that_is_replaced_while_the_set_is_read_is_a_fault(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a mixture: what was listed is what is read, by its ETag."""
    uri = uploaded(class_folders(tmp_path / "set"), f"{bucket}/set")
    members = folders.ordered_members(uri)
    storage.put(b"another", f"{uri}/Cat/0.png")
    monkeypatch.setattr(folders, "ordered_members", lambda folder, loose: members)
    with pytest.raises(OSError, match=r"set/Cat/0\.png: "):
        folders.identify(uri)


@pytest.mark.slow
def test_large_pictures_and_long_listings_come_in_parts(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = uploaded(class_folders(tmp_path / "set"), f"{bucket}/set")
    expected = folders.identify(str(tmp_path / "set")).sha256
    ask = s3._call

    def in_pages(uri: str, method: str, **how: Any) -> dict[str, Any]:
        pages = {"MaxKeys": 3} if method == "list_objects_v2" else {}
        return ask(uri, method, **{**how, **pages})

    monkeypatch.setattr(s3, "_call", in_pages)
    monkeypatch.setattr(s3, "BLOCK", 100)
    assert folders.identify(uri).sha256 == expected


def test_sets_are_found_under_their_names_or_as_one_to_be_split(
    bucket: str, tmp_path: Path
) -> None:
    for name in ("val", "Test"):
        for label in CLASSES:
            write(tmp_path / "data" / name / label / "0.png", picture(len(name)))
    data = uploaded(tmp_path / "data", f"{bucket}/data")
    places = {role: source.uri for role, source in locate_data(data).items()}
    assert places == {"clean valid": f"{data}/val", "clean test": f"{data}/Test"}
    for uri in places.values():
        glance(uri, "dataset")
    stored = find_data(data)["clean valid"].stored
    assert stored.sha256 == folders.identify(str(tmp_path / "data/val")).sha256
    parts = {source.reading.part for source in locate_data(f"{data}/val/").values()}
    assert parts == {"validation", "test"}
    with pytest.raises(
        DataRefused, match=r"has no clean/valid\.h5, no valid/ and no class folders"
    ):
        locate_data(f"{bucket}/nowhere")


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("a//0.png", "has an object 'a//0.png', which no folder could hold"),
        ("/a/0.png", "has an object '/a/0.png', which no folder could hold"),
        ("/".join("a" * 30) + "/0.png", "has folders nested more than 20 deep"),
        ("0.png", "has no pictures in class folders"),
        ("../a/0.png", "has no pictures in class folders"),
        ("a/.hidden/0.png", "has no pictures in class folders"),
        ("a/notes.txt", "has no pictures in class folders"),
    ],
)
def test_objects_that_make_no_set_are_refused(key: str, fault: str, bucket: str) -> None:
    name = bucket.removeprefix("s3://")
    s3._system().call_s3("put_object", Bucket=name, Key=f"set/{key}", Body=b"x")
    with pytest.raises(InputRefused) as refused:
        glance(f"{bucket}/set", "dataset")
    assert str(refused.value) == f"{bucket}/set: {fault}" + (
        ", one folder for each class" if "class folders" in fault else ""
    )
