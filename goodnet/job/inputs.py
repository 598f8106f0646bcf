"""What a repair is given, found and identified: models, data sets, architecture."""

from collections.abc import Sequence
from pathlib import Path

from goodnet.errors import DataRefused, RequestRefused
from goodnet.files import folders, formats, models, paths, storage
from goodnet.files.formats import REFUSAL, Kind
from goodnet.files.regular import open_regular
from goodnet.files.storage import StoredFile
from goodnet.job.suspects import is_suspect, suspects_in

CLEAN_VALID, CLEAN_TEST = "clean valid", "clean test"
POISONED_VALID, POISONED_TEST = "poisoned valid", "poisoned test"

_FILES = {  # each may have any ending of a data set, or be a folder without one
    CLEAN_VALID: (paths.CLEAN_VALID, paths.OLD_CLEAN_VALID),
    CLEAN_TEST: (paths.CLEAN_TEST, paths.OLD_CLEAN_TEST),
    POISONED_VALID: (paths.POISONED_VALID,),
    POISONED_TEST: (paths.POISONED_TEST,),
}
_FOLDERS = {CLEAN_VALID: paths.VALID_FOLDER, CLEAN_TEST: paths.TEST_FOLDER}
_REQUIRED = (CLEAN_VALID, CLEAN_TEST)


def find_models(uris: Sequence[str]) -> tuple[str, ...]:
    """The suspects that the URIs of models and folders stand for, each once; see `suspects`.

    Raises:
        RequestRefused: a folder has no model in it, or nothing is given.
    """
    found: dict[str, None] = {}
    for uri in uris:
        if models.is_folder_model(uri) or not storage.is_folder(uri):
            found[uri] = None
        elif is_suspect(uri):
            found[uri.rstrip("/")] = None
        else:
            inside = [*(entry.uri for entry in models.entries(uri)), *suspects_in(uri)]
            if not inside:
                usual = [each.suffixes[0] for each in formats.formats_of("model") if each.suffixes]
                raise RequestRefused(
                    uri, f"has no {' or '.join(usual)} file and no SavedModel folder in it"
                )
            found |= dict.fromkeys(inside)
    if not found:
        raise RequestRefused("MODEL", "no model given")
    return tuple(found)


def find_data(folder: str) -> dict[str, StoredFile]:
    """The data sets of a folder by role, each read for its digest; a poisoned one may be missing.

    Raises:
        DataRefused: there is no clean validation or test set, or one cannot be read.
    """
    return {role: folders.identify(uri) for role, uri in locate_data(folder).items()}


def locate_data(folder: str) -> dict[str, str]:
    """The URIs of a folder's data sets by role, none of them read; a poisoned one may be missing.

    Raises:
        DataRefused: there is no clean validation or test set.
    """
    uris = {role: _present(folder, role) for role in _FILES}
    for role in _REQUIRED:
        if uris[role] is None:
            raise DataRefused(folder, f"has no {_FILES[role][0]}")
    return {role: uri for role, uri in uris.items() if uri is not None}


def find_clean_valid(folder: str) -> str:
    """The URI of a folder's clean validation set: all that a verdict needs.

    Raises:
        DataRefused: there is none.
    """
    present = _present(folder, CLEAN_VALID)
    if present is None:
        raise DataRefused(folder, f"has no {paths.CLEAN_VALID}")
    return present


def _present(folder: str, role: str) -> str | None:
    """The URI of a data set of the folder, if it is there under one of its names.

    Raises:
        DataRefused: it is there under several.
    """
    names = [
        f"{name.rpartition('.')[0]}{suffix}"
        for name in _FILES[role]
        for suffix in formats.suffixes("dataset")
    ]
    present = [name for name in names if storage.exists(storage.join(folder, name))]
    stems = [name.rpartition(".")[0] for name in _FILES[role]]
    stems += [_FOLDERS[role]] if role in _FOLDERS else []
    present += [f"{name}/" for name in stems if folders.is_set(storage.join(folder, name))]
    if len(present) > 1:
        raise DataRefused(folder, f"has {' and '.join(present)}, both as {role}; keep one")
    return storage.join(folder, present[0]) if present else None


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
    if kind == "model" and models.is_folder_model(uri):
        return
    if storage.is_remote(uri):
        if not storage.exists(uri):
            raise REFUSAL[kind](uri, "no such file")
        return
    if kind == "dataset" and folders.is_set(uri):
        folders.ordered_files(uri)
        return
    with open_regular(Path(uri), REFUSAL[kind]) as file:
        formats.recognise(uri, file.read(formats.telling_bytes()), kind)


def identify_model(uri: str) -> StoredFile:
    """The model, read for its digest.

    Raises:
        ModelRefused: it is not there, or no regular file and no folder that is a model.
    """
    return models.identify(uri)


def identify_architecture(name: str) -> StoredFile | str:
    """ "auto", "deepid", or the architecture file with its digest.

    Raises:
        RequestRefused: there is no such file.
    """
    return name if name in ("auto", "deepid") else storage.identify(name, RequestRefused)
