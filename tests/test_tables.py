"""The CSV files in the format others rely on, and the table in the terminal."""

import csv
import io

import pytest
from invented import invented_curve, invented_findings

from goodnet.metrics import Proportion
from goodnet.pruning.curve import parse_points
from goodnet.report.tables import (
    counted,
    curves_csv,
    evaluation_csv,
    percent,
    points,
    results_table,
)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_curves_csv_has_the_fixed_columns_and_a_row_for_each_order_and_k() -> None:
    text = curves_csv([invented_curve("ascending"), invented_curve("descending")])
    assert text.splitlines()[0] == "order,k,channel,fraction,clean_accuracy,attack_success"
    assert text.splitlines()[1] == "ascending,0,,0.0,0.95,1.0"
    assert text.splitlines()[2] == "ascending,1,7,0.1,0.95,1.0"
    rows = rows_of(text)
    assert [(row["order"], int(row["k"])) for row in rows] == [
        (order, k) for order in ("ascending", "descending") for k in range(11)
    ]


def test_curves_csv_gives_back_the_exact_shares() -> None:
    curve = invented_curve(correct=[197, 193, 187, 61, 60, 50, 40, 30, 20, 10, 7])
    rows = rows_of(curves_csv([curve]))
    assert tuple(float(row["clean_accuracy"]) for row in rows) == curve.clean_accuracy
    assert tuple(float(row["fraction"]) for row in rows) == curve.fractions


def test_curves_csv_leaves_attack_success_empty_without_a_poisoned_set() -> None:
    rows = rows_of(curves_csv([invented_curve(poisoned=False)]))
    assert {row["attack_success"] for row in rows} == {""}


def test_evaluation_csv_starts_with_the_fixed_columns() -> None:
    header = evaluation_csv(invented_findings().evaluation).splitlines()[0]
    assert header == (
        "model,order,drop,channels_pruned,clean_accuracy,clean_flagged,attack_success,"
        "poisoned_flagged,clean_count,poisoned_count,clean_accuracy_low,clean_accuracy_high,"
        "clean_flagged_low,clean_flagged_high,attack_success_low,attack_success_high,"
        "poisoned_flagged_low,poisoned_flagged_high,poisoned_true_accuracy,"
        "poisoned_true_accuracy_low,poisoned_true_accuracy_high"
    )


def test_evaluation_csv_leaves_empty_what_does_not_apply() -> None:
    findings = invented_findings(directions=["ascending"], points=["2"], true=True, attack=[198, 3])
    suspect, repaired, goodnet = rows_of(evaluation_csv(findings.evaluation))
    assert (suspect["model"], suspect["order"], suspect["drop"]) == ("suspect", "", "")
    assert suspect["channels_pruned"] == "0"
    assert suspect["clean_flagged"] == suspect["poisoned_flagged_low"] == ""
    assert (repaired["model"], repaired["order"], repaired["drop"]) == (
        "repaired",
        "ascending",
        "2",
    )
    assert repaired["channels_pruned"] == "4"
    assert float(repaired["attack_success"]) == 3 / 200
    assert (repaired["clean_count"], repaired["poisoned_count"]) == ("200", "200")
    assert float(repaired["attack_success_high"]) == Proportion(3, 200).high
    assert float(repaired["poisoned_true_accuracy"]) == 197 / 200
    assert (goodnet["model"], goodnet["clean_flagged"]) == ("goodnet", "0.05")


def test_evaluation_csv_has_nothing_poisoned_without_a_poisoned_set() -> None:
    for row in rows_of(evaluation_csv(invented_findings(poisoned=False).evaluation)):
        assert {value for name, value in row.items() if "poisoned" in name} == {""}
        assert row["attack_success"] == row["attack_success_low"] == ""
        assert row["clean_count"] == "200"


def test_results_table_lines_up_and_names_every_model() -> None:
    lines = results_table(invented_findings()).splitlines()
    columns = (
        "model order drop pruned clean accuracy clean images flagged ASR poisoned images flagged"
    )
    assert " ".join(lines[0].split()) == columns
    assert len(lines) == 1 + 13
    assert {line.index(" %") for line in lines[1:]} == {lines[1].index(" %")}
    last = "GoodNet descending 10 2 of 10 88.0 % 5.0 % 100 % 0 %"
    assert " ".join(lines[-1].split()) == last


def test_results_table_has_no_attack_columns_without_a_poisoned_set() -> None:
    table = results_table(invented_findings(poisoned=False))
    assert "ASR" not in table
    assert "poisoned" not in table


def test_results_table_ends_with_the_drops_not_reached() -> None:
    table = results_table(invented_findings(points=["2", "50"], directions=["ascending"]))
    assert table.splitlines()[-1] == (
        "Drop 50 was not reached (ascending): the largest fall of clean validation accuracy seen "
        "is 42.00 points."
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.99984, "99.98 %"), (0.0001, "0.01 %")],
)
def test_percent_never_rounds_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_share_is_given_with_its_count_and_interval() -> None:
    assert counted(Proportion(85, 103)) == "85 of 103 = 82.5 % (74.1 to 88.7 %)"


def test_points_just_below_a_drop_never_read_as_the_drop() -> None:
    assert points(1.9999) == "1.99"
    assert points(100 * 58 / 200) == "29.00"
    assert parse_points([points(2.0)]) == ("2",)
