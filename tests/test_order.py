"""The pruning order, on activations small enough to sort by eye."""

import numpy as np

from goodnet.pruning.order import order_channels

ACTIVATIONS = np.array([0.5, 0.0, 2.0, 0.0, 1.0])


def test_ascending_prunes_the_quietest_first_and_ties_keep_index_order() -> None:
    assert order_channels(ACTIVATIONS, "ascending").channels == (1, 3, 0, 4, 2)


def test_descending_prunes_the_loudest_first_and_ties_keep_index_order() -> None:
    assert order_channels(ACTIVATIONS, "descending").channels == (2, 4, 0, 1, 3)


def test_many_equal_activations_keep_index_order() -> None:
    """An unstable sort starts to differ only beyond a handful of ties."""
    activations = np.tile([1.0, 0.0], 50)
    odd, even = tuple(range(1, 100, 2)), tuple(range(0, 100, 2))
    assert order_channels(activations, "ascending").channels == odd + even
    assert order_channels(activations, "descending").channels == even + odd


def test_dead_channels_and_ties_are_reported() -> None:
    order = order_channels(np.array([0.5, 0.0, 2.0, 0.0, 0.5]), "ascending")
    assert order.dead == (1, 3)
    assert order.ties == ((1, 3), (0, 4))


def test_a_negative_mean_is_quieter_than_a_dead_channel_and_not_dead() -> None:
    order = order_channels(np.array([0.0, -1.0]), "ascending")
    assert order.channels == (1, 0)
    assert order.dead == (0,)


def test_kept_channels_at_each_k() -> None:
    kept = order_channels(np.array([2.0, 1.0, 3.0]), "ascending").kept()
    assert kept.astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_activations_are_not_modified() -> None:
    before = ACTIVATIONS.copy()
    order_channels(ACTIVATIONS, "descending")
    assert np.array_equal(ACTIVATIONS, before)
