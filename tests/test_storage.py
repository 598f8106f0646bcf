"""Files are there whole or not at all, and are what they were."""

import os
from pathlib import Path

import pytest

from goodnet.errors import InputRefused, ModelRefused, RequestRefused
from goodnet.files import storage
from goodnet.files.paths import repair_folder, safe_name
from goodnet.job.inputs import find_data, find_output
from goodnet.job.request import parse_request
from goodnet.job.suspects import find_models


def test_what_is_put_is_held_until_it_changes(tmp_path: Path) -> None:
    uri = storage.join(str(tmp_path), "folder/file.txt")
    stored = storage.put(b"content", uri)
    assert Path(uri).read_bytes() == b"content"
    assert stored == storage.identify(uri)
    assert storage.matches(stored)
    Path(uri).write_bytes(b"contenT")
    assert not storage.matches(stored)
    Path(uri).unlink()
    assert not storage.matches(stored)


def test_who_reads_a_file_while_it_is_replaced_reads_the_older_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    storage.put(b"older", str(target))
    with target.open("rb") as reader:
        storage.put(b"newer", str(target))
        assert reader.read() == b"older"
    assert target.read_bytes() == b"newer"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.txt"
    target.write_bytes(b"older")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.put(b"newer", str(target))
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert target.read_bytes() == b"older"


def test_an_output_folder_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    find_output(str(tmp_path))
    find_output(str(tmp_path / "not" / "there" / "yet"))
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder, fault in (
        (tmp_path / "file", "file: is not a folder"),
        (tmp_path / "file" / "below", "file is not a folder"),
        (tmp_path / "link", "link: is not a folder"),
        (tmp_path / ("n" * 300), "File name too long"),
        (Path("/proc/artifacts"), "No such file or directory"),
    ):
        with pytest.raises(RequestRefused, match=fault) as refused:
            find_output(str(folder))
        assert refused.value.source == str(folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


def test_links_pipes_and_folders_are_not_files(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name, fault in (
        ("link", "symbolic link"),
        ("pipe", "not a regular file"),
        ("", "not a regular file"),
        ("missing", "no such file"),
    ):
        with pytest.raises(InputRefused, match=fault):
            storage.identify(str(tmp_path / name))


def test_a_refusal_of_a_local_path_names_it_as_it_was_given() -> None:
    """Whoever is refused the file; what is said of other files stays as it is."""
    for given, named in ((".//a/./net.h5", ".//a/./net.h5"), ("other.h5", "plan.json")):
        with pytest.raises(ModelRefused) as refused, storage.local_file(given) as path:
            raise ModelRefused("plan.json" if named == "plan.json" else path, "is damaged")
        assert (refused.value.source, refused.value.fault) == (named, "is damaged")


def test_models_are_found_in_folders_each_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.h5", "a.keras", "notes.txt", ".hidden.h5"):
        (tmp_path / name).write_bytes(b"")
    folder = str(tmp_path)
    expected = (f"{folder}/a.keras", f"{folder}/b.h5")
    assert find_models([folder, f"{folder}/b.h5"]) == expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestRefused, match=r"empty: has no \.h5"):
        find_models([f"{folder}/empty"])


def test_cl_is_accepted_for_clean_and_poisoned_sets_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "cl").mkdir()
    for name in ("valid", "test"):
        (tmp_path / "cl" / f"{name}.h5").write_bytes(name.encode())
    assert set(find_data(str(tmp_path))) == {"clean valid", "clean test"}
    (tmp_path / "cl" / "test.h5").unlink()
    assert set(find_data(str(tmp_path))) == {"clean valid"}
    (tmp_path / "cl" / "valid.h5").unlink()
    with pytest.raises(InputRefused, match=r"has no clean/valid\.h5, no valid/ and no class fol"):
        find_data(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("models/bd_net.h5", "bd_net"),
        ("../../etc/passwd", "passwd"),
        ("..", "model"),
        ("<b>x</b>\n.keras", "b"),
        ("s3://bucket/inbox/net 1.h5", "net_1"),
        ("a" * 200 + ".h5", "a" * 60),
        ("", "model"),
    ],
)
def test_a_models_name_becomes_one_safe_part_of_a_path(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert repair_folder(name, "0123456789abcdef") == f"{safe}-0123456789ab"


def test_parameters_are_checked_before_anything_starts() -> None:
    good = {"order": "both", "drop": [2], "layer": "auto", "preprocessing": "auto"}
    good |= {"method": "auto", "budget": 2, "minutes": 5}
    assert parse_request(**good, architecture="auto").directions == ("ascending", "descending")
    assert [
        parse_request(**good, architecture="auto", verdict=verdict).minutes
        for verdict in ("on", "off")
    ] == [5, 0]
    for name, value in (
        ("order", "sideways"),
        ("preprocessing", "percent"),
        ("drop", [0]),
        ("method", "prayer"),
        ("budget", -1),
        ("minutes", 0),
        ("verdict", "maybe"),
    ):
        with pytest.raises(RequestRefused, match=f"--{name}"):
            parse_request(**{**good, name: value}, architecture="auto")
