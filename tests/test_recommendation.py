"""What is recommended follows from the evidence: measured, or else estimated, by its intervals."""

from dataclasses import replace

import pytest
from invented import invented_findings, invented_mitigation, invented_verdict

from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE, NOTHING, Statistic
from goodnet.metrics import Proportion
from goodnet.mitigation.method import Method
from goodnet.mitigation.methods import METHODS, fine_pruning
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.report.caveats import caveats
from goodnet.report.conclusion import conclude, headline, recommended_files
from goodnet.report.findings import ModelRecheck, RepairResult
from goodnet.report.inspection import verdict_lines
from goodnet.report.recommendation import is_triggered, recommend
from goodnet.report.tables import evaluation_csv, results_table
from goodnet.report.verdict_sentence import verdict_sentence

NAMED = invented_verdict(BACKDOORED, [3])
CLEAN = [190, *[186] * 6, 188]  # of 200: the suspect, three drops of two orders, unlearned
UNLEARNED = [200, *[200] * 6, 2]
UNLEARNED_FILES = {
    "recommended/model.keras": "repaired_models_unlearned/model_unlearned.keras",
    "recommended/goodnet.keras": "repaired_models_unlearned/goodnet_unlearned.keras",
}


def by_estimate(**changes: object) -> RepairResult:
    """A suspect that is backdoored for class 3, unlearned, without poisoned images."""
    given = {"verdict": NAMED, "mitigation": invented_mitigation(), "clean": CLEAN}
    return invented_findings(**given | {"poisoned": False} | changes)


def test_what_lost_the_backdoor_on_the_poisoned_set_is_recommended() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigation=invented_mitigation(), clean=CLEAN, attack=UNLEARNED, target=3,
        flagged_poisoned=198,
    )  # fmt: skip
    chosen = recommend(findings)
    assert (chosen.answer, chosen.basis) == (BACKDOORED, "measured")
    assert recommended_files(findings) == UNLEARNED_FILES
    assert headline(findings) == (
        "This network has a backdoor; use recommended/model.keras in its place: it gives the "
        "attacker's answer to 2 of 200 poisoned test images, where this network gives it to 200 of "
        "200, and answers 94.0 % of the clean test images right (95.0 % before). To be told when "
        "somebody tries the backdoor, use recommended/goodnet.keras, which flags 99.0 % of the "
        "poisoned and 5.0 % of the clean test images."
    )


def test_a_pruned_model_is_recommended_whatever_the_verdict_where_the_poisoned_set_shows_it() -> (
    None
):
    """Fine-Pruning's own BadNet: nothing stands out, and pruning at the first drop removes all."""
    for verdict in (invented_verdict(INCONCLUSIVE), invented_verdict(NOTHING), None):
        findings = invented_findings(
            verdict=verdict, mitigation=invented_mitigation(method=fine_pruning.METHOD, right=50),
            clean=[190, 190, 170, 150, 170, 150, 120, 190], attack=[200, *[0] * 7],
            flagged_clean=0, flagged_poisoned=200,
        )  # fmt: skip
        assert recommend(findings).answer == BACKDOORED
        assert recommended_files(findings) == {
            "recommended/model.h5": "repaired_models_asc/model_drop_2.h5",
            "recommended/goodnet.keras": "goodnets_asc/goodnet_drop_2.keras",
        }
        said = conclude(findings)
        assert said[0].startswith("This network has a backdoor; use recommended/model.h5")
        assert not [s for s in said if "Not repaired" in s or "deploy" in s.lower()]


def test_one_image_of_32_is_no_loss_of_three_points() -> None:
    findings = invented_findings(
        count=32, verdict=NAMED, mitigation=invented_mitigation(), poisoned=False,
        clean=[32, *[20] * 6, 31], flagged_clean=1,
    )  # fmt: skip
    assert recommended_files(findings) == UNLEARNED_FILES
    costly = replace(findings, budget=0.0)
    assert recommended_files(costly) == UNLEARNED_FILES


@pytest.mark.parametrize("count", [20, 60])
def test_nought_of_few_poisoned_images_shows_nothing(count: int) -> None:
    """Of 60, up to 6 % may be left."""
    findings = invented_findings(
        count=count, clean=[count] * 7, attack=[count, *[0] * 6], flagged_clean=0,
        flagged_poisoned=count,
    )  # fmt: skip
    assert recommend(findings).basis == "measured"
    assert recommended_files(findings) == {}
    assert "gives the attacker's answer to 0 of" in headline(findings)
    assert "which are too few to be sure" in headline(findings)
    enough = invented_findings(clean=[200] * 7, attack=[200, *[0] * 6], flagged_clean=0)
    assert "recommended/model.h5" in recommended_files(enough)


def test_a_model_that_is_shown_to_cost_more_than_the_budget_is_not_recommended() -> None:
    given = {"clean": [190, *[170] * 6], "attack": [200, *[0] * 6]}
    findings = invented_findings(**given)
    assert recommended_files(findings) == {}
    assert "loses 10.00 points of clean test accuracy, at least" in headline(findings)
    assert "recommended/model.h5" in recommended_files(invented_findings(**given, budget=10))


def test_the_best_of_several_is_recommended() -> None:
    """Clean accuracy less ASR; a model before its GoodNet."""
    findings = invented_findings(
        clean=[190, 188, 190, 189, 187, 187, 187], attack=[200, 0, 3, 0, 0, 0, 0],
        flagged_poisoned=200,
    )  # fmt: skip
    assert recommended_files(findings)["recommended/model.h5"].endswith("asc/model_drop_10.h5")


def test_without_poisoned_images_what_was_judged_again_is_recommended_on_an_estimate() -> None:
    findings = by_estimate()
    assert recommend(findings).basis == "estimated"
    assert recommended_files(findings) == UNLEARNED_FILES
    said = headline(findings)
    assert (
        "seems, from clean images alone, to have a backdoor for class 3; use recommended/" in said
    )
    assert "by an estimate without any poisoned image, a trigger for class 3 takes 1.7 %" in said
    assert "what it catches is unknown" in said


@pytest.mark.parametrize(
    ("mitigation", "why"),
    [
        (invented_mitigation(after=40), "(a recovered trigger still works)"),
        (
            invented_mitigation(before=20, after=0),
            "no trigger was recovered that works well enough",
        ),
        (invented_mitigation(backdoored=(3,)), "(judged again, it stands out)"),
        (invented_mitigation(backdoored=(9,)), "(judged again, it stands out)"),
        (replace(invented_mitigation(), flagged_classes=None), "judged again"),
        (replace(invented_mitigation(), triggers=()), "(no trigger was recovered to try)"),
    ],
)
def test_an_estimate_that_does_not_show_a_class_gone_recommends_nothing(
    mitigation: object, why: str
) -> None:
    findings = by_estimate(mitigation=mitigation)
    assert recommended_files(findings) == {}
    assert "nothing can be recommended in its place" in headline(findings)
    assert why in headline(findings)


def test_pruned_models_are_not_recommended_on_an_estimate() -> None:
    """Recovered triggers are tried on them, too, but they are not judged again."""
    findings = by_estimate(mitigation=None, clean=[190] * 7)
    gone = (TriggerRecheck(3, Proportion(57, 60), Proportion(0, 60)),)
    pruned = [r.repaired for r in findings.evaluation if r.kind == "repaired"]
    tried = replace(findings, rechecks=tuple(ModelRecheck(p, gone, None) for p in pruned if p))
    assert recommended_files(tried) == {}
    assert "pruned models are not judged again" in headline(tried)


@pytest.mark.parametrize("answer", [INCONCLUSIVE, NOTHING])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("recovered", [True, False])
@pytest.mark.parametrize("poisoned", [True, False])
def test_nothing_is_recommended_where_there_is_no_ground(
    answer: str, method: Method, recovered: bool, poisoned: bool
) -> None:
    """An inconclusive verdict once ended in "Deploy" of a network with an ASR of 89.3 %."""
    mitigated = invented_mitigation(method=method, right=60)
    if not recovered:
        mitigated = replace(mitigated, triggers=(), flagged_classes=None)
    verdict = invented_verdict(answer, suspicious=[3] if recovered and answer != NOTHING else [])
    findings = invented_findings(
        verdict=verdict, mitigation=mitigated, clean=[190] * 8, attack=[4, *[0] * 7],
        poisoned=poisoned,
    )  # fmt: skip
    chosen = recommend(findings)
    assert (chosen.basis, chosen.model, chosen.goodnet) == (None, None, None)
    assert recommended_files(findings) == {}
    said = " ".join(conclude(findings)).lower()
    assert "nothing is recommended" in said
    assert "deploy" not in said and "safe" not in said


def test_a_class_that_the_poisoned_set_is_not_about_has_to_be_gone_by_the_estimate() -> None:
    """Class 3 is named; the poisoned set leads to class 0, and pruning removes that."""
    given = {"clean": [190, *[188] * 6, 188], "attack": [200, *[0] * 7], "flagged_poisoned": 200}
    findings = invented_findings(verdict=NAMED, mitigation=invented_mitigation(), **given)
    assert recommended_files(findings) == UNLEARNED_FILES
    still = invented_findings(verdict=NAMED, mitigation=invented_mitigation(after=50), **given)
    assert recommended_files(still) == {}
    same = invented_findings(
        verdict=NAMED, mitigation=invented_mitigation(after=50), **given, target=3
    )
    assert recommended_files(same)["recommended/model.h5"].startswith("repaired_models_asc/")


def test_a_goodnet_is_recommended_alone_where_it_alone_can_be_used() -> None:
    """The suspect falls for half of the images, so both agree on the attacker's answer seldom."""
    findings = invented_findings(attack=[100, *[60] * 6], clean=[190] * 7, flagged_poisoned=120)
    evaluation = tuple(
        replace(row, shares={**row.shares, "attack_success": Proportion(2, 200)})
        if row.kind == "goodnet"
        else row
        for row in findings.evaluation
    )
    findings = replace(findings, evaluation=evaluation)
    assert list(recommended_files(findings)) == ["recommended/goodnet.keras"]
    assert "use recommended/goodnet.keras in its place" in headline(findings)


def test_a_goodnet_that_flags_clean_images_as_often_is_not_recommended() -> None:
    given = {"clean": [190] * 7, "attack": [200, *[0] * 6], "flagged_clean": 20}
    assert "recommended/goodnet.keras" not in recommended_files(
        invented_findings(**given, flagged_poisoned=24)
    )
    assert "recommended/goodnet.keras" in recommended_files(
        invented_findings(**given, flagged_poisoned=200)
    )


@pytest.mark.parametrize(
    ("classes", "hits", "triggered"),
    [
        (12, 200, True),
        (12, 10, False),
        (12, 22, None),
        (2, 100, None),
        (2, 150, True),
        (3, 75, None),
    ],
)
def test_a_set_triggers_a_backdoor_where_its_interval_says_so(
    classes: int, hits: int, triggered: bool | None
) -> None:
    """Above a tenth of the images, and above chance."""
    findings = invented_findings(classes=classes, attack=[hits] * 7, labels_present=classes)
    assert is_triggered(findings) is triggered
    assert recommend(findings).answer == (BACKDOORED if triggered else NOTHING)
    assert ("too small to settle it" in headline(findings)) == (triggered is None)
    assert ("nor does the poisoned test set" in headline(findings)) == (triggered is False)


def test_classes_that_were_unlearned_in_doubt_are_tried_as_well() -> None:
    """One that is suspicious speaks against the repair; one that came next is pointed out."""
    recovered = (
        *invented_mitigation().triggers,
        TriggerRecheck(5, Proportion(40, 60), Proportion(50, 60)),
    )
    mitigated = replace(invented_mitigation(), triggers=recovered)
    doubtful = by_estimate(mitigation=mitigated, verdict=replace(NAMED, suspicious=(5,)))
    assert recommended_files(doubtful) == {}
    assert "is not shown to be rid of class 5" in headline(doubtful)
    following = by_estimate(mitigation=mitigated, verdict=replace(NAMED, runner_up=(5,)))
    assert recommended_files(following) == UNLEARNED_FILES
    assert "After unlearning, a trigger still takes most clean images to class 5." in caveats(
        following
    )


def test_what_was_chosen_by_the_test_sets_is_said_to_be() -> None:
    chosen = invented_findings(attack=[200, *[0] * 6], clean=[190] * 7, flagged_poisoned=200)
    assert caveats(chosen)[0].startswith("What is recommended was chosen among 12 repaired models")
    assert not [s for s in caveats(invented_findings()) if "chosen among" in s]


def test_a_class_that_nearly_is_named_is_told_apart() -> None:
    said = verdict_sentence(replace(NAMED, suspicious=(5,)))
    assert said.startswith("Backdoored, class 3: corners 3.00 for class 3, named from 1 on.")
    assert said.endswith(" Class 5 stands out as well, but not clearly.")


def test_a_class_that_lives_on_another_one_s_trigger_is_told_apart() -> None:
    verdict = replace(NAMED, dependent=(7,))
    said = verdict_sentence(verdict)
    assert said.startswith("Backdoored, class 3: ")
    assert said.endswith(
        " Class 7 stands out only through the trigger of another, and not once it is unlearned."
    )
    assert "  dependent      class 7, on the trigger of another" in verdict_lines(verdict)
    assert verdict.as_json()["dependent"] == [7]


def test_the_tables_have_a_row_for_each_without_a_drop() -> None:
    findings = invented_findings(
        verdict=NAMED, mitigation=invented_mitigation(pruned=5), clean=CLEAN
    )
    rows = [row.split(",") for row in evaluation_csv(findings.evaluation).splitlines()]
    second = [row[:4] for row in rows if row[1] == "unlearned"]
    assert second == [["repaired", "unlearned", "", "5"], ["goodnet", "unlearned", "", "5"]]
    assert results_table(findings).count("unlearned") == 2


def test_the_numbers_quoted_are_those_of_the_classes_named() -> None:
    """Not that of a class which stands out only through the trigger of another."""
    numbers = Statistic("simple triggers", {11: 1.61, 0: 1.06}, 0.4, 0.3)
    verdict = replace(NAMED, classes=(0,), dependent=(11,), statistics=(numbers,))
    for said in (verdict_sentence(verdict), str(verdict)):
        assert "1.06" in said and "1.61" not in said
