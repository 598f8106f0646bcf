"""Networks as files: whole or not at all, and the same bytes for the same network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from networks import NETWORKS

from goodnet.backend import keras
from goodnet.network.goodnet import join
from goodnet.network.save import save_network
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.zeroing import prune


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_same_repair_gives_the_same_bytes(
    suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path, monkeypatch: Any
) -> None:
    """Also when it was built anew, at another time."""
    suspect = as_suspect(NETWORKS["normalised"]())
    one, two = (prune(suspect, "pool_2", [1]) for _ in range(2))
    save_network(one, tmp_path / f"one{suffix}")
    save_network(join(suspect, one, RAW), tmp_path / "one_goodnet.keras")
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_network(two, tmp_path / f"two{suffix}")
    save_network(join(suspect, two, RAW), tmp_path / "two_goodnet.keras")
    goodnets = [tmp_path / f"{name}_goodnet.keras" for name in ("one", "two")]
    assert goodnets[0].read_bytes() == goodnets[1].read_bytes()
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_save_that_fails_leaves_what_was_there(
    as_suspect: Callable[..., Suspect], tmp_path: Path, monkeypatch: Any
) -> None:
    suspect, path = as_suspect(NETWORKS["normalised"]()), tmp_path / "model.keras"
    path.write_bytes(b"older")
    monkeypatch.setattr("goodnet.network.save._make_reproducible", _break)
    with pytest.raises(OSError, match="disk"):
        save_network(suspect.network, path)
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_momentum_is_the_suspect_s_after_opening_and_in_repaired_files(
    suffix: str, as_suspect: Callable[..., Suspect], tmp_path: Path
) -> None:
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


def _break(path: Path) -> None:
    raise OSError("disk")
