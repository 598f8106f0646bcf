"""Models where they lie: files, and folders that are one model. Nothing of them is parsed here.

A folder is a SavedModel, or a `.keras` archive that was unpacked. It is hashed, copied and read as
one stream of bytes: a signature and then, for each file by its name, the length of the name (4
bytes), the name, the length of the content (8 bytes) and the content.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from goodnet.errors import InputRefused, ModelRefused
from goodnet.files import formats, listings, remote, storage
from goodnet.files.formats import MODEL_FOLDER
from goodnet.files.listings import ListedFile
from goodnet.files.regular import open_regular
from goodnet.files.storage import StoredFile

MARKS = (("saved_model.pb",), ("keras_metadata.pb",), ("metadata.json", "model.weights.h5"))
USUAL_JSON = ("model.json", "config.json")
JSON_START = 4096  # bytes
MOST_FILES = 1000
DEEPEST_FOLDER = 10


class Member(NamedTuple):
    """A file of a model that is a folder.

    Attributes:
        name: below the folder.
        bytes: its size.
        mark: what is another when it has been written to.
        modified: when that was, in seconds since 1970; 0 on S3.
    """

    name: str
    bytes: int
    mark: str
    modified: float


def is_folder_model(uri: str) -> bool:
    """Whether the URI is that of a folder that is one model, itself no link."""
    if storage.is_remote(uri):
        is_file = storage.exists(uri)
    else:
        is_file = os.path.islink(uri) or not os.path.isdir(uri)
    return not is_file and any(
        all(storage.exists(storage.join(uri, name)) for name in names) for names in MARKS
    )


def blocks(uri: str) -> Iterator[bytes]:
    """The content of a model, block by block, whether it is a file or a folder.

    Raises:
        ModelRefused: there is none, it is too large, or not all in it are files and folders.
        OSError: it could not be read.
    """
    if is_folder_model(uri):
        yield from _stream(uri)
        return
    if not storage.is_remote(uri) and os.path.isdir(uri) and not os.path.islink(uri):
        raise ModelRefused(uri, "is a folder and no SavedModel: it has no saved_model.pb")
    yield from storage.blocks(uri, ModelRefused, formats.largest("model"))


def identify(uri: str) -> StoredFile:
    """The model with the digest and size of its content; all of it is read, now.

    Raises:
        ModelRefused, OSError: as `blocks`.
    """
    return storage.summed(uri, blocks(uri))


def json_name(uri: str) -> str:
    """What the Keras JSON of a weights file is called: "net.json" for "net.weights.h5"."""
    name = uri.rstrip("/").rpartition("/")[2]
    for suffix in formats.suffixes("model"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return re.sub(r"[._-]weights?$", "", name, flags=re.IGNORECASE) + ".json"


def architecture_beside(uri: str) -> str | None:
    """The Keras JSON beside a weights file, by its name or a usual one; None if there is none."""
    place, slash, name = uri.rpartition("/")
    same = f"{name.rpartition('.')[0] or name}.json"
    names = dict.fromkeys((json_name(uri), same, *USUAL_JSON))
    beside = (f"{place}{slash}{each}" for each in names if each != name)
    return next((each for each in beside if _is_keras_json(each)), None)


def _is_keras_json(uri: str) -> bool:
    """Whether a file is there that begins as Keras' JSON does, and not as TensorFlow.js' does."""
    try:
        start = storage.first_bytes(uri, JSON_START)
    except InputRefused:
        return False
    return b'"class_name"' in start and b'"modelTopology"' not in start


def entries(folder: str) -> list[ListedFile]:
    """The models directly in a folder, by name; hidden ones are left out.

    They are the files with an ending of models, those without any ending that begin as models do,
    and the folders that are one.

    Raises:
        RequestRefused: there is no such folder.
        OSError: it could not be listed.
    """
    found = listings.entries(folder, formats.suffixes("model"))
    for entry in listings.entries(folder, ("",)):
        if "." not in entry.uri.rpartition("/")[2] and _begins_as_model(entry.uri):
            found.append(entry)
    for name in listings.children(folder)[1]:
        inner = storage.join(folder, name)
        if is_folder_model(inner):
            found.append(_entry(inner))
    return sorted(found)


def _begins_as_model(uri: str) -> bool:
    try:
        start = storage.first_bytes(uri, formats.telling_bytes(), ModelRefused)
        return bool(formats.recognise(uri, start, "model"))
    except InputRefused:
        return False


def _entry(folder: str) -> ListedFile:
    """A folder as a listing shows a file; the mark of one that cannot be taken is why."""
    try:
        members = _members(folder)
    except ModelRefused as refused:
        return ListedFile(folder, f"refused: {refused.fault}", 0, 0)
    marks = hashlib.sha256(repr([(each.name, each.mark) for each in members]).encode())
    size = sum(each.bytes for each in members)
    modified = max(each.modified for each in members)
    return ListedFile(folder, f"folder-{marks.hexdigest()}", size, modified)


def _stream(folder: str) -> Iterator[bytes]:
    yield MODEL_FOLDER.signature
    for member in _members(folder):
        name = os.fsencode(member.name)
        yield len(name).to_bytes(4, "big") + name + member.bytes.to_bytes(8, "big")
        yield from _content(folder, member)


def _content(folder: str, member: Member) -> Iterator[bytes]:
    """The file's content, which is as long as it was when it was listed."""
    if storage.is_remote(folder):
        yield from remote.blocks(storage.join(folder, member.name), member.bytes, member.mark)
        return
    left = member.bytes
    with open_regular(Path(folder) / member.name, ModelRefused) as file:
        while left and (block := file.read(min(left, storage.BLOCK))):
            left -= len(block)
            yield block
        if left or file.read(1):
            raise ModelRefused(folder, f"{member.name} changed while it was read")


def _members(folder: str) -> list[Member]:
    """All files of a model that is a folder, by name; hidden ones are left out.

    Raises:
        ModelRefused: there is a link, a pipe or a device, or there are too many files.
    """
    members = []
    for member in _remote(folder) if storage.is_remote(folder) else _local(folder):
        parts = member.name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise ModelRefused(folder, f"has an object {member.name!r}, which no folder could hold")
        if not any(part.startswith(".") for part in parts):
            members.append(member)
        if len(members) > MOST_FILES:
            raise ModelRefused(folder, f"has more than {MOST_FILES} files")
    return sorted(members)


def _remote(folder: str) -> Iterator[Member]:
    every = (
        (name, size, etag) for name, size, etag in remote.tree(folder) if name[-1:] not in ("", "/")
    )
    return (Member(name, size, etag, 0) for name, size, etag in every)


def _local(folder: str, inner: str = "") -> Iterator[Member]:
    if inner.count("/") > DEEPEST_FOLDER:
        raise ModelRefused(folder, f"has folders nested more than {DEEPEST_FOLDER} deep")
    with os.scandir(os.path.join(folder, inner)) as found:
        for each in found:
            name = f"{inner}{each.name}"
            if each.is_symlink():
                raise ModelRefused(folder, f"{name} is a symbolic link; links are not followed")
            if each.is_dir(follow_symlinks=False):
                yield from _local(folder, f"{name}/")
            elif each.is_file(follow_symlinks=False):
                item = listings.listed_locally(Path(each.path))
                yield Member(name, item.bytes, item.mark, item.modified)
            else:
                raise ModelRefused(folder, f"{name} is not a regular file")
