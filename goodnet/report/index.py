"""All repairs of a folder, as a page and as a table, made anew from their manifests.

Two runs may end at once, each with its own view of the folder. So whoever has written the index
looks again, and writes it once more if there are manifests that it did not know. Of all writers the
last one has then looked after it wrote: a manifest that it did not see is newer than that look, and
whoever wrote it has yet to write the index.
"""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from goodnet.errors import InputRefused, one_line
from goodnet.files import listings, paths, s3, storage
from goodnet.report.prose import TEMPLATES
from goodnet.report.tables import percent

LARGEST: Final = 64 << 20  # bytes of a manifest
READERS: Final = 8  # at once, of S3
NAME_LIMIT: Final = 80
CAUSES: Final = (  # parameters, another value of which is a cause of change
    *("order", "drop", "layer", "preprocessing", "method", "verdict", "minutes", "architecture"),
)
UNREADABLE: Final = (  # what a manifest that is damaged, or another program's, ends in
    *(InputRefused, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(StopIteration, RecursionError, OverflowError),
)
COLUMNS: Final = (
    *("suspect", "verdict", "classes", "recommended", "suspect_accuracy", "suspect_asr"),
    *("accuracy", "asr", "repaired_at", "changed", "folder", "sha256"),
)

INDEX_HEADS: Final = (
    *("suspect", "verdict", "accuracy", "ASR", "recommended", "its accuracy", "its ASR"),
    *("when (UTC)", "changed"),
)
_ENVIRONMENT = Environment(
    loader=TEMPLATES,
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["percent"] = percent


@dataclass(frozen=True)
class Repair:
    """One repair, as its manifest tells it.

    Attributes:
        folder: its folder's name.
        name: what the suspect is called.
        sha256: of the suspect's content.
        when: the manifest was written, in seconds since 1970.
        verdict: what the suspect is, by all evidence; the fault where the manifest cannot be read.
        classes: those named, by number.
        recommended: the recommended model's copy, below the folder; empty where none is.
        shares: clean accuracy and ASR on the test sets, of the suspect and then of what is
            recommended; None where they are not known.
        causes: what the repair was made from and with: each cause -> what tells it from another.
        picture: the evidence in small, a WebP file, base64; empty where there is none.
    """

    folder: str
    name: str
    sha256: str
    when: float
    verdict: str
    classes: tuple[int, ...] = ()
    recommended: str = ""
    shares: tuple[float | None, ...] = (None,) * 4
    causes: Mapping[str, Any] | None = None
    picture: str = ""

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        return f"data:image/webp;base64,{self.picture}"

    @property
    def written(self) -> str:
        """When, for people and for sorting: UTC."""
        return datetime.fromtimestamp(self.when, UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class IndexRow:
    """The last repair of a suspect.

    Attributes:
        repair: it.
        changed: what is other than at its last repair before, in words.
    """

    repair: Repair
    changed: str


def update_index(output: str) -> list[IndexRow]:
    """The rows of the index of a folder's repairs, which is written anew: page and table.

    Where there has never been a repair, nothing is written.

    Args:
        output: the folder that has a folder for each repair; a path or an `s3://` URI.

    Raises:
        OSError: a manifest could not be read, or the index not be written.
    """
    known, rows = dict[tuple[str, str], Repair](), list[IndexRow]()
    seen: dict[str, str] | None = None
    while (marks := _manifests(output)) != seen:
        if not marks and not storage.exists(storage.join(output, paths.INDEX_HTML)):
            break
        seen = marks
        new = [item for item in marks.items() if item not in known]
        with ThreadPoolExecutor(READERS) as pool:
            known.update(zip(new, pool.map(lambda item: _read(output, item[0]), new), strict=True))
        rows = index_rows(known[item] for item in marks.items())
        storage.put(index_html(rows).encode(), storage.join(output, paths.INDEX_HTML))
        storage.put(index_csv(rows).encode(), storage.join(output, paths.INDEX_CSV))
    return rows


def _manifests(output: str) -> dict[str, str]:
    """The folders that hold a manifest, each with a mark that is another when it has changed."""
    if storage.is_remote(output):
        found = ((name.split("/"), etag) for name, _, etag in s3.tree(output))
        return {
            parts[0]: etag
            for parts, etag in found
            if len(parts) == 2 and parts[1] == paths.MANIFEST
        }
    places = {name: Path(output, name, paths.MANIFEST) for name in listings.children(output)[1]}
    return {
        name: listings.listed_locally(place).mark
        for name, place in places.items()
        if place.is_file()
    }


def _read(output: str, folder: str) -> Repair:
    """A repair, or that its manifest cannot be read."""
    place = storage.join(output, folder)
    uri = storage.join(place, paths.MANIFEST)
    when = _written_at(uri)
    name = folder.rpartition("-")[0] or folder
    try:
        manifest = json.loads(b"".join(storage.blocks(uri, largest=LARGEST)))
        return _repair(manifest, folder, name, when, _picture(place, manifest))
    except UNREADABLE:
        return Repair(folder, name, "", when, "its manifest cannot be read")


def _written_at(uri: str) -> float:
    if storage.is_remote(uri):
        item = s3.head(uri)
        return float(item["LastModified"].timestamp()) if item else 0.0
    return Path(uri).stat().st_mtime


def _picture(place: str, manifest: Mapping[str, Any]) -> str:
    if paths.THUMBNAIL not in manifest["files"]:
        return ""
    content = b"".join(storage.blocks(storage.join(place, paths.THUMBNAIL), largest=LARGEST))
    return base64.b64encode(content).decode("ascii")


def _repair(
    manifest: Mapping[str, Any], folder: str, name: str, when: float, picture: str
) -> Repair:
    """What a manifest tells."""
    chosen, results = manifest["recommendation"]["model"], manifest["results"]
    rows = [results[0], _row_of(chosen, results)]
    copies = [file for file in manifest["files"] if file.startswith("recommended/model.")]
    return Repair(
        folder=folder,
        name=name,
        sha256=str(manifest["inputs"]["model"]["sha256"]),
        when=when,
        verdict=one_line(manifest["recommendation"]["suspect"], NAME_LIMIT),
        classes=tuple(int(c) for c in manifest["verdict"]["classes"]),
        recommended=copies[0] if chosen and copies else "",
        shares=tuple(
            _share(row, share) for row in rows for share in ("clean_accuracy", "attack_success")
        ),
        causes=_causes(manifest),
        picture=picture,
    )


def _row_of(
    chosen: Mapping[str, Any] | None, results: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The recommended model's row of the results."""
    if chosen is None:
        return None
    return next(
        row
        for row in results
        if row["model"] == "repaired"
        and row["drop"] == chosen["drop"]
        and chosen["order"] in (None, row["order"])
    )


def _share(row: Mapping[str, Any] | None, name: str) -> float | None:
    return float(row[name]["value"]) if row and row[name] else None


def _causes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a repair was made from and with; a part of it that is another is a cause of change."""
    inputs = {name: each["sha256"] for name, each in manifest["inputs"].items()}
    model = inputs.pop("model")
    asked = {
        name: value["asked"] if isinstance(value, dict) and "asked" in value else value
        for name, value in manifest["parameters"].items()
        if name in CAUSES
    }
    budget = manifest["parameters"]["method"]["budget_points"]
    return {"model file": model, "code": manifest["versions"]["code"], **inputs, **asked} | {
        "budget": budget
    }


def index_rows(repairs: Iterable[Repair]) -> list[IndexRow]:
    """A row for each suspect, a content under a name: its last repair; the newest suspect first."""
    rows = dict[tuple[str, str], IndexRow]()
    of_name = dict[str, Repair]()
    for repair in sorted(repairs, key=lambda each: (each.when, each.folder)):
        same = rows.get((repair.name, repair.sha256))
        before = same.repair if same else of_name.get(repair.name)
        changed = ", ".join(_changes(before, repair)) if before else "first repair"
        rows[repair.name, repair.sha256] = IndexRow(repair, changed)
        of_name[repair.name] = repair
    return sorted(rows.values(), key=lambda row: (-row.repair.when, row.repair.folder))


def _changes(before: Repair, now: Repair) -> Iterator[str]:
    """What is other than before: what led to it, and then what came of it."""
    old, new = before.causes or {}, now.causes or {}
    causes = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    yield f"other {', '.join(causes)}" if causes else "made again"
    if before.verdict != now.verdict or before.classes != now.classes:
        yield f"verdict was: {_verdict(before)}"
    if before.recommended != now.recommended:
        yield f"recommended was: {before.recommended or 'nothing'}"
    for word, ours, theirs in zip(
        ("accuracy", "ASR"), now.shares[2:], before.shares[2:], strict=True
    ):
        if ours != theirs:
            yield f"{word} was: {'not known' if theirs is None else percent(theirs)}"


def _verdict(repair: Repair) -> str:
    classes = ", ".join(map(str, repair.classes))
    return f"{repair.verdict} ({classes})" if classes else repair.verdict


def index_csv(rows: Sequence[IndexRow]) -> str:
    """The text of `index.csv`; shares 0..1, empty where they are not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        repair = row.repair
        classes = " ".join(map(str, repair.classes))
        shares = ("" if share is None else share for share in repair.shares)
        first = repair.name, repair.verdict, classes, repair.recommended
        writer.writerow(
            [*first, *shares, repair.written, row.changed, repair.folder, repair.sha256]
        )
    return text.getvalue()


def index_html(rows: Sequence[IndexRow]) -> str:
    """The text of `index.html`: one page with pictures and script inside, its links relative."""
    script, _, _ = TEMPLATES.get_source(_ENVIRONMENT, "index.js.j2")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    verdicts = [row.repair.verdict for row in rows]
    return _ENVIRONMENT.get_template("index.html.j2").render(
        rows=rows,
        counts={verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        script=Markup(script),  # ours
        digest=digest,
        heads=INDEX_HEADS,
        report=paths.REPORT_HTML,
    )
