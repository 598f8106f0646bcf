"""Blocks computed in workers, for several functions at a time."""

import threading
import time
from collections.abc import Callable

import pytest

from goodnet.backend import in_workers, side_by_side


def squares(count: int) -> list[int]:
    return list(in_workers(lambda number: number**2, range(count)))


def test_functions_run_side_by_side_and_each_has_its_blocks_in_order() -> None:
    together = threading.Barrier(2, timeout=30)  # both are there at the same time

    def meeting(count: int) -> Callable[[], list[int]]:
        return lambda: [together.wait() * 0, *squares(count)]

    assert side_by_side([meeting(3), meeting(5)], 2) == [[0, 0, 1, 4], [0, 0, 1, 4, 9, 16]]
    names = side_by_side([lambda: threading.current_thread().name] * 3, 1)
    assert len(set(names)) == 1  # one after the other


def test_when_one_fails_the_others_end_at_their_next_block() -> None:
    begun, turns = threading.Event(), list[int]()

    def long() -> None:
        begun.set()
        for _ in range(20_000):  # a minute and more
            turns.append(len(squares(3)))
            time.sleep(0.005)

    def failing() -> None:
        begun.wait(30)
        raise ValueError("of this one")

    with pytest.raises(ValueError, match="of this one"):
        side_by_side([long, failing], 2)
    ended = len(turns)
    time.sleep(0.05)
    assert ended == len(turns) < 20_000
    assert squares(3) == [0, 1, 4]  # others go on
