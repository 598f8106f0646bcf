"""What a repair is given, found and identified: models, data sets, architecture."""

from collections.abc import Sequence
from pathlib import Path

from goodnet.errors import DataRefused, ModelRefused, RequestRefused
from goodnet.files import paths, storage
from goodnet.files.storage import StoredFile
from goodnet.sandbox import process
from goodnet.sandbox.process import Kind

CLEAN_VALID, CLEAN_TEST = "clean valid", "clean test"
POISONED_VALID, POISONED_TEST = "poisoned valid", "poisoned test"

_FILES = {
    CLEAN_VALID: (paths.CLEAN_VALID, paths.OLD_CLEAN_VALID),
    CLEAN_TEST: (paths.CLEAN_TEST, paths.OLD_CLEAN_TEST),
    POISONED_VALID: (paths.POISONED_VALID,),
    POISONED_TEST: (paths.POISONED_TEST,),
}
_REQUIRED = (CLEAN_VALID, CLEAN_TEST)


def find_models(given: Sequence[str]) -> tuple[str, ...]:
    """The model files that the URIs of files and folders stand for, each once.

    Raises:
        RequestRefused: a folder has no model in it, or nothing is given.
    """
    found: dict[str, None] = {}
    for uri in given:
        if storage.is_folder(uri):
            inside = storage.list_files(uri, paths.MODEL_SUFFIXES)
            if not inside:
                raise RequestRefused(uri, "has no .h5 or .keras file in it")
            found |= dict.fromkeys(inside)
        else:
            found[uri] = None
    if not found:
        raise RequestRefused("MODEL", "no model given")
    return tuple(found)


def find_data(folder: str) -> dict[str, StoredFile]:
    """The data sets of a folder by role; a poisoned one may be missing.

    Raises:
        DataRefused: there is no clean validation or test set, or one cannot be read.
    """
    found = locate_data(folder)
    return {role: storage.identify(uri, DataRefused) for role, uri in found.items()}


def locate_data(folder: str) -> dict[str, str]:
    """The URIs of a folder's data sets by role, none of them read; a poisoned one may be missing.

    Raises:
        DataRefused: there is no clean validation or test set.
    """
    found = {role: _present(folder, role) for role in _FILES}
    for role in _REQUIRED:
        if found[role] is None:
            raise DataRefused(folder, f"has no {_FILES[role][0]}")
    return {role: uri for role, uri in found.items() if uri is not None}


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
    """The URI of a data set of the folder, if it is there under one of its names."""
    candidates = [storage.join(folder, name) for name in _FILES[role]]
    return next((uri for uri in candidates if storage.exists(uri)), None)


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
    if not storage.is_remote(uri):
        process.glance(Path(uri), kind)
    elif not storage.exists(uri):
        raise process.REFUSAL[kind](uri, "no such file")


def identify_model(uri: str) -> StoredFile:
    """The model file with its digest.

    Raises:
        ModelRefused: it is not there, or no regular file.
    """
    return storage.identify(uri, ModelRefused)


def identify_architecture(given: str) -> StoredFile | str:
    """ "auto", "deepid", or the architecture file with its digest.

    Raises:
        RequestRefused: there is no such file.
    """
    return given if given in ("auto", "deepid") else storage.identify(given, RequestRefused)
