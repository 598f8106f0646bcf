"""Suspects, and where what each brings lies.

NAME.keras  NAME.toml      a model, and the settings that go with it
NAME/                      a suspect called NAME: model.*, and data/ or model.toml or both
"""

from collections.abc import Sequence
from typing import NamedTuple

from goodnet.errors import ModelRefused, RequestRefused
from goodnet.files import formats, listings, models, paths, remote, storage


class Suspect(NamedTuple):
    """Where a suspect and what it brings are.

    Attributes:
        uri: what it is called by: its model file, or its folder.
        model: its model file.
        folder: the one that it is, or that it is in.
        settings: its TOML file; empty where there is none.
        data: its own folder of data sets; empty where there is none.
    """

    uri: str
    model: str
    folder: str
    settings: str
    data: str


def find_models(uris: Sequence[str]) -> tuple[str, ...]:
    """The suspects that the URIs of models and folders stand for, each once.

    Raises:
        RequestRefused: a folder has no model in it, or nothing is given.
    """
    found: dict[str, None] = {}
    for uri in map(remote.pinned, uris):
        if models.is_folder_model(uri) or not listings.is_folder(uri):
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


def is_suspect(folder: str) -> bool:
    """Whether a folder is a suspect with what it brings; one that cannot be looked into is not."""
    try:
        files, inner = listings.children(folder)
    except PermissionError:
        return False
    return bool(_models_among(files)) and (paths.OWN_DATA in inner or paths.OWN_SETTINGS in files)


def suspects_in(folder: str) -> list[str]:
    """The folders in a folder that are suspects, by name."""
    _, inner = listings.children(folder)
    return [uri for name in inner if is_suspect(uri := storage.join(folder, name))]


def locate(uri: str) -> Suspect:
    """Where a suspect and what it brings are; nothing of it is read.

    Raises:
        ModelRefused: its folder holds several models.
    """
    uri = remote.pinned(uri)
    if storage.exists(uri) or not (listings.is_folder(uri) and is_suspect(uri)):
        beside = paths.own_settings(uri)
        settings = beside if storage.exists(beside) else ""
        return Suspect(uri, uri, storage.parent(uri), settings, "")
    files, inner = listings.children(uri)
    names = _models_among(files)
    if len(names) > 1:
        raise ModelRefused(uri, f"has {' and '.join(names)}; keep one")
    settings = storage.join(uri, paths.OWN_SETTINGS) if paths.OWN_SETTINGS in files else ""
    data = storage.join(uri, paths.OWN_DATA) if paths.OWN_DATA in inner else ""
    return Suspect(uri, storage.join(uri, names[0]), uri, settings, data)


def _models_among(files: Sequence[str]) -> list[str]:
    names = {f"{paths.OWN_MODEL}{suffix}" for suffix in formats.suffixes("model")}
    return [name for name in files if name.lower() in names]
