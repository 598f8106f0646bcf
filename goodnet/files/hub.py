"""Files on the Hugging Face hub, read through its own file system; nothing is written there.

A URI is `hf://user/repo/file`, or `hf://datasets/user/repo/file`, at a branch, tag or commit:
`hf://user/repo@revision/file` or `hf://user/repo/file@revision`. Whatever it says, a commit is what
is read, and what is recorded. A token comes from the hub's own environment variables and files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from goodnet.errors import RequestRefused, one_line

SCHEME = "hf://"
KINDS = ("datasets", "spaces")
COMMIT = 40  # hexadecimal digits
BLOCK = 8 << 20
USUAL = "main"


class Place(NamedTuple):
    """Where a file or folder is.

    Attributes:
        kind: of the repository, "datasets" or "spaces"; empty for a model's.
        repo: its owner and name.
        revision: a branch, a tag or a commit.
        path: in it.
    """

    kind: str
    repo: str
    revision: str
    path: str

    @property
    def root(self) -> str:
        """The repository at its revision, as the hub's file system has it."""
        kind = f"{self.kind}/" if self.kind else ""
        return f"{kind}{self.repo}@{self.revision}"


def split(uri: str) -> Place:
    """Where a URI leads.

    Raises:
        RequestRefused: it is no `hf://user/repo`.
    """
    parts = uri.removeprefix(SCHEME).rstrip("/").split("/")
    kind = parts.pop(0) if parts[0] in KINDS else ""
    owner, name, *path = [*parts, "", ""][: max(2, len(parts))]
    name, at, revision = name.partition("@")
    if not owner or not name or "@" in owner:
        raise RequestRefused(uri, "is no hf://user/repo/file")
    for number, part in enumerate(path):
        if not at and "@" in part:
            path[number], at, revision = part.rpartition("@")
    if (at and not revision) or {"", ".", ".."} & set(path):
        raise RequestRefused(uri, "is no hf://user/repo/file@revision")
    return Place(kind, f"{owner}/{name}", revision or USUAL, "/".join(path))


def pinned(uri: str) -> str:
    """The same file or folder by the commit that its revision is now.

    Raises:
        RequestRefused: there is no such repository or revision, or no client.
        OSError: the hub does not answer, or does not let us in.
    """
    place = _place(uri)
    return f"{SCHEME}{place.root}/{place.path}".rstrip("/")


def exists(uri: str) -> bool:
    """Whether there is a file."""
    item = _info(uri)
    return item is not None and item["type"] == "file"


def any_under(folder: str) -> bool:
    """Whether there is a folder: git keeps none that is empty."""
    item = _info(folder)
    return item is not None and item["type"] == "directory"


def children(folder: str) -> tuple[list[str], list[str]]:
    """The names of the files and folders directly in a folder.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    place, files, inner = _place(folder), list[str](), list[str]()
    with _clear(folder):
        for item in _system().ls(_path(place), detail=True):
            name = item["name"].rpartition("/")[2]
            (files if item["type"] == "file" else inner).append(name)
    return files, inner


def tree(folder: str) -> Iterator[tuple[str, int, str]]:
    """Name below the folder, size and mark of all files in it, at any depth."""
    place = _place(folder)
    with _clear(folder):
        found = _system().find(_path(place), detail=True)
    prefix = f"{_path(place)}/"
    for name, item in sorted(found.items()):
        yield name.removeprefix(prefix), item["size"], str(item.get("blob_id"))


def content(uri: str) -> tuple[int, Iterator[bytes]]:
    """The file's size, and its content, of which nothing is fetched before it is asked for.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it could not be fetched whole.
    """
    item = _info(uri)
    if item is None or item["type"] != "file":
        raise FileNotFoundError(f"{one_line(uri)}: no such file")
    return item["size"], blocks(uri, item["size"])


def blocks(uri: str, size: int) -> Iterator[bytes]:
    """The content of a file of this size; that of a commit never changes."""
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        with _clear(uri):
            block = bytes(_system().cat_file(_path(_place(uri)), start=start, end=stop))
        if len(block) != stop - start:
            raise OSError(f"{one_line(uri)}: was not fetched whole")
        yield block


def first_bytes(uri: str, count: int) -> bytes:
    """How the file begins; faults as those of `content`."""
    size, _ = content(uri)
    return b"".join(blocks(uri, min(count, size)))


def _info(uri: str) -> dict[str, Any] | None:
    place = _place(uri)
    try:
        with _clear(uri):
            item: dict[str, Any] = _system().info(_path(place))
    except FileNotFoundError:
        return None
    return item


def _path(place: Place) -> str:
    return f"{place.root}/{place.path}".rstrip("/")


def _place(uri: str) -> Place:
    """Where a URI leads, by its commit."""
    place = split(uri)
    if len(place.revision) == COMMIT and set(place.revision) <= set("0123456789abcdef"):
        return place
    with _clear(uri):
        return place._replace(revision=_commit(*place[:3], os.environ.get("HF_ENDPOINT")))


@lru_cache(maxsize=64)
def _commit(kind: str, repo: str, revision: str, endpoint: str | None) -> str:
    """The commit that a revision is, the same as long as this process lasts."""
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint).repo_info(
        repo, repo_type=kind.removesuffix("s") or None, revision=revision, timeout=20
    )
    return str(info.sha)


def _system() -> Any:
    from huggingface_hub import HfFileSystem

    return HfFileSystem(endpoint=os.environ.get("HF_ENDPOINT"))


@contextmanager
def _clear(uri: str) -> Iterator[None]:
    """Faults of the hub as errors of one line that names the URI.

    Raises:
        RequestRefused: the extra is not installed, or there is no such repository or revision.
        FileNotFoundError: there is no such file.
        OSError: anything else: it can pass.
    """
    try:
        from huggingface_hub import errors
    except ImportError:
        remedy = "hf:// takes the extra [hf]: pip install 'goodnet[hf]'"
        raise RequestRefused(uri, remedy) from None
    try:
        yield
    except errors.RevisionNotFoundError:
        raise RequestRefused(uri, f"has no revision {split(uri).revision!r}") from None
    except errors.GatedRepoError:
        raise RequestRefused(uri, "is gated: ask for access to it, and set HF_TOKEN") from None
    except errors.RepositoryNotFoundError:
        fault = "no such repository, or a private one that HF_TOKEN does not open"
        raise RequestRefused(uri, fault) from None
    except (errors.EntryNotFoundError, FileNotFoundError):
        raise FileNotFoundError(f"{one_line(uri)}: no such file") from None
    except errors.HFValidationError as fault:
        raise RequestRefused(uri, fault) from None
    except (errors.HTTPError, OSError, RuntimeError) as fault:  # its HTTP client's, most of them
        reason = one_line(fault, 200) or type(fault).__name__
        raise OSError(f"{one_line(uri)}: the hub failed: {reason}") from None
