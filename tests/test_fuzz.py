"""The fuzz targets on good inputs, on some that are damaged, and on all that were findings."""

from collections.abc import Callable

import fuzz
import pytest
from test_mutants import damaged

from goodnet.files.formats import FORMATS

TARGETS = fuzz.targets()


@pytest.mark.parametrize("name", TARGETS)
def test_no_line_of_ours_stumbles(name: str) -> None:
    known = [path.read_bytes() for path in fuzz.FINDINGS.glob(f"{name}-*")]
    good = fuzz.seeds(name)
    mutants = [damaged(each.ljust(65, b" "), number) for each in good for number in range(3)]
    for content in [*known, *good, *mutants]:
        assert fuzz.finding(TARGETS[name], content) is None


def test_every_format_has_a_target_whose_seeds_are_read() -> None:
    for each in FORMATS:
        for content in fuzz.seeds(each.reader):
            TARGETS[each.reader](content)


@pytest.mark.parametrize(
    ("line", "place", "found"),
    [
        ("int('x')", fuzz.READER, True),
        ("bytes(1).decode('utf-16')", fuzz.READER, True),
        ("int('x')", "PIL/", False),
        ("len(content)", fuzz.READER, False),
    ],
)
def test_what_a_line_of_ours_raises_unasked_is_found(line: str, place: str, found: bool) -> None:
    made: dict[str, Callable[[bytes], object]] = {}
    exec(compile(f"def target(content): {line}", f"/{place}some.py", "exec"), made)
    assert (fuzz.finding(made["target"], b"") is not None) == found
