"""A folder of class folders as one stream of bytes, to be hashed, copied and read as a file is.

The stream is a signature and then, for each file in order, the length of its name (4 bytes), the
name, the length of its content (8 bytes) and the content. A class folder is there by its name, with
a "/" at the end and no content.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from goodnet.errors import DataRefused
from goodnet.files import listings, paths, remote, storage
from goodnet.files.formats import CLASS_NAMES, FOLDER, PICTURES, largest
from goodnet.files.regular import open_regular

MOST_FILES = 1_000_000
AT_ONCE = 16  # objects that are fetched at a time
DEEPEST_FOLDER = 20
LARGEST_PICTURE = 8 * 64_000_000  # bytes: RGBA of 16 bits, not compressed


class Member(NamedTuple):
    """A file of a data set, or a class folder, whose name ends in "/".

    Attributes:
        name: below the set's folder.
        size: in bytes, of an object on S3.
        etag: its content's mark, likewise.
    """

    name: str
    size: int = 0
    etag: str = ""


def is_set(uri: str) -> bool:
    """Whether the URI is that of a folder, itself no link, and not that of a file."""
    if storage.is_remote(uri):
        return not storage.exists(uri) and listings.is_folder(uri)
    return os.path.isdir(uri) and not os.path.islink(uri)


def blocks(uri: str) -> Iterator[bytes]:
    """The content of a data set, block by block, whether it is a file or a folder.

    Raises:
        DataRefused: there is none, it is too large, or not all in it are files and folders.
        OSError: it could not be read.
    """
    if not is_set(uri):
        yield from storage.blocks(uri, DataRefused, largest("dataset"))
        return
    members = ordered_members(uri, loose=True)
    yield FOLDER.signature
    contents = _remote_contents if storage.is_remote(uri) else _local_contents
    yield from contents(uri, members)


def _head(name: str, size: int) -> Iterator[bytes]:
    """What the stream says before a file's content."""
    yield len(os.fsencode(name)).to_bytes(4, "big") + os.fsencode(name)
    yield size.to_bytes(8, "big")


def _local_contents(uri: str, members: Sequence[Member]) -> Iterator[bytes]:
    for name, *_ in members:
        if name.endswith("/"):
            yield from _head(name, 0)
            continue
        with open_regular(Path(uri) / name, DataRefused) as file:
            size = os.fstat(file.fileno()).st_size
            yield from _head(name, size)
            while size and (block := file.read(min(size, storage.BLOCK))):
                size -= len(block)
                yield block
            if size or file.read(1):
                raise DataRefused(uri, f"{name} changed while it was read")


def _remote_contents(uri: str, members: Sequence[Member]) -> Iterator[bytes]:
    """Small objects are fetched some at a time, and given out in order."""

    def fetched(member: Member) -> Iterator[bytes]:
        return remote.blocks(storage.join(uri, member.name), member.size, member.etag)

    def ahead(member: Member) -> list[bytes]:
        return list(fetched(member)) if member.size <= remote.BLOCK else []

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(members), AT_ONCE):
            some = members[start : start + AT_ONCE]
            for member, content in zip(some, pool.map(ahead, some), strict=True):
                yield from _head(member.name, member.size)
                yield from content if member.size <= remote.BLOCK else fetched(member)


def every_picture(folder: str) -> list[str]:
    """The paths of all pictures in a folder, at any depth, by folder and name.

    Raises:
        DataRefused: there are none, or a link, a pipe or a device.
    """
    if storage.is_remote(folder):
        found = [name for name, *_ in _visible_objects(folder)]
        names = [name for name in found if name.lower().endswith(PICTURES)]
        names.sort(key=lambda name: name.rpartition("/")[::2])
    else:
        names = _pictures(folder, "")
    if not names:
        raise DataRefused(folder, "has no pictures in it")
    return [storage.join(folder, name) for name in names]


def write_pictures(uris: Sequence[str], path: Path) -> dict[int, DataRefused]:
    """Write pictures to a stream as that of a folder; those that cannot be read are left out.

    Returns:
        By their place in `uris`, why some cannot be.

    Raises:
        OSError: object storage does not answer, or does not let us in.
    """
    faults: dict[int, DataRefused] = {}
    with path.open("xb") as stream:
        stream.write(FOLDER.signature)
        for number, uri in enumerate(uris):
            try:
                with (
                    storage.local_file(uri, DataRefused, LARGEST_PICTURE) as local,
                    open_regular(local, DataRefused) as file,
                ):
                    content = file.read(LARGEST_PICTURE + 1)
                if len(content) > LARGEST_PICTURE:
                    raise storage.too_large(uri, DataRefused, LARGEST_PICTURE)
            except DataRefused as fault:
                faults[number] = fault
                continue
            name = str(number).encode()
            stream.write(len(name).to_bytes(4, "big") + name)
            stream.write(len(content).to_bytes(8, "big") + content)
    return faults


def identify(uri: str) -> storage.StoredFile:
    """The data set with the digest and size of its stream; all of it is read, now.

    Raises:
        DataRefused, OSError: as `blocks`.
    """
    return storage.summed(uri, blocks(uri))


def ordered_files(folder: str) -> list[str]:
    """The names of `ordered_members`."""
    return [member.name for member in ordered_members(folder)]


def ordered_members(folder: str, *, loose: bool = False) -> list[Member]:
    """The files that make a data set, in the order of Keras.

    They are the list of class names, if there is one, and for each class folder its name and all
    its pictures, by folder and name. Hidden files and files of other kinds are passed over. Where
    no class folder has any, they may be the pictures in the folder itself.

    Args:
        folder: a path or an `s3://` URI.
        loose: whether that is enough; such pictures have no labels.

    Raises:
        DataRefused: there are no pictures in class folders, or a link, a pipe or a device.
        OSError: they could not be listed.
    """
    members = _remote_members(folder) if storage.is_remote(folder) else _local_members(folder)
    lists = [each.name for each in members if each.name in CLASS_NAMES]
    if len(lists) > 1:
        raise DataRefused(folder, f"has {' and '.join(lists)}; keep one")
    pictures = [each for each in members if each.name.lower().endswith(PICTURES)]
    if any("/" in each.name for each in pictures):
        return [each for each in members if "/" in each.name or each.name in CLASS_NAMES]
    if loose and pictures:
        return pictures
    raise DataRefused(folder, "has no pictures in class folders, one folder for each class")


def _local_members(folder: str) -> list[Member]:
    files, classes = _entries(folder, "")
    ordered = [n for n in files if n in CLASS_NAMES or n.lower().endswith(PICTURES)]
    for name in classes:
        ordered += [f"{name}/", *_pictures(folder, name)]
        if len(ordered) > MOST_FILES:
            raise DataRefused(folder, f"has more than {MOST_FILES} files")
    return [Member(name) for name in ordered]


def _remote_members(folder: str) -> list[Member]:
    """The same of what is under a prefix; a class is there by its objects or its own marker."""
    lists, classes = [], defaultdict[str, list[Member]](list)
    for member in _visible_objects(folder):
        first, inner, _ = member.name.partition("/")
        if not inner:
            lists += [member] if first in CLASS_NAMES or first.lower().endswith(PICTURES) else []
        elif member.name.lower().endswith(PICTURES):
            classes[first].append(member)
        else:
            classes[first] += []
    lists.sort()
    for first in sorted(classes):
        pictures = sorted(classes[first], key=lambda each: each.name.rpartition("/")[::2])
        lists += [Member(f"{first}/"), *pictures]
    return lists


def _visible_objects(folder: str) -> Iterator[Member]:
    """The objects under a prefix, at any depth, but for hidden ones."""
    for count, (name, size, etag) in enumerate(remote.tree(folder)):
        if count >= MOST_FILES:
            raise DataRefused(folder, f"has more than {MOST_FILES} files")
        parts = name.split("/")
        if "" in parts[:-1]:
            raise DataRefused(folder, f"has an object {name!r}, which no folder could hold")
        if len(parts) > DEEPEST_FOLDER + 2:
            raise DataRefused(folder, f"has folders nested more than {DEEPEST_FOLDER} deep")
        if name and not any(part.startswith(".") or part == paths.LITTER for part in parts):
            yield Member(name, size, etag)


def _pictures(folder: str, name: str) -> list[str]:
    """The pictures in an inner folder, of a class for example, at any depth."""
    found, waiting = [], [name]
    while waiting:
        inner = waiting.pop()
        if inner.count("/") > DEEPEST_FOLDER:
            raise DataRefused(folder, f"has folders nested more than {DEEPEST_FOLDER} deep")
        files, folders = _entries(folder, inner)
        found += [(inner, each) for each in files if each.lower().endswith(PICTURES)]
        waiting += [os.path.join(inner, each) for each in folders]
        if len(found) > MOST_FILES:
            raise DataRefused(folder, f"has more than {MOST_FILES} files")
    return [os.path.join(inner, each) for inner, each in sorted(found)]


def _entries(folder: str, inner: str) -> tuple[list[str], list[str]]:
    """The names of the files and folders directly in a folder, sorted; hidden ones are left out."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(os.path.join(folder, inner)) as entries:
        for entry in entries:
            name = f"{inner}/{entry.name}".lstrip("/")
            if len(files) + len(folders) > MOST_FILES:
                raise DataRefused(folder, f"has more than {MOST_FILES} files")
            if entry.name.startswith(".") or entry.name == paths.LITTER:
                continue
            if entry.is_symlink():
                raise DataRefused(folder, f"{name} is a symbolic link; links are not followed")
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            else:
                raise DataRefused(folder, f"{name} is not a regular file")
    return sorted(files), sorted(folders)
