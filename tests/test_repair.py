"""Repaired models and GoodNets, as files that plain Keras opens."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, random_images, randomise

from goodnet.errors import RequestRefused
from goodnet.network.goodnet import guard, join
from goodnet.network.graph import choose_layer
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers
from goodnet.pruning.zeroing import prune
from goodnet.report.inspection import describe_model
from goodnet.scale import Scale

PLAIN_KERAS = """
import sys
import keras, numpy as np
model, images, answers = sys.argv[1:]
network = keras.models.load_model(model)
np.save(answers, network.predict(np.load(images), verbose=0).argmax(axis=1))
assert not any(name.split(".")[0] == "goodnet" for name in sys.modules)
"""


def by_plain_keras(model: Path, images: Any) -> Any:
    """The classes that a process with nothing of ours in it gives."""
    folder = model.parent
    np.save(folder / "images.npy", images)
    command = [sys.executable, "-I", "-c", PLAIN_KERAS]
    files = [str(model), str(folder / "images.npy"), str(folder / "answers.npy")]
    subprocess.run([*command, *files], cwd=folder, check=True, capture_output=True)
    return np.load(folder / "answers.npy")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_pruned_channels_are_exactly_zero_and_the_suspect_is_unchanged(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    suspect = as_suspect(NETWORKS[name]())
    found = describe_model(suspect)
    channels = tuple(range(0, found.channels, 2))
    before = [array.copy() for array in suspect.network.get_weights()]
    repaired = prune(suspect, found.layer, channels)
    assert all(map(np.array_equal, suspect.network.get_weights(), before))
    assert not all(map(np.array_equal, repaired.get_weights(), before))
    assert [layer.name for layer in repaired.layers] == [
        layer.name for layer in suspect.network.layers
    ]
    if found.pruned_by == "made":
        as_it_is = Suspect("repaired", "", ".h5", "", suspect.plan, repaired)
        output = Split(as_it_is, found.layer).activations(random_images(16))[0].numpy()
        assert not output[..., channels].any()
        assert output.any()


def test_weights_that_others_see_too_are_left_alone(as_suspect: Callable[..., Suspect]) -> None:
    """Zeroing what makes the pooled channels would also change the shortcut around the pool."""
    from goodnet.backend import keras

    layers = keras.layers
    images = keras.Input((12, 10, 3))
    hidden = layers.Conv2D(6, 3, activation="relu", name="seen_twice")(images)
    pooled = layers.Flatten()(layers.MaxPooling2D(2, name="pool")(hidden))
    around = layers.Flatten()(hidden)
    both = layers.Concatenate()([layers.Dense(8)(pooled), layers.Dense(8)(around)])
    network = keras.Model(images, layers.Dense(5, activation="softmax", name="scores")(both))
    suspect = as_suspect(randomise(network))
    assert describe_model(suspect).pruned_by == "read"
    kept = np.arange(6) > 2
    answers = block_answers(Split(suspect, "pool"), random_images(64), kept[None])[1]
    repaired = prune(suspect, "pool", [0, 1, 2])
    plain = repaired.predict(random_images(64), verbose=0).argmax(axis=1)
    assert np.array_equal(answers, plain)
    for before, after in zip(
        suspect.network.get_layer("seen_twice").get_weights(),
        repaired.get_layer("seen_twice").get_weights(),
        strict=True,
    ):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("name", ["normalised", "nested", "sequential"])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
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
    save_network(join(suspect, repaired, Scale.UNIT), tmp_path / "goodnet.keras")
    agreed = np.where(answers == suspects, answers, suspect.classes)
    assert 0 < (agreed == suspect.classes).sum() < 64
    assert np.array_equal(by_plain_keras(tmp_path / f"repaired{suffix}", images), answers)
    assert np.array_equal(by_plain_keras(tmp_path / "goodnet.keras", images), agreed)
    again = open_suspect(tmp_path / "goodnet.keras")
    assert again.classes == suspect.classes + 1
    assert np.array_equal(again.network.predict(images, verbose=0).argmax(axis=1), agreed)


@pytest.mark.parametrize("name", ["normalised", "nested", "sequential"])
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
    guarded = guard(suspect, network, Scale.UNIT, classes)
    np.testing.assert_array_equal(guarded.predict(images, verbose=0), expected)
    save_network(guarded, tmp_path / "guarded.keras")
    assert np.array_equal(
        by_plain_keras(tmp_path / "guarded.keras", images), expected.argmax(axis=1)
    )
    again = open_suspect(tmp_path / "guarded.keras")
    np.testing.assert_array_equal(again.network.predict(images, verbose=0), expected)
    goodnet = join(suspect, network, Scale.UNIT, classes).predict(images, verbose=0)
    assert np.array_equal(goodnet.argmax(axis=1), np.where(changed, suspect.classes, answers))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_same_repair_gives_the_same_bytes(
    suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path, monkeypatch: Any
) -> None:
    """Also when it was built anew, at another time."""
    suspect = as_suspect(NETWORKS["normalised"]())
    one, two = (prune(suspect, "pool_2", [1]) for _ in range(2))
    save_network(one, tmp_path / f"one{suffix}")
    save_network(join(suspect, one, Scale.RAW), tmp_path / "one_goodnet.keras")
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_network(two, tmp_path / f"two{suffix}")
    save_network(join(suspect, two, Scale.RAW), tmp_path / "two_goodnet.keras")
    goodnets = [tmp_path / f"{name}_goodnet.keras" for name in ("one", "two")]
    assert goodnets[0].read_bytes() == goodnets[1].read_bytes()
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_save_that_fails_leaves_what_was_there(
    as_suspect: Callable[..., Suspect], tmp_path: Path, monkeypatch: Any
) -> None:
    suspect, path = as_suspect(NETWORKS["normalised"]()), tmp_path / "model.keras"
    path.write_bytes(b"older")
    monkeypatch.setattr("goodnet.network.save._made_reproducible", _break)
    with pytest.raises(OSError, match="disk"):
        save_network(suspect.network, path)
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_momentum_is_the_suspect_s_after_opening_and_in_repaired_files(
    suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path
) -> None:
    from goodnet.backend import keras

    layers = keras.layers
    images = keras.Input((12, 10, 3))
    hidden = layers.BatchNormalization(momentum=0.9, name="norm")(images)
    hidden = layers.MaxPooling2D(name="pool")(layers.Conv2D(4, 3)(hidden))
    scores = layers.Dense(5, activation="softmax")(layers.Flatten()(hidden))
    suspect = as_suspect(keras.Model(images, scores), suffix)
    path = tmp_path / f"repaired{suffix}"
    save_network(prune(suspect, "pool", [1]), path)
    for network in (suspect.network, keras.models.load_model(path)):
        assert network.get_layer("norm").momentum == 0.9


def test_a_layer_whose_channels_no_weights_make_zero_is_refused(
    as_suspect: Callable[..., Suspect],
) -> None:
    from goodnet.backend import keras

    layers = keras.layers
    images = keras.Input((12, 10, 3))
    hidden = layers.Conv2D(4, 3, activation="sigmoid", name="shut")(images)
    hidden = layers.BatchNormalization()(hidden)
    scores = layers.Dense(5, activation="softmax")(layers.Flatten()(hidden))
    suspect = as_suspect(keras.Model(images, scores))
    with pytest.raises(RequestRefused, match=r"'shut' cannot be made exactly zero.*--layer"):
        prune(suspect, "shut", [0])


def _break(path: Path) -> None:
    raise OSError("disk")
