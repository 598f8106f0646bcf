"""TensorFlow and Keras, imported once, with the settings that GoodNet runs them at.

Everything that needs Keras takes it from here. Importing this module costs seconds; modules that
work without it do not import it.

Threads are set here and nowhere else. Blocks of images are computed in WORKERS Python threads,
however many tasks have blocks to compute, and each operation in the thread that asks for it: one
operation of a block is too small to share. Training is not; a process that trains gives
TF_NUM_INTRAOP_THREADS=0, all cores for each operation, before this module is imported.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_EXCEPTION,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Event
from typing import Any, TypeVar

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import: its log is not for users
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # a GPU may serve others, too
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's default on some processors only

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
WORKERS = min(CORES, 8)  # each holds a block's activations
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(WORKERS))


@contextmanager
def _silent() -> Iterator[None]:
    """Standard error, also of C++ code, goes nowhere: TensorFlow greets at start, always."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


with _silent():
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.constant(0)  # the second greeting comes with the first tensor

__all__ = ["WORKERS", "in_parts", "in_workers", "keras", "side_by_side", "tf"]

_POOL = ThreadPoolExecutor(WORKERS, thread_name_prefix="goodnet-block")
_STOPPED = ContextVar[Event | None]("_STOPPED", default=None)  # of the functions of `side_by_side`

Item = TypeVar("Item")
Output = TypeVar("Output")


def in_workers(make: Callable[[Item], Output], items: Iterable[Item]) -> Iterator[Output]:
    """What is made of each item, in the items' order; a few are worked on ahead.

    Args:
        make: called in the worker threads, in a copy of the present context, so that it may report
            on the run it is part of; must not call `in_workers` itself.
        items: taken one by one, as workers get free.
    """
    waiting, stopped = deque[Future[Output]](), _STOPPED.get()
    try:
        for item in items:
            if stopped and stopped.is_set():
                raise CancelledError
            waiting.append(_POOL.submit(copy_context().run, make, item))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def in_parts(make: Callable[..., Output], *arrays: np.ndarray[Any, Any]) -> Iterator[Output]:
    """What is made of each worker's part of some arrays, cut along their first axis, in order.

    Args:
        make: called in the worker threads with a part of each array.
        arrays: of one length, at least 1.
    """
    count = min(WORKERS, len(arrays[0]))
    parts = zip(*(np.array_split(array, count) for array in arrays), strict=True)
    return in_workers(lambda part: make(*part), parts)


def side_by_side(makes: Iterable[Callable[[], Output]], threads: int = WORKERS) -> list[Output]:
    """What each of some functions returns.

    Each runs in a thread that may call `in_workers`: while one is busy with what workers cannot do,
    they work for another. When one fails, or this thread is interrupted, the others end at their
    next call of it.

    Args:
        makes: the functions.
        threads: so many of them run at a time.
    """
    stopped = Event()

    def run(make: Callable[[], Output]) -> Output:
        _STOPPED.set(stopped)
        return make()

    with ThreadPoolExecutor(threads, thread_name_prefix="goodnet-side") as pool:
        running = [pool.submit(copy_context().run, run, make) for make in makes]
        try:
            for each in wait(running, return_when=FIRST_EXCEPTION).done:
                each.result()
            return [each.result() for each in running]
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
