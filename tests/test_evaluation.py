"""The evaluation's lines, from counts that can be checked by eye."""

import numpy as np

from goodnet.evaluation.results import RepairedModel, repaired_models, results_of, states_of
from goodnet.metrics import Counts, Proportion
from goodnet.pruning.curve import Swept, make_curve
from goodnet.pruning.order import order_channels

ORDER = order_channels(np.array([1.0, 2.0, 3.0]), "ascending")
CURVE = make_curve(ORDER, Swept((10, 9, 5, 1), 10), None, ["10", "50", "95"])


def test_a_repaired_model_for_each_drop_that_is_reached() -> None:
    assert repaired_models([CURVE]) == (
        RepairedModel("ascending", "10", 1),
        RepairedModel("ascending", "50", 2),
    )


def test_states_are_the_suspect_and_then_each_repaired_model() -> None:
    states = states_of([CURVE], repaired_models([CURVE]))
    assert states.astype(int).tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_a_goodnets_accuracy_counts_flagged_clean_images_as_wrong() -> None:
    model = RepairedModel("ascending", "10", 1)
    clean = [Counts(10, 9, 9, 0, None, None), Counts(10, 8, 7, 3, None, None)]
    poisoned = [Counts(4, 4, 4, 0, 0, 0), Counts(4, 1, 1, 3, 2, 0)]
    suspect, repaired, goodnet = results_of([model], clean, poisoned)
    assert suspect.clean_accuracy == Proportion(9, 10)
    assert suspect.attack_success == Proportion(4, 4)
    assert suspect.clean_flagged is None
    assert repaired.clean_accuracy == Proportion(8, 10)
    assert repaired.poisoned_accuracy == Proportion(2, 4)
    assert goodnet.clean_accuracy == Proportion(7, 10)
    assert goodnet.clean_flagged == Proportion(3, 10)
    assert goodnet.attack_success == Proportion(1, 4)
    assert goodnet.poisoned_flagged == Proportion(3, 4)
    assert goodnet.poisoned_accuracy == Proportion(0, 4)


def test_without_poisoned_images_nothing_is_said_of_the_attack() -> None:
    model = RepairedModel("ascending", "10", 1)
    counts = [Counts(10, 9, 9, 0, None, None), Counts(10, 8, 7, 3, None, None)]
    for result in results_of([model], counts, None):
        assert result.attack_success is None
        assert result.poisoned_flagged is None
