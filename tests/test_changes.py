"""Changes of the whole image, by eye, and the search among them on networks of a few numbers."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from test_detection import SIDE, clean_images, corner_network

from goodnet.attacks.attack import Aim
from goodnet.attacks.families.warping import FIELD as FIELD_PURPOSE
from goodnet.attacks.families.warping import field, warp
from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.change_search import WHOLE_IMAGE_CHANGES, ChangeSearch
from goodnet.detection.effort import EVERYTHING
from goodnet.detection.shown import ShownImages
from goodnet.detection.warp_inversion import REACH, WarpInverter, invert_warps
from goodnet.metrics import Proportion
from goodnet.mitigation.adversarial_triggers import draw_trigger
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.report.verdict_figures import trigger_figure
from goodnet.triggers.changes import (
    CYCLES,
    HEIGHT,
    POINTS,
    AnyChange,
    Ink,
    Tint,
    Warp,
    Waves,
    whole_image_changes,
)
from goodnet.triggers.objects import CornerPatches
from goodnet.triggers.success import success
from goodnet.triggers.trigger import RecoveredTrigger, Trigger

AsSuspect = Callable[[Any], Suspect]

RED: tuple[float, float, float] = (0.0, 1.0, 1.0)
FIELD = tuple(np.random.default_rng(1).uniform(-0.05, 0.05, (16, 2)).tolist())
WARP = Warp(tuple((float(down), float(across)) for down, across in FIELD))
SOME: tuple[AnyChange, ...] = (Waves(1.0, 2.0, 0.1, 0.2), Ink(RED, 0.2, 0.9), Tint(RED, 0.3), WARP)


def test_waves_rise_and_fall_across_and_are_clipped() -> None:
    grey = np.full((1, 2, 8, 3), 0.5, np.float32)
    root = np.sqrt(0.5)
    expected = 0.5 + 0.2 * np.array([0, root, 1, root, 0, -root, -1, -root])
    waves = Waves(0, 1, 0, 0.2).apply(grey)
    np.testing.assert_allclose(waves, np.broadcast_to(expected[:, None], grey.shape), atol=1e-6)
    down = Waves(1, 0, 0.25, 0.2).apply(np.full((1, 4, 1, 1), 0.9, np.float32))
    np.testing.assert_allclose(down.ravel(), [1, 0.9, 0.7, 0.9], atol=1e-6)


def test_ink_is_on_the_steepest_pixels_and_on_none_of_a_plain_image() -> None:
    image = np.zeros((1, 4, 10, 3), np.float32)
    image[:, :, 5:] = 0.6
    inked = Ink(RED, share=0.2, opacity=0.5).apply(image)
    np.testing.assert_allclose(inked[0, 1, :, 0], [0] * 4 + [0.5, 0.8] + [0.6] * 4, atol=1e-6)
    np.testing.assert_allclose(inked[0, 1, :, 1], [0] * 5 + [0.3] + [0.6] * 4, atol=1e-6)
    plain = np.full((1, 4, 4, 1), 0.4, np.float32)
    np.testing.assert_array_equal(Ink(RED, 0.2, 0.9).apply(plain), plain)


def test_a_tint_covers_all_pixels_alike() -> None:
    pixel = np.array([[[[0.2, 0.4, 0.6]]]], np.float32)
    np.testing.assert_allclose(Tint(RED, 0.25).apply(pixel).ravel(), [0.4, 0.3, 0.45], rtol=1e-6)
    assert "tints" not in whole_image_changes((12, 10, 1))  # of grey images it is but less contrast


@pytest.mark.parametrize("channels", [1, 3])
def test_every_change_leaves_an_image_and_no_two_are_the_same(channels: int) -> None:
    images = np.random.default_rng(0).random((2, 12, 10, channels)).astype(np.float32)
    for changes in whole_image_changes((12, 10, channels)).values():
        made = [change.apply(images) for change in changes]
        assert all(each.shape == images.shape and each.dtype == np.float32 for each in made)
        assert min(each.min() for each in made) >= 0 and max(each.max() for each in made) <= 1
        assert len({each.tobytes() for each in made}) == len(made)


@pytest.mark.parametrize("change", SOME)
def test_variants_of_a_change_are_near_by_and_within_bounds(change: AnyChange) -> None:
    images = np.random.default_rng(0).random((1, 12, 10, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        change.varied(np.random.default_rng(0), 0).apply(images), change.apply(images)
    )
    rng = np.random.default_rng(0)
    for each in (change.varied(rng, 3.0) for _ in range(100)):
        assert type(each) is type(change) and each != change
        if isinstance(each, Waves):
            assert each.height <= HEIGHT and np.hypot(each.down, each.across) < CYCLES + 1e-6
        elif isinstance(each, Tint):
            assert each.opacity <= 0.3
        elif isinstance(each, Ink):
            assert 0.05 <= each.share <= 0.5 <= each.opacity <= 1


@pytest.mark.parametrize("change", SOME)
def test_a_trigger_that_changes_is_the_same_again_from_json(change: AnyChange) -> None:
    trigger = Trigger.changing(3, change, (5, 4, 3))
    record = RecoveredTrigger.encode(trigger, Proportion(9, 10), 1.25)
    again = TypeAdapter(RecoveredTrigger).validate_json(json.dumps(to_jsonable_python(record)))
    assert again == record and again.trigger.change == change
    assert again.as_json()["change"] == again.in_words == change.in_words
    images = np.random.default_rng(0).random((2, 5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(again.trigger.apply(images), change.apply(images), atol=1e-6)
    np.testing.assert_allclose(trigger.apply(images, opacity=0), images, atol=1e-6)
    full, half = (np.abs(trigger.apply(images, opacity=o) - images).mean() for o in (1, 0.5))
    assert 0 < half < full
    pictures = np.rint(255 * images).astype(np.uint8)
    assert trigger_figure(record, pictures, np.zeros(2, np.int64)).startswith(b"\x89PNG")


def test_a_warp_moves_pixels_as_wanet_does_and_its_edges_stay() -> None:
    images = np.random.default_rng(0).random((2, 12, 10, 3)).astype(np.float32)
    still = Warp(((0.0, 0.0),) * 16)
    np.testing.assert_allclose(still.apply(images), images)
    right = Warp(((0.0, 0.1),) * 16).apply(images)  # each pixel is the one to its right
    np.testing.assert_allclose(right[:, :, :-1], images[:, :, 1:], atol=1e-5)
    np.testing.assert_allclose(right[:, :, -1], images[:, :, -1])
    aim = Aim(0, 2, seed=3)
    height, width = images.shape[1:3]
    theirs = warp(np.rint(255 * images).astype(np.uint8), 2 * field(aim, height, width) / height)
    points = aim.rng(FIELD_PURPOSE).uniform(-1, 1, (2, 4, 4)).astype(np.float32)
    points /= np.abs(points).mean()
    ends = np.array([height - 1, width - 1]) / height / min(height, width)
    shares = np.moveaxis(points, 0, -1).reshape(-1, 2) * ends
    ours = Warp(tuple((float(down), float(across)) for down, across in shares)).apply(images)
    np.testing.assert_allclose(ours, theirs / 255, atol=0.006)  # theirs are rounded twice


def test_the_differentiable_warp_is_the_warp(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    inverter = WarpInverter(view, clean, 1.0)
    points = np.random.default_rng(0).uniform(-1, 1, (POINTS, POINTS, 2)).astype(np.float32)
    shares = tuple((float(down), float(across)) for down, across in REACH * points.reshape(-1, 2))
    expected = Warp(shares).apply(clean.pixels)
    np.testing.assert_allclose(inverter._warped(clean.pixels, points), expected, atol=1e-5)
    assert np.abs(expected - clean.pixels).max() > 0.05


def moved_network() -> keras.Model:
    """Two classes by brightness, and class 2 where the bright square lies further right."""
    network = corner_network()
    kernel, _ = network.get_weights()
    cells = kernel.reshape(SIDE, SIDE, 1, 3)
    cells[..., 2] = 0
    cells[4:8, 8, 0, 2], cells[4:8, 4, 0, 2] = 60 / 255, -60 / 255
    network.set_weights([cells.reshape(kernel.shape), np.array([8, -8, 2], np.float32)])
    return network


def test_a_warp_that_leads_to_a_class_is_found(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(moved_network()), RAW), clean_images()
    bright = clean.take(np.flatnonzero(clean.labels == 1))
    assert set(view.predict(bright.pixels)) == {1}
    other = LogitModel.from_suspect(as_suspect(corner_network()), RAW)
    alone, baseline = (
        BenignBaseline(view, bright, references, np.random.default_rng(0))
        for references in ([], [other])
    )
    assert invert_warps(view, bright, alone, [0, 2], seed=0) == []
    candidates = invert_warps(view, bright, baseline, [0, 2], seed=0)
    reached = {each.target: each.margin for each in candidates}
    plain = ShownImages(view, baseline.clean_margin, bright).plain_margins
    assert reached[2] > plain[:, 2].max() + 0.5
    assert reached[2] > reached[0]
    assert all(isinstance(each.trigger.change, Warp) for each in candidates)


def wave_network() -> keras.Model:
    """Two classes by brightness as `corner_network`'s, and class 2 for three waves across."""
    network = corner_network()
    kernel, bias = network.get_weights()
    cells = kernel.reshape(SIDE, SIDE, 1, 3)
    cells[..., 2] = 6 / 255 * np.sin(2 * np.pi * 3 * np.arange(SIDE) / SIDE)[:, None]
    network.set_weights([cells.reshape(kernel.shape), bias])
    return network


def search(view: LogitModel, clean: CleanImages, **cut: int) -> ChangeSearch:
    baseline = BenignBaseline(view, clean, [], np.random.default_rng(0))
    return ChangeSearch(view, clean, baseline, EVERYTHING._replace(**cut), seed=0)


def test_waves_that_a_network_was_taught_are_found(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(wave_network()), RAW), clean_images()
    candidates = search(view, clean).candidates()
    best = max(candidates, key=lambda candidate: candidate.excess)
    assert best.target == 2 and best.excess > WHOLE_IMAGE_CHANGES.threshold
    assert isinstance(best.trigger.change, Waves)
    assert abs(best.trigger.change.across) == pytest.approx(3, abs=0.5)
    assert np.hypot(best.trigger.change.down, best.trigger.change.across) < CYCLES + 1e-6
    assert success(view, clean, best.trigger).value > 0.9
    assert {c.location.location_type for c in candidates} == {"waves", "ink"}


def test_what_references_fall_for_too_is_innocent(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(wave_network()), RAW), clean_images()
    baseline = BenignBaseline(view, clean, [view], np.random.default_rng(0))
    alike = ChangeSearch(view, clean, baseline, seed=0).candidates()
    assert max(candidate.excess for candidate in alike) < 0


def test_four_corners_are_alike_or_mirror_each_other() -> None:
    mask, pattern = CornerPatches(0.2, squares=1).draw((10, 12, 1))
    corner = [[1, 0], [0, 1]]
    for rows, columns in ((0, 0), (0, 10), (8, 0), (8, 10)):
        assert pattern[rows : rows + 2, columns : columns + 2, 0].tolist() == corner
    assert mask.sum() == 16
    _, mirrored = CornerPatches(0.2, squares=1, mirrored=True).draw((10, 12, 1))
    assert mirrored[:2, 10:, 0].tolist() == [[0, 1], [1, 0]]
    assert mirrored[8:, 10:, 0].tolist() == corner
    inset, _ = CornerPatches(0.2, inset=0.1, opacity=0.5).draw((10, 12, 1))
    assert inset[1:3, 1:3].tolist() == [[[0.5]] * 2] * 2 and inset[0].sum() == 0


def test_a_seed_in_all_corners_stays_there() -> None:
    mask, pattern = CornerPatches(0.15).draw((20, 20, 1))
    rng = np.random.default_rng(0)
    seed = Trigger(1, mask, pattern)
    drawn = [draw_trigger((20, 20, 1), 1, rng, [seed]).trigger.mask for _ in range(60)]
    around = [each for each in drawn if each[0].any() or (each[1].any() and each[-2].any())]
    assert sum(each.sum() == mask.sum() and not each[5:15].any() for each in around) > 20
