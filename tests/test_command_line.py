"""`python -m goodnet`: as a process, and called as that process calls it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from conftest import PROJECT, Toy
from networks import CLASSES
from PIL import Image
from small_job import CHANNELS, TARGET

from goodnet.command.main import main
from goodnet.datasets.dataset import open_dataset
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune
from goodnet.sandbox import process


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def goodnet(*arguments: object) -> Done:
    """What `python -m goodnet` says to these arguments, without a process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(map(str, arguments)))
    return Done(status, out.getvalue(), err.getvalue())


def as_process(*arguments: object) -> Done:
    """The same, as a process of its own."""
    command = [sys.executable, "-m", "goodnet", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_inspect_says_what_model_and_data_are(made_small: Toy) -> None:
    done = as_process("inspect", made_small.model, made_small.data / "clean" / "valid.h5")
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "pool, 10 channels",
        "classes        5",
        "60, uint8, NCHW",
        "0..4, 5",
        "unit: 0 to 1",
    ):
        assert said in done.stdout


@pytest.mark.parametrize(("suffix", "say"), [(".h5", as_process), (".keras", goodnet)])
def test_inspect_refuses_in_one_line(
    tmp_path: Path, suffix: str, say: Callable[[str, Path], Done]
) -> None:
    bad = tmp_path / f"bad\x1b[31m{suffix}"
    bad.write_bytes(b"\x89HDF\r\n\x1a\nand then nothing")
    done = say("inspect", bad)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path}/bad?[31m{suffix}: ")


def test_inspect_gives_the_verdict_alone_as_json(made_small: Toy, tmp_path: Path) -> None:
    """It needs nothing but model and clean validation images; for a trained net see `test_flow`."""
    shutil.copytree(made_small.data / "clean", tmp_path / "clean")
    (tmp_path / "clean" / "test.h5").unlink()
    done = goodnet("inspect", "--verdict", made_small.model, "--data", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "backdoored"
    assert TARGET in found["classes"]
    assert found["references"]["outcome"] == "trained"
    assert set(found["statistics"][0]["values"]) <= {str(c) for c in range(CLASSES)}


def test_a_verdict_without_data_says_what_is_missing(made_small: Toy, tmp_path: Path) -> None:
    for arguments, said in (
        ([], "--verdict: needs --data DIR, a folder with clean images"),
        (
            ["--data", tmp_path],
            f"{tmp_path}: has no clean/valid.h5, no valid/ and no class folders with pictures",
        ),
    ):
        done = goodnet("inspect", "--verdict", made_small.model, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [said]


@pytest.fixture(scope="module")
def screened(made_small: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GoodNet of the small job that flags some of its poisoned images."""
    suspect = open_suspect(made_small.model)
    path = tmp_path_factory.mktemp("goodnet") / "goodnet_drop_2.keras"
    repaired = prune(suspect, "pool", range(0, CHANNELS, 2))
    save_network(join(suspect, repaired, UNIT), path)
    return path


def test_screen_answers_the_rows_of_a_data_set(made_small: Toy, screened: Path) -> None:
    suspect = open_suspect(made_small.model)
    path = made_small.data / "clean" / "test.h5"
    clean = open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
    pruned = np.arange(CHANNELS) % 2 == 0
    images = clean.images(slice(None), UNIT)
    before, after = block_answers(Split(suspect, "pool"), images, ~pruned[None])
    expected = [int(b) if b == a else "backdoored" for b, a in zip(before, after, strict=True)]
    assert "backdoored" in expected
    assert len(set(expected)) > 2
    done = goodnet("screen", screened, path, "--json")
    assert done.returncode == 0
    assert done.stderr.startswith(f"warning: {expected.count('backdoored')} of 60 images are")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["answer"] for answer in answers] == expected
    assert answers[3]["image"] == f"{path}[3]"


def test_screen_answers_pictures_as_it_answers_the_same_rows(
    made_small: Toy, screened: Path, tmp_path: Path
) -> None:
    suspect = open_suspect(made_small.model)
    path = made_small.data / "clean" / "test.h5"
    clean = open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
    files = []
    for row, picture in enumerate(clean.pictures(slice(6))):
        files.append(tmp_path / f"{row}.png")
        Image.fromarray(picture).save(files[-1])
    rows = goodnet("screen", screened, path).stdout.splitlines()[:6]
    done = goodnet("screen", screened, *files)
    assert done.stderr == ""
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == [
        line.split(": ")[1] for line in rows
    ]


def test_screen_refuses_what_is_no_goodnet_and_what_is_no_picture(
    made_small: Toy, screened: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for arguments in (
        (made_small.model, text),
        (screened, text),
        (screened, tmp_path / "none.png"),
    ):
        done = goodnet("screen", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


def small_pictures(made_small: Toy, folder: Path, count: int = 6) -> list[Path]:
    """The first clean test images as PNG files."""
    path = made_small.data / "clean" / "test.h5"
    clean = open_dataset(path, input_shape=(12, 10, 3), classes=CLASSES)
    files = [folder / f"{row}.png" for row in range(count)]
    for file, picture in zip(files, clean.pictures(slice(count)), strict=True):
        Image.fromarray(picture).save(file)
    return files


def answers_of(done: Done) -> list[str]:
    return [line.rpartition(": ")[2] for line in done.stdout.splitlines()]


def test_screen_answers_pictures_of_16_bits_as_those_of_8(
    made_small: Toy, screened: Path, tmp_path: Path
) -> None:
    """Not as white ones, as which Pillow's own conversion shows them."""
    deep, flat = [], []
    for file in small_pictures(made_small, tmp_path):
        with Image.open(file) as picture:
            gray = picture.convert("L")
        flat.append(tmp_path / f"flat{file.name}")
        deep.append(tmp_path / f"deep{file.name}")
        gray.save(flat[-1])
        Image.fromarray(np.asarray(gray).astype(np.uint16) * 256 + 7).save(deep[-1])
    with Image.open(deep[0]) as picture:
        assert picture.mode == "I;16"
    Image.new("L", (10, 12), 255).save(tmp_path / "white.png")
    (white,) = answers_of(goodnet("screen", screened, tmp_path / "white.png"))
    eight, sixteen = (answers_of(goodnet("screen", screened, *files)) for files in (flat, deep))
    assert eight == sixteen
    assert set(sixteen) != {white}


def test_screen_answers_all_but_the_broken_one(
    made_small: Toy, screened: Path, tmp_path: Path
) -> None:
    """Broken, missing, a link, a data set that is none: each has its line; the status is 1."""
    files: list[Path] = list(small_pictures(made_small, tmp_path))
    whole = answers_of(goodnet("screen", screened, *files))
    files[1].write_bytes(files[1].read_bytes()[:90])
    files[3].unlink()
    files[4].unlink()
    files[4].symlink_to(files[0])
    (tmp_path / "bad.h5").write_text("no data set")
    done = goodnet("screen", screened, *files[:3], tmp_path / "bad.h5", *files[3:])
    assert done.returncode == 1
    assert answers_of(done) == [whole[0], whole[2], whole[5]]
    faults = [
        f"{files[1]}: is not a readable picture (",
        f"{tmp_path / 'bad.h5'}: is not an HDF5 file",
        f"{files[3]}: no such file",
        f"{files[4]}: is a symbolic link",
    ]
    lines = done.stderr.splitlines()
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(fault)
    done = goodnet("screen", "--json", screened, *files[:2])
    assert done.returncode == 1
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["image"], str(first["answer"])) == (str(files[0]), whole[0])
    place = {"image": str(files[1]), "file": str(files[1]), "row": None}
    assert second == {**place, "fault": lines[0].partition(": ")[2]}


def test_screen_answers_data_sets_without_labels_and_folders(
    made_small: Toy, screened: Path, tmp_path: Path
) -> None:
    path = made_small.data / "clean" / "test.h5"
    rows = answers_of(goodnet("screen", screened, path))
    clean = open_dataset(path, input_shape=(12, 10, 3), classes=CLASSES)
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["photos"] = clean.pictures(slice(None))
    np.savez(tmp_path / "bare.npz", x=clean.pictures(slice(None)))
    for bare in ("bare.h5", "bare.npz"):
        done = goodnet("screen", screened, tmp_path / bare)
        assert (done.returncode, answers_of(done)) == (0, rows)
        assert done.stdout.startswith(f"{tmp_path / bare}[0]: ")
    inner = tmp_path / "photos" / "july"
    inner.mkdir(parents=True)
    small_pictures(made_small, inner)
    (inner / "notes.txt").write_text("no picture")
    done = goodnet("screen", screened, tmp_path / "photos")
    assert (done.returncode, answers_of(done)) == (0, rows[:6])
    assert done.stdout.startswith(f"{inner / '0.png'}: ")
    (inner / "link.png").symlink_to("0.png")
    done = goodnet("screen", screened, tmp_path / "photos")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("july/link.png is a symbolic link; links are not followed\n")


def test_a_picture_that_breaks_the_reader_takes_no_other_along(
    made_small: Toy, screened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small_pictures(made_small, tmp_path, 3)
    whole = answers_of(goodnet("screen", screened, *files))
    poison = files[1].read_bytes()
    program = (
        "import os, sys; from pathlib import Path; content = Path(sys.argv[3]).read_bytes(); "
        f"{poison!r} in content and os.abort(); {process.START}"
    )
    monkeypatch.setattr(process, "START", program)
    done = goodnet("screen", screened, *files)
    assert (done.returncode, answers_of(done)) == (1, [whole[0], whole[2]])
    ended = "is damaged: reading it ended the reader process (SIGABRT)"
    assert done.stderr == f"{files[1]}: {ended}\n"
