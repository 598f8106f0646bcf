"""Objects on S3: bounded in time, whole or not at all, and faults in one line.

Endpoint and credentials come from AWS' own environment variables and files, and nowhere else.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from goodnet.errors import RequestRefused, one_line
from goodnet.files import aws_environment, paths

SCHEME = "s3://"
BLOCK = 8 << 20
PART = 64 << 20  # larger files go in parts of this size; an object appears when all have arrived
DIGEST = "goodnet-sha256"  # the metadata that says what we stored
NOT_THERE = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")
NOT_ALLOWED = ("403", "401", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")

# A server that accepts and then is silent costs three times twelve seconds and the pauses between.
TRIES = 3
CLIENT = {
    "connect_timeout": 6,
    "read_timeout": 12,
    "retries": {"mode": "standard", "total_max_attempts": TRIES},
    "request_checksum_calculation": "when_required",  # the newer ones are not known everywhere
    "response_checksum_validation": "when_required",
}


def split(uri: str) -> tuple[str, str]:
    """Bucket and key; a key is taken letter by letter, whatever it holds.

    Raises:
        RequestRefused: it is no `s3://bucket/key`, or carries credentials.
    """
    if not uri.startswith(SCHEME):
        raise RequestRefused(uri, "only paths and s3:// are supported")
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if "@" in bucket:
        raise RequestRefused("s3://", "credentials belong in AWS' environment variables, not here")
    if not bucket:
        raise RequestRefused(uri, "names no bucket")
    return bucket, key


def head(uri: str) -> dict[str, Any] | None:
    """The object's size, ETag, time and metadata, None where there is no object."""
    bucket, key = split(uri)
    if not key:
        return None
    try:
        return _call(uri, "head_object", Bucket=bucket, Key=key)
    except FileNotFoundError:
        return None


def listed(folder: str) -> Iterator[dict[str, Any]]:
    """The objects directly under a prefix, each with its key, size, ETag and time.

    Raises:
        FileNotFoundError: there is no such bucket.
    """
    for prefix, page in _pages(folder, Delimiter="/"):
        yield from (entry for entry in page.get("Contents", ()) if entry["Key"] != prefix)


def children(folder: str) -> tuple[list[str], list[str]]:
    """The names of what is directly under a prefix: objects, and what would be folders.

    Raises:
        FileNotFoundError: there is no such bucket.
    """
    files, folders = [], []
    for prefix, page in _pages(folder, Delimiter="/"):
        files += [entry["Key"].removeprefix(prefix) for entry in page.get("Contents", ())]
        inner = [entry["Prefix"].removeprefix(prefix) for entry in page.get("CommonPrefixes", ())]
        folders += [name.rstrip("/") for name in inner]
    return [name for name in files if name], [name for name in folders if name]


def tree(folder: str) -> Iterator[tuple[str, int, str]]:
    """Name below the prefix, size and ETag of all objects under it, at any depth.

    Raises:
        FileNotFoundError: there is no such bucket.
    """
    for prefix, page in _pages(folder):
        for entry in page.get("Contents", ()):
            yield entry["Key"].removeprefix(prefix), entry["Size"], entry["ETag"]


def _pages(folder: str, **how: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The prefix, with each page of its listing."""
    bucket, key = split(folder)
    prefix = f"{key.rstrip('/')}/" if key else ""
    more: dict[str, Any] = {}
    while True:
        page = _call(folder, "list_objects_v2", Bucket=bucket, Prefix=prefix, **how, **more)
        yield prefix, page
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def any_under(folder: str) -> bool:
    """Whether some object is under the prefix, at any depth; an empty bucket is a folder too."""
    bucket, key = split(folder)
    prefix = f"{key.rstrip('/')}/" if key else ""
    try:
        page = _call(folder, "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except FileNotFoundError:
        return False
    return not key or bool(page.get("Contents"))


def content(uri: str) -> tuple[int, Iterator[bytes]]:
    """The object's size, and its content, of which nothing is fetched before it is asked for.

    One that is replaced meanwhile is a fault, not a mixture.

    Raises:
        FileNotFoundError: there is no such object.
        OSError: it could not be fetched whole.
    """
    item = head(uri)
    if item is None:
        raise FileNotFoundError(f"{one_line(uri)}: no such file")
    size = item["ContentLength"]
    return size, blocks(uri, size, item["ETag"])


def blocks(uri: str, size: int, etag: str) -> Iterator[bytes]:
    """The content of an object that is known from a listing.

    Raises:
        OSError: it could not be fetched whole, or is another by now.
    """
    for start in range(0, size, BLOCK):
        yield _block(uri, start, min(start + BLOCK, size), etag)


def _block(uri: str, start: int, stop: int, etag: str) -> bytes:
    from fsspec.asyn import sync

    bucket, key = split(uri)
    request = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{stop - 1}", "IfMatch": etag}
    for tries_left in range(TRIES - 1, -1, -1):  # the client tries again until content arrives
        try:
            with _clear(uri):
                system = _system()
                data: bytes = sync(system.loop, _content, system, request)
            if len(data) == stop - start:
                return data
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if not tries_left:
                raise
    raise OSError(f"{one_line(uri)}: was not fetched whole")


async def _content(system: Any, request: dict[str, Any]) -> bytes:
    answer = await system._call_s3("get_object", **request)
    async with answer["Body"] as body:
        return bytes(await body.read())


def put(path: Path, uri: str, sha256: str) -> None:
    """Store a local file; the object is whole, or what was there before is unchanged.

    Raises:
        OSError: it could not be stored.
    """
    bucket, key = split(uri)
    size = path.stat().st_size
    with _clear(uri):
        _system().put_file(str(path), f"{bucket}/{key}", chunksize=PART, Metadata={DIGEST: sha256})
    if not matches(uri, size, sha256):
        raise OSError(f"{one_line(uri)}: was not stored whole")


def matches(uri: str, size: int, sha256: str) -> bool:
    """Whether the object is there with this content.

    What we stored says its digest, and an object only ever changes as a whole, its metadata with
    it; any other object is read.
    """
    item = head(uri)
    if item is None or item["ContentLength"] != size:
        return False
    claim = item.get("Metadata", {}).get(DIGEST)
    return bool(claim == sha256) if claim else _digest(uri) == sha256


def check_writable(folder: str) -> None:
    """Nothing: objects can be stored under the prefix. An upload is begun there, and given up.

    That it could be begun is the answer: some servers have no way to give one up, and some
    credentials no right to; no object comes of one that was only begun.

    Raises:
        FileNotFoundError: there is no such bucket.
        OSError: it cannot be written to.
    """
    bucket, key = split(folder)
    place = {"Bucket": bucket, "Key": f"{key.rstrip('/')}/{paths.PROBE}".lstrip("/")}
    upload = _call(folder, "create_multipart_upload", **place)
    with suppress(OSError):
        _call(folder, "abort_multipart_upload", **place, UploadId=upload["UploadId"])


def _digest(uri: str) -> str:
    digest = hashlib.sha256()
    for block in content(uri)[1]:
        digest.update(block)
    return digest.hexdigest()


def _call(uri: str, method: str, **arguments: Any) -> dict[str, Any]:
    with _clear(uri):
        answer: dict[str, Any] = _system().call_s3(method, **arguments)
    return answer


@contextmanager
def _clear(uri: str) -> Iterator[None]:
    """Faults of S3 as `OSError`s of one line that names the URI: they can pass, most of them.

    Raises:
        RequestRefused: no client can be made of AWS' settings, or the URI cannot be asked for.
    """
    from aiohttp import ClientError as ConnectionFault
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as fault:
        raise _of_kind(str(fault.response.get("Error", {}).get("Code")))(
            f"{one_line(uri)}: {one_line(fault)}"
        ) from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{one_line(uri)}: no such file") from None
    except (boto.NoCredentialsError, PermissionError) as fault:
        raise PermissionError(f"{one_line(uri)}: {one_line(fault)}") from None
    except (
        boto.ProfileNotFound,
        boto.ConfigParseError,
        boto.InvalidRegionError,
        boto.PartialCredentialsError,
        boto.InvalidDefaultsMode,
        boto.InvalidSTSRegionalEndpointsConfigError,
    ) as fault:
        raise RequestRefused("AWS settings", fault) from None
    except (boto.ParamValidationError, ValueError) as fault:  # or a setting out of AWS' files
        raise RequestRefused(uri, fault) from None
    except (boto.BotoCoreError, ConnectionFault, OSError) as fault:
        reason = one_line(fault) or type(fault).__name__
        raise OSError(f"{one_line(uri)}: object storage failed: {reason}") from None


def _of_kind(code: str) -> type[OSError]:
    if code in NOT_THERE:
        return FileNotFoundError
    return PermissionError if code in NOT_ALLOWED else OSError


def _system() -> Any:
    """The client, one for a process and its AWS environment.

    Raises:
        RequestRefused: there is something in the environment that no client can be made of.
    """
    environment = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    aws_environment.check(dict(environment))
    return _system_for(os.getpid(), environment)


@lru_cache(maxsize=2)
def _system_for(process: int, environment: tuple[tuple[str, str], ...]) -> Any:
    from s3fs import S3FileSystem  # only where object storage is used

    system = S3FileSystem(config_kwargs=CLIENT, use_listings_cache=False, skip_instance_cache=True)
    system.retries = 1  # botocore's are enough: the two would multiply
    return system
