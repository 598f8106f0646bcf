"""Suspects of several tasks in one run, each judged on its own images."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Toy
from networks import CLASSES, keras, save
from PIL import Image
from small_job import COUNT, TARGET, clean_images, poisoned_images, small_badnet

from flows.outcomes import SOME_FAILED
from flows.repair import main
from goodnet.command.main import main as inspect
from goodnet.datasets.dataset import save_dataset
from goodnet.preprocessing import SIGNED, UNIT, Preprocessing

pytestmark = pytest.mark.usefixtures("prefect_server")

NAMES = ("bike", "car", "stop", "tree", "yield")
FEW = ("--order", "ascending", "--drop", "4", "--method", "pruning")


def network(shift: int, preprocessing: Preprocessing = UNIT) -> keras.Model:
    """The small BadNet for a task in which each class has a number so many higher."""
    made = small_badnet(preprocessing)
    *weights, kernel, bias = made.get_weights()
    made.set_weights([*weights, np.roll(kernel, shift, axis=1), np.roll(bias, shift)])
    return made


def sets(shift: int) -> dict[str, tuple[Any, Any]]:
    """Images and labels of that task."""
    labels, found = np.arange(COUNT) % CLASSES, {}
    for seed, name in ((2, "valid"), (3, "test")):
        images, shown = clean_images(labels, seed=seed), (labels + shift) % CLASSES
        found[f"clean/{name}"] = images, shown
        found[f"bd/bd_{name}"] = poisoned_images(images), 0 * labels + (TARGET + shift) % CLASSES
    return found


def save_pictures(images: Any, labels: Any, folder: Path) -> None:
    """The images in class folders, each called by its name."""
    for name in NAMES:
        (folder / name).mkdir(parents=True)
    (folder / "class_names.txt").write_text("\n".join(NAMES))
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / NAMES[label] / f"{row:02}.png")


def add_two_suspects(small: Toy) -> None:
    """Beside the small job's model one with pictures in its folder, and one with a TOML file."""
    models = small.model.parent
    (models / "signs").mkdir()
    save(network(2), models / "signs" / "model.keras")
    for name, (images, labels) in sets(2).items():
        folder = name.replace("clean/", "")
        save_pictures(images, labels, models / "signs" / "data" / folder)
    save(network(1, SIGNED), models / "things.keras")
    for name, each in sets(1).items():
        path = small.data / "things" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_dataset(path, *each)
    quoted = json.dumps([f"thing {number}" for number in range(CLASSES)])
    (models / "things.toml").write_text(
        f'data = "../data/things"\npreprocessing = "signed"\nclass_names = {quoted}\n'
    )


def manifests(output: Path) -> dict[str, dict[str, Any]]:
    """The manifests of all repairs, by the suspects' names."""
    return {
        path.parent.name.rpartition("-")[0]: json.loads(path.read_text())
        for path in output.glob("*/manifest.json")
    }


@pytest.mark.slow
def test_one_run_judges_suspects_of_three_tasks(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    add_two_suspects(small)
    shutil.copy(small.model, small.model.with_name("broken.h5"))
    small.model.with_name("broken.toml").write_text('data = "/etc"')
    output = small.folder / "artifacts"
    places = ["--data", str(small.data), "--output", str(output)]
    assert main([str(small.model.parent), *places, *FEW]) == SOME_FAILED
    said = capsys.readouterr()
    assert "broken.toml: data is '/etc', neither in the suspect's folder nor" in said.err
    assert said.out.count("\nwrote ") == 3 or said.out.count("wrote ") == 3

    found = manifests(output)
    assert set(found) == {"small", "signs", "things"}
    for name, shift in (("small", 0), ("signs", 2), ("things", 1)):
        verdict = found[name]["verdict"]
        assert verdict["verdict"] == "backdoored", name
        assert verdict["classes"] == [(TARGET + shift) % CLASSES], name
        baseline = found[name]["baseline"]
        assert baseline["clean_accuracy"]["value"] > 0.9 and baseline["attack_success"], name
    assert "class_names" not in found["small"]["verdict"]
    assert found["signs"]["verdict"]["class_names"] == list(NAMES)
    assert found["things"]["verdict"]["class_names"][1] == "thing 1"
    assert found["things"]["parameters"]["preprocessing"]["used"] == "signed"
    assert found["signs"]["parameters"]["came_with_the_suspect"] == ["images"]
    (signs,) = output.glob("signs-*")
    report = (signs / "report.md").read_text()
    assert "class 2, stop" in report and "Images that an attacker chose" in report
    assert (signs / "class_names.txt").read_text().split("\n")[:5] == list(NAMES)
    (plain,) = output.glob("small-*")
    assert "came: " not in (plain / "report.md").read_text()
    assert not (plain / "class_names.txt").exists()


@pytest.mark.slow
def test_the_verdict_alone_takes_what_a_suspect_brings_too(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    add_two_suspects(small)
    models = small.model.parent
    for arguments, said in (
        ([str(models / "signs")], "backdoored, class 2, stop"),
        ([str(models / "things.keras"), "--data", str(small.data)], "backdoored, class 1, thing 1"),
        ([str(small.model), "--data", str(small.data)], "backdoored, class 0"),
    ):
        assert inspect(["inspect", "--verdict", *arguments]) == 0
        assert f"{said}\n" in capsys.readouterr().out
    assert inspect(["inspect", "--verdict", str(small.model)]) == 2
    assert "--verdict: needs --data DIR" in capsys.readouterr().err
    assert inspect(["inspect", "--verdict", str(models / "things.keras")]) == 2
    assert "neither in the suspect's folder" in capsys.readouterr().err


@pytest.mark.slow
def test_names_that_do_not_fit_refuse_one_suspect(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    small.model.with_suffix(".toml").write_text('class_names = ["a", "b"]')
    places = ["--data", str(small.data), "--output", str(small.folder / "artifacts")]
    assert main([str(small.model), *places, *FEW]) == 2
    assert "has 5 classes, and class_names has 2 names" in capsys.readouterr().err
