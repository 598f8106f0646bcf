"""How far a task is: lines in its log, and a bar in the UI."""

import time
from collections.abc import Callable

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

SECONDS = 3.0


def reporter(what: str, of: str = "images") -> Callable[[int, int], None]:
    """A function to call with (images done, images in all), or so, which says so every few seconds.

    Args:
        what: what is being done, for example "sweeping clean validation images".
        of: what is counted.
    """
    log = get_run_logger()
    started = last = time.monotonic()
    bar = None

    def report(done: int, total: int) -> None:
        nonlocal last, bar
        now = time.monotonic()
        if now - last < SECONDS and not (bar and done == total):
            return
        last, percent = now, 100 * done / total
        log.info("%s: %d of %d %s, %.0f s", what, done, total, of, now - started)
        if bar is None:
            bar = create_progress_artifact(progress=percent, description=what)
        else:
            update_progress_artifact(bar, progress=percent)

    return report


def steps(what: str, total: int) -> Callable[[str], None]:
    """A function to call with a line about each of `total` steps when it is done."""
    log = get_run_logger()
    bar = create_progress_artifact(progress=0.0, description=what)
    done = 0

    def report(line: str) -> None:
        nonlocal done
        done += 1
        log.info("%s", line)
        update_progress_artifact(bar, progress=100 * done / total)

    return report
