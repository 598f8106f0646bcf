"""What to deploy follows from the verdict and the second repair, and poisoned images only score."""

from dataclasses import replace

from invented import invented_findings, invented_mitigated, invented_verdict

from goodnet.advice import advise, headline
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE
from goodnet.inspection import verdict_lines
from goodnet.tables import evaluation_csv, results_table

NAMED = invented_verdict(BACKDOORED, [3])
CLEAN = [190, *[186] * 6, 188]
REMOVED = [200, *[200] * 6, 4]


def test_a_successful_second_repair_is_to_be_deployed() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigated=invented_mitigated(), clean=CLEAN, attack=REMOVED
    )
    said = advise(findings)
    assert said[0] == "Backdoored, class 3: corners 3.00 for class 3, named from 1 on."
    assert said[1] == (
        "Deploy repaired_models_unlearned/model_unlearned.keras: unlearning took clean test "
        "accuracy from 95.0 % to 94.0 % and the ASR from 100 % to 2.0 %."
    )
    assert "59 of 60" in said[2] and "58 of 60" in said[2]
    assert "95.0 % of them to class 3 in the suspect and 1.7 % after the repair" in said[3]
    assert "repaired_models_unlearned/goodnet_unlearned.keras" in said[4]
    assert headline(findings) == f"{said[0]} {said[1]}"


def test_without_a_poisoned_set_it_is_deployed_on_the_estimate() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigated=invented_mitigated(), clean=CLEAN, poisoned=False
    )
    assert advise(findings)[1].endswith("from 95.0 % to 94.0 %.")


def test_what_costs_too_much_or_can_still_be_triggered_is_not_repaired() -> None:
    for mitigated, why in (
        (invented_mitigated(right=57), "3.33 points of held-out clean validation accuracy"),
        (invented_mitigated(after=40), "a trigger for class 3 can still be recovered"),
    ):
        said = advise(invented_findings(verdict=NAMED, mitigated=mitigated, clean=CLEAN))
        assert said[1].startswith(f"Not repaired: {why}")
    accepted = invented_mitigated(right=57, budget=4)
    findings = invented_findings(verdict=NAMED, mitigated=accepted, clean=CLEAN, attack=REMOVED)
    assert advise(findings)[1].startswith("Deploy ")


def test_a_poisoned_set_that_still_works_overrules_the_estimate() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigated=invented_mitigated(), clean=CLEAN, attack=[200] * 8
    )
    assert advise(findings)[1].startswith("Not repaired: the ASR on the poisoned test set is still")


def test_a_class_that_nearly_is_named_is_told_apart() -> None:
    verdict = replace(NAMED, suspicious=(5,))
    said = advise(invented_findings(verdict=verdict))[0]
    assert said.startswith("Backdoored, class 3: ")
    assert said.endswith(" Class 5 stands out as well, but not clearly.")


def test_a_class_that_lives_on_another_one_s_trigger_is_told_apart() -> None:
    verdict = replace(NAMED, dependent=(7,))
    said = advise(invented_findings(verdict=verdict))[0]
    assert said.startswith("Backdoored, class 3: ")
    assert said.endswith(
        " Class 7 stands out only through the trigger of another, and not once it is unlearned."
    )
    assert "  dependent      class 7, on the trigger of another" in verdict_lines(verdict)
    assert verdict.as_json()["dependent"] == [7]


def test_where_nothing_is_found_the_suspect_stays_unless_the_poisoned_set_says_otherwise() -> None:
    said = advise(invented_findings(attack=[2] * 7))
    assert said[0].startswith("No backdoor found: no class stands out")
    assert said[1].endswith("deploy the suspect.")
    assert "do not deploy the suspect" in advise(invented_findings())[1]


def test_a_backdoor_with_nothing_done_about_it_is_not_repaired() -> None:
    assert advise(invented_findings(verdict=NAMED))[1].startswith("Not repaired: nothing beside")
    doubtful = invented_verdict(INCONCLUSIVE, suspicious=[2, 5])
    said = advise(invented_findings(verdict=doubtful, poisoned=False))
    assert said[0].startswith("Inconclusive: classes 2 and 5 stand out, but not clearly")


def test_the_tables_have_a_row_for_each_without_a_drop() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigated=replace(invented_mitigated(), pruned=5), clean=CLEAN
    )
    rows = [row.split(",") for row in evaluation_csv(findings.results).splitlines()]
    second = [row[:4] for row in rows if row[1] == "unlearned"]
    assert second == [["repaired", "unlearned", "", "5"], ["goodnet", "unlearned", "", "5"]]
    assert results_table(findings).count("unlearned") == 2
