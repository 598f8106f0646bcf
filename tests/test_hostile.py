"""Every bad file is refused in one line, and nothing it carries is run."""

import os
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import hostile
import numpy as np
import pytest
from conftest import PROJECT
from hostile import DATASETS, MARKER, MODELS, SAVED_MODELS, Bad

from goodnet.datasets.dataset import open_dataset
from goodnet.errors import DataRefused, InputRefused, ModelRefused
from goodnet.files import models
from goodnet.network.suspect import open_suspect
from goodnet.sandbox.reader.arrays import Refused
from goodnet.sandbox.reader.saved_model import read_folder

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


# Those of SavedModels that are not among these are refused by the reader in the tests' own process.
IN_A_PROCESS = {
    "folder_layer_lambda", "folder_layer_tf_op", "folder_no_metadata", "folder_subclassed",
    "folder_many_keys", "folder_giant", "folder_chain", "folder_link_out", "folder_cycle",
    "folder_unpacked_text",
}  # fmt: skip


IN_THIS_ONE = [bad for bad in SAVED_MODELS if bad.name not in IN_A_PROCESS]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("bad", IN_THIS_ONE, ids=lambda bad: bad.name)
def test_the_reader_refuses_bad_folders_or_they_are_for_what_is_built(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most are refused for what is in the folder, and some because no network can be built."""
    path = built(bad, tmp_path, monkeypatch)
    (tmp_path / "arrays").mkdir()
    try:
        (tmp_path / "input").write_bytes(b"".join(models.blocks(str(path))))
        read_folder(tmp_path / "input", tmp_path / "arrays")
    except (ModelRefused, Refused) as refused:
        assert bad.says in str(refused)
    else:
        assert bad.name.startswith("folder_layer_") or bad.name in BUILT
    assert not Path(MARKER).exists()


BUILT = {"folder_subclassed", "folder_no_config", "folder_wrong_shape", "folder_cycle",
         "folder_one_weight_twice"}  # fmt: skip


def test_the_kit_has_a_hundred_cases_and_more_each_with_its_own_name() -> None:
    assert len(MODELS) + len(DATASETS) >= 100
    for kit in (MODELS, DATASETS):
        assert Counter(bad.name for bad in kit).most_common(1)[0][1] == 1


def slow_if(late: Callable[[Bad], bool], kit: Sequence[Bad]) -> list[Any]:
    """The kit's cases as parameters, some of them for the slow tests alone."""
    slow = [pytest.mark.slow]
    return [pytest.param(bad, id=bad.name, marks=slow if late(bad) else []) for bad in kit]


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    "bad", slow_if(lambda bad: bad in SAVED_MODELS and bad.name not in IN_A_PROCESS, MODELS)
)
def test_bad_models_are_refused(bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built(bad, tmp_path, monkeypatch)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelRefused) as refused:
        open_suspect(path)
    check(refused.value, bad, path, before)


@pytest.mark.one_in(4)
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


def _beside(file: h5py.File) -> None:
    """Objects of all kinds that no model needs, beside one and in it."""
    for top in (file, *(file[name] for name in ("model_weights",) if name in file)):
        top["soft"], top["nowhere"] = h5py.SoftLink("/"), h5py.SoftLink("/none")
        top["external"] = h5py.ExternalLink("/etc/passwd", "/")
    file["cycle/again"] = file["/"]
    file.create_dataset("elsewhere", (4,), "f4", external=[("/etc/passwd", 0, 16)])
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("virtual", layout)
    file["compound"] = np.zeros(3, [("a", "i4"), ("b", "c8")])
    file["opaque"], file["type"] = np.void(b"abc"), np.dtype("f4")
    file.create_dataset("texts", data=["a"], dtype=h5py.string_dtype())
    file.create_dataset("huge", (1 << 40,), "f4", chunks=(1 << 20,))
    file["optimizer_weights/again"] = file["/"]
    file["optimizer/vars/0"], file["weights_of_others/vars/1"] = np.zeros(3), np.ones(3)
    file.create_dataset("data", data=np.ones((6, 3, 12, 10), "i4"), scaleoffset=0)
    file.attrs["notes"] = [1, 2, 3]


@pytest.mark.parametrize("build", [hostile.with_h5, hostile.with_weights])
def test_what_is_never_read_refuses_nothing(build: Any, tmp_path: Path) -> None:
    assert open_suspect(build(_beside)(tmp_path)).classes == 5


def test_objects_beside_images_that_are_never_read_refuse_nothing(tmp_path: Path) -> None:
    path = hostile.data_file()(tmp_path)
    with h5py.File(path, "r+") as file:
        data = file["data"][()]
        del file["data"]
        _beside(file)
        del file["data"]
        file["data"] = data
    assert len(open_dataset(path, **INPUT)) == 6


def test_code_in_what_training_left_is_not_looked_at(tmp_path: Path) -> None:
    """Compile and training configuration, build configuration: ignored whatever it says."""

    def change(config: dict[str, object]) -> None:
        config["compile_config"] = {"loss": hostile.PAYLOAD, "optimizer": "os.system"}

    assert open_suspect(hostile.with_config(change)(tmp_path)).classes == 5

    def trained(file: object) -> None:
        file.attrs["training_config"] = '{"loss": "os.system"}'  # type: ignore[attr-defined]

    assert open_suspect(hostile.with_h5(trained)(tmp_path)).classes == 5


class Inspected(NamedTuple):
    """How `goodnet inspect` ended, what its processes computed, and the largest one's MiB."""

    status: int
    said: str
    errors: list[str]
    seconds: float
    peak: float


def inspected(folder: Path, *inputs: Path) -> Inspected:
    """Inspect files in a process of its own, with the folder as its own and for its files."""
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(temporary)}
    before = contents(folder)
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        command = [sys.executable, "-m", "goodnet", "inspect", *map(str, inputs)]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        said, errors = ((folder / name).read_text() for name in ("out", "err"))
    assert contents(folder) - before == {folder / "out", folder / "err"}
    return Inspected(process.returncode, said, errors.splitlines(), seconds, usage.ru_maxrss / 1024)


def contents(folder: Path) -> set[Path]:
    """Everything in a folder."""
    return set(folder.rglob("*"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The memory it takes to inspect a good model and data set, in MiB."""
    folder = tmp_path_factory.mktemp("base")
    model = hostile.archive(hostile.good_members())(folder)
    done = inspected(folder, model, hostile.data_file()(folder))
    assert (done.status, done.errors) == (0, [])
    return done.peak


def check_inspected(bad: Bad, done: Inspected, base: float) -> None:
    """One line with the message, exit status 2, soon and at little cost."""
    assert done.status == 2
    (line,) = done.errors
    assert bad.says in line
    assert line.isprintable()
    assert done.peak < base + 1024
    assert done.seconds < 20  # of CPU: by the clock it depends on what else the machine does


BY_INSPECT = {"h5_huge", "zip_bomb", "deeper_json",
           "fifo", "newline", "argument_absurd_units", "h5_too_many_groups"}  # fmt: skip
A_FEW = [bad for bad in MODELS if bad.name in BY_INSPECT]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("bad", A_FEW, ids=lambda bad: bad.name)
def test_inspect_refuses_bad_models(bad: Bad, tmp_path: Path, base: float) -> None:
    done = inspected(tmp_path, bad.build(tmp_path))
    check_inspected(bad, done, base)
    assert done.said == ""


@pytest.mark.slow
@pytest.mark.parametrize("bad", MODELS, ids=lambda bad: bad.name)
def test_inspect_refuses_every_bad_model(bad: Bad, tmp_path: Path, base: float) -> None:
    done = inspected(tmp_path, bad.build(tmp_path))
    check_inspected(bad, done, base)
    assert done.said == ""


@pytest.mark.slow
@pytest.mark.parametrize("bad", DATASETS, ids=lambda bad: bad.name)
def test_inspect_refuses_every_bad_data_set(bad: Bad, tmp_path: Path, base: float) -> None:
    model = hostile.archive(hostile.good_members(), "good.keras")(tmp_path)
    check_inspected(bad, inspected(tmp_path, model, bad.build(tmp_path)), base)
