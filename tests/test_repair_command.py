"""`goodnet repair`: the flow in a clone, and the same without Prefect where there is none."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import Toy

from flows import repair as flow
from goodnet.command import clone, repair, repair_steps
from goodnet.command.main import main
from goodnet.detection import detect


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package lies in no clone."""
    monkeypatch.setattr(clone, "HOME", Path("/nowhere"))


def digests(folder: Path) -> dict[str, str]:
    """What is in a repair's folder: its files' digests by their names."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_clone_has_the_flow() -> None:
    assert clone.main_of("repair") is flow.main


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--task-runner", "dask"], "--task-runner: needs a clone of GoodNet, and Prefect"),
        (["--drop", "x"], "--drop: 'x' is not a number of points"),
        (["--minutes", "0"], "--minutes: 0.0 is not more than 0 and up to a week"),
        (["--data", "none"], "failed: none: has no clean/valid.h5, no valid/ and no class folders"),
        (["none.h5"], "failed: none.h5: no such file"),
        (["--resize", "best"], "--resize: "),
    ],
)
def test_what_makes_no_sense_is_one_line(
    given: list[str],
    line: str,
    alone: None,
    made_small: Toy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = [] if given == ["none.h5"] else [str(made_small.model)]
    places = ["--data", str(made_small.data), "--output", str(tmp_path / "out")]
    assert main(["repair", *places, *given, *model]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(line)
    assert not (tmp_path / "out").exists()


def test_without_what_a_report_needs_nothing_is_computed(
    alone: None,
    made_small: Toy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(repair, "find_spec", lambda name: None)
    assert main(["repair", str(made_small.model), "--data", str(made_small.data)]) == 2
    assert capsys.readouterr().err == (
        "goodnet: a report needs matplotlib: pip install 'goodnet[report]'\n"
    )


PRUNING = {"curves.csv", "evaluation.csv", "evaluation.png", "curve_asc.png"}


def test_what_pruning_came_to_is_there_and_shown_before_the_verdict_begins(
    alone: None,
    made_small: Toy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise OSError("stopped")

    monkeypatch.setattr(repair_steps, "detect", stopped)
    given = ["repair", str(made_small.model), "--data", str(made_small.data)]
    assert main([*given, "--order", "ascending", "--output", str(tmp_path)]) == 1
    (folder,) = tmp_path.glob("small-*")
    left = digests(folder)
    assert set(left) >= PRUNING
    assert {Path(name).suffix for name in left} == {".csv", ".png", ".h5", ".keras"}
    table = (folder / "evaluation.csv").read_text().splitlines()
    assert len(table) == 2 + sum(map(is_network, left))
    said = capsys.readouterr().err
    assert said.startswith("small, pruned:\nmodel ") and said.endswith("failed: stopped\n")


def test_a_verdict_that_is_off_is_left_out(
    alone: None,
    made_small: Toy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The manifest says so, the networks are those of before, and nothing is recommended."""
    monkeypatch.setattr(detect, "find_triggers", None)
    given = ["repair", str(made_small.model), "--data", str(made_small.data), "--verdict", "off"]
    assert main([*given, "--order", "ascending", "--output", str(tmp_path)]) == 0
    (folder,) = tmp_path.glob("small-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["parameters"]["verdict"] == {"asked": "off"}
    assert "minutes" not in manifest["parameters"]
    listed = {name: each["sha256"] for name, each in manifest["files"].items()}
    assert digests(folder) == listed | {"manifest.json": digests(folder)["manifest.json"]}
    assert "the verdict was left out (--verdict off)" in (folder / "report.md").read_text()


def is_network(name: str) -> bool:
    return Path(name).suffix in (".h5", ".keras")


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_without_prefect_the_same_files_are_left(
    small: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but the manifest, which says what code there was; unlearning included."""
    monkeypatch.chdir(small.folder)
    given = ["repair", str(small.model), "--data", str(small.data)]
    assert main([*given, "--output", "flow"]) == 0
    monkeypatch.setattr(clone, "HOME", Path("/nowhere"))
    broken = str(small.folder / "models" / "broken.h5")
    Path(broken).write_bytes(b"no model")
    assert main(["repair", broken, *given[1:], "--output", "alone"]) == 1
    said = capsys.readouterr()
    assert f"failed: {broken}: is not an HDF5 file" in said.err
    (with_flow,), (alone,) = Path("flow").glob("small-*"), Path("alone").glob("small-*")
    assert said.out.endswith(f"wrote {alone}\n")
    assert Path("alone", "index.html").exists() and Path("flow", "index.html").exists()
    ours, theirs = digests(alone), digests(with_flow)
    assert set(ours) == set(theirs)
    assert {name for name in ours if ours[name] != theirs[name]} == {"manifest.json"}
    mine, other = (json.loads((each / "manifest.json").read_text()) for each in (alone, with_flow))
    assert {name for name in mine if mine[name] != other[name]} <= {"versions", "parameters"}
