"""The reader process: what it may not do, and what becomes of it when it does not end well."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goodnet import isolation
from goodnet.faults import DataRefused, InputRefused, ModelRefused
from goodnet.isolation import Content, open_regular, private_copy, taken_apart

PRELUDE = """
import os, socket, sys
from pathlib import Path
from goodnet.reader.confinement import leave_files, leave_network, limit_resources
secret, folder = Path(sys.argv[1]), Path(sys.argv[2])
missing = limit_resources({"RLIMIT_NPROC": 0}) + leave_network()
missing += leave_files(folder, folder / "arrays")
if missing:
    raise SystemExit("missing here: " + ", ".join(missing))
"""
FORBIDDEN = {
    "read a file": "secret.read_bytes()",
    "list a folder": "os.listdir(secret.parent)",
    "write a file": "(secret.parent / 'new').write_bytes(b'')",
    "change a file": "secret.open('r+b').truncate(0)",
    "remove a file": "secret.unlink()",
    "change what it reads": "(folder / 'input.h5').write_bytes(b'')",
    "link to a file": "os.symlink(secret, folder / 'arrays' / 'link')",
    "start a process": "os.fork()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "connect": "socket.create_connection(('127.0.0.1', int(sys.argv[3])), 1)",
    "end its parent": "os.kill(os.getppid(), 0)",
}
ALLOWED = {
    "read its copy": "(folder / 'input.h5').read_bytes()",
    "write an array": "(folder / 'arrays' / '0.npy').write_bytes(b'array')",
    "remove what it wrote": "p = folder / 'arrays' / '1'; p.write_bytes(b''); p.unlink()",
    "import": "import wave",
}


@pytest.fixture
def attempt(tmp_path: Path) -> Any:
    """A function that runs code in a confined process; it says how that went."""
    import socket

    (tmp_path / "private" / "arrays").mkdir(parents=True)
    (tmp_path / "private" / "input.h5").write_bytes(b"input")
    (tmp_path / "secret").write_bytes(b"secret")
    server = socket.create_server(("127.0.0.1", 0))
    arguments = [tmp_path / "secret", tmp_path / "private", server.getsockname()[1]]

    def run(code: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=isolation.PROJECT,
        )
        if "missing here" in done.stderr:
            pytest.skip(done.stderr.strip())
        return done.returncode, done.stderr

    yield run
    server.close()


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_reader_may_not(what: str, attempt: Any, tmp_path: Path) -> None:
    code, errors = attempt(FORBIDDEN[what])
    assert code == 1
    assert any(kind in errors for kind in ("PermissionError", "BlockingIOError", "OSError"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["private", "secret"]
    assert (tmp_path / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("what", sorted(ALLOWED))
def test_reader_may(what: str, attempt: Any) -> None:
    assert attempt(ALLOWED[what]) == (0, "")


def started(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let this code run in place of the reader; sys.argv: project, kind, file, folder, limits."""
    monkeypatch.setattr(isolation, "START", f"import sys, os, json\n{code}")


def answered(answer: Any) -> str:
    """Code of a reader that leaves this answer, and an array."""
    return (
        f"open(sys.argv[4] + '/content.json', 'w').write({json.dumps(answer)!r})\n"
        "import numpy; numpy.save(sys.argv[4] + '/0.npy', numpy.zeros(3, 'float32'))"
    )


ENTRY = {"file": "0.npy", "shape": [3], "dtype": "float32"}


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("os.abort()", "ended the reader process (SIGABRT)"),
        ("os.kill(os.getpid(), 11)", "ended the reader process (SIGSEGV)"),
        ("sys.exit(3)", "ended the reader process (exit status 3)"),
        ("while True: pass", "reading it took more than 1 seconds"),
        ("os.mkfifo(sys.argv[4] + '/content.json')", "broke the reader process"),
        ("os.symlink('/etc/passwd', sys.argv[4] + '/content.json')", "broke the reader process"),
        ("open(sys.argv[4] + '/content.json', 'w').write('[' * 100000)", "broke the reader"),
        (answered([]), "broke the reader process"),
        (answered({"missing_isolation": 3}), "broke the reader process"),
        (answered({"missing_isolation": [], "refused": "is\nbad"}), ": is?bad"),
    ],
)
def test_reader_that_does_not_answer_is_one_refusal(
    code: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, code)
    monkeypatch.setattr(isolation, "SHORTEST_WAIT", 1)
    (tmp_path / "model.h5").write_bytes(b"model")
    with (
        pytest.raises(ModelRefused) as refused,
        taken_apart(tmp_path / "model.h5", "model"),
    ):
        pass
    assert fault in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("", {"shape": [4]}),
        ("", {"dtype": "int32"}),
        ("", {"file": "1.npy"}),
        ("", {"file": "../0.npy"}),
        ("os.rename(folder + '/0.npy', folder + '/1'); os.symlink('1', folder + '/0.npy')", {}),
        ("os.unlink(folder + '/0.npy'); os.mkfifo(folder + '/0.npy')", {}),
        ("numpy.save(folder + '/0.npy', numpy.array([{}, 1, 2]))", {}),
        ("open(folder + '/0.npy', 'r+b').truncate(40)", {}),
        ("open(folder + '/0.npy', 'r+b').truncate(130)", {}),
        ("open(folder + '/0.npy', 'wb').write(b'PK')", {}),
    ],
)
def test_array_that_is_not_what_the_reader_said_is_refused(
    code: str, change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {**ENTRY, **change}
    answer = answered({"missing_isolation": [], "entry": entry})
    started(monkeypatch, f"{answer}\nfolder = sys.argv[4]\n{code}")
    (tmp_path / "set.h5").write_bytes(b"set")
    with (
        pytest.raises(DataRefused, match="broke the reader process"),
        taken_apart(tmp_path / "set.h5", "dataset") as content,
    ):
        content.array(content.description["entry"])


def test_what_the_reader_left_is_there_until_the_context_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The array stays mapped; the folder is gone, also after a fault."""
    started(monkeypatch, answered({"missing_isolation": [], "entry": ENTRY}))
    (tmp_path / "set.h5").write_bytes(b"set")
    with taken_apart(tmp_path / "set.h5", "dataset") as content:
        array = content.array(content.description["entry"])
        assert sorted(path.name for path in content.folder.parent.iterdir()) == ["arrays"]
    assert not content.folder.parent.exists()
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, np.zeros(3))


def test_what_this_system_cannot_do_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started(monkeypatch, answered({"missing_isolation": ["no_network", "no\nfiles"]}))
    isolation._say_missing.cache_clear()
    (tmp_path / "set.h5").write_bytes(b"set")
    with caplog.at_level(logging.WARNING, logger="goodnet.isolation"):
        for _ in range(3):
            with taken_apart(tmp_path / "set.h5", "dataset"):
                pass
    isolation._say_missing.cache_clear()
    said = [message.split(" is not")[0] for message in caplog.messages]
    assert said == ["reader process: no_network", "reader process: no?files"]


def test_reader_knows_nothing_of_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no Prefect settings, no input, no output, no TensorFlow."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    code = """
from goodnet.reader import __main__, datasets, models
found = {"missing_isolation": [], "environment": dict(os.environ), "modules": list(sys.modules)}
found["descriptors"] = [os.readlink(f"/proc/self/fd/{n}") for n in range(3)]
open(sys.argv[4] + "/content.json", "w").write(json.dumps(found))
"""
    started(monkeypatch, "sys.path.insert(0, sys.argv[1])" + code)
    (tmp_path / "set.h5").write_bytes(b"set")
    with taken_apart(tmp_path / "set.h5", "dataset") as content:
        found = content.description
    assert "secret" not in found["environment"].values()
    assert not any(name.startswith(("PREFECT", "AWS")) for name in found["environment"])
    assert not {"tensorflow", "keras", "prefect", "fsspec"} & set(found["modules"])
    assert found["descriptors"] == [os.devnull] * 3


def test_private_copy_has_the_files_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    digest = private_copy(tmp_path / "file", tmp_path / "copy", "model")
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (tmp_path / "copy").read_bytes() == b"abc"


def test_file_larger_than_allowed_is_not_copied_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(isolation.LARGEST_FILE, "model", 5 * isolation.MIB)
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelRefused, match="is larger than 5 MiB"):
        private_copy(tmp_path / "file", tmp_path / "copy", "model")
    assert (tmp_path / "copy").stat().st_size <= 8 * isolation.MIB


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    faults = {
        "link": "is a symbolic link",
        "nowhere": "is a symbolic link",
        "pipe": "is not a regular file",
        "../" + tmp_path.name: "is not a regular file",
        "nothing": "no such file",
        "file/inside": "cannot be opened",
        "nul\0": "cannot be opened",
        "long" * 100: "cannot be opened",
    }
    for name, fault in {**faults, "/dev/zero": "is not a regular file"}.items():
        with pytest.raises(InputRefused, match=fault):
            open_regular(tmp_path / name)
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"abc"


def test_content_is_a_plain_record(tmp_path: Path) -> None:
    content = Content({}, tmp_path, "", ModelRefused("file", "fault"))
    with pytest.raises(ModelRefused, match="file: fault"):
        content.array(ENTRY)
