"""GoodNets, and networks that the suspect guards, as files that plain Keras opens."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, random_images

from goodnet.network.goodnet import gate_by_suspect, join
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune

PLAIN_KERAS = """
import sys
import keras, numpy as np
images, answers, *models = sys.argv[1:]
networks = [keras.models.load_model(model) for model in models]
np.save(answers, [n.predict(np.load(images), verbose=0).argmax(axis=1) for n in networks])
assert not any(name.split(".")[0] == "goodnet" for name in sys.modules)
"""


def by_plain_keras(images: Any, folder: Path, *models: str) -> Any:
    """The classes that a process with nothing of ours in it gives, for each model of a folder."""
    np.save(folder / "images.npy", images)
    command = [sys.executable, "-I", "-c", PLAIN_KERAS]
    files = ["images.npy", "answers.npy", *models]
    subprocess.run([*command, *files], cwd=folder, check=True, capture_output=True)
    return np.load(folder / "answers.npy")


QUICK = [(".h5", "teachable")]  # others: slow
SAVED = [
    pytest.param(suffix, name, marks=[] if (suffix, name) in QUICK else pytest.mark.slow)
    for suffix in (".h5", ".keras")
    for name in ("normalised", "nested", "sequential", "class_maps", "teachable", "siamese")
]


@pytest.mark.parametrize(("suffix", "name"), SAVED)
def test_saved_models_answer_by_plain_keras_as_the_curve_claims(
    name: str, suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path
) -> None:
    suspect = as_suspect(NETWORKS[name](), suffix)
    layer = choose_layer(suspect.plan, "auto", name)
    split, images = Split(suspect, layer), random_images(64)
    pruned = np.arange(split.channels) < split.channels // 2
    suspects, answers = block_answers(split, images, ~pruned[None])
    repaired = prune(suspect, layer, np.flatnonzero(pruned).tolist())
    save_network(repaired, tmp_path / f"repaired{suffix}")
    save_network(join(suspect, repaired, UNIT), tmp_path / "goodnet.keras")
    agreed = np.where(answers == suspects, answers, suspect.classes)
    assert 0 < (agreed == suspect.classes).sum() < 64
    theirs = by_plain_keras(images, tmp_path, f"repaired{suffix}", "goodnet.keras")
    assert np.array_equal(theirs, [answers, agreed])
    again = open_suspect(tmp_path / "goodnet.keras")
    assert again.classes == suspect.classes + 1
    assert np.array_equal(again.network.predict(images, verbose=0).argmax(axis=1), agreed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["nested", *(pytest.param(n, marks=pytest.mark.slow) for n in ("normalised", "sequential"))],
)
def test_a_guarded_model_answers_by_the_repaired_network_for_classes_in_question_only(
    name: str, as_suspect: Callable[..., Suspect], tmp_path: Path
) -> None:
    suspect, images = as_suspect(NETWORKS[name]()), random_images(64)
    layer = choose_layer(suspect.plan, "auto", name)
    network = prune(suspect, layer, range(0, Split(suspect, layer).channels, 2))
    before, after = (n.predict(images, verbose=0) for n in (suspect.network, network))
    answers = before.argmax(axis=1)
    classes = [int(c) for c in np.argsort(np.bincount(answers))[-2:]]  # the two it answers most
    asked = np.isin(answers, classes)
    expected = np.where(asked[:, None], after, before)
    changed = expected.argmax(axis=1) != answers
    assert 0 < changed.sum() < (after.argmax(axis=1) != answers).sum()
    guarded = gate_by_suspect(suspect, network, UNIT, classes)
    np.testing.assert_array_equal(guarded.predict(images, verbose=0), expected)
    save_network(guarded, tmp_path / "guarded.keras")
    (theirs,) = by_plain_keras(images, tmp_path, "guarded.keras")
    assert np.array_equal(theirs, expected.argmax(axis=1))
    again = open_suspect(tmp_path / "guarded.keras")
    np.testing.assert_array_equal(again.network.predict(images, verbose=0), expected)
    goodnet = join(suspect, network, UNIT, classes).predict(images, verbose=0)
    assert np.array_equal(goodnet.argmax(axis=1), np.where(changed, suspect.classes, answers))
