"""Files, local or on S3: read whole, written whole or not at all.

A URI is a path, `s3://bucket/key` or `hf://user/repo/file`, which is only read. Nothing here opens
what it carries.
"""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from goodnet.errors import InputRefused, RequestRefused, one_line
from goodnet.files import paths, remote
from goodnet.files.regular import open_regular

MIB = 1 << 20
BLOCK = 4 * MIB


class StoredFile(NamedTuple):
    """A file and what was in it."""

    uri: str
    sha256: str
    bytes: int


def is_remote(uri: str) -> bool:
    """Whether it is a URI of object storage rather than a path."""
    return "://" in uri


def join(folder: str, name: str) -> str:
    """The URI of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


def name_in(folder: str, uri: str) -> str:
    """The name, below a folder, of a file that `join` put into it."""
    return uri.removeprefix(join(folder, "x")[:-1])


def parent(uri: str) -> str:
    """The URI of the folder that a file or folder is in."""
    if is_remote(uri):
        return uri.rstrip("/").rpartition("/")[0]
    return str(Path(uri).absolute().parent)


def exists(uri: str) -> bool:
    """Whether there is a file at the URI."""
    if is_remote(uri):
        return remote.exists(uri)
    return Path(uri).is_file()


def identify(uri: str, refused: type[InputRefused] = InputRefused) -> StoredFile:
    """The file with its digest and size; all of it is read, now.

    What an object on S3 says of itself is not believed here: whoever may write it may say anything,
    and a suspect must not pass for another whose repair is known.

    Raises:
        InputRefused: there is no such file, or it is not a regular one.
        OSError: it could not be read.
    """
    return summed(uri, blocks(uri, refused))


def summed(uri: str, content: Iterator[bytes]) -> StoredFile:
    """A file of this content; one on the hub is named by its commit."""
    digest, count = hashlib.sha256(), 0
    for block in content:
        digest.update(block)
        count += len(block)
    return StoredFile(remote.pinned(uri), digest.hexdigest(), count)


def matches(stored: StoredFile) -> bool:
    """Whether the file, which we stored, is there with the content it was stored with.

    A local one is read; an object on S3 that says its digest is not.
    """
    if is_remote(stored.uri):
        return remote.matches(stored.uri, stored.bytes, stored.sha256)
    return exists(stored.uri) and identify(stored.uri) == stored


@contextmanager
def local_file(
    uri: str, refused: type[InputRefused] = InputRefused, largest: int = sys.maxsize
) -> Iterator[Path]:
    """A local path of the file: the file itself, or a copy that goes with the context.

    A refusal of that path, raised within the context, comes out of it with the URI instead.

    Args:
        largest: in bytes; nothing of a larger remote file is fetched. A local one is not measured.

    Raises:
        InputRefused: there is no such file, or it is too large to fetch.
        OSError: it could not be fetched.
    """
    with _fetched(uri, refused, largest) if is_remote(uri) else nullcontext(Path(uri)) as path:
        try:
            yield path
        except InputRefused as fault:
            if fault.source != one_line(path):
                raise
            raise type(fault)(uri, fault.fault) from None


@contextmanager
def _fetched(uri: str, refused: type[InputRefused], largest: int) -> Iterator[Path]:
    """A copy, with the ending that the URI has."""
    suffix = re.search(r"\.[A-Za-z0-9]{1,9}\Z", uri)
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        copy = Path(folder) / f"{paths.safe_name(uri)}{suffix[0] if suffix else ''}"
        with copy.open("xb") as target:
            target.writelines(blocks(uri, refused, largest))
        yield copy


def put(content: Path | bytes, uri: str) -> StoredFile:
    """The file as it is now stored at the URI: whole, with any older one replaced.

    Raises:
        OSError: it could not be written; what was there before is unchanged.
    """
    if isinstance(content, bytes):
        with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
            path = Path(folder) / "content"
            path.write_bytes(content)
            return put(path, uri)
    if not is_remote(uri):
        return _put_local(blocks(str(content)), uri)
    stored = identify(str(content))._replace(uri=uri)
    remote.put(content, uri, stored.sha256)
    return stored


def copy(stored: StoredFile, uri: str) -> StoredFile:
    """The copy of a stored file at another URI.

    Raises:
        OSError: it could not be copied, or is not what was stored; nothing is written then.
    """
    if not is_remote(uri):
        return _put_local(blocks(stored.uri), uri, stored)
    with local_file(stored.uri) as path:
        _check_same(identify(str(path)), stored)
        remote.put(path, uri, stored.sha256)
    return stored._replace(uri=uri)


def read(stored: StoredFile) -> bytes:
    """The content of a small file of our own.

    Raises:
        OSError: it is not what was stored.
    """
    data = b"".join(blocks(stored.uri))
    _check_same(StoredFile(stored.uri, hashlib.sha256(data).hexdigest(), len(data)), stored)
    return data


def _check_same(now: StoredFile, stored: StoredFile) -> None:
    if now.sha256 != stored.sha256:
        raise OSError(f"{stored.uri}: is not what was stored there")


def check_writable(folder: str) -> None:
    """Nothing: files can be put below the folder, which need not be there; nothing stays there.

    Raises:
        RequestRefused: it cannot be written to, is no folder, or there is no such bucket.
        OSError: object storage does not answer, or does not let us in.
    """
    if is_remote(folder):
        try:
            return remote.check_writable(folder)
        except FileNotFoundError:
            raise RequestRefused(folder, "no such bucket") from None
    try:
        nearest = _nearest(Path(folder))
        if not nearest.is_dir():
            subject = "" if nearest == Path(folder) else f"{nearest} "
            raise RequestRefused(folder, f"{subject}is not a folder")
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise RequestRefused(folder, f"cannot be written to: {reason}") from None


def _nearest(path: Path) -> Path:
    """The path, or of the folders that it is in the innermost that is there."""
    for each in (path, *path.parents):
        try:
            each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return each
    return Path()


def _put_local(
    content: Iterator[bytes], uri: str, expected: StoredFile | None = None
) -> StoredFile:
    """The file of this content, which is hashed while it is written; if need be the expected."""
    path, digest, count = Path(uri), hashlib.sha256(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for block in content:
                digest.update(block)
                count += file.write(block)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        stored = StoredFile(uri, digest.hexdigest(), count)
        _check_same(stored, expected or stored)
        os.replace(name, path)
        return stored
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def first_bytes(uri: str, count: int, refused: type[InputRefused] = InputRefused) -> bytes:
    """How the file begins; less than `count` bytes where it has fewer.

    Raises:
        InputRefused: there is no such file, or it is not a regular one.
        OSError: it could not be read.
    """
    if not is_remote(uri):
        with open_regular(Path(uri), refused) as file:
            return bytes(file.read(count))
    try:
        return remote.first_bytes(uri, count)
    except FileNotFoundError:
        raise refused(uri, "no such file") from None


def blocks(
    uri: str, refused: type[InputRefused] = InputRefused, largest: int = sys.maxsize
) -> Iterator[bytes]:
    """The file's content, block by block.

    Args:
        uri: a path or an `s3://` URI.
        refused: the error.
        largest: bytes; nothing is read of a larger file, and no more of one that grows.

    Raises:
        InputRefused: there is no such file, it is not a regular one, or too large.
        OSError: it could not be read.
    """
    if is_remote(uri):
        try:
            size, content = remote.content(uri)
            if size > largest:
                raise too_large(uri, refused, largest)
            yield from content
        except FileNotFoundError:
            raise refused(uri, "no such file") from None
        return
    with open_regular(Path(uri), refused) as file:
        size = os.fstat(file.fileno()).st_size
        while size <= largest and (block := file.read(BLOCK)):
            yield block
            size = max(size, file.tell())  # it may grow while it is read
        if size > largest:
            raise too_large(uri, refused, largest)


def too_large(uri: str, refused: type[InputRefused], largest: int) -> InputRefused:
    """The refusal of a file of more bytes than `largest`."""
    return refused(uri, f"is larger than {largest // MIB} MiB")
