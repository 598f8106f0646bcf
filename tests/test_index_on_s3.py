"""The index of all repairs on S3: as on disk, and nothing is lost between two writers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from object_stores import moto_server, new_bucket
from test_index import NAMED, Page, leave, table, write_side_by_side

from goodnet.report.index import update_index


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of moto's S3."""
    with moto_server() as address:
        yield address


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket."""
    return new_bucket(address, monkeypatch)


def test_the_index_is_that_of_the_same_folders_on_disk(bucket: str, tmp_path: Path) -> None:
    output = f"{bucket}/artifacts"
    for place in (output, str(tmp_path)):
        leave(place, "net-1", NAMED, picture=b"webp")
        leave(place, "other-2/deeper", sha256="bb" * 32)  # no repair's folder
        update_index(place)
    (there,), (here,) = table(output), table(str(tmp_path))
    assert there.pop("repaired_at") and here.pop("repaired_at")
    assert there == here
    assert Page(output).addresses == Page(str(tmp_path)).addresses


@pytest.mark.slow
def test_of_two_writers_at_once_nothing_is_lost(bucket: str) -> None:
    outputs = [f"{bucket}/round{number}" for number in range(15)]
    write_side_by_side(outputs)
    for output in outputs:
        assert {row["suspect"] for row in table(output)} == {"ab", "cd"}
        assert len(Page(output).rows) == 3
