"""The activation cache: nothing is computed twice while there is room, nothing is mixed up."""

from typing import Any

import numpy as np
import pytest
from test_sweep import as_dataset

from goodnet.backend import tf
from goodnet.datasets.dataset import Dataset
from goodnet.preprocessing import RAW
from goodnet.pruning.activations import BLOCK_BYTES, ActivationBlock, ActivationCache


class SlowHead:
    """In place of a split network: images are their own activations; counts what it is given."""

    def __init__(self) -> None:
        self.images = 0

    def bytes_per_image(self, shape: Any) -> int:
        return BLOCK_BYTES // 16  # blocks of 16 images

    def largest(self, shape: Any) -> int:
        return 1

    def activations(self, images: Any) -> Any:
        self.images += len(images)
        return [tf.constant(images)]

    def answers(self, activations: Any) -> Any:
        return activations[0].numpy()[:, 0, 0, 0].astype(np.int32)


def dataset(first: int) -> Dataset:
    """40 images of one pixel, numbered from `first` on; their digests are all the same."""
    pixels = np.arange(first, first + 40, dtype=np.float32).reshape(40, 1, 1, 1)
    return as_dataset(pixels, np.zeros(40, np.int64))


def seen(block: ActivationBlock) -> list[float]:
    return list(block.activations[0].numpy().ravel())


def numbers(cache: ActivationCache, data: Dataset, *, store: bool = False) -> list[float]:
    return [number for block in cache.map_blocks(seen, data, RAW, store=store) for number in block]


def test_stored_activations_are_those_of_the_data_set_and_are_not_computed_again() -> None:
    head, one, two = SlowHead(), dataset(0), dataset(100)
    cache = ActivationCache(head)  # type: ignore[arg-type]
    for _ in range(2):
        assert numbers(cache, one, store=True) == list(range(40))
        assert numbers(cache, two, store=True) == list(range(100, 140))
    assert head.images == 80
    cache.forget(one, RAW)
    assert numbers(cache, one) == list(range(40))
    assert numbers(cache, two) == list(range(100, 140))
    assert head.images == 120


@pytest.mark.parametrize(("budget", "computed"), [(0, 80), (16 * 4, 64), (40 * 4, 40)])
def test_what_does_not_fit_the_budget_is_computed_again(budget: int, computed: int) -> None:
    head, data = SlowHead(), dataset(0)
    cache = ActivationCache(head, budget)  # type: ignore[arg-type]
    for _ in range(2):
        assert numbers(cache, data, store=True) == list(range(40))
    assert head.images == computed
    cache.forget(data, RAW)
    numbers(cache, data, store=True)
    numbers(cache, data)
    assert head.images == 2 * computed, "the room was not given back"
