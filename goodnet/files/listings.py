"""Folders, local or on S3: what is in them, without opening any of it."""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from goodnet.errors import RequestRefused
from goodnet.files import paths, remote, storage

MOST_FILES = 1_000_000  # in a folder that is listed with all that is in it


class ListedFile(NamedTuple):
    """A file in a folder as its listing shows it.

    Attributes:
        mark: what is another whenever the file has been written to.
        modified: when that was, in seconds since 1970.
    """

    uri: str
    mark: str
    bytes: int
    modified: float


def entries(folder: str, suffixes: tuple[str, ...]) -> list[ListedFile]:
    """The files directly in a folder whose names end so, by name; hidden ones are left out.

    Raises:
        RequestRefused: there is no such folder.
    """
    if storage.is_remote(folder):
        listing = list(_remote_entries(folder))
    elif Path(folder).is_dir():
        listing = [listed_locally(path) for path in Path(folder).iterdir() if not path.is_dir()]
    else:
        raise RequestRefused(folder, "no such folder")
    visible = [entry for entry in listing if not entry.uri.rsplit("/", 1)[-1].startswith(".")]
    return sorted(entry for entry in visible if entry.uri.lower().endswith(suffixes))


def list_files(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The URIs of the files directly in a folder whose names end so, sorted by name.

    Raises:
        RequestRefused: there is no such folder.
    """
    return [entry.uri for entry in entries(folder, suffixes)]


def children(folder: str) -> tuple[list[str], list[str]]:
    """The names of the files and folders directly in a folder, which need not be there; sorted.

    Hidden ones are left out, and what unpacking leaves; a link counts as a file.
    """
    try:
        if storage.is_remote(folder):
            files, folders = remote.children(folder)
        else:
            with os.scandir(folder) as found:
                every = [(each.name, each.is_dir(follow_symlinks=False)) for each in found]
            files = [name for name, is_inner in every if not is_inner]
            folders = [name for name, is_inner in every if is_inner]
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    return _visible(files), _visible(folders)


def _visible(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith(".") and name != paths.LITTER)


def tree(folder: str) -> list[ListedFile]:
    """All files in a folder, at any depth, by name; links are not followed. Of S3 without a time.

    Raises:
        RequestRefused: they are too many.
    """
    if storage.is_remote(folder):
        every = (
            ListedFile(storage.join(folder, name), f"{etag}-{size}", size, 0)
            for name, size, etag in remote.tree(folder)
        )
    else:
        every = (
            listed_locally(Path(inner) / name)
            for inner, _, names in os.walk(folder)
            for name in names
        )
    found = list(islice(every, MOST_FILES + 1))
    if len(found) > MOST_FILES:
        raise RequestRefused(folder, f"has more than {MOST_FILES} files")
    return sorted(found)


def is_within(uri: str, folder: str) -> bool:
    """Whether a URI is that of a folder or of what is in it, wherever links lead."""
    if storage.is_remote(uri) or storage.is_remote(folder):
        parts = uri.split("/")[3:]
        plain = storage.is_remote(uri) and not {"", ".", ".."} & set(parts)
        return plain and f"{uri}/".startswith(f"{folder.rstrip('/')}/")
    try:
        return Path(uri).resolve().is_relative_to(Path(folder).resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def is_folder(uri: str) -> bool:
    """Whether the URI is that of a folder."""
    return remote.any_under(uri) if storage.is_remote(uri) else Path(uri).is_dir()


def listed_locally(path: Path) -> ListedFile:
    """A file on this machine as a listing shows it; a link is not followed."""
    item = path.lstat()
    mark = f"{stat.S_IFMT(item.st_mode)}-{item.st_ino}-{item.st_size}-{item.st_mtime_ns}"
    return ListedFile(str(path), mark, item.st_size, item.st_mtime)


def _remote_entries(folder: str) -> Iterator[ListedFile]:
    try:
        for name, size, mark, modified in remote.listed(folder):
            yield ListedFile(storage.join(folder, name), mark, size, modified)
    except FileNotFoundError:
        kind = "folder" if remote.is_of_hub(folder) else "bucket"
        raise RequestRefused(folder, f"no such {kind}") from None
