"""Which pixel scale is taken."""

import numpy as np
import pytest

from goodnet.datasets.dataset import rescaled
from goodnet.errors import RequestRefused
from goodnet.metrics import Proportion
from goodnet.scale import Scale, choose_scale


def test_the_scale_that_answers_better_is_taken() -> None:
    tried = {Scale.RAW: Proportion(5, 100), Scale.UNIT: Proportion(90, 100)}
    assert choose_scale(tried, chance=0.1, source="net.h5").scale is Scale.UNIT


def test_on_a_tie_the_raw_one_is_taken() -> None:
    tried = {Scale.UNIT: Proportion(90, 100), Scale.RAW: Proportion(90, 100)}
    assert choose_scale(tried, chance=0.1, source="net.h5").scale is Scale.RAW


def test_near_chance_at_both_is_refused_with_what_was_tried() -> None:
    tried = {Scale.RAW: Proportion(12, 100), Scale.UNIT: Proportion(9, 100)}
    with pytest.raises(RequestRefused, match=r"net\.h5: .*chance.*raw 12\.0%.*unit 9\.0%"):
        choose_scale(tried, chance=0.1, source="net.h5")


@pytest.mark.parametrize(
    ("white", "scale", "result"),
    [(255, Scale.RAW, 51), (255, Scale.UNIT, 0.2), (1, Scale.UNIT, 51), (1, Scale.RAW, 13005)],
)
def test_pixels_are_brought_to_the_networks_scale(
    white: float, scale: Scale, result: float
) -> None:
    pixels = np.array([51], dtype=np.float32)
    scaled = rescaled(pixels, white, scale)
    assert scaled.dtype == np.float32
    assert scaled[0] == np.float32(result)
    assert pixels[0] == 51
