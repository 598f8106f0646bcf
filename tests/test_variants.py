"""Variants of triggers, by eye, and the margin that they share with their trigger."""

from collections.abc import Callable
from typing import Any

import numpy as np
from test_detection import SIDE, clean_images, corner_network

from goodnet.detection.baseline import VARIANTS, margin_with_variants
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.triggers import variants
from goodnet.triggers.trigger import Trigger
from goodnet.triggers.variants import MIN_OPACITY, varied


def test_what_is_moved_leaves_the_image_or_is_continued() -> None:
    image = np.array([[1, 2], [3, 4]], np.float32)[..., None]
    for moves, beyond, moved in (
        ((0, 0), "edge", [[1, 2], [3, 4]]),
        ((1, 0), "constant", [[0, 0], [1, 2]]),
        ((0, -1), "constant", [[2, 0], [4, 0]]),
        ((-1, 1), "edge", [[3, 3], [3, 3]]),
        ((5, 0), "edge", [[1, 2], [1, 2]]),
    ):
        assert variants._moved(image, moves, beyond)[..., 0].tolist() == moved


def test_variants_are_like_their_trigger_and_unlike_each_other() -> None:
    rng = np.random.default_rng(0)
    mask, pattern = np.zeros((50, 60, 1), np.float32), np.full((50, 60, 3), 0.5, np.float32)
    mask[20:26, 30:36] = 1
    drawn = [varied(mask, pattern, rng) for _ in range(50)]
    for other_mask, other_pattern in drawn:
        assert (other_mask > 0).sum() == (mask > 0).sum()
        assert MIN_OPACITY <= other_mask.max() <= 1
        assert other_pattern.dtype == other_mask.dtype == np.float32
        assert other_pattern.min() >= 0 and other_pattern.max() <= 1
    tops = {int(np.flatnonzero(other_mask.any(axis=(1, 2)))[0]) for other_mask, _ in drawn}
    assert 20 in tops and len(tops) > 1 and max(abs(top - 20) for top in tops) <= 3
    assert len({other_pattern[0, 0, 0].item() for _, other_pattern in drawn}) == 50
    assert mask.max() == 1 and (pattern == 0.5).all()
    faint, _ = varied(np.full((50, 60, 1), 0.2, np.float32), pattern, rng)
    assert faint.min() == faint.max() > 0


def test_half_of_a_margin_is_the_trigger_s_own_and_half_that_of_its_variants(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    model, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    mask, pattern = np.zeros((2, SIDE, SIDE, 1), np.float32)
    mask[:2, :2], pattern[:2, :2] = 1, 0.9
    shown = ShownImages(model, 2.0, clean)
    found = margin_with_variants(shown, Trigger(2, mask, pattern), np.random.default_rng(3))
    rng, half = np.random.default_rng(3), clean.take(np.arange(len(clean) // 2))
    stamps = [(mask, pattern), *(varied(mask, pattern, rng) for _ in range(VARIANTS))]
    own, *others = [
        ShownImages(model, 2.0, some).robust_margins(each, [its_pattern])[0, 2]
        for some, (each, its_pattern) in zip([clean, *VARIANTS * [half]], stamps, strict=True)
    ]
    np.testing.assert_allclose(found, (own + np.median(others)) / 2, rtol=1e-5)
    assert min(others) < own and abs(found - own) > 0.01
