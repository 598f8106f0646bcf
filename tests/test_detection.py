"""Triggers and the differentiable view, on images small enough to see."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from invented import invented_findings
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection import dependence, maximum_margin, pattern_search
from goodnet.detection import detect as module
from goodnet.detection.baseline import BenignBaseline, own_class_margin
from goodnet.detection.candidates import (
    Candidate,
    SearchResult,
    best_by_class,
    excesses,
    first_of_each_type,
    lead_over_next,
)
from goodnet.detection.dependence import dependent_classes
from goodnet.detection.detect import decide, detect, detect_with, runner_up
from goodnet.detection.maximum_margin import MAXIMUM_MARGIN, maximum_margins
from goodnet.detection.method import DirectMethod
from goodnet.detection.pattern_search import PLAIN_PATTERNS, PROMISING, PatternSearch
from goodnet.detection.reference_models import ReferenceModels
from goodnet.detection.search import find_triggers
from goodnet.detection.shown import ShownImages, lower_quartile_mean
from goodnet.detection.trigger_inversion import (
    PATCHES,
    TriggerInverter,
    nearest_locations,
    outstanding_patches,
)
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    NOTHING,
    References,
    Statistic,
    Verdict,
)
from goodnet.metrics import Proportion
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW, UNIT
from goodnet.progress import no_progress, stages
from goodnet.report import verdict_figures
from goodnet.report.document import report_markdown
from goodnet.report.inspection import verdict_lines
from goodnet.report.verdict_figures import verdict_figure
from goodnet.report.verdict_sentence import verdict_sentence
from goodnet.triggers.locations import FAINT, WHOLE, Location, candidate_locations
from goodnet.triggers.success import success
from goodnet.triggers.trigger import RecoveredTrigger, Trigger

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


def candidate(target: int, location: Location, margin: float, **evidence: float) -> Candidate:
    """A candidate with a black pattern."""
    pattern = np.zeros((*location.image, 1), np.float32)
    return Candidate(location.trigger(target, pattern), location, margin, **evidence)


def test_view_takes_off_the_softmax_and_carries_the_scale(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    suspect, clean = as_suspect(corner_network()), clean_images()
    view = LogitModel.from_suspect(suspect, RAW)
    kernel, bias = suspect.network.get_weights()
    logits = clean.pixels.reshape(len(clean), -1) * 255 @ kernel + bias
    np.testing.assert_allclose(view.all_logits(clean.pixels), logits, rtol=1e-4, atol=1e-3)
    assert np.array_equal(view.predict(clean.pixels), clean.labels)


def test_a_trigger_covers_what_its_mask_says_and_nothing_else() -> None:
    mask, pattern = np.zeros((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)
    mask[0, 0], mask[0, 1] = 1, 0.5
    images = np.full((1, 2, 2, 1), 0.2, np.float32)
    trigger = Trigger(0, mask, pattern)
    applied = trigger.apply(images)
    np.testing.assert_allclose(applied[0, ..., 0], [[1, 0.6], [0.2, 0.2]], rtol=1e-6)
    faint = trigger.apply(images, opacity=0.5)
    np.testing.assert_allclose(faint[0, ..., 0], [[0.6, 0.4], [0.2, 0.2]], rtol=1e-6)
    assert (images == np.float32(0.2)).all()


def test_both_searches_find_the_bright_corner(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    told = list[tuple[int, int]]()
    found = find_triggers(view, clean, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (100, 100)
    assert len(told) > 20
    for top in (found.plain[0], max(found.inverted, key=lambda c: c.excess)):
        assert top.target == 2
        assert top.trigger.mask[:2, :2].min() == 1
        assert success(view, clean, top.trigger).value > 0.9
    assert next(iter(found.best_plain())) == 2


def test_a_texture_that_no_plain_pattern_resembles_is_found_at_its_place(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    network = corner_network()
    kernel, bias = network.get_weights()
    kernel = kernel.reshape(SIDE, SIDE, 3)
    kernel[..., 2] = 0
    signs = np.random.default_rng(1).permutation([-1, 1] * 8).reshape(4, 4)
    kernel[:4, 8:, 2] = 20 / 255 * signs
    network.set_weights([kernel.reshape(-1, 3), np.array([*bias[:2], -100], np.float32)])
    view, clean = LogitModel.from_suspect(as_suspect(network), RAW), clean_images()
    found = find_triggers(view, clean, progress=no_progress)
    assert found.best_plain()[2].excess < PROMISING  # else it is searched for anyway
    patch = found.best_patches()[2]
    assert patch.excess > PATCHES.threshold
    assert patch.location.touches(Location("patch", (SIDE, SIDE), (0, 8), (4, 4), (4, 4)))


def test_parts_worked_on_side_by_side_tell_of_the_whole() -> None:
    told = list[tuple[int, int]]()
    first, second = stages(lambda *step: told.append(step), {"one": 1, "other": 3}).values()
    second(1, 5)
    first(1, 2)
    second(5, 5)
    first(2, 2)
    assert told == [(15, 100), (28, 100), (88, 100), (100, 100)]


def test_only_patterns_that_come_near_a_class_are_seen_on_all_images(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    baseline, locations = (
        BenignBaseline(view, clean, [], np.random.default_rng(0)),
        candidate_locations(SIDE, SIDE),
    )

    def reached(near: float) -> Any:
        monkeypatch.setattr(pattern_search, "CLOSE_MARGIN", near)
        return PatternSearch(view, clean, baseline, locations, seed=0).reached(no_progress)

    some, every = reached(1), reached(-np.inf)
    near = some >= 1
    assert near.any() and not near.all()
    np.testing.assert_allclose(some[near], every[near], rtol=1e-5)
    assert (some != every).any()


def test_a_class_is_searched_for_at_patches_that_bring_it_nearer_than_others_do() -> None:
    kinds = ["band"] + ["patch"] * 6
    places = [Location(kind, (9, 9), (row, 0), (1, 1), (1, 1)) for row, kind in enumerate(kinds)]
    reached = np.array([[9, 9, 9], [-5, -1, 0], [-2, -1, 0], [-5, -1, 0], [-3, -1, 0],
                        [-4, -1, 0], [-5, -1, 0.5]], float)  # fmt: skip
    found = outstanding_patches(places, reached, count=4)
    assert [(target, place.corner[0]) for target, place in found] == [
        (0, 2),
        (0, 4),
        (0, 5),
        (2, 6),
    ]
    assert outstanding_patches(places, reached, count=0) == []


def test_what_a_reference_does_too_is_innocent(as_suspect: Callable[[Any], Suspect]) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    alone = find_triggers(view, clean, progress=no_progress).best_plain()
    held_against_itself = find_triggers(view, clean, [view], progress=no_progress).best_plain()
    assert (
        alone[2].excess
        > PLAIN_PATTERNS.threshold
        > PLAIN_PATTERNS.suspicion_threshold
        > held_against_itself[2].excess
    )


def test_a_class_s_own_content_is_pasted_and_the_lowest_quarter_counts(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    middle = Location("patch", (SIDE, SIDE), (4, 4), (4, 4), (SIDE, SIDE))
    dark, bright = clean.take(clean.labels == 0), clean.take(clean.labels == 1)
    shown = ShownImages(view, view.clean_margin(clean), dark)
    own = own_class_margin(shown, bright, 1, middle.mask)
    assert own > 0.5  # the middle is all that tells 0 from 1
    corner = Location("patch", (SIDE, SIDE), (0, 0), (3, 3), (SIDE, SIDE))
    baseline = BenignBaseline(view, clean, [], np.random.default_rng(0))
    assert baseline.own_class_margin(1, corner.mask) < 0
    assert baseline.own_class_margin(2, corner.mask) == -np.inf  # nobody shows class 2
    assert lower_quartile_mean(np.array([[4.0, 1, 3, 2], [8, 8, 8, 0]])).tolist() == [1, 0]


def test_triggers_are_inverted_where_plain_patterns_come_nearest() -> None:
    locations = candidate_locations(28, 28)
    reached = np.zeros(len(locations))
    favourite = next(n for n, each in enumerate(locations) if each.location_type == "patch")
    reached[favourite] = 5
    chosen = nearest_locations(locations, reached, {"patch": 3, "band": 2})
    assert chosen[0] == locations[favourite]
    assert [location.location_type for location in chosen] == ["patch"] * 3 + ["band"] * 2
    assert len(set(chosen)) == 5


def test_a_search_raises_the_margin_of_its_class(as_suspect: Callable[[Any], Suspect]) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    corner = Location("patch", (SIDE, SIDE), (0, 0), (4, 4), (SIDE, SIDE))
    pattern = TriggerInverter(view, clean, np.random.default_rng(0)).patterns([(2, corner)])[0]
    assert pattern.shape == (SIDE, SIDE, 1)
    assert pattern[:2, :2].min() > 0.8  # the corner that leads to class 2
    assert success(view, clean, corner.trigger(2, pattern)).value == 1


def test_only_a_class_with_a_trigger_is_named_and_it_is_drawn_back_from_the_record(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean = clean_images()
    backdoored = detect(LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean)
    assert (backdoored.verdict, backdoored.classes) == (BACKDOORED, (2,))
    trigger = backdoored.triggers[0].trigger
    assert trigger.pattern[0, 0] > 0.5 and trigger.mask[:2, :2].min() == 1
    benign = corner_network()
    kernel, bias = benign.get_weights()
    kernel[:, 2] = 0
    benign.set_weights([kernel, bias])
    assert detect(LogitModel.from_suspect(as_suspect(benign), RAW), clean).verdict == NOTHING
    few = clean.take(np.arange(4))
    view = LogitModel.from_suspect(as_suspect(benign), RAW)
    assert detect_with(view, few, ReferenceModels((), NONE)).verdict == INCONCLUSIVE


def test_the_class_with_the_most_behind_it_is_named_first() -> None:
    """However high a method's numbers are, they count by its own threshold."""
    low = Statistic("low", {3: 0.6, 5: 0.1}, threshold=0.5, suspicion_threshold=0.4)
    high = Statistic("high", {3: 0.5, 5: 4.0}, threshold=1.0, suspicion_threshold=0.8)
    assert decide([low, high], SOME).classes == (5, 3)
    assert decide([high, low], SOME).classes == (5, 3)


def test_the_thresholds_decide_and_too_few_images_clear_nobody() -> None:
    def number(value: float, other: float = 0.0) -> Statistic:
        return PLAIN_PATTERNS.statistic({3: value, 5: other})

    assert decide([number(PLAIN_PATTERNS.threshold)], SOME).classes == (3,)
    assert decide([number(PLAIN_PATTERNS.threshold - 0.01)], SOME).verdict == INCONCLUSIVE
    assert decide([number(PLAIN_PATTERNS.threshold - 0.01)], SOME).suspicious == (3,)
    assert decide([number(PLAIN_PATTERNS.suspicion_threshold - 0.01)], SOME).verdict == NOTHING
    assert decide(
        [number(PLAIN_PATTERNS.threshold + 1, PLAIN_PATTERNS.threshold)], SOME
    ).classes == (3, 5)
    without = decide([number(PLAIN_PATTERNS.suspicion_threshold - 0.01)], NONE)
    assert (without.verdict, without.suspicious) == (INCONCLUSIVE, ())
    assert decide([number(PLAIN_PATTERNS.threshold)], NONE).verdict == BACKDOORED


def test_two_methods_that_suspect_a_class_name_it() -> None:
    one = Statistic("one", {3: 0.45, 5: 0.1}, threshold=0.5, suspicion_threshold=0.4)
    other = Statistic("other", {3: 0.85, 5: 0.9}, threshold=1.0, suspicion_threshold=0.8)
    decision = decide([one, other], SOME)
    assert (decision.verdict, decision.classes, decision.suspicious) == (BACKDOORED, (3,), (5,))
    verdict = Verdict(*decision, (one, other), references=SOME, missing=0)
    assert str(verdict) == (
        "backdoored, class 3 (one 0.45, suspicious from 0.4; other 0.85, suspicious from 0.8)"
    )
    assert "other 0.85 for class 3, suspicious from 0.8 on" in verdict_sentence(verdict)
    surely = replace(one, values={3: 0.5})
    assert str(replace(verdict, statistics=(surely, other))) == (
        "backdoored, class 3 (one 0.50, named from 0.5)"
    )


def test_what_is_innocent_at_a_location_or_moves_references_is_taken_away() -> None:
    place = Location("patch", (20, 20), (0, 0), (4, 4), (20, 20))
    assert candidate(0, place, 1.0).excess == 2  # above FLOOR, -1
    assert candidate(0, place, 1.0, baseline_margin=0.75).excess == 0.25
    moved = candidate(0, place, 1.0, reference_gain=1.0, plain_margin=-2.5)
    assert (moved.excess, moved.largest_excess) == (0.5, 1.25)
    hardly = candidate(0, place, 1.0, reference_gain=0.5, plain_margin=-2.5)
    assert hardly.excess == hardly.largest_excess == 1.625
    candidates = [candidate(c, place, margin) for c, margin in ((3, 0.0), (5, 1.0), (3, 2.0))]
    assert list(excesses(best_by_class(candidates)).items()) == [(3, 3.0), (5, 2.0)]


def test_the_first_candidate_at_each_type_of_location_is_kept() -> None:
    band, patch = (Location(kind, (4, 4), (0, 0), (2, 2), (2, 2)) for kind in ("band", "patch"))
    first, second, third = (candidate(0, place, 1.0) for place in (band, patch, band))
    kept = first_of_each_type([first, third, second])
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
    view = LogitModel.from_suspect(as_suspect(linear_network(np.array([[3.0, -1.0]]))), UNIT)
    rng = np.random.default_rng(0)
    up, down = maximum_margins(view, np.array([0] * 20 + [1] * 20), rng).reshape(2, 20)
    travelled = 4 * maximum_margin.RATE * maximum_margin.STEPS  # of the margin 4 x
    assert up.min() >= travelled * 0.99 and up.max() <= 4
    assert down.min() >= -(4 - travelled * 0.99) and down.max() <= 0


def test_the_class_to_which_noise_is_taken_furthest_of_a_hundred_is_named(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    kernel = np.random.default_rng(0).normal(0, 1, (24, maximum_margin.MIN_CLASSES))
    kernel[:, 7] *= 3
    leads = maximum_margin.score(LogitModel.from_suspect(as_suspect(linear_network(kernel)), UNIT))
    assert leads is not None
    assert max(leads, key=lambda c: leads[c]) == 7
    assert leads[7] > MAXIMUM_MARGIN.threshold
    assert all(lead < 0 for c, lead in leads.items() if c != 7)
    few = linear_network(kernel[:, 1:])
    assert maximum_margin.score(LogitModel.from_suspect(as_suspect(few), UNIT)) is None


def test_over_the_whole_image_a_class_counts_by_its_lead() -> None:
    whole, patch = (
        Location(kind, (20, 20), (0, 0), size, (20, 20), opacity)
        for kind, size, opacity in ((WHOLE, (20, 20), FAINT), ("patch", (4, 4), 1.0))
    )
    inverted = [candidate(c, whole, m) for c, m in ((0, 2.0), (1, 0.5), (2, -3.0))]
    found = SearchResult((), (*inverted, candidate(2, patch, 9.0)))
    assert lead_over_next(found.blended()) == {0: 1.5, 1: -1.5, 2: -5.0}
    assert lead_over_next({4: candidate(4, whole, 0.0)}) == {4: 2.0}
    far = best_by_class([candidate(4, whole, -4.0), candidate(5, whole, -6.0)])
    assert lead_over_next(far) == {4: -2.0, 5: -4.0}  # less far is not near
    assert list(found.best_patches()) == [2]
    assert found.strongest()[2].location == patch
    assert [each.location for each in found.for_class(2)] == [patch, whole]


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


def test_the_runner_up_is_the_first_class_that_does_not_stand_out() -> None:
    assert runner_up({9: 0.3, 3: 3.0, 7: 0.4, 5: 0.8}, [3, 5]) == (7,)
    assert runner_up({3: 3.0}, [3, 5]) == ()


def test_a_class_that_lives_on_another_one_s_trigger_is_dependent(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, bar = clean_images(), np.zeros((SIDE, SIDE, 1), np.float32)
    bar[:, 1::3] = 1
    corners = [Location("patch", (SIDE, SIDE), at, (3, 3), (SIDE, SIDE)) for at in ((0, 0), (9, 9))]
    for shared, expected in ((True, (3,)), (False, ())):
        view = LogitModel.from_suspect(as_suspect(bars_network(shared)), UNIT)
        patterns = bar, bar if shared else bar.transpose(1, 0, 2)
        found = {
            target: [Candidate(corner.trigger(target, pattern), corner, 1.0)]
            for target, corner, pattern in zip((2, 3), corners, patterns, strict=True)
        }
        for target, (each,) in found.items():
            assert (view.predict(each.trigger.apply(clean.pixels)) == target).all()
        assert dependent_classes(view, clean, found, found.__getitem__, seed=0) == expected
        if shared:  # a network that has lost too much over it says nothing
            with monkeypatch.context() as patch:
                patch.setattr(dependence, "ACCURACY_LEFT", 1.01)
                assert dependent_classes(view, clean, found, found.__getitem__, seed=0) == ()


def test_locations_stay_inside_touch_and_move() -> None:
    for location in candidate_locations(13, 9):
        assert location.mask.shape == (13, 9, 1)
        assert location.mask.max() in (1, np.float32(FAINT))
    one = Location("patch", (10, 10), (0, 0), (3, 3), (10, 10))
    assert one.touches(Location("patch", (10, 10), (3, 0), (3, 3), (10, 10)))
    assert not one.touches(Location("patch", (10, 10), (4, 0), (3, 3), (10, 10)))
    assert {other.corner for other in one.shifted(1)} == {(0, 1), (1, 0), (1, 1)}


def test_a_clean_margin_is_measured_once_for_a_network_and_images(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one verdict, and anew once the weights have changed."""
    clean, measured = clean_images(), list[tuple[Any, Any]]()
    plain = LogitModel._measured_clean_margin

    def noted(model: LogitModel, images: CleanImages) -> float:
        measured.append((model, images))
        return plain(model, images)

    monkeypatch.setattr(LogitModel, "_measured_clean_margin", noted)
    model = LogitModel.from_suspect(as_suspect(corner_network()), RAW)
    detect(model, clean)
    pairs = [(id(network), id(images)) for network, images in measured]
    assert pairs.count((id(model), id(clean))) == 1 and len(set(pairs)) == len(pairs)
    before = model.clean_margin(clean)
    with model.training():
        model.network.set_weights([2 * weights for weights in model.network.get_weights()])
    assert model.clean_margin(clean) == pytest.approx(2 * before, rel=1e-5)
    model.load(corner_network())
    assert model.clean_margin(clean) == before


def test_a_method_that_is_added_arrives_in_the_verdict_its_json_figure_and_report(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    dummy = DirectMethod("dummy", 2.0, 1.0, lambda model, clean, seed: {1: 7.0, 0: seed + 0.5})
    model, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    without = detect_with(model, clean, ReferenceModels((), NONE))
    monkeypatch.setattr(module, "DIRECT_METHODS", (*module.DIRECT_METHODS, dummy))
    verdict = detect_with(model, clean, ReferenceModels((), NONE))
    assert set(verdict.classes) == {*without.classes, 1}
    assert verdict.statistics[-1] == Statistic("dummy", {1: 7.0, 0: 0.5}, 2.0, 1.0)
    methods = [each.method for each in verdict.statistics]
    assert methods == [*(each.method for each in without.statistics), "dummy"]
    assert verdict.as_json()["statistics"][-1] == {
        "method": "dummy", "values": {"1": 7.0, "0": 0.5}, "named": 2.0, "suspicious": 1.0
    }  # fmt: skip
    written = list[str]()
    say = verdict_figures.say
    monkeypatch.setattr(
        verdict_figures, "say", lambda *args, **kw: (written.append(args[3]), say(*args, **kw))
    )
    verdict_figure(verdict, "a network")
    assert written == methods
    text = report_markdown(invented_findings(verdict=verdict), [])
    assert "| dummy | 2 | 7.00 for class 1, 0.50 for class 0 | 1 | 2 |" in text
    assert "dummy 7.00 for class 1, named from 2 on" in text
    assert [line for line in verdict_lines(verdict) if line.split()[:3] == ["dummy", "class", "1:"]]


def test_a_recovered_trigger_is_the_same_again_from_json() -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (5, 4, 3)) / np.float32(255)
    trigger = Trigger(3, np.full((5, 4, 1), 0.2, np.float32), levels.astype(np.float32))
    record = RecoveredTrigger.encode(trigger, Proportion(9, 10), 1.25)
    again = TypeAdapter(RecoveredTrigger).validate_json(json.dumps(to_jsonable_python(record)))
    assert again == record
    np.testing.assert_array_equal(again.trigger.mask, trigger.mask)
    np.testing.assert_array_equal(again.trigger.pattern, trigger.pattern)
    assert again.as_json() == {
        "target": 3, "area": 0.2, "success": 0.9, "images": 10, "margin": 1.25
    }  # fmt: skip
