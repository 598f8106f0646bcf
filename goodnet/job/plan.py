"""What each suspect is repaired with, and what it and all that it brings are known by."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from goodnet.errors import InputRefused, RequestRefused
from goodnet.files import listings, models, paths, storage
from goodnet.files.listings import ListedFile
from goodnet.files.reading import WHOLE, Reading
from goodnet.job.inputs import find_data, parse_reading
from goodnet.job.own_settings import read_settings
from goodnet.job.request import Request, parse_request
from goodnet.job.suspects import locate, suspects_in


class DataRequest(NamedTuple):
    """Where data sets are, and how they are read: what `find_data` takes.

    Attributes:
        data: the folder of data sets, or a single set.
        poisoned: poisoned test images that lie elsewhere; empty where none do.
        reading: how they are read.
    """

    data: str
    poisoned: str = ""
    reading: Reading = WHOLE


class Job(NamedTuple):
    """A suspect, and what it is repaired with.

    Attributes:
        uri: what it is called by: its model file, or its folder.
        model: its model file.
        data: the data sets.
        request: what is asked for.
        brought: what of all this came with the suspect, in words.
    """

    uri: str
    model: str
    data: DataRequest
    request: Request
    brought: tuple[str, ...] = ()


def plan_job(
    uri: str,
    options: Mapping[str, Any],
    data: str,
    poisoned: str = "",
    ways: Mapping[str, str] = {},
) -> Job:
    """What a suspect is repaired with: what it brings, and else what the run is asked for.

    Args:
        uri: of the suspect.
        options: the parameters of `parse_request`, which make sense.
        data: the run's folder of data.
        poisoned: the run's poisoned images, if they lie elsewhere.
        ways: the parameters of `parse_reading`, which make sense.

    Raises:
        InputRefused: it cannot be.
        OSError: it could not be read.
    """
    suspect = locate(uri)
    own = read_settings(suspect, data)
    try:
        request = parse_request(**{**options, **own.options}, class_names=own.class_names)
    except RequestRefused as refused:
        if not own.options:
            raise
        raise RequestRefused(suspect.settings, f"{refused.source}: {refused.fault}") from None
    reading = replace(parse_reading(**ways), classes=own.class_names)
    wanted = DataRequest(data, poisoned, reading)
    if own.data:
        wanted = DataRequest(own.data, "", own.reading)
    return Job(uri, suspect.model, wanted, request, own.in_words)


def own_data(uri: str, data: str) -> str:
    """The folder of data sets that a suspect brings; empty where it is repaired with the run's.

    Raises:
        InputRefused, OSError: as `plan_job`.
    """
    return read_settings(locate(uri), data).data


def list_suspects(folder: str, data: str) -> list[ListedFile]:
    """The suspects in a folder as its listing shows them, by name.

    One's mark is another whenever any of what it brings has been written to, or is there at last.

    Args:
        folder: the inbox.
        data: the run's folder of data.

    Raises:
        RequestRefused: there is no such folder.
    """
    settings = {each.uri: each for each in listings.entries(folder, (paths.SETTINGS_SUFFIX,))}
    listed = []
    for each in models.entries(folder):
        own = settings.get(paths.own_settings(each.uri))
        listed.append(_together(each.uri, [each, own], data) if own else each)
    for uri in suspects_in(folder):
        listed.append(_together(uri, listings.tree(uri), data))
    return sorted(listed)


def _together(uri: str, files: list[ListedFile], data: str) -> ListedFile:
    """These files, and the data that a suspect points to, as one."""
    try:
        own = read_settings(locate(uri), data).data
        files = [*files, *(listings.tree(own) if own else [])]
    except (InputRefused, OSError):  # it is said when the suspect is read
        pass
    marks = json.dumps(sorted({each.uri: each.mark for each in files}.items()))
    return ListedFile(
        uri,
        hashlib.sha256(marks.encode(errors="surrogateescape")).hexdigest(),
        sum(each.bytes for each in files),
        max((each.modified for each in files), default=0),
    )


def content_of(uri: str, data: str) -> str:
    """The digest of a suspect and of all that it brings; that of its model file where that is all.

    Args:
        uri: of the suspect.
        data: the run's folder of data.

    Raises:
        InputRefused: some of it cannot be used.
        OSError: it could not be read.
    """
    suspect = locate(uri)
    model = models.identify(suspect.model).sha256
    own = read_settings(suspect, data)
    if not suspect.settings and not own.data:
        return model
    settings = storage.identify(suspect.settings).sha256 if suspect.settings else ""
    sets = find_data(own.data, "", own.reading) if own.data else {}
    digests = {role: each.stored.sha256 for role, each in sets.items()}
    content = json.dumps([model, settings, digests], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
