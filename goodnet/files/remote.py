"""Files that are not on this machine: of S3 and, read only, of the Hugging Face hub.

Which of the two, the URI says; `s3` and `hub` say what is raised.
"""

from collections.abc import Iterator
from pathlib import Path

from goodnet.errors import RequestRefused
from goodnet.files import hub, s3

BLOCK = s3.BLOCK


def is_of_hub(uri: str) -> bool:
    """Whether it is on the hub."""
    return uri.startswith(hub.SCHEME)


def pinned(uri: str) -> str:
    """The URI; of the hub, by commit."""
    return hub.pinned(uri) if is_of_hub(uri) else uri


def exists(uri: str) -> bool:
    """Whether there is a file."""
    return hub.exists(uri) if is_of_hub(uri) else s3.head(uri) is not None


def any_under(folder: str) -> bool:
    """Whether there is a folder."""
    return hub.any_under(folder) if is_of_hub(folder) else s3.any_under(folder)


def children(folder: str) -> tuple[list[str], list[str]]:
    """The names of the files and folders directly in a folder."""
    return hub.children(folder) if is_of_hub(folder) else s3.children(folder)


def tree(folder: str) -> Iterator[tuple[str, int, str]]:
    """Name below the folder, size and mark of all files in it."""
    return hub.tree(folder) if is_of_hub(folder) else s3.tree(folder)


def listed(folder: str) -> Iterator[tuple[str, int, str, float]]:
    """Name, size, mark and time in seconds since 1970 of the files directly in a folder."""
    if is_of_hub(folder):
        for name, size, blob in hub.tree(folder):
            if "/" not in name:
                yield name, size, blob, 0.0
        return
    for item in s3.listed(folder):
        modified = item["LastModified"].timestamp()
        name = item["Key"].rpartition("/")[2]
        yield name, item["Size"], f"{item['ETag']}-{item['Size']}-{modified}", modified


def content(uri: str) -> tuple[int, Iterator[bytes]]:
    """The file's size and content."""
    return hub.content(uri) if is_of_hub(uri) else s3.content(uri)


def blocks(uri: str, size: int, mark: str) -> Iterator[bytes]:
    """The content of a file that is known from a listing."""
    return hub.blocks(uri, size) if is_of_hub(uri) else s3.blocks(uri, size, mark)


def first_bytes(uri: str, count: int) -> bytes:
    """How the file begins."""
    return hub.first_bytes(uri, count) if is_of_hub(uri) else s3.first_bytes(uri, count)


def put(path: Path, uri: str, sha256: str) -> None:
    """Store a local file."""
    _check_not_of_hub(uri)
    s3.put(path, uri, sha256)


def matches(uri: str, size: int, sha256: str) -> bool:
    """Whether what we stored is there with this content."""
    return not is_of_hub(uri) and s3.matches(uri, size, sha256)


def check_writable(folder: str) -> None:
    """Nothing: files can be stored under the prefix."""
    _check_not_of_hub(folder)
    s3.check_writable(folder)


def _check_not_of_hub(uri: str) -> None:
    if is_of_hub(uri):
        raise RequestRefused(uri, "is on the hub, which is only read; give a folder, or s3://")
