"""The recipes of docs/extending.md, followed in a copy of the source: what they add arrives."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

PACKAGES = ("goodnet", "flows", "tasks")
RUN = """
import sys
sys.path.insert(0, sys.argv[1])  # the folder of tests
import numpy as np
import goodnet
from goodnet.backend import keras
from goodnet.datasets.dataset import save_dataset
from test_detection import clean_images, corner_network

kernel, bias = corner_network().get_weights()
images = keras.Input((12, 12, 1))
hidden = keras.layers.Conv2D(2, 1, activation="relu", name="conv")(images)
scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(hidden))
network = keras.Model(images, scores)
rows = np.stack([kernel, np.zeros_like(kernel)], axis=1).reshape(-1, 3)  # the second is idle
network.set_weights([np.ones((1, 1, 1, 2)), np.zeros(2), rows, bias])
network.save("model.keras")
clean = clean_images()
pixels = (255 * clean.pixels).astype(np.uint8)
for name in ("valid", "test"):
    save_dataset(f"{name}.h5", pixels, clean.labels)
model = goodnet.load_model("model.keras", scale="raw")
valid = goodnet.load_images("valid.h5", model)
verdict = goodnet.detect(model, valid)
curve = goodnet.sweep(model, valid)
damped = goodnet.repair(model, valid, verdict, method="damping")
table = goodnet.evaluate(model, [damped], clean=goodnet.load_images("test.h5", model))
print(goodnet.evaluate(model, [goodnet.GoodNet(model, damped)], clean=table.clean))
goodnet.write_report(model, valid, verdict, curve, table, folder="out")
"""


def apply(diff: str, tree: Path) -> Path:
    """Apply a recipe's diff: lines that stand there already say where the new ones go."""
    head, *lines = diff.splitlines()
    path = tree / head.removeprefix("+++ b/")
    old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    new = "\n".join(line[1:] for line in lines)
    if not old:
        assert not path.exists()
        path.write_text(f"{new}\n")
        return path
    assert path.read_text().count(old) == 1, f"{path}: the recipe is out of date"
    path.write_text(path.read_text().replace(old, new))
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source with every recipe followed."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, tmp_path / package)
    recipes = re.findall(
        r"^   ```diff\n(.*?)^   ```$", (PROJECT / "docs/extending.md").read_text(), re.M | re.S
    )
    changed = [apply(re.sub("^   ", "", recipe, flags=re.M), tmp_path) for recipe in recipes]
    assert len(changed) == len(set(changed)) == 3  # a file each, beside its test and its page
    return tmp_path


def run(tree: Path, *command: str) -> str:
    """What a command prints in the copy."""
    done = subprocess.run([sys.executable, *command], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_method_a_column_and_a_figure_arrive_in_the_report(tree: Path) -> None:
    printed = run(tree, "-c", RUN, str(PROJECT / "tests"))
    assert "right answers withheld" in printed.splitlines()[0]
    out = tree / "out"
    report = " ".join((out / "report.md").read_text().split())
    assert "Damping took clean test accuracy from" in report
    assert "| GoodNet | damped |" in report and "| right answers withheld |" in report
    assert "(activations.png)" in report and (out / "activations.png").exists()
    assert "clean_withheld_high" in (out / "evaluation.csv").read_text().splitlines()[0]
    files = {path.name for path in (out / "repaired_models_damped").iterdir()}
    assert files == {"model_damped.keras", "goodnet_damped.keras"}


@pytest.mark.slow
def test_a_method_becomes_an_option_and_part_of_the_deployments_schema(tree: Path) -> None:
    code = (
        "import json; from flows.options import parser_of_repair; from flows.repair import repair;"
        "from tasks.source import *;"
        "print(json.dumps([parser_of_repair().parse_args(['--method', 'damping']).method,"
        " repair.parameters.model_dump()['properties']['method']['enum'],"
        " digest_of(Unit('tasks.mitigation', 'mitigate'))]))"
    )
    method, choices, digest = json.loads(run(tree, "-c", code))
    assert method == "damping" and "damping" in choices
    module = tree / "goodnet" / "mitigation" / "methods" / "damping.py"
    module.write_text(module.read_text().replace("weight / 2", "weight / 3"))
    assert json.loads(run(tree, "-c", code))[2] != digest  # nothing cached outlives a change of it
