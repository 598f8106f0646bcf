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

import numpy as np
import pytest
from conftest import PROJECT, Toy
from networks import CLASSES
from PIL import Image
from small_job import CHANNELS, TARGET

from goodnet.__main__ import main
from goodnet.datasets.dataset import open_dataset
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune


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
    for said in ("pool, 10 channels", "classes        5", "60, uint8, NCHW", "0..4, 5", "unit;"):
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
        ([], "--verdict: needs --data DIR, a folder with clean/valid.h5"),
        (["--data", tmp_path], f"{tmp_path}: has no clean/valid.h5"),
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
    assert (done.returncode, done.stderr) == (0, "")
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
