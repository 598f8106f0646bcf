"""`goodnet repair`: the flow in a clone, and the same without Prefect where there is none."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import Toy

from flows import repair as flow
from goodnet.command import clone, repair
from goodnet.command.main import main


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
        (["--minutes", "-1"], "--minutes: -1.0 is not 0 to a week"),
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
