"""What a suspect brings: images, preprocessing, the names of its classes.

It comes from whoever brought the suspect. So a TOML file is read by the confined process, and what
it points at must lie in the suspect's folder, or in the run's folder of data, wherever links lead.
"""

import os.path
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from goodnet.errors import DataRefused, RequestRefused
from goodnet.files import listings, remote, storage
from goodnet.files.reading import WHOLE, Reading
from goodnet.job.inputs import locate_data, parse_reading
from goodnet.job.suspects import Suspect
from goodnet.sandbox.process import read_untrusted

OPTIONS: Final = ("architecture", "layer", "preprocessing")  # parameters of a request: texts
WAYS: Final = ("keys", "resize", "target")  # of reading its own images
KNOWN: Final = tuple(sorted(("class_names", "data", *OPTIONS, *WAYS)))


@dataclass(frozen=True)
class OwnSettings:
    """What a suspect brings, instead of what the run is asked for.

    Attributes:
        data: its folder of data sets; empty where it has none of its own.
        reading: how these are read.
        class_names: of all its classes, by number; empty where it does not say.
        options: parameters of the request, by name.
    """

    data: str = ""
    reading: Reading = WHOLE
    class_names: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_words(self) -> tuple[str, ...]:
        """What there is."""
        names = {"images": self.data, "names of the classes": self.class_names}
        return (*(name for name, there in names.items() if there), *self.options)


NOTHING_OWN: Final = OwnSettings()


def read_settings(suspect: Suspect, data: str, passed_over: Collection[str] = ()) -> OwnSettings:
    """What a suspect brings.

    Args:
        suspect: where it is.
        data: the run's folder of data, which its settings may point into.
        passed_over: keys that are not looked at; without "data" it brings no images.

    Raises:
        InputRefused: its TOML file makes no sense, or points elsewhere.
        OSError: it could not be read.
    """
    own = OwnSettings(data=_beside(suspect, passed_over))
    if suspect.settings:
        with read_untrusted(suspect.settings, "settings") as content:
            own = _parse(suspect, content.description["settings"], data, passed_over)
    if own.data:
        for uri, _ in locate_data(own.data, "", own.reading).values():
            if not _is_allowed(uri, suspect, data):
                raise DataRefused(uri, "is reached by a link; links are not followed")
    return own


def _parse(
    suspect: Suspect, settings: Mapping[str, Any], data: str, passed_over: Collection[str] = ()
) -> OwnSettings:
    """The settings of a TOML file, each checked."""
    source = suspect.settings
    for name, value in settings.items():
        if name not in KNOWN:
            raise RequestRefused(source, f"has the key {name!r}; known are {', '.join(KNOWN)}")
        text = str(value) if name == "target" and isinstance(value, int) else value
        if name != "class_names" and not (isinstance(text, str) and text):
            raise RequestRefused(source, f"{name} is {value!r} and not a text")
    settings = {name: settings[name] for name in settings if name not in passed_over}
    names = settings.get("class_names", [])
    if not isinstance(names, list) or len(names) != len(set(names)):
        raise RequestRefused(source, "class_names is not a list of names, each another one")
    options: dict[str, str] = {name: settings[name] for name in OPTIONS if name in settings}
    if options.get("architecture", "auto") not in ("auto", "deepid"):
        options["architecture"] = _resolve(suspect, settings, "architecture", data)
    folder = _beside(suspect, passed_over)
    folder = _resolve(suspect, settings, "data", data) if "data" in settings else folder
    ways = {name: str(settings[name]) for name in WAYS if name in settings}
    if ways and not folder:
        raise RequestRefused(source, f"has {', '.join(ways)}, but no images to read by it")
    try:
        reading = parse_reading(**ways)
    except RequestRefused as refused:
        raise RequestRefused(source, f"{refused.source}: {refused.fault}") from None
    reading = replace(reading, classes=tuple(names))
    return OwnSettings(folder, reading, tuple(names), options)


def _beside(suspect: Suspect, passed_over: Collection[str]) -> str:
    """The folder of data in the suspect's own, if that is looked at."""
    return "" if "data" in passed_over else suspect.data


def _resolve(suspect: Suspect, settings: Mapping[str, Any], name: str, data: str) -> str:
    """The URI that a path stands for, relative to its TOML file.

    Raises:
        RequestRefused: it is neither in the suspect's folder nor in the run's folder of data.
    """
    value, here = str(settings[name]), storage.parent(suspect.settings)
    if storage.is_remote(value):
        uri = remote.pinned(value.rstrip("/"))
    elif storage.is_remote(here) and not value.startswith("/"):
        scheme, _, place = here.partition("://")
        uri = f"{scheme}:/{posixpath.normpath(posixpath.join(f'/{place}', value))}"
    else:
        uri = os.path.normpath(os.path.join(here, value))
    if storage.is_remote(uri) and "@" in uri and not remote.is_of_hub(uri):
        raise RequestRefused(suspect.settings, f"{name} carries credentials, which belong nowhere")
    if not _is_allowed(uri, suspect, data):
        fault = f"{name} is {value!r}, neither in the suspect's folder nor in the run's data"
        raise RequestRefused(suspect.settings, fault)
    return uri


def _is_allowed(uri: str, suspect: Suspect, data: str) -> bool:
    return any(listings.is_within(uri, folder) for folder in (suspect.folder, data))
