"""How far a command is: a bar in a terminal, plain lines in a log. Both on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from goodnet.progress import Progress

PAUSE = 5.0  # seconds: a log gets a line for each tenth that is done, but no two within these


@contextmanager
def shown_progress(name: str) -> Iterator[Progress]:
    """What is to be called with (done, total) while something goes on that is called so."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def saying(name: str) -> Callable[[str], None]:
    """What is to be called with a line to show, of something that is called so."""
    return lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True)


class _Lines:
    """Writes lines; may be called from several threads."""

    def __init__(self, name: str) -> None:
        self._name, self._lock = name, Lock()
        self._tenths, self._time = 0, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        tenths, now = 10 * done // total if total else 10, time.monotonic()
        with self._lock:
            if tenths <= self._tenths or now < self._time + PAUSE:
                return
            self._tenths, self._time = tenths, now
        print(f"{self._name}: {10 * tenths}%", file=sys.stderr, flush=True)
