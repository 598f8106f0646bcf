"""Real BadNets and published results; skipped where the evaluation data is not at hand."""

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import EVALUATION

from goodnet.datasets.dataset import CleanDataset, Dataset, open_clean_dataset, open_dataset
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import RAW, UNIT, Preprocessing
from goodnet.pruning.order import DIRECTIONS, Direction, Order, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import find_preprocessing, mean_activations, tally

pytestmark = pytest.mark.skipif(not EVALUATION.is_dir(), reason="no evaluation data here")

GLINT12, LAB3, ANONYMOUS = (EVALUATION / name for name in ("glint12", "lab3", "anonymous_1"))
SETS = {
    "valid": "clean/valid.h5",
    "test": "clean/test.h5",
    "bd_valid": "bd/bd_valid.h5",
    "bd_test": "bd/bd_test.h5",
}


def opened(path: Path, suspect: Suspect) -> Dataset:
    """A data set for the suspect."""
    return open_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)


def opened_clean(path: Path, suspect: Suspect) -> CleanDataset:
    """Clean images for the suspect, to be learnt from."""
    return open_clean_dataset(path, input_shape=suspect.input_shape, classes=suspect.classes)


@cache
def split_of(path: Path) -> tuple[Suspect, Split]:
    """A real suspect, split at its last pooling layer."""
    suspect = open_suspect(path)
    return suspect, Split(suspect, "pool_3")


QUICK = [("bd_net.keras", "descending")]  # others: slow
CURVES = [
    pytest.param(name, direction, marks=[] if (name, direction) in QUICK else pytest.mark.slow)
    for name in ("bd_net.h5", "bd_net.keras", "bd_weights.h5")
    for direction in DIRECTIONS
]


def order_of(split: Split, valid: CleanDataset, direction: Direction) -> Order:
    """The order in which the raw-scale suspect's channels are pruned."""
    return order_channels(mean_activations(split, valid, RAW), direction)


@pytest.mark.parametrize(("name", "direction"), CURVES)
def test_glint12s_curves_equal_the_plain_sweeps_at_every_k(name: str, direction: Direction) -> None:
    """Accuracy, ASR and both GoodNet columns, to the image, on all four sets."""
    suspect, split = split_of(GLINT12 / "models" / name)
    order = order_of(split, opened_clean(GLINT12 / SETS["valid"], suspect), direction)
    with (GLINT12 / "curves" / f"{direction}.csv").open() as file:
        rows = list(csv.DictReader(file))
    reference = [order.activations[int(row["channel"])] for row in rows[1:]]
    assert reference == [order.activations[c] for c in order.channels], "order, up to ties"
    compared = 0
    for prefix, path in SETS.items():
        counts = tally(split, opened(GLINT12 / path, suspect), RAW, order.kept())
        for column, field in (("acc", "correct"), ("G_acc", "agreed"), ("G_rej", "flagged")):
            if f"{prefix}_{column}" in rows[0]:
                ours = [getattr(state, field) for state in counts]
                shares = [float(row[f"{prefix}_{column}"]) for row in rows]
                theirs = np.rint(np.multiply(shares, counts[0].count / 100))
                assert np.array_equal(ours, theirs), (prefix, column)
                compared += len(rows)
    assert compared >= 10 * 61


def test_lab3s_channel_sets_are_the_published_ones() -> None:
    """Each set of channels left over is a published one, up to ties among dead channels."""
    suspect, split = split_of(LAB3 / "bd_weights.h5")
    order = order_of(split, opened_clean(LAB3 / "cl" / "all.h5", suspect), "ascending")
    text = (LAB3 / "published" / "lab3_published_channel_sets.json").read_text()
    published: dict[int, list[set[int]]] = {}
    for entry in json.loads(text):
        published.setdefault(entry["n"], []).append(set(entry["alive"]) - set(order.dead))
    for k in (45, 48, 52, 53, 54):
        assert set(order.channels[k:]) - set(order.dead) in published[k], k


@pytest.mark.parametrize(
    ("model", "scale", "accuracy"),
    [(LAB3, RAW, 0.98), (ANONYMOUS, UNIT, 0.95)],
    ids=["lab3", "anonymous_1"],
)
def test_the_scale_of_the_labs_nets_is_found(
    model: Path, scale: Preprocessing, accuracy: float
) -> None:
    suspect, split = split_of(model / "bd_weights.h5")
    found = find_preprocessing(split, opened_clean(LAB3 / "cl" / "all.h5", suspect), source=model)
    assert found.preprocessing == scale
    assert found.accuracies[scale.name].value > accuracy


def test_lab3s_target_is_class_0() -> None:
    suspect, split = split_of(LAB3 / "bd_weights.h5")
    everything = np.ones((1, split.channels), dtype=bool)
    poisoned = opened(LAB3 / "bd" / "bd_harvested.h5", suspect)
    assert set(poisoned.labels) == {0}
    assert tally(split, poisoned, RAW, everything)[0].correct == len(poisoned)
