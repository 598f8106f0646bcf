"""Files, local or on S3: read whole, written whole or not at all.

A URI is a path or `s3://bucket/key`. Nothing here opens what it carries.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from goodnet.faults import InputRefused, RequestRefused
from goodnet.isolation import open_regular

BLOCK = 4 << 20


class Stored(NamedTuple):
    """A file and what was in it."""

    uri: str
    sha256: str
    bytes: int


def is_remote(uri: str) -> bool:
    """Whether it is a URI of object storage rather than a path."""
    return "://" in uri


def inside(folder: str, name: str) -> str:
    """The URI of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


def exists(uri: str) -> bool:
    """Whether there is a file at the URI."""
    if is_remote(uri):
        system, path = _remote(uri)
        return bool(system.isfile(path))
    return Path(uri).is_file()


def identify(uri: str, refused: type[InputRefused] = InputRefused) -> Stored:
    """The file with its digest and size.

    Raises:
        InputRefused: there is no such file, or it is not a regular one.
        OSError: it could not be read.
    """
    digest, count = hashlib.sha256(), 0
    with _opened(uri, refused) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            count += len(block)
    return Stored(uri, digest.hexdigest(), count)


def holds(stored: Stored) -> bool:
    """Whether the file is there with the content it was stored with."""
    return exists(stored.uri) and identify(stored.uri) == stored


@contextmanager
def local_file(uri: str, refused: type[InputRefused] = InputRefused) -> Iterator[Path]:
    """A local path of the file: the file itself, or a copy that goes with the context.

    Raises:
        InputRefused: there is no such file.
        OSError: it could not be fetched.
    """
    if not is_remote(uri):
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        copy = Path(folder) / uri.rsplit("/", 1)[-1]
        with _opened(uri, refused) as source, copy.open("xb") as target:
            while block := source.read(BLOCK):
                target.write(block)
        yield copy


def put(content: Path | bytes, uri: str) -> Stored:
    """The file as it is now stored at the URI: whole, with any older one replaced.

    Raises:
        OSError: it could not be written; what was there before is unchanged.
    """
    data = content if isinstance(content, bytes) else content.read_bytes()
    if is_remote(uri):
        _put_remote(data, uri)
    else:
        _put_local(data, Path(uri))
    return Stored(uri, hashlib.sha256(data).hexdigest(), len(data))


def read(stored: Stored) -> bytes:
    """The content of a small file of our own.

    Raises:
        OSError: it is not what was stored.
    """
    with _opened(stored.uri, InputRefused) as file:
        data: bytes = file.read(stored.bytes + 1)
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        raise OSError(f"{stored.uri}: is not what was stored there")
    return data


def _put_local(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _put_remote(data: bytes, uri: str) -> None:
    system, path = _remote(uri)
    with tempfile.NamedTemporaryFile(prefix="goodnet-") as file:
        file.write(data)
        file.flush()
        system.put_file(file.name, path)  # a stream that breaks would leave a part of it behind
    if system.size(path) != len(data):
        raise OSError(f"{uri}: was not stored whole")


def list_files(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files directly in a folder whose names end so, sorted by name.

    Raises:
        RequestRefused: there is no such folder.
    """
    if is_remote(folder):
        system, path = _remote(folder)
        scheme = folder.split("://", 1)[0]
        entries = system.ls(path, detail=True) if system.isdir(path) else []
        found = [f"{scheme}://{e['name']}" for e in entries if e["type"] == "file"]
    elif Path(folder).is_dir():
        found = [str(path) for path in Path(folder).iterdir() if not path.is_dir()]
    else:
        raise RequestRefused(folder, "no such folder")
    names = [uri for uri in found if not uri.rsplit("/", 1)[-1].startswith(".")]
    return sorted(uri for uri in names if uri.lower().endswith(suffixes))


def is_folder(uri: str) -> bool:
    """Whether the URI is that of a folder."""
    if is_remote(uri):
        system, path = _remote(uri)
        return bool(system.isdir(path))
    return Path(uri).is_dir()


@contextmanager
def _opened(uri: str, refused: type[InputRefused]) -> Iterator[Any]:
    if not is_remote(uri):
        with open_regular(Path(uri), refused) as file:
            yield file
        return
    system, path = _remote(uri)
    try:
        file = system.open(path, "rb")
    except FileNotFoundError:
        raise refused(uri, "no such file") from None
    with file:
        yield file


def _remote(uri: str) -> tuple[Any, str]:
    """The file system of a URI and the path on it; listings are never from memory."""
    import fsspec  # only where object storage is used

    if not uri.startswith("s3://"):
        raise RequestRefused(uri, "only paths and s3:// are supported")
    options = {"use_listings_cache": False, "skip_instance_cache": True}
    system, path = fsspec.core.url_to_fs(uri, **options)
    return system, path
