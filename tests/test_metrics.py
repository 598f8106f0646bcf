"""Shares and their intervals."""

import pytest

from goodnet.metrics import Proportion


def test_the_interval_is_wilsons() -> None:
    """The values R's binom.confint(1, 10, method = "wilson") gives."""
    share = Proportion(1, 10)
    assert (share.low, share.high) == pytest.approx((0.01787621, 0.4041500), abs=1e-6)


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0.0, 0.2775), (10, 0.7225, 1.0)])
def test_none_or_all_still_leave_an_interval(hits: int, low: float, high: float) -> None:
    share = Proportion(hits, 10)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)


def test_a_share_says_its_counts() -> None:
    assert str(Proportion(3, 8)) == "37.5% (3 of 8)"
