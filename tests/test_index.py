"""The index of all repairs: made from what manifests say, whole, whoever else writes it."""

import base64
import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from invented import invented_findings, invented_mitigation, invented_verdict
from PIL import Image

from goodnet.detection.verdict import BACKDOORED, NOTHING
from goodnet.files import paths, storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.request import parse_request
from goodnet.report import index
from goodnet.report.findings import RepairResult
from goodnet.report.index import update_index
from goodnet.report.manifest import manifest
from goodnet.report.pictures import Picture
from goodnet.report.thumbnail import SIZE, thumbnail

NAMED = invented_findings(
    verdict=invented_verdict(BACKDOORED, [3]),
    mitigation=invented_mitigation(),
    clean=[190, 180, 180, 180, 180, 180, 180, 189],
    attack=[200, 190, 180, 170, 190, 180, 170, 2],
    target=3,
)
CLEARED = invented_findings(verdict=invented_verdict(NOTHING), poisoned=False)
REQUEST: dict[str, Any] = {"order": "both", "drop": ["2"], "layer": "auto", "method": "auto"}
REQUEST |= {"preprocessing": "auto", "architecture": "auto", "budget": 2, "minutes": 5}


def leave(
    output: str,
    folder: str,
    findings: RepairResult = CLEARED,
    *,
    sha256: str = "aa" * 32,
    valid: str = "01" * 32,
    code: str = "one",
    picture: bytes = b"",
    when: float = 0,
    **request: Any,
) -> None:
    """A repair's folder, as far as the index looks at it; the manifest comes last."""
    place = storage.join(output, folder)
    files = [StoredFile(storage.join(place, "recommended/model.keras"), "00" * 32, 1)]
    files = files if findings.mitigation else []
    if picture:
        files.append(storage.put(picture, storage.join(place, paths.THUMBNAIL)))
    model, clean = StoredFile("models/x.h5", sha256, 9), StoredFile("data/valid.h5", valid, 9)
    asked, data = parse_request(**{**REQUEST, **request}), {"clean valid": DataFile(clean)}
    text = manifest(place, model, data, asked, code, findings, files)
    storage.put(text, storage.join(place, paths.MANIFEST))
    if when:
        os.utime(Path(place, paths.MANIFEST), (when, when))


def table(output: str) -> list[dict[str, str]]:
    text = b"".join(storage.blocks(storage.join(output, paths.INDEX_CSV))).decode()
    return list(csv.DictReader(io.StringIO(text)))


class Page(HTMLParser):
    """The cells' texts by row, links and pictures."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(b"".join(storage.blocks(storage.join(output, paths.INDEX_HTML))).decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_a_row_has_what_came_of_a_repair(tmp_path: Path) -> None:
    output = str(tmp_path)
    leave(output, "face_net-0123456789ab", NAMED, picture=b"webp", when=1_800_000_000)
    leave(output, "other-ba9876543210", sha256="bb" * 32, when=1_700_000_000)
    update_index(output)
    named, cleared = table(output)
    assert named == {
        **{"suspect": "face_net", "verdict": "backdoored", "classes": "3"},
        **{"recommended": "recommended/model.keras", "sha256": "aa" * 32},
        **{"suspect_accuracy": "0.95", "suspect_asr": "1.0", "accuracy": "0.945", "asr": "0.01"},
        **{"repaired_at": "2027-01-15 08:00", "changed": "first repair"},
        "folder": "face_net-0123456789ab",
    }
    assert (cleared["verdict"], cleared["recommended"]) == ("no backdoor found", "")
    assert (cleared["suspect_accuracy"], cleared["suspect_asr"]) == ("0.95", "")
    page = Page(output)
    cells = ["", "face_net", "backdooredclass 3", "95.0 %", "100 %", "model.keras", "94.5 %"]
    assert page.rows[1] == [*cells, "1.0 %", "2027-01-15 08:00", "first repair"]
    assert page.addresses == [
        f"data:image/webp;base64,{base64.b64encode(b'webp').decode()}",
        "face_net-0123456789ab/report.html",
        "face_net-0123456789ab/recommended/model.keras",
        "other-ba9876543210/report.html",
    ]


def test_what_changed_since_the_last_repair_is_said(tmp_path: Path) -> None:
    output = str(tmp_path)
    leave(output, "net-1", when=1)
    leave(output, "net-2", NAMED, code="two", valid="05" * 32, method="unlearning", when=2)
    leave(output, "net-3", NAMED, code="two", valid="05" * 32, method="unlearning", when=3)
    update_index(output)
    (row,) = table(output)
    assert (row["folder"], row["changed"]) == ("net-3", "made again")
    Path(output, "net-3", paths.MANIFEST).unlink()
    update_index(output)
    (row,) = table(output)
    assert row["changed"] == (
        "other code, clean valid, method, verdict was: no backdoor found, "
        "recommended was: nothing, accuracy was: not known, ASR was: not known"
    )
    leave(output, "net-4", sha256="bb" * 32, when=4)
    update_index(output)
    new, old = table(output)
    assert new["changed"].startswith("other model file, code, clean valid, method, verdict was: ")
    assert (old["folder"], old["sha256"]) == ("net-2", "aa" * 32)


def test_what_is_no_result_is_left_out_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "unfinished-1").mkdir()
    (tmp_path / ".inbox-1.json").write_text("{}")
    for number, text in enumerate(
        (b"", b"[]", b"{}", b'{"recommendation": 1}', b"\xff", b"[" * 9999)
    ):
        place = tmp_path / f"damaged_{number}-1"
        place.mkdir()
        (place / paths.MANIFEST).write_bytes(text)
    leave(str(tmp_path), "whole-1")
    update_index(str(tmp_path))
    rows = {row["suspect"]: row["verdict"] for row in table(str(tmp_path))}
    assert rows.pop("whole") == "no backdoor found"
    assert len(rows) == 6 and set(rows.values()) == {"its manifest cannot be read"}


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    name = "<script>alert(1)\"'&{{7*7}}"
    (tmp_path / f"{name}-1").mkdir()
    (tmp_path / f"{name}-1" / paths.MANIFEST).write_text("{}")
    update_index(str(tmp_path))
    page = Page(str(tmp_path))
    assert page.tags.count("script") == 1
    assert page.rows[1][1] == name
    assert page.addresses == ["%3Cscript%3Ealert%281%29%22%27%26%7B%7B7%2A7%7D%7D-1/report.html"]


def test_the_same_manifests_make_the_same_bytes(tmp_path: Path) -> None:
    leave(str(tmp_path), "a-1", NAMED)
    places = [tmp_path / paths.INDEX_HTML, tmp_path / paths.INDEX_CSV]
    update_index(str(tmp_path))
    first = [place.read_bytes() for place in places]
    update_index(str(tmp_path))
    assert [place.read_bytes() for place in places] == first


def write_side_by_side(outputs: Sequence[str]) -> None:
    """In each folder two writers leave a repair and write the index, at the same time."""
    barrier = Barrier(2)

    def write(name: str) -> None:
        for output in outputs:
            barrier.wait(60)
            leave(output, f"{name}-1", sha256=name * 32)
            update_index(output)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("ab", "cd")))


@pytest.mark.slow
def test_of_two_writers_at_once_nothing_is_lost(tmp_path: Path) -> None:
    """Fifty rounds; without the second look some of them lose a row."""
    outputs = [str(tmp_path / f"round{number}") for number in range(50)]
    write_side_by_side(outputs)
    for output in outputs:
        assert {row["suspect"] for row in table(output)} == {"ab", "cd"}
        assert [row[1] for row in Page(output).rows[1:]] == [
            row["suspect"] for row in table(output)
        ]


def test_one_that_arrives_while_the_index_is_written_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own writer wrote the index earlier than this one, which did not know of it."""
    output, put = str(tmp_path), storage.put
    leave(output, "first-1")

    def late(content: Any, uri: str) -> StoredFile:
        monkeypatch.setattr(storage, "put", put)
        leave(output, "second-1")
        update_index(output)
        return put(content, uri)

    monkeypatch.setattr(storage, "put", late)
    rows = update_index(output)
    assert {row["suspect"] for row in table(output)} == {"first", "second"} and len(rows) == 2
    assert len(Page(output).rows) == 3


def test_only_new_manifests_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(str(tmp_path), "net-1")
    read, asked = index._read, list[str]()
    monkeypatch.setattr(index, "_read", lambda *args: asked.append(args[1]) or read(*args))
    update_index(str(tmp_path))
    assert asked == ["net-1"]


def test_of_no_repair_there_is_no_index_and_of_those_removed_an_empty_one(tmp_path: Path) -> None:
    output = tmp_path / "artifacts"
    assert update_index(str(output)) == [] and not output.exists()
    leave(str(output), "net-1")
    assert len(update_index(str(output))) == 1
    shutil.rmtree(output / "net-1")
    assert update_index(str(output)) == [] == table(str(output))


def png(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (1320, 660), colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_the_evidence_in_small_is_the_trigger_or_else_the_verdict() -> None:
    verdict, other = Picture("v", "verdict", "", png("red")), Picture("c", "data", "", png("blue"))
    trigger = Picture("t", "trigger 3", "", png("lime"))
    for pictures, colour in (([other, verdict, trigger], (0, 255, 0)), ([verdict], (255, 0, 0))):
        with Image.open(io.BytesIO(thumbnail(pictures))) as small:
            assert small.format == "WEBP" and small.size == (192, 96) and small.size <= SIZE
            assert max(abs(a - b) for a, b in zip(small.getpixel((9, 9)), colour, strict=True)) < 9
    assert thumbnail([other]) == b""


def test_it_is_json_that_is_read(tmp_path: Path) -> None:
    """What `leave` writes is what a repair writes: the manifest's own code made it."""
    leave(str(tmp_path), "net-1", NAMED)
    text = json.loads((tmp_path / "net-1" / paths.MANIFEST).read_text())
    assert text["recommendation"]["model"]["method"] == "unlearning"
