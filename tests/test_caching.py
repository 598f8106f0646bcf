"""Cache keys, and what a planted result cannot do."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.serializers import PickleSerializer

from goodnet.files.storage import StoredFile
from tasks.caching import Folder, by_digest


@dataclass(frozen=True)
class Record:
    """A record with a file in it."""

    file: StoredFile
    points: tuple[str, ...]


class Payload:
    """What touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return Path.touch, (self.marker,)


def test_files_count_with_their_content_and_not_with_their_place() -> None:
    one, moved = StoredFile("a/net.h5", "digest", 3), StoredFile("s3://b/other.h5", "digest", 3)
    other = StoredFile("a/net.h5", "another", 3)
    for make in (
        lambda file: {"model": file},
        lambda file: [file, 1],
        lambda file: Record(file, ("2",)),
        lambda file: {"data": {"clean valid": Record(file, ("2",))}},
    ):
        assert by_digest(make(one)) == by_digest(make(moved))
        assert by_digest(make(one)) != by_digest(make(other))
    assert by_digest(Record(one, ("2",))) != by_digest(Record(one, ("4",)))
    assert by_digest({"model": one}, places=True) != by_digest({"model": moved}, places=True)
    assert by_digest({"to": Folder("a")}) == by_digest({"to": Folder("b")})


def test_a_planted_result_is_not_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    blob = PickleSerializer().dumps(Payload(marker))
    with pytest.raises(ValueError, match="unpickling one is refused"):
        PickleSerializer().loads(blob)
    assert not marker.exists()
