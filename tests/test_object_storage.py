"""Objects on S3, against real HTTP servers: moto's and, where it is installed, s3rver."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import saved_models
from hostile import good_h5, good_network
from object_stores import (
    ENVIRONMENT,
    FAULTS,
    Fault,
    FaultyProxy,
    free_port,
    moto_server,
    new_bucket,
    s3rver_command,
    s3rver_server,
)

from goodnet.errors import InputRefused, ModelRefused, RequestRefused
from goodnet.files import listings, models, s3, storage
from goodnet.files.storage import StoredFile
from goodnet.job import inbox
from goodnet.job.inputs import find_data, find_output
from goodnet.job.plan import plan_job
from goodnet.job.suspects import find_models
from goodnet.network.suspect import open_suspect

QUICK = {
    **s3.CLIENT,
    "connect_timeout": 1,
    "read_timeout": 1,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}


@pytest.fixture(scope="module", params=["moto", "s3rver"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of an S3 server."""
    if request.param == "moto":
        with moto_server() as address:
            yield address
    elif not s3rver_command():
        pytest.skip("s3rver is not installed")
    else:
        with s3rver_server(tmp_path_factory.mktemp("s3rver")) as address:
            yield address


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket on each of the servers."""
    return new_bucket(store, monkeypatch)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultyProxy, str]]:
    """A proxy before moto, and the URI of an empty bucket behind it; the client is impatient."""
    with moto_server() as address:
        uri = new_bucket(address, monkeypatch)
        proxy = FaultyProxy(address)
        monkeypatch.setattr(s3, "CLIENT", QUICK)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy, uri
        proxy.close()


def test_what_is_put_is_held_until_it_changes(bucket: str, tmp_path: Path) -> None:
    uri = f"{bucket}/folder/file.txt"
    stored = storage.put(b"content", uri)
    assert stored == storage.identify(uri) == StoredFile(uri, stored.sha256, 7)
    assert storage.read(stored) == b"content"
    assert storage.matches(stored)
    with storage.local_file(uri) as path:
        assert path.read_bytes() == b"content"
    storage.put(b"contenT", uri)
    assert not storage.matches(stored)
    assert not storage.matches(stored._replace(uri=f"{bucket}/folder/other"))
    with pytest.raises(OSError, match="is not what was stored"):
        storage.read(stored)


def test_a_stored_file_is_copied_from_and_to_object_storage(bucket: str, tmp_path: Path) -> None:
    stored = storage.put(b"content", f"{bucket}/one/file")
    other = storage.copy(stored, f"{bucket}/two/file")
    local = storage.copy(other, str(tmp_path / "two" / "file"))
    assert storage.read(local) == b"content"
    assert {stored.sha256} == {other.sha256, local.sha256}
    storage.put(b"contenT", f"{bucket}/one/file")
    with pytest.raises(OSError, match="is not what was stored"):
        storage.copy(stored, f"{bucket}/three")
    assert not storage.exists(f"{bucket}/three")


def test_an_object_that_others_stored_is_read_to_know_it(bucket: str) -> None:
    """Only what we stored says its digest; and one of the same size is not the same."""
    name = bucket.removeprefix("s3://")
    system = s3._system()
    stored = storage.put(b"content", f"{bucket}/file")
    system.call_s3("put_object", Bucket=name, Key="file", Body=b"content")
    assert storage.matches(stored)
    system.call_s3("put_object", Bucket=name, Key="file", Body=b"contenT")
    assert not storage.matches(stored)


def test_large_files_go_in_parts(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART", 5 << 20)
    monkeypatch.setattr(s3, "BLOCK", 3 << 20)
    content = os.urandom((12 << 20) + 5)
    (tmp_path / "large").write_bytes(content)
    stored = storage.put(tmp_path / "large", f"{bucket}/large")
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert storage.identify(stored.uri) == stored
    assert storage.matches(stored)


def test_folders_are_prefixes_and_their_listing_is_never_remembered(bucket: str) -> None:
    assert find_output(f"{bucket}/artifacts") is None
    assert listings.entries(f"{bucket}/models", (".h5",)) == []
    with pytest.raises(RequestRefused, match="no such bucket"):
        listings.entries("s3://test-nowhere-at-all/models", (".h5",))
    for name in ("b.h5", "a.keras", "notes.txt", ".hidden.h5", "deeper/c.h5"):
        storage.put(b"x", f"{bucket}/models/{name}")
    found = (f"{bucket}/models/a.keras", f"{bucket}/models/b.h5")
    assert find_models([f"{bucket}/models"]) == find_models([f"{bucket}/models/"]) == found
    storage.put(b"x", f"{bucket}/models/d.h5")
    assert find_models([f"{bucket}/models"]) == (*found, f"{bucket}/models/d.h5")
    assert not listings.is_folder(f"{bucket}/model")
    for name in ("cl/valid.h5", "clean/test.h5"):
        storage.put(name.encode(), f"{bucket}/data/{name}")
    assert set(find_data(f"{bucket}/data")) == {"clean valid", "clean test"}


@pytest.mark.slow
def test_suspects_on_s3_bring_their_own_and_are_new_when_any_of_it_is(bucket: str) -> None:
    models, data = f"{bucket}/models", f"{bucket}/data"
    for name in ("stop/model.h5", "stop/data/clean/valid.h5", "net.h5", "plain.h5", "no/net.h5"):
        storage.put(name.encode(), f"{models}/{name}")
    storage.put(b"", f"{models}/stop/data/README")  # s3rver lists no folder of folders alone
    storage.put(b'data = "../data/cars"\nlayer = "conv"', f"{models}/net.toml")
    for name in ("cars/clean/valid.h5", "cars/clean/test.h5"):
        storage.put(b"x", f"{data}/{name}")

    def look() -> dict[str, inbox.InboxEntry]:
        entries = inbox.settled_files(models, {}, quiet_seconds=0, data=data)
        seen = inbox.read_arrivals(entries, {}, pytest.fail, data)
        return {uri.rpartition("/")[2]: entry for uri, entry in seen.items()}

    seen = [look()]
    assert set(seen[0]) == {"net.h5", "plain.h5", "stop"}
    storage.put(b"x", f"{models}/stop/data/clean/test.h5")
    seen.append(look())
    storage.put(b"other", f"{data}/cars/clean/test.h5")
    seen.append(look())
    keys = {name: [each[name].sha256 for each in seen] for name in seen[0]}
    assert len(set(keys["stop"])) == 2 and keys["stop"][1]
    assert keys["net.h5"][0] == keys["net.h5"][1] != keys["net.h5"][2]
    assert set(keys["plain.h5"]) == {storage.identify(f"{models}/plain.h5").sha256}
    found = (f"{models}/net.h5", f"{models}/plain.h5", f"{models}/stop")
    assert find_models([models]) == found and find_models([f"{models}/stop/"]) == found[2:]
    options = {"order": "both", "drop": (2,), "architecture": "auto", "method": "auto"}
    options |= {"layer": "auto", "preprocessing": "auto", "budget": 2, "minutes": 5}
    net, plain, stop = (plan_job(uri, options, data) for uri in found)
    assert (net.data.data, net.request.layer) == (f"{data}/cars", "conv")
    assert (plain.data.data, plain.brought) == (data, ())
    assert (stop.model, stop.data.data) == (f"{models}/stop/model.h5", f"{models}/stop/data")


def test_a_model_may_be_a_folder_or_have_no_ending(bucket: str, tmp_path: Path) -> None:
    """It is found, known by the content of all its files, and opened, as on a disk."""
    files = saved_models.files_of(good_network())
    local = saved_models.write(files, tmp_path / "net")
    for name, content in files.items():
        storage.put(content, f"{bucket}/models/net/{name}")
    storage.put(good_h5(), f"{bucket}/models/plain")
    storage.put(b"hello", f"{bucket}/models/README")
    storage.put(b"x", f"{bucket}/models/pictures/0.png")
    found = find_models([f"{bucket}/models"])
    assert found == (f"{bucket}/models/net", f"{bucket}/models/plain")
    assert find_models([f"{bucket}/models/net/"]) == (f"{bucket}/models/net/",)
    assert models.identify(found[0]).sha256 == models.identify(str(local)).sha256
    assert open_suspect(found[0]).sha256 == models.identify(found[0]).sha256
    assert open_suspect(found[1]).format == ".h5"
    before = models.entries(f"{bucket}/models")
    storage.put(b"x", f"{bucket}/models/net/assets/new")
    assert models.entries(f"{bucket}/models")[0].mark != before[0].mark


@pytest.mark.parametrize("store", ["moto"], indirect=True)  # s3rver has no such keys
def test_what_no_folder_could_hold_is_refused(bucket: str) -> None:
    for name, content in saved_models.files_of(good_network()).items():
        storage.put(content, f"{bucket}/net/{name}")
    storage.put(b"x", f"{bucket}/net/a//b")
    with pytest.raises(ModelRefused, match="which no folder could hold"):
        models.identify(f"{bucket}/net")


def test_an_output_is_tried_and_left_as_it_was(bucket: str) -> None:
    find_output(f"{bucket}/artifacts")
    find_output(bucket)
    name, system = bucket.removeprefix("s3://"), s3._system()
    assert "Contents" not in system.call_s3("list_objects_v2", Bucket=name)
    with suppress(OSError):  # s3rver has no way to list, nor to give up, what was begun
        assert not system.call_s3("list_multipart_uploads", Bucket=name).get("Uploads")
    with pytest.raises(RequestRefused, match=r"nowhere-at-all/artifacts: no such bucket"):
        find_output("s3://test-nowhere-at-all/artifacts")


def test_an_output_that_may_only_be_read_is_found_out_beforehand(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = s3._call

    def reading(uri: str, method: str, **arguments: object) -> object:
        if not method.startswith(("head", "get", "list")):
            raise PermissionError(f"{uri}: Access Denied")
        return call(uri, method, **arguments)

    monkeypatch.setattr(s3, "_call", reading)
    with pytest.raises(PermissionError, match="/artifacts: Access Denied"):
        find_output(f"{bucket}/artifacts")


def test_a_listing_of_more_than_a_page_is_whole(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        storage.put(b"x", f"{bucket}/models/{number}.h5")
    call = s3._call

    def by_two(uri: str, method: str, **arguments: object) -> object:
        more = {"MaxKeys": 2} if method == "list_objects_v2" else {}
        return call(uri, method, **arguments, **more)

    monkeypatch.setattr(s3, "_call", by_two)
    assert len(listings.list_files(f"{bucket}/models", (".h5",))) == 5


@pytest.mark.parametrize(
    "key",
    [
        "models/../../etc/passwd.h5",
        "models/simplecache::file:/etc/passwd.h5",
        "models/net?versionId=1.h5",
        "models/\x1b[31m<b>&.h5",
        "models/%2e%2e%2f*[a].h5",
        "models/" + "ü" * 300 + ".h5",
    ],
)
def test_hostile_keys_are_keys_and_nothing_else(
    key: str, monkeypatch: pytest.MonkeyPatch, moto: str
) -> None:
    uri = new_bucket(moto, monkeypatch)
    name = uri.removeprefix("s3://")
    s3._system().call_s3("put_object", Bucket=name, Key=key, Body=b"content")
    folder = key.rpartition("/")[0]
    (found,) = listings.entries(f"{uri}/{folder}", (".h5",))
    assert found.uri == f"{uri}/{key}"
    assert storage.identify(found.uri).bytes == 7
    with storage.local_file(found.uri) as path:
        assert path.read_bytes() == b"content"
        assert path.suffix == ".h5"
        assert set(path.parent.iterdir()) == {path}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of moto's S3 server."""
    with moto_server() as address:
        yield address


def test_what_cannot_be_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, moto: str) -> None:
    uri = new_bucket(moto, monkeypatch)
    for bad, fault in (
        (f"{uri}/missing.h5", "no such file"),
        (f"{uri}", "no such file"),
        ("s3://test-nowhere-at-all/x.h5", "no such file"),
        ("s3://B A D/x.h5", "s3://B A D/x.h5: "),
        ("s3:///x.h5", "names no bucket"),
        ("gs://bucket/x.h5", "only paths and s3://"),
    ):
        with pytest.raises(InputRefused, match=fault) as refused:
            storage.identify(bad)
        assert len(str(refused.value).splitlines()) == 1


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(RequestRefused, match="environment variables") as refused:
        storage.exists("s3://AKIA:secret@bucket/key")
    assert "secret" not in str(refused.value)


def test_a_server_that_is_not_there_is_one_line_that_names_the_uri(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match=r"^s3://bucket/models: object storage failed: .*connect"):
        listings.entries("s3://bucket/models", (".h5",))


@pytest.mark.slow
def test_a_server_that_is_silent_is_given_up_within_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(OSError, match=r"^s3://bucket/net.h5: object storage failed: "):
            storage.identify("s3://bucket/net.h5")
        assert time.monotonic() - started < 50


def write_repair(folder: str, local: Path) -> list[StoredFile]:
    """Three files, one of them in parts, and the manifest that names them, last."""
    files = [
        storage.put(b"report", f"{folder}/report.md"),
        storage.put(local, f"{folder}/model.h5"),
        storage.put(b"curves", f"{folder}/curves.csv"),
    ]
    text = json.dumps({file.uri: [file.sha256, file.bytes] for file in files})
    return [*files, storage.put(text.encode(), f"{folder}/manifest.json")]


def check_folder(folder: str) -> bool:
    """Whether there is a manifest; every object is whole, and a manifest's files are there."""
    for name in ("report.md", "model.h5", "curves.csv", "manifest.json"):
        found = s3.head(f"{folder}/{name}")
        if found:
            content = b"".join(s3.content(f"{folder}/{name}")[1])
            assert hashlib.sha256(content).hexdigest() == found["Metadata"]["goodnet-sha256"]
    if not storage.exists(f"{folder}/manifest.json"):
        return False
    manifest = json.loads(b"".join(s3.content(f"{folder}/manifest.json")[1]))
    for uri, (sha256, size) in manifest.items():
        assert storage.identify(uri) == StoredFile(uri, sha256, size)
    return True


def requests_of_a_repair(proxy: FaultyProxy, uri: str, local: Path) -> int:
    """How many requests `write_repair` makes."""
    proxy.break_requests(range(0), "reset")
    write_repair(f"{uri}/unbroken", local)
    return proxy.count


def check_fault(
    broken: tuple[FaultyProxy, str],
    local: Path,
    fault: Fault,
    numbers: range,
) -> None:
    """A fault that passes is survived; one that lasts is one clear line, and nothing half.

    The last request but one stores the manifest, the last looks whether it is there.
    """
    proxy, uri = broken
    for number in numbers:
        passing, lasting = f"{uri}/{fault}-{number}-once", f"{uri}/{fault}-{number}-on"
        proxy.break_requests(range(number, number + 1), fault)
        write_repair(passing, local)
        proxy.break_requests(range(number, 10**6), fault)
        try:
            write_repair(lasting, local)
        except OSError as failed:
            assert str(failed).startswith(f"{lasting}/")
            assert len(str(failed).splitlines()) == 1
        else:
            assert fault == "cut"  # what has no content is not cut
        proxy.break_requests(range(0), fault)
        assert check_folder(passing)
        there = check_folder(lasting)
        assert not there or number >= numbers[-1] - 1 or fault == "cut"


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that goes in three parts."""
    monkeypatch.setattr(s3, "PART", 5 << 20)
    (tmp_path / "model.h5").write_bytes(os.urandom(11 << 20))
    return tmp_path / "model.h5"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["reset mid-upload"])
def test_a_fault_at_some_requests_leaves_nothing_half(
    fault: Fault,
    broken: tuple[FaultyProxy, str],
    local: Path,
) -> None:
    count = requests_of_a_repair(*broken, local)
    check_fault(broken, local, fault, range(2, count, 5))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_leaves_nothing_half(
    fault: Fault,
    broken: tuple[FaultyProxy, str],
    local: Path,
) -> None:
    count = requests_of_a_repair(*broken, local)
    assert count > 10
    check_fault(broken, local, fault, range(count))
