"""The tables that hold older code against the present one."""

from typing import Any

from benchmarks.compared import lines
from benchmarks.compared_networks import Case

CASE = Case("demo", "demo, DeepID", "model.h5", "data")


def run_of(wall: float, cpu: float, classes: list[int], peak: int = 900) -> dict[str, Any]:
    answer = {"verdict": "backdoored", "classes": classes, "images": 60, "peak_mb": peak}
    return {"stages": {"verdict": (wall, cpu)}, **answer}


def test_a_line_has_medians_of_both_codes_and_what_changed() -> None:
    old = [run_of(*each, [0]) for each in ((20, 30), (40, 60), (90, 33))]
    new = [run_of(*each, [0], peak=800 + int(each[0])) for each in ((10, 11), (9, 12), (30, 10))]
    (line,) = lines(CASE, {"old": old, "new": new})
    assert line == (
        "| demo, DeepID | 60 | verdict | 40.0 (33.0) | 10.0 (11.0) | 4.0 (3.0) | 900 -> 830 "
        "| backdoored [0] |"
    )
    (line,) = lines(CASE, {"old": old, "new": [run_of(1, 1, [0, 2])]})
    assert line.endswith("| backdoored [0] -> backdoored [0, 2] |")


def test_without_older_code_a_line_has_the_present_one_s_alone() -> None:
    (line,) = lines(CASE, {"new": [run_of(1, 2, [])]})
    assert line == "| demo, DeepID | 60 | verdict |  | 1.0 (2.0) |  | 900 | backdoored [] |"
