"""What a repair is given, found and identified: models, data sets, architecture."""

from collections.abc import Sequence
from pathlib import Path

from goodnet.errors import DataRefused, ModelRefused, RequestRefused
from goodnet.files import folders, formats, paths, storage
from goodnet.files.data_files import DataFile, DataSource
from goodnet.files.formats import REFUSAL, Kind
from goodnet.files.reading import Reading
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


def find_models(uris: Sequence[str]) -> tuple[str, ...]:
    """The model files that the URIs of files and folders stand for, each once.

    Raises:
        RequestRefused: a folder has no model in it, or nothing is given.
    """
    models: dict[str, None] = {}
    for uri in uris:
        if storage.is_folder(uri):
            files = storage.list_files(uri, formats.suffixes("model"))
            if not files:
                usual = [each.suffixes[0] for each in formats.formats_of("model")]
                raise RequestRefused(uri, f"has no {' or '.join(usual)} file in it")
            models |= dict.fromkeys(files)
        else:
            models[uri] = None
    if not models:
        raise RequestRefused("MODEL", "no model given")
    return tuple(models)


def find_data(data: str) -> dict[str, DataFile]:
    """The data sets by role, each read for its digest; see `locate_data`.

    Raises:
        DataRefused: there are no clean images, or some cannot be read.
        OSError: they could not be read.
    """
    sources = locate_data(data)
    stored = {uri: folders.identify(uri) for uri, _ in sources.values()}
    return {role: DataFile(stored[uri], reading) for role, (uri, reading) in sources.items()}


def locate_data(data: str) -> dict[str, DataSource]:
    """The data sets by role, none of them read. There are always clean validation images.

    Args:
        data: a folder with a validation set and, it may be, a test set and poisoned ones; or a
            single set, to be split in two: a file, a folder of class folders, or a folder that has
            only a test set or only a training set.

    Raises:
        DataRefused: there are no clean images.
    """
    if not storage.is_folder(data) and storage.exists(data):
        return _split_in_two(data)
    found = {role: uri for role in _NAMES if (uri := _present(data, role, _NAMES[role]))}
    if CLEAN_VALID in found:
        return {role: DataSource(uri) for role, uri in found.items()}
    single = found.pop(CLEAN_TEST, None) or _present(data, "training", paths.TRAINING_NAMES)
    poisoned = {role: DataSource(uri) for role, uri in found.items()}
    return _split_in_two(single or _only_set(data)) | poisoned


def find_clean_valid(data: str) -> DataSource:
    """A folder's clean validation images, or a half of the single set: all that a verdict needs.

    Raises:
        DataRefused: there are none.
    """
    return locate_data(data)[CLEAN_VALID]


def _split_in_two(uri: str) -> dict[str, DataSource]:
    return {
        CLEAN_VALID: DataSource(uri, Reading(part="validation")),
        CLEAN_TEST: DataSource(uri, Reading(part="test")),
    }


def _only_set(data: str) -> str:
    """The one data set that there is under no name of its own: the folder itself, or its file.

    Raises:
        DataRefused: there is none.
    """
    files, inner = storage.children(data)
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
    files, inner = storage.children(folder)
    return bool(inner) or any(name.lower().endswith(formats.PICTURES) for name in files)


def _present(data: str, role: str, names: Sequence[str]) -> str | None:
    """The URI of a data set of the folder, if it is there under one of its names.

    Raises:
        DataRefused: it is there under several.
    """
    present = []
    for place in dict.fromkeys(name.rpartition("/")[0] for name in names):
        folder = storage.join(data, place) if place else data
        files, inner = storage.children(folder)
        own = [name.rpartition("/")[2] for name in names if name.rpartition("/")[0] == place]
        wanted = {f"{name}{suffix}" for name in own for suffix in formats.suffixes("dataset")}
        found = [name for name in files if name.lower() in wanted]
        found += [
            f"{name}/" for name in inner if name.lower() in own and _has_folders(folder, name)
        ]
        present += [f"{place}/{name}".lstrip("/") for name in found]
    if len(present) > 1:
        raise DataRefused(data, f"has {' and '.join(present)}, both as {role}; keep one")
    return storage.join(data, present[0].rstrip("/")) if present else None


def _has_folders(folder: str, name: str) -> bool:
    """Whether it can be a set: a folder that has folders in it, and not one class."""
    return bool(storage.children(storage.join(folder, name))[1])


def find_output(folder: str) -> None:
    """Nothing: the place for the repairs can be written to, and is as it was.

    Raises:
        RequestRefused: it cannot, or there is no such bucket.
        OSError: object storage does not answer, or does not let us in.
    """
    storage.check_writable(folder)


def glance(uri: str, kind: Kind) -> None:
    """Nothing: there is a file, and one on this machine begins as its kind and its name say.

    Raises:
        ModelRefused, DataRefused: there is none, or it does not.
        OSError: object storage does not answer, or does not let us in.
    """
    if kind == "dataset" and folders.is_set(uri):
        folders.ordered_members(uri)
        return
    if storage.is_remote(uri):
        if not storage.exists(uri):
            raise REFUSAL[kind](uri, "no such file")
        return
    with open_regular(Path(uri), REFUSAL[kind]) as file:
        formats.recognise(uri, file.read(formats.longest_signature()), kind)


def identify_model(uri: str) -> StoredFile:
    """The model file, read for its digest.

    Raises:
        ModelRefused: it is not there, or no regular file.
    """
    return storage.identify(uri, ModelRefused)


def identify_architecture(name: str) -> StoredFile | str:
    """ "auto", "deepid", or the architecture file with its digest.

    Raises:
        RequestRefused: there is no such file.
    """
    return name if name in ("auto", "deepid") else storage.identify(name, RequestRefused)
