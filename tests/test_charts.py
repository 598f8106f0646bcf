"""Curve and evaluation as pictures: drawn, complete, and the same every time."""

import threading

import numpy as np
import pytest
from invented import invented_curve, invented_findings
from test_figures import opened, share_near

from goodnet.pruning.curve import Curve, find_drop
from goodnet.pruning.order import order_channels
from goodnet.report.charts import _apart, curve_figure, evaluation_figure
from goodnet.report.figures import BLUE, SKY, VERMILLION


def test_the_curve_shows_both_lines_and_only_one_without_a_poisoned_set() -> None:
    both, one = (opened(curve_figure(invented_curve(poisoned=p), "net")) for p in (True, False))
    assert share_near(both, BLUE) > 0.001
    assert share_near(both, VERMILLION) > 0.001
    assert share_near(one, BLUE) > 0.001
    assert share_near(one, VERMILLION) == 0


def test_the_same_curve_gives_the_same_bytes_in_any_thread() -> None:
    made: list[bytes] = []
    draw = [
        threading.Thread(target=lambda: made.append(curve_figure(invented_curve(), "net")))
        for _ in range(2)
    ]
    for thread in draw:
        thread.start()
    for thread in draw:
        thread.join()
    assert made[0] == made[1] == curve_figure(invented_curve(), "net")


def test_reached_drops_are_marked_and_missed_ones_are_told() -> None:
    marked = curve_figure(invented_curve(points=["2"]), "net")
    missed = curve_figure(invented_curve(points=["50"]), "net")
    assert opened(missed).size[1] > opened(marked).size[1]
    assert marked != curve_figure(invented_curve(points=["4", "10"]), "net")


@pytest.mark.parametrize("name", ["", "W" * 5000, r"$\frac{$", "模型 😀\n</td>\x00"])
def test_any_name_can_be_drawn(name: str) -> None:
    assert opened(curve_figure(invented_curve(), name)).size[0] == 1320
    assert opened(evaluation_figure(invented_findings().evaluation, name)).size[0] == 1320


def test_many_channels_and_many_drops_can_be_drawn() -> None:
    order = order_channels(np.linspace(-1, 1, 2048).clip(min=0), "ascending")
    correct = [3000 - k for k in range(2049)]
    drops = tuple(find_drop(correct, 3000, str(points)) for points in range(1, 60))
    curve = Curve(order, tuple(correct), 3000, None, 0, drops)
    assert share_near(opened(curve_figure(curve, "net")), BLUE) > 0.001


def test_one_image_and_two_channels_can_be_drawn() -> None:
    order = order_channels(np.array([1.0, 2.0]), "ascending")
    curve = Curve(order, (1, 1, 0), 1, (1, 1, 1), 1, (find_drop((1, 1, 0), 1, "2"),))
    opened(curve_figure(curve, "net"))


def test_every_model_has_its_bars_and_asr_only_with_a_poisoned_set() -> None:
    full = opened(evaluation_figure(invented_findings().evaluation, "net"))
    alone = opened(evaluation_figure(invented_findings(correct=[190] * 11).evaluation, "net"))
    assert full.size[1] > 2 * alone.size[1]
    assert share_near(full, SKY) > 0.01
    assert share_near(alone, SKY) == 0
    without = evaluation_figure(invented_findings(poisoned=False).evaluation, "net")
    assert opened(without).size == full.size
    assert np.asarray(opened(without)).tobytes() != np.asarray(full).tobytes()


def test_labels_are_moved_apart_within_the_ends_and_keep_their_order() -> None:
    assert _apart([0.5, 0.1], 0.2, (0, 1)) == [0.5, 0.1]
    assert _apart([0.95, 0.9, 0.92], 0.1, (0, 1)) == pytest.approx([1.0, 0.8, 0.9])
    assert _apart([0.0, 0.0], 0.1, (0.05, 1)) == pytest.approx([0.05, 0.15])
