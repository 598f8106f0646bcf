"""Which files of an inbox have arrived, and what is known of them."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from goodnet.errors import RequestRefused
from goodnet.files import listings, models, storage
from goodnet.files.formats import HDF5
from goodnet.job import inbox

LONG_AGO = time.time() - 3600


def drop(folder: Path, name: str, content: bytes = b"model", when: float = LONG_AGO) -> Path:
    """A file in the inbox, last written to at `when`."""
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (when, when))
    return path


def names(entries: list[listings.ListedFile]) -> list[str]:
    """The names of the files."""
    return [Path(entry.uri).name for entry in entries]


def look(folder: Path, between: Callable[[], object] = lambda: None) -> list[str]:
    """The names of what has arrived; `between` happens between the two looks."""
    return names(
        inbox.settled_files(
            str(folder), {}, quiet_seconds=5, sleep=lambda seconds: between() and None
        )
    )


def test_what_stays_the_same_has_arrived_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("b.h5", "a.keras", "c.model", "notes.txt", "README", ".a.h5.part", ".hidden.h5"):
        drop(tmp_path, name)
    drop(tmp_path, "without_ending", HDF5.signature)
    assert look(tmp_path) == ["a.keras", "b.h5", "c.model", "without_ending"]


def test_a_folder_that_is_a_model_has_arrived_when_all_its_files_have(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    (folder / "variables").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for name in ("saved_model.pb", "variables/variables.index"):
        drop(folder, name)
    assert look(tmp_path, lambda: drop(folder, "variables/variables.data", b"half")) == []
    assert look(tmp_path, lambda: drop(folder, "variables/variables.data", b"whole")) == []
    assert look(tmp_path) == ["net"]
    drop(folder, "saved_model.pb", when=time.time() - 1)
    assert look(tmp_path) == []
    drop(folder, "saved_model.pb")
    entries = inbox.settled_files(str(tmp_path), {}, quiet_seconds=0)
    record = inbox.read_arrivals(entries, {}, pytest.fail)
    assert record[str(folder)].sha256 == models.identify(str(folder)).sha256
    (folder / "link").symlink_to("saved_model.pb")
    entries = inbox.settled_files(str(tmp_path), record, quiet_seconds=0)
    again = inbox.read_arrivals(entries, record, pytest.fail)[str(folder)]
    assert again.sha256 is None
    assert "link is a symbolic link; links are not followed" in again.refused


def test_what_grows_is_replaced_or_goes_between_two_looks_waits(tmp_path: Path) -> None:
    growing = drop(tmp_path, "growing.h5")
    replaced, gone = drop(tmp_path, "replaced.h5"), drop(tmp_path, "gone.h5")
    drop(tmp_path, "whole.h5")

    def change() -> None:
        drop(tmp_path, growing.name, b"model and more")
        other = drop(tmp_path, "other", b"MODEL")
        other.rename(replaced)
        gone.unlink()
        drop(tmp_path, "new.h5")

    assert look(tmp_path, change) == ["whole.h5"]
    assert look(tmp_path) == ["growing.h5", "new.h5", "replaced.h5", "whole.h5"]


def test_what_was_written_to_just_now_waits(tmp_path: Path) -> None:
    drop(tmp_path, "young.h5", when=time.time() - 1)
    drop(tmp_path, "dated_in_the_future.h5", when=time.time() + 3600)
    assert look(tmp_path) == ["dated_in_the_future.h5"]


def test_where_all_is_known_there_is_no_second_look_and_nothing_is_read(tmp_path: Path) -> None:
    drop(tmp_path, "net.h5")
    entries = inbox.settled_files(str(tmp_path), {}, quiet_seconds=0)
    record = inbox.read_arrivals(entries, {}, pytest.fail)

    def never(seconds: float) -> None:
        pytest.fail("looked twice")

    assert inbox.settled_files(str(tmp_path), record, quiet_seconds=5, sleep=never) == entries
    (tmp_path / "net.h5").chmod(0)
    assert inbox.read_arrivals(entries, record, pytest.fail) == record


def test_a_link_or_a_pipe_is_refused_and_what_cannot_be_read_now_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(tmp_path, "good.h5")
    (tmp_path / "link.h5").symlink_to("good.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    drop(tmp_path, "fails\n.h5")
    identify, faults = models.identify, []

    def failing(uri: str) -> storage.StoredFile:
        if "fails" in uri:
            raise OSError(5, "Input/output error")
        return identify(uri)

    monkeypatch.setattr(models, "identify", failing)
    seen = inbox.read_arrivals(listings.entries(str(tmp_path), (".h5",)), {}, faults.append)
    known = {Path(uri).name: (bool(s.sha256), s.refused.split(": ")[-1]) for uri, s in seen.items()}
    assert known == {
        "good.h5": (True, ""),
        "link.h5": (False, "is a symbolic link; give the file itself"),
        "pipe.h5": (False, "is not a regular file"),
    }
    (fault,) = faults
    assert "fails?.h5: " in fault


def test_the_record_survives_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    folder, output = tmp_path / "inbox", str(tmp_path / "artifacts")
    folder.mkdir()
    assert inbox.read_record(output, str(folder)) == {}
    drop(folder, "net.h5")
    seen = inbox.read_arrivals(listings.entries(str(folder), (".h5",)), {}, pytest.fail)
    inbox.write_record(output, str(folder), seen)
    assert inbox.read_record(output, str(folder)) == seen
    assert inbox.read_record(output, "elsewhere") == {}
    (record,) = Path(output).iterdir()
    for damaged in (b"", b"[]", b"{", b'{"a": 1}', b'{"a": ["b"]}', b'{"a": [1, 2, 3]}', b"\xff"):
        record.write_bytes(damaged)
        assert inbox.read_record(output, str(folder)) == {}
    record.write_text(json.dumps(seen))
    assert inbox.read_record(output, str(folder)) == seen


def test_an_inbox_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="nowhere: no such folder"):
        inbox.settled_files(str(tmp_path / "nowhere"), {}, quiet_seconds=0)
