"""How far a long computation is: a function that is called with (done, in all)."""

from collections.abc import Callable, Mapping
from itertools import accumulate

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Say nothing."""


def silent(line: str) -> None:
    """Say nothing, either."""


def stages(progress: Progress, work: Mapping[str, float]) -> dict[str, Progress]:
    """The progress of each stage of a computation, which is told in hundredths of the whole.

    Args:
        progress: that of the whole.
        work: of each stage, in their order and in any unit.
    """
    ends = list(accumulate(work.values()))
    starts = [0.0, *ends[:-1]]

    def stage(start: float, end: float) -> Progress:
        def report(done: int, total: int) -> None:
            progress(round(100 * (start + (end - start) * done / total) / ends[-1]), 100)

        return report

    return dict(zip(work, map(stage, starts, ends), strict=True))
