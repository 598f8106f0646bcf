"""A folder of class folders as one stream of bytes, to be hashed, copied and read as a file is.

The stream is a signature and then, for each file in order, the length of its name (4 bytes), the
name, the length of its content (8 bytes) and the content. A class folder is there by its name, with
a "/" at the end and no content.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from goodnet.errors import DataRefused
from goodnet.files import storage
from goodnet.files.formats import CLASS_NAMES, FOLDER, PICTURES, largest
from goodnet.files.regular import open_regular

MOST_FILES = 1_000_000
DEEPEST_FOLDER = 20
LARGEST_PICTURE = 8 * 64_000_000  # bytes: RGBA of 16 bits, not compressed


def is_set(uri: str) -> bool:
    """Whether the URI is that of a folder on this machine, itself no link."""
    return not storage.is_remote(uri) and os.path.isdir(uri) and not os.path.islink(uri)


def blocks(uri: str) -> Iterator[bytes]:
    """The content of a data set, block by block, whether it is a file or a folder.

    Raises:
        DataRefused: there is none, it is too large, or not all in it are files and folders.
        OSError: it could not be read.
    """
    if not is_set(uri):
        yield from storage.blocks(uri, DataRefused, largest("dataset"))
        return
    names = ordered_files(uri)
    yield FOLDER.signature
    for name in names:
        yield len(os.fsencode(name)).to_bytes(4, "big") + os.fsencode(name)
        if name.endswith("/"):
            yield bytes(8)
            continue
        with open_regular(Path(uri) / name, DataRefused) as file:
            size = os.fstat(file.fileno()).st_size
            yield size.to_bytes(8, "big")
            while size and (block := file.read(min(size, storage.BLOCK))):
                size -= len(block)
                yield block
            if size or file.read(1):
                raise DataRefused(uri, f"{name} changed while it was read")


def every_picture(folder: str) -> list[str]:
    """The paths of all pictures in a folder, at any depth, by folder and name.

    Raises:
        DataRefused: there are none, or a link, a pipe or a device.
    """
    names = _pictures(folder, "")
    if not names:
        raise DataRefused(folder, "has no pictures in it")
    return [os.path.join(folder, name) for name in names]


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
    """The files that make a data set, relative to the folder, in the order of Keras.

    They are the list of class names, if there is one, and for each class folder its name and all
    its pictures, by folder and name. Hidden files and files of other kinds are passed over.

    Raises:
        DataRefused: there are no pictures in class folders, or a link, a pipe or a device.
    """
    files, classes = _entries(folder, "")
    lists = [name for name in files if name in CLASS_NAMES]
    if len(lists) > 1:
        raise DataRefused(folder, f"has {' and '.join(lists)}; keep one")
    ordered = [*lists]
    for name in classes:
        ordered += [f"{name}/", *_pictures(folder, name)]
        if len(ordered) > MOST_FILES:
            raise DataRefused(folder, f"has more than {MOST_FILES} files")
    if not any(name.lower().endswith(PICTURES) for name in ordered):
        raise DataRefused(folder, "has no pictures in class folders, one folder for each class")
    return ordered


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
    files, folders = [], []
    with os.scandir(os.path.join(folder, inner)) as entries:
        for entry in entries:
            name = f"{inner}/{entry.name}".lstrip("/")
            if entry.name.startswith("."):
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
