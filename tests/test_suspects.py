"""A suspect may bring its own images, preprocessing and names, and nothing of other folders."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from goodnet.datasets.class_names import known_names
from goodnet.errors import DataRefused, InputRefused, ModelRefused, RequestRefused
from goodnet.files import listings, storage
from goodnet.files.listings import ListedFile
from goodnet.job import inbox, own_settings, plan
from goodnet.job.plan import content_of, list_suspects, plan_job
from goodnet.job.suspects import Suspect, find_models, locate
from goodnet.sandbox.process import read_untrusted
from goodnet.sandbox.reader.arrays import Refused
from goodnet.sandbox.reader.settings import read_toml

OPTIONS: dict[str, Any] = {
    "order": "both",
    "drop": (2,),
    "layer": "auto",
    "preprocessing": "auto",
    "architecture": "auto",
    "method": "auto",
    "budget": 2,
    "minutes": 5,
}


def write(path: Path, content: str = "x") -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def add_data(folder: Path) -> Path:
    """A folder of data sets."""
    write(folder / "clean" / "valid.h5")
    write(folder / "clean" / "test.h5")
    return folder


class Read(NamedTuple):
    """What a reader says."""

    description: dict[str, Any]


@contextmanager
def read_here(uri: str, kind: str) -> Iterator[Read]:
    """The settings in a TOML file, read in this process, which is quicker."""
    assert kind == "settings"
    try:
        yield Read(read_toml(Path(uri), Path()))
    except Refused as fault:
        raise RequestRefused(uri, fault) from None


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders models/ and data/, in the current one; beside them what nobody may reach."""
    monkeypatch.setattr(own_settings, "read_untrusted", read_here)
    monkeypatch.chdir(tmp_path)
    add_data(tmp_path / "data")
    add_data(tmp_path / "secret")
    write(tmp_path / "secret" / "plan.json")
    write(tmp_path / "models" / "plain.h5")
    return tmp_path / "models"


def job(uri: str | Path) -> plan.Job:
    """What is planned for a suspect."""
    return plan_job(str(uri), OPTIONS, "data")


def test_a_folder_of_its_own_and_a_toml_file_bring_what_they_hold(models: Path) -> None:
    write(models / "stop" / "model.keras")
    add_data(models / "stop" / "data")
    write(models / "no suspect" / "net.h5")
    write(models / "unfinished" / "model.h5")
    write(models / "net.h5")
    add_data(models / "images")
    write(
        models / "net.toml",
        'data = "images"\npreprocessing = "signed"\nlayer = "conv"\narchitecture = "deepid"\n'
        'class_names = ["a", "b"]\n',
    )
    assert find_models(["models"]) == ("models/net.h5", "models/plain.h5", "models/stop")
    assert find_models(["models/stop/"]) == ("models/stop",)

    plain = job("models/plain.h5")
    assert (plain.model, plain.data.data, plain.brought) == ("models/plain.h5", "data", ())
    stop = job("models/stop")
    assert (stop.model, stop.data.data, stop.brought) == (
        "models/stop/model.keras",
        "models/stop/data",
        ("images",),
    )
    net = job("models/net.h5")
    assert Path(net.data.data) == models / "images"
    assert net.request.preprocessing == "signed" and net.request.layer == "conv"
    assert net.request.architecture == "deepid" and net.request.class_names == ("a", "b")
    assert net.brought[:2] == ("images", "names of the classes") and len(net.brought) == 5
    assert net.data.reading.classes == ("a", "b")
    write(models / "plain.toml", 'class_names = ["a", "b"]')
    assert job("models/plain.h5").data.reading.classes == ("a", "b")


def test_a_toml_in_the_folder_may_name_the_runs_data_or_its_own(models: Path) -> None:
    add_data(models.parent / "data" / "cars")
    write(models / "stop" / "model.h5")
    for value in ("../../data/cars", str(models.parent / "data" / "cars"), "cars"):
        add_data(models / "stop" / "cars")
        write(models / "stop" / "model.toml", f"data = {value!r}")
        assert Path(job("models/stop").data.data).name == "cars"
    write(models / "stop" / "model.h5"), write(models / "stop" / "model.keras")
    with pytest.raises(ModelRefused, match=r"stop: has model\.h5 and model\.keras; keep one"):
        locate("models/stop")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("data = ", "is not TOML: Invalid value"),
        ("\xff", "is not TOML: it is not UTF-8"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ("[run]\ndata = 'a'", "run is neither a text, a whole number nor a list of texts"),
        ("when = 1979-05-27", "when is neither a text"),
        ("data = true", "data is neither a text"),
        ("data = 3", "data is 3 and not a text"),
        ("layer = ''", "layer is '' and not a text"),
        (
            "output = '/etc'",
            "has the key 'output'; known are architecture, class_names, data, keys, "
            "layer, preprocessing, resize, target",
        ),
        ("class_names = 'a'", "class_names is not a list of names"),
        ("class_names = ['a', 'a']", "class_names is not a list of names, each another one"),
        ("preprocessing = 'lab'", "--preprocessing: 'lab': is not"),
        ("data = '../secret'", "data is '../secret', neither in the suspect's folder nor in"),
        ("data = '/etc'", "data is '/etc', neither"),
        ("data = '..'", "data is '..', neither"),
        ("data = '../data/../secret'", "neither in the suspect's folder"),
        ("data = 'away'", "neither in the suspect's folder"),
        ("data = 's3://other/bucket'", "neither in the suspect's folder"),
        ("data = 'http://host/x'", "neither in the suspect's folder"),
        ("data = 's3://key:secret@bucket/x'", "models/net.toml: data carries credentials"),
        ('data = "a\\u0000b"', "neither in the suspect's folder"),
        ("architecture = '../secret/plan.json'", "architecture is '../secret/plan.json', neither"),
        ("architecture = 'nowhere.json'", "no such file"),
        ("data = 'linked'", "is reached by a link; links are not followed"),
        ("data = 'nowhere'", "has no clean/valid.h5"),
    ],
)
def test_a_toml_file_that_is_wrong_or_reaches_elsewhere_is_refused_in_a_line(
    models: Path, text: str, fault: str
) -> None:
    (models / "away").symlink_to(models.parent / "secret")
    (models / "linked").mkdir()
    (models / "linked" / "clean").symlink_to(models.parent / "secret" / "clean")
    write(models / "net.h5")
    (models / "net.toml").write_bytes(text.encode("latin-1" if text == "\xff" else "utf-8"))
    with pytest.raises(InputRefused) as refused:
        job("models/net.h5")
    assert fault in str(refused.value) and "\n" not in str(refused.value)
    assert "models/" in refused.value.source


def test_a_toml_file_is_read_confined_and_never_a_link_or_a_huge_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_settings, "read_untrusted", read_untrusted)
    write(models / "net.h5")
    write(models / "net.toml", 'layer = "conv"')
    assert job("models/net.h5").request.layer == "conv"
    for text, fault in (("", "is empty"), ("layer =", "is not TOML: Invalid value")):
        write(models / "net.toml", text)
        with pytest.raises(RequestRefused, match=fault):
            job("models/net.h5")
    (models / "net.toml").unlink()
    (models / "net.toml").symlink_to("/etc/hostname")
    with pytest.raises(RequestRefused, match="is a symbolic link"):
        job("models/net.h5")
    (models / "net.toml").unlink()
    write(models / "net.toml", "#" * (2 << 20))
    with pytest.raises(RequestRefused, match="is larger than 1 MiB"):
        job("models/net.h5")


@pytest.mark.parametrize(
    ("uri", "folder", "within"),
    [
        ("a/b", "a", True),
        ("a", "a", True),
        ("ab", "a", False),
        ("a/../c", "a", False),
        ("s3://bucket/in/x", "s3://bucket/in", True),
        ("s3://bucket/in", "s3://bucket/in/", True),
        ("s3://bucket/inner", "s3://bucket/in", False),
        ("s3://bucket/in/../x", "s3://bucket/in", False),
        ("s3://bucket/x", "s3://bucket", True),
        ("s3://user@bucket/x", "s3://bucket", False),
        ("/etc", "s3://bucket", False),
        ("s3://bucket", "/", False),
    ],
)
def test_what_is_within_a_folder(uri: str, folder: str, within: bool) -> None:
    assert listings.is_within(uri, folder) is within


def test_paths_on_s3_are_relative_to_the_toml_and_stay_in_its_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_settings, "locate_data", lambda folder: {})
    suspect = Suspect("", "", "s3://bucket/in", "s3://bucket/in/net.toml", "")
    for value, uri in (
        ("cars", "s3://bucket/in/cars"),
        ("./cars/", "s3://bucket/in/cars"),
        ("../data/cars", "s3://bucket/data/cars"),
        ("s3://bucket/data/cars/", "s3://bucket/data/cars"),
    ):
        own = own_settings._parse(suspect, {"data": value}, "s3://bucket/data")
        assert own.data == uri
    for value in ("..", "../../../x", "/etc", "s3://other/x", "s3://bucket/data/../x", "../inner"):
        with pytest.raises(RequestRefused, match="neither in the suspect's folder"):
            own_settings._parse(suspect, {"data": value}, "s3://bucket/data")


def look(models: Path, record: inbox.Record | None = None) -> dict[str, inbox.InboxEntry]:
    """What is in the inbox, by the suspects' names."""
    entries = inbox.settled_files(str(models), record or {}, quiet_seconds=0, data="data")
    seen = inbox.read_arrivals(entries, record or {}, pytest.fail, "data")
    return {Path(uri).name: entry for uri, entry in seen.items()}


def test_whatever_of_a_suspect_arrives_last_or_changes_makes_another_content(models: Path) -> None:
    folder = models / "stop"
    write(models / "net.toml", 'data = "../data/cars"')  # before its model, and its images
    assert set(look(models)) == {"plain.h5"}
    write(models / "net.h5")
    write(folder / "model.h5")
    without = look(models)
    assert set(without) == {"plain.h5", "net.h5"}  # a folder without images is none
    assert "cars: has no clean/valid.h5" in without["net.h5"].refused
    assert without["plain.h5"].sha256 == storage.identify("models/plain.h5").sha256
    cars = add_data(models.parent / "data" / "cars")
    add_data(folder / "data")
    contents = [look(models)]
    for change in (
        lambda: write(models / "net.toml", 'data = "../data/cars"\nlayer = "conv"'),
        lambda: write(cars / "clean" / "test.h5", "others"),
        lambda: write(folder / "data" / "bd" / "bd_test.h5"),
        lambda: write(folder / "model.toml", 'preprocessing = "unit"'),
    ):
        change()
        contents.append(look(models))
    for name, expected in (("net.h5", (1, 1, 0, 0)), ("stop", (0, 0, 1, 1))):
        keys = [(each[name].sha256, each[name].mark) for each in contents]
        assert all(sha256 for sha256, _ in keys)
        for before, after, changed in zip(keys, keys[1:], expected, strict=False):
            assert (before[0] != after[0], before[1] != after[1]) == (bool(changed),) * 2
    (models / "stop").rename(models / "halt")  # under another name it is the same
    assert look(models)["halt"].sha256 == contents[-1]["stop"].sha256


def test_a_suspect_is_written_to_as_long_as_any_of_it_is(models: Path) -> None:
    write(models / "stop" / "model.h5")
    add_data(models / "stop" / "data")
    old = time.time() - 3600
    for path in [*models.rglob("*"), *(models.parent / "data").rglob("*")]:
        os.utime(path, (old, old))

    def settled(change: Any = None) -> list[str]:
        entries = inbox.settled_files(
            str(models), {}, quiet_seconds=5, data="data", sleep=lambda _: change and change()
        )
        return [Path(entry.uri).name for entry in entries]

    assert settled() == ["plain.h5", "stop"]
    assert settled(lambda: write(models / "stop" / "data" / "clean" / "test.h5", "more")) == [
        "plain.h5"
    ]
    assert settled() == ["plain.h5"]  # just now
    assert settled(lambda: write(models / "plain.toml", 'layer = "x"')) == []


def test_a_link_or_what_cannot_be_looked_into_is_no_suspect(models: Path) -> None:
    write(models.parent / "secret" / "model.h5")
    add_data(models.parent / "secret" / "data")
    (models / "link").symlink_to(models.parent / "secret")
    assert find_models(["models"]) == ("models/plain.h5",)
    assert [Path(each.uri).name for each in list_suspects("models", "data")] == ["plain.h5"]
    assert isinstance(list_suspects("models", "data")[0], ListedFile)
    assert content_of("models/plain.h5", "data") == storage.identify("models/plain.h5").sha256
    (models / "stop" / "data").mkdir(parents=True)
    write(models / "stop" / "model.h5")
    (models / "stop" / "data" / "valid").symlink_to(models.parent / "secret")
    with pytest.raises(DataRefused):
        job("models/stop")


def test_a_lying_reader_of_settings_is_one_refusal(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from goodnet.sandbox import process

    write(models / "net.toml", "layer = 'x'")
    for lie in ([], {"a": None}, {"a": [1]}, "x"):
        monkeypatch.setattr(process, "_run", lambda a, folder, s, lie=lie: _answer(folder, lie))
        with (
            pytest.raises(RequestRefused, match="broke the reader"),
            read_untrusted("models/net.toml", "settings"),
        ):
            pass


def _answer(folder: Path, settings: Any) -> str:
    import json

    content = {"settings": settings, "missing_isolation": []}
    (folder / "content.json").write_text(json.dumps(content))
    return "exit status 0"


def test_names_that_came_with_a_suspect_must_fit_it() -> None:
    folders = ("a", "b", "c")
    assert known_names((), (), 3, "net.h5") == ()
    assert known_names((), folders, 3, "net.h5") == folders
    assert known_names(folders, folders, 3, "net.h5") == folders
    assert known_names(["x", "y", "z"], folders, 3, "net.h5") == ("x", "y", "z")
    with pytest.raises(RequestRefused, match="has 3 classes, and class_names has 2 names"):
        known_names(["a", "b"], (), 3, "net.h5")
    with pytest.raises(RequestRefused, match="list beside the images order the same classes diff"):
        known_names(["b", "a", "c"], folders, 3, "net.h5")
    with pytest.raises(RequestRefused, match="class 'b' of the images is not among class_names, "):
        known_names(["c", "a", "x"], folders, 3, "net.h5")
