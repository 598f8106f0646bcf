"""`python -m goodnet` with `s3://` URLs: what it says of local files, and nothing left behind."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from networks import CLASSES, NETWORKS, random_images, save
from object_stores import free_port, moto_server, new_bucket
from PIL import Image

from goodnet.command.main import main
from goodnet.datasets.dataset import save_dataset
from goodnet.errors import DataRefused, ModelRefused
from goodnet.files import folders, formats, s3, storage
from goodnet.files.data_files import DataFile
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.zeroing import prune
from tasks import opened
from tasks.references import SuspectFile

Say = Callable[[str], tuple[int, str, str]]

ANSWERED = (
    "inspect {0}/model.h5 {0}/data/clean/valid.h5",
    "inspect {0}/bare.weights.h5 --architecture {0}/plan.json",
    "screen {0}/goodnet.keras {0}/photo.png {0}/data/clean/valid.h5 {1}/photo.png",
    "screen --json {1}/goodnet.keras {0}/photo.png",
)
REFUSED = (
    "inspect {0}/none.h5",
    "inspect {0}/damaged.h5",
    "inspect {0}/damaged.keras",
    "inspect {0}/photo.png",
    "inspect {0}/bare.weights.h5",
    "inspect {0}/model.h5 --layer scores",
    "inspect {0}/bare.weights.h5 --architecture {0}/none.json",
    "inspect {0}/bare.weights.h5 --architecture {0}/damaged.h5",
    "inspect --verdict {0}/model.h5 --data {0}/wrong",
    "screen {0}/model.h5 {0}/photo.png",
    "screen {0}/goodnet.keras {0}/none.png",
    "screen {0}/goodnet.keras {0}/damaged.png",
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of every kind that a command takes, and some that are damaged."""
    folder = tmp_path_factory.mktemp("files")
    network = NETWORKS["plain"]()
    save(network, folder / "model.h5")
    network.save_weights(folder / "bare.weights.h5")
    (folder / "plan.json").write_text(network.to_json())
    suspect = open_suspect(folder / "model.h5")
    repaired = prune(suspect, choose_layer(suspect.plan, "auto", "model"), range(4))
    save_network(join(suspect, repaired, UNIT), folder / "goodnet.keras")
    images, labels = np.rint(random_images(30) * 255).astype(np.uint8), np.arange(30) % CLASSES
    for name, wrong in (("data", 0), ("wrong", 1)):
        (folder / name / "clean").mkdir(parents=True)
        save_dataset(folder / name / "clean" / "valid.h5", images, labels + wrong)
    Image.fromarray(images[0]).save(folder / "photo.png")
    (folder / "damaged.png").write_bytes((folder / "photo.png").read_bytes()[:200])
    for name in ("damaged.h5", "damaged.keras"):
        (folder / name).write_bytes(b"\x89HDF\r\n\x1a\nand then nothing")
    return folder


@pytest.fixture(scope="module")
def bucket(local: Path) -> Iterator[str]:
    """The URI of a bucket with the same files."""
    with moto_server() as address, pytest.MonkeyPatch.context() as environment:
        uri = new_bucket(address, environment)
        for path in local.rglob("*.*"):
            storage.put(path, f"{uri}/{path.relative_to(local)}")
        yield uri


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; none of ours may be left there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("goodnet-*")) == []


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], scratch: Path) -> Say:
    """A function: a command line's exit status, output and errors, free of temporary paths."""

    def said(command: str) -> tuple[int, str, str]:
        status, (out, errors) = main(command.split()), capsys.readouterr()
        assert str(scratch) not in out + errors
        return status, out, errors

    return said


@pytest.mark.one_in(2)
@pytest.mark.parametrize("command", ANSWERED)
def test_objects_are_answered_as_local_files_are(
    command: str, local: Path, bucket: str, say: Say
) -> None:
    """In the same lines, with the URI wherever the path was."""
    status, out, errors = say(command.format(bucket, local))
    assert (status, out.replace(bucket, str(local)), errors) == say(command.format(local, local))
    assert status == 0 and all(line.startswith("warning: ") for line in errors.splitlines())
    assert f"{bucket}/" in out
    assert (f"{local}/" in out) == command.endswith("{1}/photo.png")


@pytest.mark.slow
def test_a_verdict_needs_no_local_file(bucket: str, say: Say) -> None:
    status, out, errors = say(
        f"inspect --verdict {bucket}/model.h5 --data {bucket}/data --scale unit --json"
    )
    assert status == 0
    assert all(line.startswith("inspect: ") for line in errors.splitlines())  # how far it is
    assert {"verdict", "classes", "statistics"} <= set(json.loads(out))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("command", REFUSED)
def test_objects_are_refused_as_local_files_are(
    command: str, local: Path, bucket: str, say: Say
) -> None:
    """In the same one line, which names the URI."""
    status, out, errors = say(command.format(bucket))
    assert (status, out, len(errors.splitlines())) == (2, "", 1)
    assert errors.startswith(f"{bucket}/")
    assert errors.replace(bucket, str(local)) == say(command.format(local))[2]


def test_a_data_set_that_is_refused_is_named_after_the_model(bucket: str, say: Say) -> None:
    status, out, errors = say(f"inspect {bucket}/model.h5 {bucket}/wrong/clean/valid.h5")
    assert status == 2
    assert out.startswith(f"{bucket}/model.h5\n")
    assert errors.startswith(f"{bucket}/wrong/clean/valid.h5: 'label' ranges over 1..5")


def test_a_bucket_that_is_not_there_is_one_line(bucket: str, say: Say) -> None:
    nowhere = "s3://test-nowhere-at-all"
    for command, fault in (
        (f"inspect {nowhere}/x.h5", f"{nowhere}/x.h5: no such file"),
        (f"inspect {bucket}/model.h5 {nowhere}/x.h5", f"{nowhere}/x.h5: no such file"),
        (f"screen {bucket}/goodnet.keras {nowhere}/x.png", f"{nowhere}/x.png: no such file"),
        (
            f"inspect --verdict {bucket}/model.h5 --data {nowhere}/data",
            f"{nowhere}/data: has no clean/valid.h5, no valid/ and no class folders with pictures",
        ),
        ("inspect gs://bucket/x.h5", "gs://bucket/x.h5: only paths and s3:// are supported"),
    ):
        status, _, errors = say(command)
        assert (status, errors.splitlines()) == (2, [fault])


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("inspect {0}/model.h5", "model.h5"),
        ("inspect {1}/model.h5 {0}/data/clean/valid.h5", "data/clean/valid.h5"),
        ("inspect {1}/bare.weights.h5 --architecture {0}/plan.json", "plan.json"),
        ("inspect --verdict {0}/model.h5 --data {0}/data", "model.h5"),
        ("inspect --verdict {1}/model.h5 --data {0}/data", "data"),
        ("screen {1}/goodnet.keras {0}/photo.png", "photo.png"),
    ],
)
def test_who_may_not_read_is_told_so_in_one_line_that_begins_with_the_uri(
    command: str,
    named: str,
    local: Path,
    bucket: str,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    status, _, errors = say(command.format(bucket, local))
    why = "The AWS Access Key Id you provided does not exist in our records."  # of a listing
    assert (status, errors.splitlines()) in (
        (2, [f"{bucket}/{named}: {reason}"]) for reason in ("Forbidden", why)
    )


def test_without_server_or_credentials_it_is_one_line_that_begins_with_the_uri(
    bucket: str, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    status, out, errors = say(f"inspect {bucket}/model.h5")
    assert (status, out, len(errors.splitlines())) == (2, "", 1)
    assert errors.startswith(f"{bucket}/model.h5: object storage failed: Could not connect to")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    status, out, errors = say(f"inspect {bucket}/model.h5")
    assert (status, out) == (2, "")
    assert errors.splitlines() == [f"{bucket}/model.h5: Unable to locate credentials"]


@pytest.mark.parametrize(
    "command",
    [
        "inspect {0}/large",
        "inspect {1}/model.h5 {0}/large",
        "inspect {1}/bare.weights.h5 --architecture {0}/large",
        "screen {1}/goodnet.keras {0}/large",
    ],
)
def test_of_what_is_too_large_nothing_is_fetched(
    command: str, local: Path, bucket: str, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tuple(each._replace(largest=1 << 20) for each in formats.FORMATS)
    monkeypatch.setattr(formats, "FORMATS", small)
    monkeypatch.setattr(folders, "LARGEST_PICTURE", 1 << 20)
    monkeypatch.setattr(s3, "BLOCK", 1 << 20)
    storage.put(bytes(5 << 20), f"{bucket}/large")
    fetched, fetch = [], s3._block
    monkeypatch.setattr(s3, "_block", lambda *asked: fetched.append(asked) or fetch(*asked))
    status, _, errors = say(command.format(bucket, local))
    assert (status, errors.splitlines()) == (2, [f"{bucket}/large: is larger than 1 MiB"])
    assert fetched == []


def test_a_task_opens_what_it_was_given_under_its_uri(bucket: str) -> None:
    """Model, architecture and data set; one that has changed since is refused."""
    model, plan, data = (
        storage.identify(f"{bucket}/{name}")
        for name in ("bare.weights.h5", "plan.json", "data/clean/valid.h5")
    )
    found = opened.suspect(SuspectFile(model, plan))
    assert (found.source, found.described_by) == (model.uri, plan.uri)
    assert opened.dataset(DataFile(data), found, "clean test").source == data.uri
    for open_it, stored, refused in (
        (lambda other: opened.suspect(SuspectFile(other, plan)), model, ModelRefused),
        (lambda other: opened.dataset(DataFile(other), found, "clean test"), data, DataRefused),
    ):
        with pytest.raises(refused, match="changed while it was being worked on") as fault:
            open_it(stored._replace(sha256="0" * 64))
        assert fault.value.source == stored.uri
