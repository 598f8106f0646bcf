"""The evaluation's lines, from counts that can be checked by eye."""

import numpy as np

from goodnet.evaluation.results import (
    SUSPECT,
    evaluation_rows,
    pruned_channels,
    pruned_models,
    states_of,
)
from goodnet.metrics import Counts, Proportion
from goodnet.pruning.curve import make_curve
from goodnet.pruning.order import order_channels

ORDER = order_channels(np.array([1.0, 2.0, 3.0]), "ascending")
COUNTS = [Counts(10, hits, hits, 0) for hits in (10, 9, 5, 1)]
CURVE = make_curve(ORDER, COUNTS, None, ["10", "50", "95"])
MODELS = pruned_models([CURVE], ".h5")


def test_a_repaired_model_for_each_drop_that_is_reached() -> None:
    assert [(m.name, m.drop, m.pruned, m.by_pruning) for m in MODELS] == [
        ("ascending, drop 10", "10", 1, True),
        ("ascending, drop 50", "50", 2, True),
    ]
    assert MODELS[0].model_file == "repaired_models_asc/model_drop_10.h5"
    assert MODELS[0].goodnet_file == "goodnets_asc/goodnet_drop_10.keras"


def test_states_are_the_suspect_and_then_each_repaired_model() -> None:
    states = states_of([CURVE], MODELS)
    assert states.astype(int).tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    assert [pruned_channels([CURVE], model) for model in MODELS] == [(0,), (0, 1)]


def test_a_goodnets_accuracy_counts_flagged_clean_images_as_wrong() -> None:
    model = MODELS[0]
    clean = {
        SUSPECT: Counts(10, 9, 9, 0, None, None),
        model.name: Counts(10, 8, 7, 3, None, None),
    }
    poisoned = {SUSPECT: Counts(4, 4, 4, 0, 0, 0), model.name: Counts(4, 1, 1, 3, 2, 0)}
    suspect, repaired, goodnet = evaluation_rows([model], clean, poisoned)
    assert suspect.clean_accuracy == Proportion(9, 10)
    assert suspect.attack_success == Proportion(4, 4)
    assert suspect.clean_flagged is None
    assert repaired.clean_accuracy == Proportion(8, 10)
    assert repaired.poisoned_true_accuracy == Proportion(2, 4)
    assert goodnet.clean_accuracy == Proportion(7, 10)
    assert goodnet.clean_flagged == Proportion(3, 10)
    assert goodnet.attack_success == Proportion(1, 4)
    assert goodnet.poisoned_flagged == Proportion(3, 4)
    assert goodnet.poisoned_true_accuracy == Proportion(0, 4)


def test_without_poisoned_images_nothing_is_said_of_the_attack() -> None:
    model = MODELS[0]
    counts = {
        SUSPECT: Counts(10, 9, 9, 0, None, None),
        model.name: Counts(10, 8, 7, 3, None, None),
    }
    for row in evaluation_rows([model], counts, None):
        assert row.attack_success is None
        assert row.poisoned_flagged is None
