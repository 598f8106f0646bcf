"""What `screen` says to machines, takes from standard input, and warns of; in one process."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Toy
from networks import CLASSES
from PIL import Image

from goodnet.command.main import main as command
from goodnet.datasets.dataset import open_dataset
from goodnet.evaluation import screening
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.zeroing import prune


@pytest.fixture(scope="module")
def gate(made_small: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GoodNet of the small network and of itself, less one channel: it rarely flags."""
    path = tmp_path_factory.mktemp("gate") / "goodnet.keras"
    suspect = open_suspect(made_small.model)
    save_network(join(suspect, prune(suspect, "pool", [9]), UNIT), path)
    return path


@pytest.fixture
def images(made_small: Toy) -> Any:
    clean = open_dataset(
        made_small.data / "clean/test.h5", input_shape=(12, 10, 3), classes=CLASSES
    )
    return clean.pictures(slice(None))


Said = tuple[int, list[str], list[str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command: status, lines, and lines of standard error."""

    def said(*arguments: object) -> Said:
        capsys.readouterr()
        status = command([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return said


def test_machines_get_an_object_a_line(gate: Path, images: Any, say: Any, tmp_path: Path) -> None:
    """File, row, class, its name and whether it is backdoored; a fault beside the others."""
    np.savez(tmp_path / "x.npz", x=images[:3])
    (tmp_path / "broken.png").write_bytes(b"x")
    Image.fromarray(images[0]).save(tmp_path / "0.png")
    (tmp_path / "labels.txt").write_text("0 ant\n1 bee\n2 cat\n3 dog\n4 eel\n")
    files = [tmp_path / name for name in ("x.npz", "broken.png", "0.png")]
    given = ("screen", gate, *files, "--names", tmp_path / "labels.txt")
    status, lines, errors = say(*given, "--format", "json")
    assert (status, len(errors)) == (1, 1)
    *rows, broken, picture = map(json.loads, lines)
    assert [row["row"] for row in rows] == [0, 1, 2]
    for row in rows:
        known = "ant bee cat dog eel".split()[row["class"]] if not row["backdoored"] else None
        assert (row["file"], row["class_name"]) == (str(files[0]), known)
        assert row["image"] == f"{files[0]}[{row['row']}]"
        assert not row["nearly_black"]
    assert broken["file"] == str(files[1]) and broken["fault"].startswith("is not a readable")
    assert "class" not in broken
    place = {"image": str(files[2]), "file": str(files[2]), "row": None}
    assert picture == {**rows[0], **place}
    _, text, _ = say(*given)
    named = f", {rows[0]['class_name']}" if rows[0]["class_name"] else ""
    assert text[-1] == f"{files[2]}: {rows[0]['answer']}{named}"
    assert say("screen", gate, *files, "--json")[1][0] == lines[0].replace(
        json.dumps(rows[0]["class_name"]), "null"
    )


def test_a_backdoored_image_has_no_class() -> None:
    answer = screening.Answer("a.png", "backdoored", row=2)
    assert answer.as_json() == {
        "image": "a.png[2]", "file": "a.png", "row": 2, "answer": "backdoored", "class": None,
        "class_name": None, "backdoored": True, "nearly_black": False,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["one\ntwo", "", "a\nb\nc\nd\ne\nf"])
def test_names_that_are_not_as_many_as_classes_are_refused(
    text: str, gate: Path, say: Any, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text(text)
    status, out, errors = say("screen", gate, gate, "--names", tmp_path / "names.txt")
    assert (status, out) == (2, [])
    count = len(text.split())
    assert errors == [f"{tmp_path}/names.txt: has {count} names and the GoodNet 5 classes"]


def test_a_list_comes_from_standard_input(
    gate: Path, images: Any, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is a file, a folder or a data set; empty ones are passed over."""
    files = [tmp_path / f"{row} photo.png" for row in range(3)]
    for file, image in zip(files, images, strict=False):
        Image.fromarray(image).save(file)
    np.savez(tmp_path / "x.npz", x=images[:2])
    lines = f"{files[2]}\n\n{tmp_path / 'x.npz'}\r\n{tmp_path}/none.png"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    status, out, errors = say("screen", gate, files[0], "-", files[1])
    assert [line.rpartition(": ")[0] for line in out] == [
        str(files[0]), str(files[2]), f"{tmp_path / 'x.npz'}[0]", f"{tmp_path / 'x.npz'}[1]",
        str(files[1]),
    ]  # fmt: skip
    assert (status, errors) == (1, [f"{tmp_path}/none.png: no such file"])


SCALES = {  # how images are stored -> whether that says that they are nearly black
    "bytes": (lambda images: images, False),
    "0..1": (lambda images: images / 255, False),
    "-1..1": (lambda images: images / 127.5 - 1, False),
    "0..1, a little beyond": (lambda images: images / 250, True),
    "0..1 as bytes": (lambda images: np.rint(images / 255).astype(np.uint8), True),
}


@pytest.mark.parametrize("scale", SCALES)
def test_images_at_a_scale_that_cannot_be_meant_are_warned_of(
    scale: str, gate: Path, images: Any, say: Any, tmp_path: Path
) -> None:
    store, dark = SCALES[scale]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.clip(store(np.maximum(images, images.max() * (images > 252))), -1, 255)
    status, out, errors = say("screen", gate, tmp_path / "x.h5", "--json")
    assert status == 0
    said = [json.loads(line)["nearly_black"] for line in out]
    assert said == [dark] * len(images)
    assert any("nearly black" in line for line in errors) == dark


def test_a_picture_of_few_of_its_16_bits_is_warned_of(gate: Path, say: Any, tmp_path: Path) -> None:
    """12 bits of a camera in a file of 16, for example."""
    deep = np.arange(120, dtype=np.uint16).reshape(12, 10)
    Image.fromarray(deep).save(tmp_path / "x.png")
    _, _, errors = say("screen", gate, tmp_path / "x.png")
    (warning,) = errors
    assert warning.startswith("warning: 1 of 1 images are nearly black")


def test_that_most_images_are_flagged_is_said(
    made_small: Toy, say: Any, tmp_path: Path, images: Any
) -> None:
    """By a GoodNet whose other half answers at random."""
    suspect = open_suspect(made_small.model)
    save_network(join(suspect, prune(suspect, "pool", range(10)), UNIT), tmp_path / "gate.keras")
    np.savez(tmp_path / "x.npz", x=images)
    status, out, errors = say("screen", tmp_path / "gate.keras", tmp_path / "x.npz")
    flagged = sum(line.endswith(": backdoored") for line in out)
    assert (status, flagged > 30) == (0, True)
    assert errors[0].startswith(f"warning: {flagged} of 60 images are called backdoored; if most")
    np.savez(tmp_path / "x.npz", x=images[:19])
    assert say("screen", tmp_path / "gate.keras", tmp_path / "x.npz")[2] == []


def test_keys_and_resize_are_taken(gate: Path, images: Any, say: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=images[:2], b=images[2:])
    _, out, _ = say("screen", gate, tmp_path / "x.npz", "--keys", "b")
    assert len(out) == len(images) - 2
    Image.fromarray(images[0]).resize((40, 20)).save(tmp_path / "wide.png")
    assert say("screen", gate, tmp_path / "wide.png", "--resize", "area,crop")[0] == 0
    assert say("screen", gate, tmp_path / "wide.png", "--resize", "best")[0] == 2
