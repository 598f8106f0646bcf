"""An inbox: which of its models have arrived whole, and what is in them.

A model, file or folder, has arrived when two looks, some time apart, see the same. What was seen is
kept in a record beside the repairs, so that a model is read once and not at every look; a record
that is lost costs nothing but reading again.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from goodnet.errors import InputRefused, one_line
from goodnet.files import paths, storage
from goodnet.files.listings import ListedFile
from goodnet.job.plan import content_of, list_suspects

LARGEST_RECORD = 64 << 20


class InboxEntry(NamedTuple):
    """A suspect as it was read, with all that it brings.

    Attributes:
        mark: its mark at that time; another mark means another content.
        sha256: its content, None where it cannot be used.
        refused: why it cannot, "" where it can.
    """

    mark: str
    sha256: str | None
    refused: str


Record = Mapping[str, InboxEntry]


def settled_files(
    folder: str,
    record: Record,
    *,
    quiet_seconds: float,
    data: str = "data",
    sleep: Callable[[float], None] = time.sleep,
) -> list[ListedFile]:
    """The suspects in the folder that nobody is writing to any more, by name.

    One that brings settings or images is written to as long as any of them is.

    Args:
        folder: the inbox.
        record: what is known; where all files are, there is no second look.
        quiet_seconds: seconds between the looks, and since a local file was last written to.
        data: the folder of data that suspects use which bring none.

    Raises:
        RequestRefused: there is no such folder.
    """
    first = list_suspects(folder, data)
    if all(_known(entry, record) for entry in first):
        return first
    sleep(quiet_seconds)
    now, before = time.time(), set(first)
    second = list_suspects(folder, data)
    return [
        entry
        for entry in second
        if entry in before
        and (
            _known(entry, record)
            or storage.is_remote(folder)
            or not _young(entry, now, quiet_seconds)
        )
    ]


def read_arrivals(
    entries: Sequence[ListedFile],
    record: Record,
    report_fault: Callable[[str], None],
    data: str = "data",
) -> dict[str, InboxEntry]:
    """What each suspect is, by its URI: out of the record, or read now.

    Args:
        entries: from `settled_files`.
        record: what is known.
        report_fault: is told of each one that could not be read this time, in one line.
        data: as above.
    """
    contents = {}
    for entry in entries:
        if _known(entry, record):
            contents[entry.uri] = record[entry.uri]
            continue
        try:
            contents[entry.uri] = InboxEntry(entry.mark, content_of(entry.uri, data), "")
        except InputRefused as refused:
            contents[entry.uri] = InboxEntry(entry.mark, None, str(refused))
        except OSError as fault:  # it can pass: the next look tries again
            report_fault(f"{one_line(entry.uri)}: {one_line(fault)}")
    return contents


def read_record(output: str, folder: str) -> dict[str, InboxEntry]:
    """What was seen in the inbox before; nothing where there is no record that can be read."""
    uri = _record_uri(output, folder)
    if not storage.exists(uri):
        return {}
    try:
        with storage.local_file(uri) as path:
            if path.stat().st_size > LARGEST_RECORD:
                return {}
            content = json.loads(path.read_bytes())
        return {str(uri): InboxEntry(*map(_text, fields)) for uri, fields in content.items()}
    except (OSError, InputRefused, ValueError, TypeError, AttributeError):
        return {}


def write_record(output: str, folder: str, record: Record) -> None:
    """Write the record, for all later looks."""
    storage.put(json.dumps(record, indent=1).encode(), _record_uri(output, folder))


def _record_uri(output: str, folder: str) -> str:
    digest = hashlib.sha256(folder.encode(errors="surrogateescape")).hexdigest()
    return storage.join(output, paths.inbox_record(digest))


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value  # type: ignore[return-value]
    raise TypeError("not a record")


def _known(entry: ListedFile, record: Record) -> bool:
    return entry.uri in record and record[entry.uri].mark == entry.mark


def _young(entry: ListedFile, now: float, quiet_seconds: float) -> bool:
    return 0 <= now - entry.modified < quiet_seconds
