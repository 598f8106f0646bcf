"""Every bad file is refused in one line, and nothing it carries is run."""

import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import hostile
import pytest
from conftest import PROJECT
from hostile import DATASETS, MARKER, MODELS, Bad

from goodnet.dataset import open_dataset
from goodnet.faults import DataRefused, InputRefused, ModelRefused
from goodnet.suspect import open_suspect

INPUT = {"input_shape": (12, 10, 3), "classes": 5}


def built(bad: Bad, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bad file, in a folder that is also the working directory."""
    monkeypatch.chdir(folder)
    return bad.build(folder)


def check(refused: InputRefused, bad: Bad, path: Path, before: set[Path]) -> None:
    """The refusal is one printable line about this file; nothing else is there."""
    line = str(refused)
    assert bad.says in line
    assert path.name.replace("\n", "?") in line
    assert not any(unicodedata.category(char).startswith("C") for char in line)
    assert not Path(MARKER).exists()
    assert set(Path.cwd().rglob("*")) == before


def test_the_kit_has_a_hundred_cases_and_more_each_with_its_own_name() -> None:
    assert len(MODELS) + len(DATASETS) >= 100
    for kit in (MODELS, DATASETS):
        assert Counter(bad.name for bad in kit).most_common(1)[0][1] == 1


@pytest.mark.parametrize("bad", MODELS, ids=lambda bad: bad.name)
def test_bad_models_are_refused(bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built(bad, tmp_path, monkeypatch)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelRefused) as refused:
        open_suspect(path)
    check(refused.value, bad, path, before)


@pytest.mark.parametrize("bad", DATASETS, ids=lambda bad: bad.name)
def test_bad_data_sets_are_refused(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = built(bad, tmp_path, monkeypatch)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataRefused) as refused:
        open_dataset(path, **INPUT)
    check(refused.value, bad, path, before)


def test_the_good_files_that_the_kit_is_made_of_are_opened(tmp_path: Path) -> None:
    model = hostile.archive(hostile.good_members())(tmp_path)
    assert open_suspect(model).classes == 5
    assert open_suspect(hostile.with_h5(lambda file: None)(tmp_path)).classes == 5
    assert len(open_dataset(hostile.data_file()(tmp_path), **INPUT)) == 6


def test_code_in_what_training_left_is_not_looked_at(tmp_path: Path) -> None:
    """Compile and training configuration, build configuration: ignored whatever it says."""

    def change(config: dict[str, object]) -> None:
        config["compile_config"] = {"loss": hostile.PAYLOAD, "optimizer": "os.system"}

    assert open_suspect(hostile.with_config(change)(tmp_path)).classes == 5

    def trained(file: object) -> None:
        file.attrs["training_config"] = '{"loss": "os.system"}'  # type: ignore[attr-defined]

    assert open_suspect(hostile.with_h5(trained)(tmp_path)).classes == 5


@pytest.mark.parametrize(
    "name", ["layer_lambda", "h5_huge", "zip_bomb", "deeper_json", "fifo", "newline"]
)
def test_inspect_refuses_in_a_process_of_its_own(name: str, tmp_path: Path) -> None:
    (bad,) = (bad for bad in MODELS if bad.name == name)
    path = bad.build(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert bad.says in line
