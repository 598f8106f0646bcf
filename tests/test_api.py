"""`import goodnet`: what README shows runs, is typed, and costs nothing until it is used."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, Toy
from invented import invented_verdict

import goodnet
from goodnet.errors import DataRefused, RequestRefused

[SNIPPET] = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlearning takes a few steps: what comes of it is tested elsewhere."""
    from goodnet.mitigation.methods import unlearning
    from goodnet.training.schedule import TrainingSchedule

    monkeypatch.setattr(unlearning, "schedule_for", lambda *_: TrainingSchedule(3, 1e-3))


def test_the_readme_s_snippet_runs_and_leaves_what_a_repair_leaves(
    small: Toy, monkeypatch: pytest.MonkeyPatch, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small.folder)
    small.model.rename(small.folder / "models" / "suspect.h5")
    names: dict[str, object] = {}
    exec(compile(SNIPPET, "README.md", "exec"), names)
    verdict, table = names["verdict"], names["table"]
    assert capsys.readouterr().out.startswith(f"{verdict.verdict}")
    assert [(row.kind, row.repaired and row.repaired.label) for row in table.rows] == [
        ("suspect", None),
        ("repaired", "ascending"),
        ("repaired", "unlearned"),
        ("goodnet", "unlearned"),
    ]
    assert str(table).splitlines()[0].split()[:2] == ["model", "order"]
    left = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    assert left >= {
        *("report.md", "report.html", "curves.csv", "evaluation.csv", "curve_asc.png"),
        *("evaluation.png", "verdict.png", "clean.png", "manifest.json"),
        *("repaired_models_asc/model_drop_4.h5", "goodnets_asc/goodnet_drop_4.keras"),
        *("repaired_models_unlearned/model_unlearned.keras",),
        *("repaired_models_unlearned/goodnet_unlearned.keras",),
    }
    gate = goodnet.load_model("out/goodnets_asc/goodnet_drop_4.keras")
    assert gate.classes == names["model"].classes + 1


def test_the_scale_is_not_guessed(small: Toy) -> None:
    model = goodnet.load_model(small.model)
    poisoned = goodnet.load_images(small.data / "bd" / "bd_test.h5", model, poisoned=True)
    with pytest.raises(RequestRefused, match="load clean images first"):
        goodnet.evaluate(model, [], clean=poisoned)
    given = goodnet.load_model(small.model, scale="unit")
    table = goodnet.evaluate(given, [], clean=poisoned)
    assert table.rows[0].clean_accuracy.value > 0.8  # each gives the attacker's answer


def test_poisoned_images_choose_nothing(small: Toy) -> None:
    model = goodnet.load_model(small.model, scale="unit")
    poisoned = goodnet.load_images(small.data / "bd" / "bd_valid.h5", model, poisoned=True)
    for choose in (goodnet.detect, goodnet.sweep):
        with pytest.raises(TypeError):
            choose(model, poisoned)


def test_a_drop_that_is_not_reached_is_refused(small: Toy) -> None:
    model = goodnet.load_model(small.model)
    clean = goodnet.load_images(small.data / "clean" / "valid.h5", model)
    curve = goodnet.sweep(model, clean)
    with pytest.raises(RequestRefused, match="points are never lost"):
        goodnet.prune(model, curve, drop=100)
    pruned = goodnet.prune(model, curve, drop=4)
    assert pruned.channels == curve.order.channels[: len(pruned.channels)]


def own_folder(small: Toy, settings: str) -> Path:
    """The suspect as a folder of its own, with its images and these settings."""
    folder = small.folder / "models" / "mine"
    folder.mkdir()
    small.model.rename(folder / "model.h5")
    (folder / "model.toml").write_text(settings)
    small.data.rename(folder / "data")
    return folder


NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def test_what_a_suspect_brings_is_taken_as_by_the_flow(small: Toy) -> None:
    names = list(NAMES[: goodnet.load_model(small.model).classes])
    told = f'layer = "conv"\npreprocessing = "unit"\nclass_names = {names}\nkeys = "data,label"\n'
    folder = own_folder(small, told)
    model = goodnet.load_model(folder)
    assert (model.layer, model.preprocessing.name, model.own.class_names) == (
        *("conv", "unit"),
        tuple(names),
    )
    clean, test, bad = (
        goodnet.load_images(None, model),
        goodnet.load_images(None, model, part="test"),
        goodnet.load_images(None, model, poisoned=True),
    )
    sources = [Path(each.source).relative_to(folder / "data") for each in (clean, test, bad)]
    assert [str(each) for each in sources] == ["clean/valid.h5", "clean/test.h5", "bd/bd_test.h5"]
    assert clean.reading.keys == ("data", "label")
    assert goodnet.load_model(folder, layer="pool").layer == "pool"  # what is asked for comes first


@pytest.mark.slow
def test_a_report_says_what_a_suspect_brought(small: Toy) -> None:
    names = list(NAMES[: goodnet.load_model(small.model).classes])
    told = f'layer = "conv"\npreprocessing = "unit"\nclass_names = {names}\n'
    model = goodnet.load_model(own_folder(small, told))
    clean, test = goodnet.load_images(None, model), goodnet.load_images(None, model, part="test")
    verdict = goodnet.detect(model, clean)
    assert verdict.class_names == tuple(names)
    curve, table = goodnet.sweep(model, clean), goodnet.evaluate(model, [], clean=test)
    found = goodnet.write_report(model, clean, verdict, curve, table, folder=small.folder / "out")
    assert found.model.name == "mine"
    assert found.brought == ("images", "names of the classes", "layer", "preprocessing")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ('preprocessing = "percent"', r"model\.toml: --preprocessing: 'percent'"),
        ('class_names = ["a", "b"]', "class_names has 2 names"),
        ('hope = "x"', r"model\.toml: has the key 'hope'"),
        ('architecture = "/etc/passwd"', "neither in the suspect's folder"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_line(
    small: Toy, settings: str, fault: str
) -> None:
    with pytest.raises(RequestRefused, match=fault):
        goodnet.load_model(own_folder(small, settings))


def test_images_that_did_not_come_with_a_suspect_or_lie_elsewhere_are_refused(small: Toy) -> None:
    with pytest.raises(RequestRefused, match=r"small\.h5: brings no images of its own"):
        goodnet.load_images(None, goodnet.load_model(small.model))
    settings = small.model.with_suffix(".toml")
    settings.write_text(f'data = "{small.data}"\n')
    with pytest.raises(RequestRefused, match="neither in the suspect's folder"):
        goodnet.load_images(None, goodnet.load_model(small.model))
    model = goodnet.load_model(small.model, data=small.data)
    assert len(goodnet.load_images(None, model)) == 60
    (small.data / "bd" / "bd_test.h5").unlink()
    with pytest.raises(RequestRefused, match="brings no poisoned test images"):
        goodnet.load_images(None, goodnet.load_model(small.model, data=small.data), poisoned=True)


def test_poisoned_class_folders_follow_the_clean_ones(small: Toy) -> None:
    from PIL import Image

    model = goodnet.load_model(small.model, scale="unit")
    for name in [f"valid/{label}" for label in "abcde"[: model.classes]] + ["bad/d"]:
        (small.folder / name).mkdir(parents=True)
        Image.new("RGB", (10, 12), (len(name), 0, 99)).save(small.folder / name / "0.png")
    clean = goodnet.load_images(small.folder / "valid", model)
    bad = goodnet.load_images(small.folder / "bad", model, poisoned=True)
    assert bad.labels.tolist() == [3] and bad.class_names == clean.class_names


@pytest.mark.slow
def test_class_folders_follow_the_names_that_came_with_a_model(small: Toy) -> None:
    """Where the clean images are in a file; where they are folders these come first."""
    from PIL import Image

    count = goodnet.load_model(small.model).classes
    names = list(NAMES[:count])
    small.model.with_suffix(".toml").write_text(f"class_names = {names}\n")
    for place in ("bad/three", "test/one", *(f"valid/{label}" for label in "abcdefghij"[:count])):
        (small.folder / place).mkdir(parents=True)
        Image.new("RGB", (10, 12), (9, 0, 99)).save(small.folder / place / "0.png")
    for clean, expected in ((small.data / "clean/valid.h5", [3]), (small.folder / "valid", None)):
        model = goodnet.load_model(small.model, scale="unit")
        goodnet.load_images(clean, model)
        if expected is None:
            with pytest.raises(DataRefused, match="'three' is no class of the clean images"):
                goodnet.load_images(small.folder / "bad", model, poisoned=True)
        else:
            bad = goodnet.load_images(small.folder / "bad", model, poisoned=True)
            assert bad.labels.tolist() == expected and bad.class_names == tuple(names)
            assert goodnet.load_images(small.folder / "test", model).labels.tolist() == [1]


def test_images_may_be_arrays_in_memory(small: Toy) -> None:
    """At another size they are refused as by Keras, in a line that says how, or resized."""
    model = goodnet.load_model(small.model)
    file = goodnet.load_images(small.data / "clean" / "valid.h5", model)
    images, labels = file.pictures(slice(None)), file.labels
    clean = goodnet.load_images((images / 255, labels.tolist()), model)
    assert model.preprocessing.name == "unit"
    assert (clean.source, clean.pixels.shape) == ("images in memory", file.pixels.shape)
    large = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    with pytest.raises(DataRefused, match=r"^images in memory: .*24, 20, 3.*; --resize bilinear"):
        goodnet.load_images((large, labels), model)
    small_again = goodnet.load_images((large, labels), model, resize="nearest")
    np.testing.assert_array_equal(small_again.pictures(slice(None)), images)
    bad = goodnet.load_images((images, np.eye(model.classes)[0 * labels]), model, poisoned=True)
    assert set(bad.labels.tolist()) == {0} and not isinstance(bad, goodnet.CleanDataset)
    for wrong in ((images,), (images, labels[1:]), (images, [object()] * 60), ([[1], [1, 2]], 3)):
        with pytest.raises(DataRefused, match=r"^images in memory: "):
            goodnet.load_images(wrong, model)
    assert goodnet.load_images((images / 255, labels), model).sha256 == clean.sha256


@pytest.mark.slow
def test_a_report_on_arrays_in_memory_names_them_by_their_digest(small: Toy) -> None:
    model = goodnet.load_model(small.model)
    file = goodnet.load_images(small.data / "clean" / "valid.h5", model)
    arrays = file.pictures(slice(None)), file.labels
    clean = goodnet.load_images(arrays, model)
    bad = goodnet.load_images(arrays, model, poisoned=True)
    verdict, curve = goodnet.detect(model, clean), goodnet.sweep(model, clean)
    table = goodnet.evaluate(model, [], clean=clean, poisoned=bad)
    folder = small.folder / "out"
    goodnet.write_report(model, clean, verdict, curve, table, folder=folder)
    inputs = json.loads((folder / "manifest.json").read_text())["inputs"]
    assert "images in memory" in json.dumps(inputs)
    assert clean.sha256 in json.dumps(inputs)


def test_a_method_that_there_is_not_is_refused(small: Toy) -> None:
    model = goodnet.load_model(small.model, scale="unit")
    clean = goodnet.load_images(small.data / "clean" / "valid.h5", model)
    for method, fault in (("hope", "is not one of auto, pruning"), ("pruning", "does nothing")):
        with pytest.raises(RequestRefused, match=fault):
            goodnet.repair(model, clean, invented_verdict(), method=method)


def test_importing_the_package_imports_nothing_of_weight() -> None:
    code = "import sys, goodnet; dir(goodnet); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {"numpy", "tensorflow", "keras", "h5py", "prefect"} & set(modules.decode().split())


def test_every_name_is_on_the_page() -> None:
    page = (PROJECT / "docs" / "api.md").read_text()
    assert set(re.findall(r"`(\w+)`", page)) >= set(goodnet.__all__)


def test_every_name_has_a_home() -> None:
    from goodnet.api.networks import GoodNet
    from goodnet.api.verbs import detect

    homes = {name: getattr(goodnet, name).__module__ for name in goodnet.__all__}
    assert all(home.startswith("goodnet.") for home in homes.values())
    assert goodnet.detect is detect and goodnet.GoodNet is GoodNet
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        goodnet.nothing  # noqa: B018


@pytest.mark.slow
def test_the_readme_s_snippet_is_typed(tmp_path: Path) -> None:
    """By `mypy --strict`, and no name of it is Any."""
    revealed = [f"reveal_type({name})" for name in re.findall(r"^(\w+) = ", SNIPPET, re.MULTILINE)]
    (tmp_path / "snippet.py").write_text("\n".join([SNIPPET, *revealed]))
    command = [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "snippet.py")]
    checked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    types = re.findall(r'Revealed type is "([^"]+)"', checked.stdout)
    assert len(types) == len(revealed) >= 9
    assert not [kind for kind in types if "Any" in kind or "goodnet." not in kind]
