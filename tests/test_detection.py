"""Triggers and the differentiable view, on images small enough to see."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from goodnet.backend import keras
from goodnet.detection.judge import decide, judge
from goodnet.detection.problem import CleanImages, View
from goodnet.detection.recovery import success
from goodnet.detection.regions import FAINT, Region, regions
from goodnet.detection.simple_triggers import (
    NAMED,
    SECOND,
    SUSPICIOUS,
    Candidate,
    find_candidates,
    prominence,
)
from goodnet.detection.trigger import Trigger
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE, NOTHING, Statistic
from goodnet.metrics import Share
from goodnet.scale import Scale
from goodnet.suspect import Suspect

SIDE = 12


def corner_network() -> keras.Model:
    """Three classes told apart by brightness, and class 2 for a bright corner, at the raw scale."""
    images = keras.Input((SIDE, SIDE, 1))
    hidden = keras.layers.Flatten()(images)
    network = keras.Model(images, keras.layers.Dense(3, activation="softmax")(hidden))
    kernel = np.zeros((SIDE, SIDE, 3), np.float32)
    kernel[4:8, 4:8, 0], kernel[4:8, 4:8, 1] = -1, 1
    kernel[:2, :2, 2] = 20
    network.set_weights([kernel.reshape(-1, 3) / 255, np.array([8, -8, -20], np.float32)])
    return network


def clean_images(count: int = 40) -> CleanImages:
    """Dark images of class 0 and bright ones of class 1, with black corners."""
    labels = np.arange(count, dtype=np.int64) % 2
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 0.2, (count, SIDE, SIDE, 1)) + 0.7 * labels[:, None, None, None]
    pixels[:, :3, :3] = 0
    return CleanImages(pixels.astype(np.float32), labels)


def test_view_takes_off_the_softmax_and_carries_the_scale(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    suspect, clean = as_suspect(corner_network()), clean_images()
    view = View.of(suspect, Scale.RAW)
    kernel, bias = suspect.network.get_weights()
    logits = clean.pixels.reshape(len(clean), -1) * 255 @ kernel + bias
    np.testing.assert_allclose(view.all_logits(clean.pixels), logits, rtol=1e-4, atol=1e-3)
    assert np.array_equal(view.answers(clean.pixels), clean.labels)


def test_stamp_covers_what_the_mask_says_and_nothing_else() -> None:
    mask, pattern = np.zeros((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)
    mask[0, 0], mask[0, 1] = 1, 0.5
    images = np.full((1, 2, 2, 1), 0.2, np.float32)
    stamped = Trigger(0, mask, pattern, Share(0, 1), 0.0).stamp(images)
    np.testing.assert_allclose(stamped[0, ..., 0], [[1, 0.6], [0.2, 0.2]], rtol=1e-6)
    assert (images == np.float32(0.2)).all()


def test_a_bright_corner_is_the_simple_trigger_of_its_class(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view, clean = View.of(as_suspect(corner_network()), Scale.RAW), clean_images()
    best = find_candidates(view, clean)[0]
    assert best.target == 2
    assert best.region.corner == (0, 0)
    assert success(view, clean, 2, best.region.mask, best.pattern).value > 0.9


def test_only_a_class_with_a_trigger_is_named_and_it_is_drawn_back_from_the_record(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean = clean_images()
    backdoored = judge(View.of(as_suspect(corner_network()), Scale.RAW), clean)
    assert (backdoored.verdict, backdoored.classes) == (BACKDOORED, (2,))
    trigger = backdoored.triggers[0].trigger()
    assert trigger.pattern[0, 0] > 0.5 and trigger.mask[:2, :2].min() == 1
    honest = corner_network()
    kernel, bias = honest.get_weights()
    kernel[:, 2] = 0
    honest.set_weights([kernel, bias])
    assert judge(View.of(as_suspect(honest), Scale.RAW), clean).verdict == NOTHING


def test_the_thresholds_decide_and_half_a_trigger_names_no_second_class() -> None:
    def number(value: float, other: float = 0.0) -> Statistic:
        return Statistic("simple triggers", {3: value, 5: other}, NAMED, SUSPICIOUS)

    assert decide([number(NAMED)]).classes == (3,)
    assert decide([number(NAMED - 0.01)]).verdict == INCONCLUSIVE
    assert decide([number(NAMED - 0.01)]).suspicious == (3,)
    assert decide([number(SUSPICIOUS - 0.01)]).verdict == NOTHING
    both = [number(NAMED + 1, SECOND)]
    assert decide(both).classes == (3, 5)

    def place(target: int, corner: tuple[int, int]) -> Candidate:
        region = Region("patch", (20, 20), corner, (4, 4), (20, 20))
        return Candidate(target, region, np.zeros((20, 20, 1), np.float32), 1.0, 1.0, 0.0)

    apart = {3: place(3, (0, 0)), 5: place(5, (10, 10))}
    assert decide(both, apart).classes == (3, 5)
    assert decide(both, {**apart, 5: place(5, (4, 2))}).classes == (3,)


def test_prominence_compares_with_the_runners_up() -> None:
    assert prominence([4.0, 2.0, 1.0, 1.0, 1.0, 1.0, -5.0])[:2] == [4.0, 2.0]
    assert prominence([4.0, 0.1, 0.0]) == pytest.approx([10.0, 0.25, 0.0])


def test_regions_stay_inside_touch_and_move() -> None:
    for region in regions(13, 9):
        assert region.mask.shape == (13, 9, 1)
        assert region.mask.max() in (1, np.float32(FAINT))
    one = Region("patch", (10, 10), (0, 0), (3, 3), (10, 10))
    assert one.touches(Region("patch", (10, 10), (3, 0), (3, 3), (10, 10)))
    assert not one.touches(Region("patch", (10, 10), (4, 0), (3, 3), (10, 10)))
    assert {other.corner for other in one.shifted(1)} == {(0, 1), (1, 0), (1, 1)}
