"""The reader process is confined, and whatever it does ends in one clear refusal.

A reader that the file has taken over is played by a program of the test's own.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import PROJECT
from fuzz import FINDINGS
from hostile import good_h5

from goodnet.datasets.dataset import open_dataset, open_unlabelled
from goodnet.errors import DataRefused, InputRefused, ModelRefused
from goodnet.files import formats
from goodnet.preprocessing import RAW
from goodnet.sandbox import process
from goodnet.sandbox.process import BROKEN, Content, private_copy, read_untrusted

WHOLE = {"config": None, "layout": "paths", "layers": [], "missing_isolation": []}
SAID = {"stored_dtype": "uint8", "axes": "NHWC", "range": [0.0, 9.0], "missing_isolation": []}
Play = Callable[[str], None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file that is fine."""
    path = tmp_path / "model.h5"
    path.write_bytes(good_h5())
    return path


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """A function that puts a program in the reader's place; ARRAYS is the folder it writes to."""

    def played(program: str) -> None:
        start = "import json, os, sys, time; from pathlib import Path; ARRAYS = Path(sys.argv[4])\n"
        monkeypatch.setattr(process, "START", start + program)

    return played


def answer(content: Any) -> str:
    """A program that leaves this answer behind."""
    return f"(ARRAYS / 'content.json').write_text({json.dumps(content)!r})"


def refusal(path: Path, kind: Any = "model") -> str:
    """The message with which a file is refused."""
    with pytest.raises(InputRefused) as refused, read_untrusted(str(path), kind):
        pass
    assert isinstance(refused.value, ModelRefused if kind == "model" else DataRefused)
    assert refused.value.source == str(path)
    assert str(refused.value).isprintable()
    return refused.value.fault


def test_reader_sees_nothing_of_the_parents_environment(
    model: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PREFECT_API_URL", "PYTHONPATH", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "secret")
    content = "{'refused': ' '.join(os.environ), 'missing_isolation': []}"
    play(f"(ARRAYS / 'content.json').write_text(json.dumps({content}))")
    seen = refusal(model)
    assert "PATH" in seen
    assert not any(name in seen for name in ("AWS", "PREFECT", "PYTHONPATH", "LD_PRELOAD", "HOME"))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("os.kill(os.getpid(), 11)", "is damaged: reading it ended the reader process (SIGSEGV)"),
        ("sys.exit(3)", "is damaged: reading it ended the reader process (exit status 3)"),
        ("time.sleep(60)", "reading it took more than 1.0 seconds"),
        ("os.setsid; os.close(1)\nwhile True: pass", "reading it took more than 1.0 seconds"),
        ("(ARRAYS / 'content.json').write_text('{')", BROKEN),
        ("(ARRAYS / 'content.json').write_bytes(b'\\xff')", BROKEN),
        ("(ARRAYS / 'content.json').write_text('[' * 100000)", BROKEN),
        ("(ARRAYS / 'content.json').symlink_to('/etc/passwd')", BROKEN),
        ("os.mkfifo(ARRAYS / 'content.json')", BROKEN),
        ("(ARRAYS / 'content.json').mkdir()", BROKEN),
        (answer([]), BROKEN),
        (answer({}), BROKEN),
        (answer({**WHOLE, "missing_isolation": None}), BROKEN),
        (answer({**WHOLE, "config": "x"}), BROKEN),
        (answer({**WHOLE, "layers": [{"name": 1, "weights": []}]}), BROKEN),
        (answer({**WHOLE, "layers": [{"name": "a", "weights": [None]}]}), BROKEN),
        (answer({**WHOLE, "refused": "a\x1b[2J\nb"}), "a?[2J?b"),
    ],
)
def test_reader_that_breaks_is_one_refusal(
    program: str, says: str, model: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "took more" in says:
        monkeypatch.setattr(process, "PATIENCE", 1 / process.SHORTEST_WORK)
    play(program)
    assert refusal(model) == says


def test_a_file_that_the_hdf5_library_never_ends_reading_is_one_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fuzzing found it: its heap of texts leads round in a circle."""
    monkeypatch.setattr(process, "PATIENCE", 3 / process.SHORTEST_WORK)
    assert refusal(FINDINGS / "endless_heap.h5") == "reading it took more than 3.0 seconds"


def test_names_that_are_no_utf_8_are_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.create_group(b"weights \xff")
    assert r"holds 'weights \udcff'" in refusal(tmp_path / "none.h5")
    with h5py.File(tmp_path / "some.weights.h5", "w") as file:
        file[b"layers/\xff/vars/0"] = np.ones(2)
    with read_untrusted(str(tmp_path / "some.weights.h5"), "model") as content:
        assert [each["name"] for each in content.description["layers"]] == ["layers/\udcff"]


@pytest.mark.parametrize(
    "change",
    [
        {"data": None},
        {"label": []},
        {"stored_dtype": 8},
        {"true_label": "x"},
        {"axes": "NHCW"},
        {"axes": None},
        {"range": None},
        {"range": [0.0]},
        {"range": ["0", "1"]},
        {"class_names": "ab"},
        {"class_names": [1]},
        {"faults": {"0": "x"}},
        {"faults": [[0]]},
        {"faults": [[0, 1]]},
        {"faults": [["0", "x"]]},
        {"faults": [[-1, "x"]]},
        {"faults": [[True, "x"]]},
    ],
)
def test_broken_answer_about_a_data_set_is_one_refusal(
    change: dict[str, Any], model: Path, play: Play
) -> None:
    entry = {"file": "0.npy", "shape": [1], "dtype": "int64"}
    whole = {"data": entry, "label": entry, **SAID}
    play(answer({**whole, **change}))
    assert refusal(model, "dataset") == BROKEN


def test_a_data_set_without_labels_is_broken_where_they_are_needed(model: Path, play: Play) -> None:
    """And so are faults of rows that are not there."""
    data = {"file": "0.npy", "shape": [2, 4, 4, 3], "dtype": "uint8"}
    saves = "import numpy as np; np.save(ARRAYS / '0.npy', np.zeros((2, 4, 4, 3), 'uint8'))"
    play(f"{saves}; {answer({'data': data, **SAID, 'faults': [[1, 'x']]})}")
    with pytest.raises(DataRefused, match=BROKEN):
        open_dataset(model, input_shape=(4, 4, 3), classes=2)
    dataset, faults = open_unlabelled(model, input_shape=(4, 4, 3))
    assert (len(dataset), faults) == (2, {1: "x"})
    play(f"{saves}; {answer({'data': data, **SAID, 'faults': [[2, 'x']]})}")
    with pytest.raises(DataRefused, match=BROKEN):
        open_unlabelled(model, input_shape=(4, 4, 3))


def test_arrays_of_a_data_set_must_fit_each_other(model: Path, play: Play) -> None:
    """Three labels for two images, though the reader lets no such file pass."""
    shapes = {"data": ([2, 4, 4, 3], "uint8"), "label": ([3], "int64")}
    entries = {
        name: {"file": f"{name}.npy", "shape": shape, "dtype": dtype}
        for name, (shape, dtype) in shapes.items()
    }
    saves = "; ".join(
        f"np.save(ARRAYS / '{name}.npy', np.zeros({shape}, '{dtype}'))"
        for name, (shape, dtype) in shapes.items()
    )
    found = {**entries, **SAID}
    play(f"import numpy as np; {saves}; {answer(found)}")
    with pytest.raises(DataRefused, match=BROKEN):
        open_dataset(model, input_shape=(4, 4, 3), classes=2)


@pytest.mark.parametrize("pixel", [300.0, -1.0, float("nan"), float("inf")])
def test_a_reader_that_lies_about_the_range_is_caught_when_the_pixels_are_used(
    pixel: float, model: Path, play: Play
) -> None:
    data = {"file": "0.npy", "shape": [2, 4, 4, 3], "dtype": "float32"}
    label = {"file": "1.npy", "shape": [2], "dtype": "int64"}
    found = {"data": data, "label": label, **SAID}
    play(
        "import numpy as np; pixels = np.ones((2, 4, 4, 3), 'float32'); "
        f"pixels[1, 2, 3, 0] = np.float32({str(pixel)!r}); np.save(ARRAYS / '0.npy', pixels); "
        f"np.save(ARRAYS / '1.npy', np.zeros(2, 'int64')); {answer(found)}"
    )
    dataset = open_dataset(model, input_shape=(4, 4, 3), classes=2)
    assert dataset.images(slice(0, 1), RAW).max() == 1
    with pytest.raises(DataRefused, match=BROKEN):
        dataset.images(slice(1, 2), RAW)


def test_images_that_do_not_fit_the_network_are_refused_whatever_the_reader_says(
    model: Path, play: Play
) -> None:
    data = {"file": "0.npy", "shape": [2, 3, 4, 4], "dtype": "uint8"}
    label = {"file": "1.npy", "shape": [2], "dtype": "int64"}
    found = {"data": data, "label": label, **SAID}
    play(
        "import numpy as np; np.save(ARRAYS / '0.npy', np.zeros((2, 3, 4, 4), 'uint8')); "
        f"np.save(ARRAYS / '1.npy', np.zeros(2, 'int64')); {answer(found)}"
    )
    with pytest.raises(DataRefused, match=BROKEN):
        open_dataset(model, input_shape=(4, 4, 3), classes=2)


def test_array_is_what_its_entry_says_or_refused(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    np.save(arrays / "good.npy", values)
    np.save(tmp_path / "outside.npy", values)
    np.save(arrays / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (arrays / "link.npy").symlink_to(arrays / "good.npy")
    (arrays / "short.npy").write_bytes((arrays / "good.npy").read_bytes()[:-1])
    (arrays / "text.npy").write_text("hello")
    os.mkfifo(arrays / "pipe.npy")
    content = Content({}, arrays, formats.FORMATS[0], "", ModelRefused("model.h5", BROKEN))
    entry = {"file": "good.npy", "shape": [2, 3], "dtype": "float32"}
    found = content.array(entry)
    assert np.array_equal(found, values)
    assert not found.flags.writeable
    objects = {"file": "objects.npy", "shape": [2], "dtype": "object"}
    files = ("link.npy", "short.npy", "text.npy", "pipe.npy", "none.npy", "../outside.npy", 7)
    changes: list[dict[str, Any]] = [{"file": file} for file in files]
    changes += [{"shape": [3, 2]}, {"shape": 6}, {"dtype": "float64"}, {"dtype": None}, objects]
    for change in changes:
        with pytest.raises(ModelRefused, match=BROKEN):
            content.array({**entry, **change})
    with pytest.raises(ModelRefused, match=BROKEN):
        content.array({})


def test_missing_feature_is_said_once(
    model: Path, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    missing = ["no_test_feature", "no\nline"]
    play(answer({**WHOLE, "refused": "x", "missing_isolation": missing}))
    process._say_missing.cache_clear()
    with caplog.at_level(logging.WARNING, "goodnet.sandbox.process"):
        assert refusal(model) == refusal(model) == "x"
    assert caplog.messages == [
        f"reader process: {name} is not available here; going on with the rest"
        for name in ("no_test_feature", "no?line")
    ]


def test_nothing_is_left_behind(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent / "temporary"
    folder.mkdir()
    monkeypatch.setattr(process.tempfile, "tempdir", str(folder))
    with read_untrusted(str(model), "model") as content:
        (private,) = folder.iterdir()
        assert private.stat().st_mode & 0o077 == 0
        assert not list(private.glob("input*"))
        assert content.folder.parent == private
    assert not list(folder.iterdir())


def test_file_that_is_too_large_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    path, copy = tmp_path / "model.h5", tmp_path / "copy"
    with path.open("wb") as file:
        file.truncate(formats.largest("model") + 1)
    before = time.monotonic()
    with pytest.raises(ModelRefused, match="is larger than 4096 MiB"):
        private_copy(str(path), copy, "model")
    assert not copy.exists()
    assert time.monotonic() - before < 5


CONFINED = """
import contextlib, json, os, resource, socket, sys
from goodnet.sandbox.reader.confinement import leave_files, leave_network, limit_resources
from pathlib import Path
readable, writable, port, secret = sys.argv[1:]
limits = {"RLIMIT_AS": 1 << 30, "RLIMIT_CPU": 7, "RLIMIT_NOFILE": 32, "RLIMIT_NO_SUCH": 1}
missing = limit_resources(limits) + leave_network() + leave_files(Path(readable), Path(writable))

def can(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True

print(json.dumps({
    "missing": missing,
    "cpu": resource.getrlimit(resource.RLIMIT_CPU),
    "read its input": can(lambda: open(readable + "/input").read()),
    "write its answer": can(lambda: open(writable + "/answer", "w").close()),
    "read other files": can(lambda: open(secret).read()),
    "list other folders": can(lambda: os.listdir("/etc")),
    "write beside its input": can(lambda: open(readable + "/new", "w").close()),
    "write elsewhere": can(lambda: open(os.path.dirname(secret) + "/new", "w").close()),
    "connect": can(lambda: socket.create_connection(("127.0.0.1", int(port)), 3)),
    "start a program": can(lambda: os.execv("/bin/true", ["true"])),
    "eat memory": can(lambda: bytearray(2 << 30)),
}))
"""


def test_reader_gives_up_what_it_does_not_need(tmp_path: Path) -> None:
    """Each attempt fails, unless the system lacks the feature and it says so."""
    readable, writable, other = (tmp_path / name for name in ("in", "out", "other"))
    for folder in (readable, writable, other):
        folder.mkdir()
    (readable / "input").write_text("x")
    (other / "secret").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        arguments = [str(readable), str(writable), port, str(other / "secret")]
        done = subprocess.run(
            [sys.executable, "-c", CONFINED, *arguments],
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    missing = set(found["missing"])
    assert "RLIMIT_NO_SUCH" in missing
    assert found["cpu"] == [7, 7]
    assert found["read its input"] and found["write its answer"]
    assert not found["eat memory"]
    assert not found["connect"] or "no_network" in missing
    for attempt in ("read other files", "list other folders", "write beside its input",
                    "write elsewhere", "start a program"):  # fmt: skip
        assert not found[attempt] or "no_files" in missing, attempt
