"""How far a long computation is: a function that is called with (done, in all)."""

from collections.abc import Callable, Mapping
from threading import Lock

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Say nothing."""


def silent(line: str) -> None:
    """Say nothing, either."""


def stages(progress: Progress, work: Mapping[str, float]) -> dict[str, Progress]:
    """The progress of each part of a computation, which is told in hundredths of the whole.

    The parts may be worked on in any order, or side by side.

    Args:
        progress: that of the whole.
        work: of each part, in any unit.
    """
    lock, shares, whole = Lock(), dict.fromkeys(work, 0.0), sum(work.values())

    def stage(name: str) -> Progress:
        def report(done: int, total: int) -> None:
            with lock:
                shares[name] = work[name] * done / total
                progress(round(100 * sum(shares.values()) / whole), 100)

        return report

    return {name: stage(name) for name in work}
