"""Where on the curve a repaired model is taken."""

import inspect

import numpy as np
import pytest

from goodnet.errors import RequestRefused
from goodnet.metrics import Counts
from goodnet.pruning import curve
from goodnet.pruning.curve import find_drop, make_curve, parse_points
from goodnet.pruning.order import order_channels


def test_a_drop_is_the_first_k_at_which_accuracy_has_fallen_that_far() -> None:
    assert find_drop([95, 95, 94, 93, 90, 93], 100, "2").k == 3


def test_a_drop_of_exactly_the_points_counts() -> None:
    """29 of 1000 less is 2.9 points; in floats 0.95 - 0.921 is 0.0289999..."""
    assert find_drop([950, 922, 921], 1000, "2.9").k == 2


def test_accuracy_may_rise_before_it_falls() -> None:
    assert find_drop([90, 94, 89, 88], 100, "2").k == 3


def test_a_drop_that_no_k_reaches_says_how_far_it_fell() -> None:
    drop = find_drop([90, 85, 88], 100, "10")
    assert drop.k is None
    assert drop.largest == 5


@pytest.mark.parametrize(
    ("asked", "points"),
    [
        ([10, 2, 4], ("2", "4", "10")),
        (["2.0", 2, 2.5], ("2", "2.5")),
        ([0.1], ("0.1",)),
        ([100], ("100",)),
    ],
)
def test_points_are_sorted_each_once_in_their_shortest_form(
    asked: list[float | str], points: tuple[str, ...]
) -> None:
    assert parse_points(asked) == points


@pytest.mark.parametrize("asked", [[], [0], [-1], [101], ["ten"], ["nan"], ["inf"], [1e-9]])
def test_points_that_make_no_sense_are_refused(asked: list[float | str]) -> None:
    with pytest.raises(RequestRefused, match="--drop"):
        parse_points(asked)


def test_poisoned_images_draw_a_line_and_choose_nothing() -> None:
    order = order_channels(np.array([1.0, 2.0]), "ascending")
    clean = [Counts(10, hits, hits, 0) for hits in (9, 8, 5)]
    poisoned = [Counts(4, hits, hits, 0) for hits in (4, 4, 0)]
    alone = make_curve(order, clean, None, ["10"])
    beside = make_curve(order, clean, poisoned, ["10"])
    assert beside.drops == alone.drops
    assert alone.attack_success is None
    assert beside.attack_success == (1, 1, 0)
    assert beside.clean_accuracy == (0.9, 0.8, 0.5)
    assert beside.fractions == (0, 0.5, 1)


def test_what_chooses_a_drop_is_not_given_poisoned_images() -> None:
    assert set(inspect.signature(curve.find_drop).parameters) == {"correct", "count", "points"}
