"""Triggers and the differentiable view, on images small enough to see."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from invented import invented_verdict

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection import dependence, maximum_margin, pattern_search
from goodnet.detection.baseline import BenignBaseline, low, natural_margin
from goodnet.detection.candidates import Candidate, best, excesses, of_each_kind
from goodnet.detection.dependence import dependent
from goodnet.detection.detect import decide, detect, detect_with, runner_up
from goodnet.detection.maximum_margin import maximum_margins
from goodnet.detection.pattern_search import BARS, Search
from goodnet.detection.reference_models import ReferenceModels
from goodnet.detection.search import SearchResult, find_triggers
from goodnet.detection.trigger_inversion import TriggerInverter, leads, nearest
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE, NOTHING, References, Statistic
from goodnet.metrics import Proportion
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.progress import no_progress
from goodnet.scale import Scale
from goodnet.triggers.locations import FAINT, WHOLE, Location, regions
from goodnet.triggers.success import success
from goodnet.triggers.trigger import Trigger

SIDE = 12
SOME = References("trained", Proportion(9, 10), (Proportion(9, 10),))
NONE = References("too few images", Proportion(9, 10), ())


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
    """Dark images with black corners; those of class 1 are bright in the middle."""
    labels = np.arange(count, dtype=np.int64) % 2
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 0.2, (count, SIDE, SIDE, 1))
    pixels[:, 4:8, 4:8] += 0.7 * labels[:, None, None, None]
    pixels[:, :3, :3] = 0
    return CleanImages(pixels.astype(np.float32), labels)


def test_view_takes_off_the_softmax_and_carries_the_scale(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    suspect, clean = as_suspect(corner_network()), clean_images()
    view = LogitModel.from_suspect(suspect, Scale.RAW)
    kernel, bias = suspect.network.get_weights()
    logits = clean.pixels.reshape(len(clean), -1) * 255 @ kernel + bias
    np.testing.assert_allclose(view.all_logits(clean.pixels), logits, rtol=1e-4, atol=1e-3)
    assert np.array_equal(view.predict(clean.pixels), clean.labels)


def test_stamp_covers_what_the_mask_says_and_nothing_else() -> None:
    mask, pattern = np.zeros((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)
    mask[0, 0], mask[0, 1] = 1, 0.5
    images = np.full((1, 2, 2, 1), 0.2, np.float32)
    stamped = Trigger(0, mask, pattern, Proportion(0, 1), 0.0).stamp(images)
    np.testing.assert_allclose(stamped[0, ..., 0], [[1, 0.6], [0.2, 0.2]], rtol=1e-6)
    assert (images == np.float32(0.2)).all()


def test_both_searches_find_the_bright_corner(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean_images()
    found = find_triggers(view, clean, progress=no_progress)
    for top in (found.simple[0], max(found.searched, key=lambda c: c.excess)):
        assert top.target == 2
        assert top.region.mask[:2, :2].min() == 1
        assert success(view, clean, 2, top.region.mask, top.pattern).value > 0.9
    assert next(iter(found.plain())) == 2


def test_only_patterns_that_come_near_a_class_are_seen_on_all_images(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean_images()
    innocence, places = (
        BenignBaseline(view, clean, [], np.random.default_rng(0)),
        regions(SIDE, SIDE),
    )

    def reached(near: float) -> Any:
        monkeypatch.setattr(pattern_search, "NEAR", near)
        return Search(view, clean, innocence, places, seed=0).reached(no_progress)

    some, every = reached(1), reached(-np.inf)
    near = some >= 1
    assert near.any() and not near.all()
    np.testing.assert_allclose(some[near], every[near], rtol=1e-5)
    assert (some != every).any()


def test_what_a_reference_does_too_is_innocent(as_suspect: Callable[[Any], Suspect]) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean_images()
    alone = find_triggers(view, clean, progress=no_progress).plain()
    held_against_itself = find_triggers(view, clean, [view], progress=no_progress).plain()
    assert (
        alone[2].excess > BARS.threshold > BARS.suspicion_threshold > held_against_itself[2].excess
    )


def test_a_class_s_own_content_is_pasted_and_the_lowest_quarter_counts(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean_images()
    middle = Location("patch", (SIDE, SIDE), (4, 4), (4, 4), (SIDE, SIDE))
    dark, bright = clean.take(clean.labels == 0), clean.take(clean.labels == 1)
    natural = natural_margin(view, dark, bright, 1, view.clean_margin(clean), middle)
    assert natural > 0.5  # the middle is all that tells 0 from 1
    corner = Location("patch", (SIDE, SIDE), (0, 0), (3, 3), (SIDE, SIDE))
    innocence = BenignBaseline(view, clean, [], np.random.default_rng(0))
    assert innocence.natural(1, corner) < 0
    assert innocence.natural(2, corner) == -np.inf  # nobody shows class 2
    assert low(np.array([[4.0, 1, 3, 2], [8, 8, 8, 0]])).tolist() == [1, 0]


def test_patterns_are_searched_where_plain_ones_come_nearest() -> None:
    places = regions(28, 28)
    reached = np.zeros(len(places))
    favourite = next(n for n, place in enumerate(places) if place.kind == "patch")
    reached[favourite] = 5
    chosen = nearest(places, reached, {"patch": 3, "band": 2})
    assert chosen[0] == places[favourite]
    assert [place.kind for place in chosen] == ["patch"] * 3 + ["band"] * 2
    assert len(set(chosen)) == 5


def test_a_search_raises_the_margin_of_its_class(as_suspect: Callable[[Any], Suspect]) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean_images()
    corner = Location("patch", (SIDE, SIDE), (0, 0), (4, 4), (SIDE, SIDE))
    pattern = TriggerInverter(view, clean, np.random.default_rng(0)).patterns([(2, corner)])[0]
    assert pattern.shape == (SIDE, SIDE, 1)
    assert pattern[:2, :2].min() > 0.8  # the corner that leads to class 2
    assert success(view, clean, 2, corner.mask, pattern).value == 1


def test_only_a_class_with_a_trigger_is_named_and_it_is_drawn_back_from_the_record(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean = clean_images()
    backdoored = detect(LogitModel.from_suspect(as_suspect(corner_network()), Scale.RAW), clean)
    assert (backdoored.verdict, backdoored.classes) == (BACKDOORED, (2,))
    trigger = backdoored.triggers[0].trigger()
    assert trigger.pattern[0, 0] > 0.5 and trigger.mask[:2, :2].min() == 1
    honest = corner_network()
    kernel, bias = honest.get_weights()
    kernel[:, 2] = 0
    honest.set_weights([kernel, bias])
    assert detect(LogitModel.from_suspect(as_suspect(honest), Scale.RAW), clean).verdict == NOTHING
    few = clean.take(np.arange(4))
    view = LogitModel.from_suspect(as_suspect(honest), Scale.RAW)
    assert detect_with(view, few, ReferenceModels((), NONE)).verdict == INCONCLUSIVE


def test_the_class_with_the_most_behind_it_is_named_first() -> None:
    """However high a method's numbers are, they count by its own threshold."""
    low = Statistic("low", {3: 0.6, 5: 0.1}, threshold=0.5, suspicion_threshold=0.4)
    high = Statistic("high", {3: 0.5, 5: 4.0}, threshold=1.0, suspicion_threshold=0.8)
    assert decide([low, high], SOME).classes == (5, 3)
    assert decide([high, low], SOME).classes == (5, 3)


def test_the_thresholds_decide_and_too_few_images_clear_nobody() -> None:
    def number(value: float, other: float = 0.0) -> Statistic:
        return Statistic.of(BARS, {3: value, 5: other})

    assert decide([number(BARS.threshold)], SOME).classes == (3,)
    assert decide([number(BARS.threshold - 0.01)], SOME).verdict == INCONCLUSIVE
    assert decide([number(BARS.threshold - 0.01)], SOME).suspicious == (3,)
    assert decide([number(BARS.suspicion_threshold - 0.01)], SOME).verdict == NOTHING
    assert decide([number(BARS.threshold + 1, BARS.threshold)], SOME).classes == (3, 5)
    without = decide([number(BARS.suspicion_threshold - 0.01)], NONE)
    assert (without.verdict, without.suspicious) == (INCONCLUSIVE, ())
    assert decide([number(BARS.threshold)], NONE).verdict == BACKDOORED


def test_three_quarters_of_what_a_stamp_does_to_references_is_innocent() -> None:
    place = Location("patch", (20, 20), (0, 0), (4, 4), (20, 20))
    stamp = place, np.zeros((20, 20, 1), np.float32)
    assert Candidate(0, *stamp, margin=1.0).excess == 2  # above FLOOR, -1
    assert Candidate(0, *stamp, margin=1.0, raised=2.0).excess == 0.5
    assert Candidate(0, *stamp, margin=1.0, usual=0.5, raised=1.0).excess == 0.5
    candidates = [Candidate(c, *stamp, margin) for c, margin in ((3, 0.0), (5, 1.0), (3, 2.0))]
    assert list(excesses(best(candidates)).items()) == [(3, 3.0), (5, 2.0)]


def test_the_first_candidate_at_each_kind_of_place_is_kept() -> None:
    band, patch = (Location(kind, (4, 4), (0, 0), (2, 2), (2, 2)) for kind in ("band", "patch"))
    pattern = np.zeros((4, 4, 1), np.float32)
    first, second, third = (Candidate(0, r, pattern, 1.0) for r in (band, patch, band))
    kept = of_each_kind([first, third, second])
    assert len(kept) == 2 and kept[0] is first and kept[1] is second


def test_images_to_measure_with_are_others_than_those_chosen_with() -> None:
    clean = clean_images(10)
    first, rest = clean.divided(4)
    assert (len(first), len(rest)) == (4, 6)
    assert np.array_equal(np.concatenate([first.pixels, rest.pixels]), clean.pixels)
    assert [len(part) for part in clean_images(5).divided(4)] == [2, 3]
    assert [len(part) for part in clean_images(1).divided(4)] == [1, 1]


def linear_network(kernel: Any) -> keras.Model:
    """Images of as many pixels as the kernel (pixels, classes) has rows; no activation."""
    images = keras.Input((1, len(kernel), 1))
    scores = keras.layers.Dense(kernel.shape[1], use_bias=False)(keras.layers.Flatten()(images))
    network = keras.Model(images, scores)
    network.set_weights([np.asarray(kernel, np.float32)])
    return network


def test_noise_is_taken_uphill_by_steps_of_one_size_and_stays_an_image(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view = LogitModel.from_suspect(as_suspect(linear_network(np.array([[3.0, -1.0]]))), Scale.UNIT)
    rng = np.random.default_rng(0)
    up, down = maximum_margins(view, np.array([0] * 20 + [1] * 20), rng).reshape(2, 20)
    travelled = 4 * maximum_margin.RATE * maximum_margin.STEPS  # of the margin 4 x
    assert up.min() >= travelled * 0.99 and up.max() <= 4
    assert down.min() >= -(4 - travelled * 0.99) and down.max() <= 0


def test_the_class_to_which_noise_is_taken_furthest_of_a_hundred_is_named(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    kernel = np.random.default_rng(0).normal(0, 1, (24, maximum_margin.FEWEST))
    kernel[:, 7] *= 3
    leads = maximum_margin.score(
        LogitModel.from_suspect(as_suspect(linear_network(kernel)), Scale.UNIT)
    )
    assert leads is not None
    assert max(leads, key=lambda c: leads[c]) == 7
    assert leads[7] > maximum_margin.BARS.threshold
    assert all(lead < 0 for c, lead in leads.items() if c != 7)
    few = linear_network(kernel[:, 1:])
    assert maximum_margin.score(LogitModel.from_suspect(as_suspect(few), Scale.UNIT)) is None


def test_over_the_whole_image_a_class_counts_by_its_lead() -> None:
    whole, patch = (
        Location(kind, (20, 20), (0, 0), size, (20, 20), opacity)
        for kind, size, opacity in ((WHOLE, (20, 20), FAINT), ("patch", (4, 4), 1.0))
    )
    pattern = np.zeros((20, 20, 1), np.float32)
    searched = [Candidate(c, whole, pattern, m) for c, m in ((0, 2.0), (1, 0.5), (2, -3.0))]
    found = SearchResult((), (*searched, Candidate(2, patch, pattern, 9.0)))
    assert leads(found.blended()) == {0: 1.5, 1: -1.5, 2: -5.0}
    assert leads({4: Candidate(4, whole, pattern, 0.0)}) == {4: 2.0}
    far = best([Candidate(4, whole, pattern, -4.0), Candidate(5, whole, pattern, -6.0)])
    assert leads(far) == {4: -2.0, 5: -4.0}  # less far is not near
    assert list(found.patches()) == [2]
    assert found.strongest()[2].region == patch
    assert [candidate.region for candidate in found.of(2)] == [patch, whole]


def bars_network(shared: bool) -> keras.Model:
    """Classes 0 and 1 by brightness; 2 for an upright bar in a corner, 3 for one in another.

    Args:
        shared: whether class 3's bar is upright, too, and seen by the same channel, or lies flat.
    """
    images = keras.Input((SIDE, SIDE, 1))
    seen = keras.layers.Conv2D(3, 3, strides=3, activation="relu")(images)
    network = keras.Model(images, keras.layers.Dense(4)(keras.layers.Flatten()(seen)))
    bright = np.full((3, 3), 1 / 9)
    upright = np.array([[-1, 2, -1]] * 3) / 96
    kernel = np.stack([bright, upright, upright.T], axis=-1)[:, :, None]
    scores = np.zeros((4, 4, 3, 4), np.float32)
    scores[1:3, 1:3, 0, 0], scores[1:3, 1:3, 0, 1] = -4, 4
    scores[0, 0, 1, 2] = scores[3, 3, 1 if shared else 2, 3] = 800
    biases = [np.zeros(3, np.float32), np.array([6, -6, -25, -25], np.float32)]
    network.set_weights([kernel, biases[0], scores.reshape(-1, 4), biases[1]])
    return network


def test_the_class_that_follows_is_the_first_one_that_does_not_stand_out() -> None:
    verdict = invented_verdict(BACKDOORED, [3], [5])
    [statistic] = verdict.statistics
    numbers = {**statistic.values, 7: 0.4, 9: 0.3}
    assert runner_up(replace(verdict, statistics=(replace(statistic, values=numbers),))) == (7,)
    assert runner_up(replace(verdict, statistics=(replace(statistic, values={3: 3.0}),))) == ()


def test_a_class_that_lives_on_another_one_s_trigger_is_dependent(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, bar = clean_images(), np.zeros((SIDE, SIDE, 1), np.float32)
    bar[:, 1::3] = 1
    corners = [Location("patch", (SIDE, SIDE), at, (3, 3), (SIDE, SIDE)) for at in ((0, 0), (9, 9))]
    for shared, expected in ((True, (3,)), (False, ())):
        view = LogitModel.from_suspect(as_suspect(bars_network(shared)), Scale.UNIT)
        patterns = bar, bar if shared else bar.transpose(1, 0, 2)
        found = {
            target: [Candidate(target, corner, pattern, 1.0)]
            for target, corner, pattern in zip((2, 3), corners, patterns, strict=True)
        }
        for target, (trigger,) in found.items():
            stamped = Trigger(target, trigger.region.mask, trigger.pattern, Proportion(0, 1), 0.0)
            assert (view.predict(stamped.stamp(clean.pixels)) == target).all()
        assert dependent(view, clean, found, found.__getitem__, seed=0) == expected
        if shared:  # a network that has lost too much over it says nothing
            with monkeypatch.context() as patch:
                patch.setattr(dependence, "SOUND", 1.01)
                assert dependent(view, clean, found, found.__getitem__, seed=0) == ()


def test_regions_stay_inside_touch_and_move() -> None:
    for region in regions(13, 9):
        assert region.mask.shape == (13, 9, 1)
        assert region.mask.max() in (1, np.float32(FAINT))
    one = Location("patch", (10, 10), (0, 0), (3, 3), (10, 10))
    assert one.touches(Location("patch", (10, 10), (3, 0), (3, 3), (10, 10)))
    assert not one.touches(Location("patch", (10, 10), (4, 0), (3, 3), (10, 10)))
    assert {other.corner for other in one.shifted(1)} == {(0, 1), (1, 0), (1, 1)}
