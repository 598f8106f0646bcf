"""`python -m goodnet`, as processes of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, TARGET, Toy
from PIL import Image

from goodnet.datasets.dataset import open_dataset
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune
from goodnet.scale import Scale


def goodnet(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What `python -m goodnet` says to these arguments."""
    command = [sys.executable, "-m", "goodnet", *map(str, arguments)]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False
    )


def test_inspect_says_what_model_and_data_are(made_toy: Toy) -> None:
    done = goodnet("inspect", made_toy.model, made_toy.data / "clean" / "valid.h5")
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("pool_3, 60 channels", "classes        8", "200, uint8, NCHW", "0..7, 8", "unit;"):
        assert said in done.stdout


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_inspect_refuses_in_one_line(tmp_path: Path, suffix: str) -> None:
    bad = tmp_path / f"bad\x1b[31m{suffix}"
    bad.write_bytes(b"\x89HDF\r\n\x1a\nand then nothing")
    done = goodnet("inspect", bad)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path}/bad?[31m{suffix}: ")


def test_inspect_gives_the_verdict_alone_as_json(made_toy: Toy, tmp_path: Path) -> None:
    """It needs nothing but the model and clean validation images."""
    shutil.copytree(made_toy.data / "clean", tmp_path / "clean")
    (tmp_path / "clean" / "test.h5").unlink()
    done = goodnet("inspect", "--verdict", made_toy.model, "--data", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "backdoored"
    assert TARGET in found["classes"]
    assert found["references"]["outcome"] == "trained"
    assert set(found["statistics"][0]["values"]) <= {str(c) for c in range(8)}


def test_a_verdict_without_data_says_what_is_missing(made_toy: Toy, tmp_path: Path) -> None:
    for arguments, said in (
        ([], "--verdict: needs --data DIR, a folder with clean/valid.h5"),
        (["--data", tmp_path], f"{tmp_path}: has no clean/valid.h5"),
    ):
        done = goodnet("inspect", "--verdict", made_toy.model, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [said]


@pytest.fixture(scope="module")
def screened(made_toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GoodNet of the toy that flags some of its poisoned images."""
    suspect = open_suspect(made_toy.model)
    path = tmp_path_factory.mktemp("goodnet") / "goodnet_drop_2.keras"
    repaired = prune(suspect, "pool_3", range(0, 60, 2))
    save_network(join(suspect, repaired, Scale.UNIT), path)
    return path


def test_screen_answers_the_rows_of_a_data_set(made_toy: Toy, screened: Path) -> None:
    suspect = open_suspect(made_toy.model)
    path = made_toy.data / "clean" / "test.h5"
    clean = open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)
    pruned = np.arange(60) % 2 == 0
    images = clean.images(slice(None), Scale.UNIT)
    before, after = block_answers(Split(suspect, "pool_3"), images, ~pruned[None])
    expected = [int(b) if b == a else "backdoored" for b, a in zip(before, after, strict=True)]
    assert "backdoored" in expected
    assert len(set(expected)) > 2
    done = goodnet("screen", screened, path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["answer"] for answer in answers] == expected
    assert answers[3]["image"] == f"{path}[3]"


def test_screen_answers_pictures_as_it_answers_the_same_rows(
    made_toy: Toy, screened: Path, tmp_path: Path
) -> None:
    suspect = open_suspect(made_toy.model)
    path = made_toy.data / "clean" / "test.h5"
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
    made_toy: Toy, screened: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for arguments in ((made_toy.model, text), (screened, text), (screened, tmp_path / "none.png")):
        done = goodnet("screen", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
