"""What a repair is given beside suspects, found and identified: data sets, and where it writes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from goodnet.errors import DataRefused, RequestRefused
from goodnet.files import folders, formats, listings, models, paths, remote, storage
from goodnet.files.class_names import LONGEST_LIST, listed_names
from goodnet.files.data_files import DataFile, DataSource
from goodnet.files.formats import REFUSAL, Kind
from goodnet.files.reading import WHOLE, Reading, parse_keys, parse_resize
from goodnet.files.regular import open_regular
from goodnet.files.storage import StoredFile

CLEAN_VALID, CLEAN_TEST = "clean valid", "clean test"
POISONED_VALID, POISONED_TEST = "poisoned valid", "poisoned test"

_NAMES = {
    CLEAN_VALID: paths.VALID_NAMES,
    CLEAN_TEST: paths.TEST_NAMES,
    POISONED_VALID: paths.POISONED_VALID_NAMES,
    POISONED_TEST: paths.POISONED_TEST_NAMES,
}
_PLACES = {  # what a folder of sets may have in it
    name.partition("/")[0]
    for name in (*chain(*_NAMES.values()), *paths.TRAINING_NAMES, *paths.POISONED_FOLDERS)
}
DEEPEST = 5  # folders in each other that hold nothing else


def find_data(data: str, poisoned: str = "", reading: Reading = WHOLE) -> dict[str, DataFile]:
    """The data sets by role, each read for its digest; see `locate_data`.

    Raises:
        DataRefused: there are no clean images, or some cannot be read.
        OSError: they could not be read.
    """
    sources = locate_data(data, poisoned, reading)
    stored = {uri: folders.identify(uri) for uri, _ in sources.values()}
    return {role: DataFile(stored[uri], reading) for role, (uri, reading) in sources.items()}


def locate_data(data: str, poisoned: str = "", reading: Reading = WHOLE) -> dict[str, DataSource]:
    """The data sets by role, none of them read. There are always clean validation images.

    Args:
        data: a folder with a validation set and, it may be, a test set and poisoned ones; or a
            single set, to be split in two: a file, a folder of class folders, or a folder that has
            only a test set or only a training set.
        poisoned: poisoned test images that lie elsewhere.
        reading: how the sets are read; a target is that of poisoned ones, and names of classes
            count where the clean validation images are no class folders, or folders of these names.

    Raises:
        DataRefused: there are no clean images.
    """
    data, poisoned = _unpacked(remote.pinned(data)), remote.pinned(poisoned)
    given, reading = reading.classes, replace(reading, classes=())
    clean, found = replace(reading, target=None), dict[str, str]()
    if not listings.is_folder(data) and storage.exists(data):
        sources = _split_in_two(data, clean)
    else:
        found = {role: uri for role in _NAMES if (uri := _present(data, role, _NAMES[role]))}
        sources = _clean_sources(data, found, clean)
    bad = {role: uri for role, uri in found.items() if role in (POISONED_VALID, POISONED_TEST)}
    if poisoned:
        bad = {POISONED_TEST: poisoned}
    elif not bad and sources[CLEAN_VALID].uri != data:
        bad = _poisoned_folder(data)
    valid = sources[CLEAN_VALID].uri
    names = class_names_of(valid, given)
    if isinstance(reading.target, str) and bad:
        number = _class_number(reading.target, names or given, valid)
        reading = replace(reading, target=number)
    sources |= {role: DataSource(uri, reading) for role, uri in bad.items()}
    return {role: numbered_by(names, source, given) for role, source in sources.items()}


def class_names_of(uri: str, given: Sequence[str] = ()) -> tuple[str, ...]:
    """What the classes of a folder of class folders are called, by number; else nothing.

    Args:
        uri: of a data set.
        given: names that came with the suspect, or none: they number the folders, if all folders
            are among them and no list lies beside these.

    Raises:
        DataRefused: its list cannot be read.
        OSError: it could not be listed.
    """
    if not folders.is_set(uri):
        return ()
    files, inner = listings.children(uri)
    for each in files:
        if each in formats.CLASS_NAMES:
            text = storage.blocks(storage.join(uri, each), DataRefused, LONGEST_LIST)
            return tuple(listed_names(b"".join(text), inner))
    return tuple(given if given and {*inner} <= {*given} else inner)


def numbered_by(names: Sequence[str], source: DataSource, given: Sequence[str] = ()) -> DataSource:
    """The set, its class folders and texts numbered by these names, if it has no list of its own.

    Without that, folders for some of the classes would be numbered from 0.

    Args:
        names: of all classes, by number, as the clean images have them, or none.
        source: a data set, in whatever form.
        given: names that came with the suspect, or none: for what the clean images do not name,
            unless the folders are numbers.

    Raises:
        OSError: it could not be listed.
    """
    uri, reading = source
    by = tuple(names or given)
    if not by or reading.target is not None:
        return source
    if folders.is_set(uri):
        files, inner = listings.children(uri)
        known = names or {*inner} & {*by} or not all(name.isdecimal() for name in inner)
        if set(files) & set(formats.CLASS_NAMES) or tuple(inner) == by or not known:
            return source
    return DataSource(uri, replace(reading, classes=by))


def _unpacked(data: str) -> str:
    """The folder, or the only one in it that holds folders, as unpacking an archive leaves it."""
    for _ in range(DEEPEST):
        files, inner = listings.children(data)
        sets = [name for name in files if name.lower().endswith(formats.suffixes("dataset"))]
        if sets or len(inner) != 1 or inner[0].lower() in _PLACES:
            break
        below = storage.join(data, inner[0])
        if not _has_folders(below):
            break
        data = below
    return data


def _class_number(name: str, names: Sequence[str], clean: str) -> int:
    """The number of a class that is called so, by the clean images' class folders or else as given.

    Raises:
        RequestRefused: there is none.
    """
    if name not in names:
        raise RequestRefused("--target", f"{name!r} is no class folder of {clean}; give a number")
    return names.index(name)


def _clean_sources(data: str, found: dict[str, str], reading: Reading) -> dict[str, DataSource]:
    """The clean sets of a folder, or the halves of its single one; see `locate_data`."""
    if CLEAN_VALID in found:
        roles = [role for role in (CLEAN_VALID, CLEAN_TEST) if role in found]
        return {role: DataSource(found[role], reading) for role in roles}
    single = found.get(CLEAN_TEST) or _present(data, "training", paths.TRAINING_NAMES)
    return _split_in_two(single or _only_set(data), reading)


def _poisoned_folder(data: str) -> dict[str, str]:
    """The folder of poisoned images that is itself a set, if there is one: the test set."""
    _, inner = listings.children(data)
    places = [storage.join(data, name) for name in paths.POISONED_FOLDERS if name in inner]
    found = [place for place in places if _holds_pictures(place)]
    return {POISONED_TEST: found[0]} if found else {}


def find_clean_valid(data: str, reading: Reading = WHOLE) -> DataSource:
    """A folder's clean validation images, or a half of the single set: all that a verdict needs.

    Raises:
        DataRefused: there are none.
    """
    return locate_data(data, reading=reading)[CLEAN_VALID]


def _split_in_two(uri: str, reading: Reading) -> dict[str, DataSource]:
    return {
        CLEAN_VALID: DataSource(uri, replace(reading, part="validation")),
        CLEAN_TEST: DataSource(uri, replace(reading, part="test")),
    }


def _only_set(data: str) -> str:
    """The one data set that there is under no name of its own: the folder itself, or its file.

    Raises:
        DataRefused: there is none.
    """
    files, inner = listings.children(data)
    sets = [name for name in files if name.lower().endswith(formats.suffixes("dataset"))]
    if len(sets) == 1 and not inner:
        return storage.join(data, sets[0])
    if not any(_holds_pictures(storage.join(data, name)) for name in inner):
        raise DataRefused(
            data, f"has no {paths.CLEAN_VALID}, no valid/ and no class folders with pictures"
        )
    return data


def _holds_pictures(folder: str) -> bool:
    """Whether there are pictures in a folder, or it has folders, where some may be."""
    files, inner = listings.children(folder)
    return bool(inner) or any(name.lower().endswith(formats.PICTURES) for name in files)


def _present(data: str, role: str, names: Sequence[str]) -> str | None:
    """The URI of a data set of the folder, if it is there under one of its names.

    Raises:
        DataRefused: it is there under several.
    """
    present = []
    for place in dict.fromkeys(name.rpartition("/")[0] for name in names):
        folder = storage.join(data, place) if place else data
        files, inner = listings.children(folder)
        own = [name.rpartition("/")[2] for name in names if name.rpartition("/")[0] == place]
        wanted = {f"{name}{suffix}" for name in own for suffix in formats.suffixes("dataset")}
        found = [name for name in files if name.lower() in wanted]
        holds = _holds_pictures if role in (POISONED_VALID, POISONED_TEST) else _has_folders
        found += [
            f"{name}/"
            for name in inner
            if name.lower() in own and holds(storage.join(folder, name))
        ]
        present += [f"{place}/{name}".lstrip("/") for name in found]
    if len(present) > 1:
        raise DataRefused(data, f"has {' and '.join(present)}, both as {role}; keep one")
    return storage.join(data, present[0].rstrip("/")) if present else None


def _has_folders(folder: str) -> bool:
    """Whether it can be a set: a folder that has folders in it, and not one class."""
    return bool(listings.children(folder)[1])


def find_output(folder: str) -> None:
    """Nothing: the place for the repairs can be written to, and is as it was.

    Raises:
        RequestRefused: it cannot, or there is no such bucket.
        OSError: object storage does not answer, or does not let us in.
    """
    storage.check_writable(folder)


def parse_reading(*, keys: str = "", resize: str = "auto", target: str = "") -> Reading:
    """How data sets are read, as it is asked for.

    Raises:
        RequestRefused: that makes no sense.
    """
    number = int(target) if re.fullmatch(r"[0-9]{1,9}", target) else None
    return Reading(
        keys=parse_keys(keys),
        resize=parse_resize(resize),
        target=target or None if number is None else number,
    )


def glance(uri: str, kind: Kind, *, loose: bool = False) -> None:
    """Nothing: there is a file, and one on this machine begins as its kind and its name say.

    Args:
        uri: a path or an `s3://` URI.
        kind: what it is to be.
        loose: whether a folder's pictures need not be in class folders.

    Raises:
        ModelRefused, DataRefused: there is none, or it does not.
        OSError: object storage does not answer, or does not let us in.
    """
    if kind == "model" and models.is_folder_model(uri):
        return
    if kind == "dataset" and folders.is_set(uri):
        folders.ordered_members(uri, loose=loose)
        return
    if storage.is_remote(uri):
        if not storage.exists(uri):
            raise REFUSAL[kind](uri, "no such file")
        return
    with open_regular(Path(uri), REFUSAL[kind]) as file:
        formats.recognise(uri, file.read(formats.telling_bytes()), kind)


def identify_model(uri: str) -> StoredFile:
    """The model, read for its digest.

    Raises:
        ModelRefused: it is not there, or no regular file and no folder that is a model.
    """
    return models.identify(uri)
