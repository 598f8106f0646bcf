"""What each method did follows from the numbers, and nothing is advised."""

from dataclasses import replace

from invented import invented_curve, invented_findings

from goodnet.report.observations import observations


def test_a_backdoor_that_stays_is_said_to_stay_with_the_largest_drop_and_lowest_asr() -> None:
    said = observations(invented_findings(attack=[200, 200, 199, 150, 200, 200, 200]))
    assert said[0].startswith(
        "Pruning did not remove this backdoor: at drop 10 the ASR is still 75.0 % (ascending)"
    )


def test_where_all_asrs_are_alike_the_largest_drop_is_named() -> None:
    said = observations(invented_findings(attack=[200] * 7))
    assert "at drop 10 the ASR is still 100 % (ascending)" in said[0]


def test_a_removed_backdoor_is_told_at_the_best_trade_off() -> None:
    said = observations(
        invented_findings(
            clean=[190, 180, 186, 170, 180, 180, 180], attack=[200, 1, 1, 0, 200, 200, 200]
        )
    )
    assert said[0] == (
        "Pruning removed this backdoor, as far as the poisoned test set shows: at drop 4 "
        "(ascending), ASR fell from 100 % to 0.5 % (95 % interval 0.1 to 2.8 %) while clean test "
        "accuracy went from 95.0 % to 93.0 %."
    )
    assert said[1] == "Other triggers were not tested."


def test_a_backdoor_that_is_merely_weaker_is_not_called_removed() -> None:
    said = observations(invented_findings(attack=[200, 60, 60, 60, 200, 200, 200]))
    assert said[0].startswith("Pruning reduced this backdoor but is not shown to have removed it")
    assert said[1] == "It is removed where the interval ends at 5.0 % or lower."


def test_nought_of_few_images_is_not_called_removed() -> None:
    few = invented_findings(count=20, clean=[19] * 7, attack=[20, *[0] * 6], flagged_clean=1)
    said = observations(few)
    assert "not shown to have removed it" in said[0]
    assert "95 % interval 0 to 16.1 %" in said[0]


def test_what_is_left_is_compared_with_the_share_of_a_class() -> None:
    said = observations(invented_findings(classes=12, attack=[200, *[15] * 6]))
    assert "With 12 classes, about 8.3 % is what a model without any backdoor scores" in said[1]


def test_a_high_price_is_pointed_out() -> None:
    said = observations(invented_findings(clean=[190, *[150] * 6], attack=[200, *[0] * 6]))
    assert "The price is high: 20.00 points of clean test accuracy." in said
    cheap = observations(invented_findings(clean=[190, *[180] * 6], attack=[200, *[0] * 6]))
    assert not [sentence for sentence in cheap if "price" in sentence]


def test_a_set_without_effect_is_no_proof_of_a_backdoor_nor_of_its_absence() -> None:
    said = observations(invented_findings(attack=[11, *[2] * 6]))
    assert said[0] == (
        "The poisoned set given does not trigger a backdoor in this model: the suspect answers "
        "11 of 200 = 5.5 % (3.1 to 9.6 %) of it with the set's label, no more than chance."
    )
    assert "nothing about other triggers" in said[1]
    assert not [sentence for sentence in said if "removed" in sentence]


def test_half_of_two_classes_is_chance_and_half_of_four_is_not() -> None:
    half = {"attack": [100] * 7, "labels_present": 2}
    said = observations(invented_findings(classes=2, **half))[0]
    assert "is not shown to trigger" in said and "no more than chance" in said
    assert "did not remove" in observations(invented_findings(classes=4, **half))[0]


def test_without_a_poisoned_set_nothing_is_said_about_a_backdoor() -> None:
    said = observations(invented_findings(poisoned=False))
    assert said[0].startswith("What pruning did to a backdoor is unknown: no poisoned test set")
    assert not [sentence for sentence in said if "ASR" in sentence]
    assert "95.0 % for the suspect and 88.0 to 93.0 % for the repaired models" in said[1]
    assert "flag 5.0 % of the clean test images; what they catch is unknown" in said[2]


def test_without_a_poisoned_test_set_the_validation_asr_is_told_as_such() -> None:
    findings = invented_findings(poisoned=False, directions=["ascending"])
    said = observations(replace(findings, curves=(invented_curve("ascending"),)))
    assert said[0].startswith("What pruning did to a backdoor is unknown")
    assert said[-1] == (
        "On the poisoned validation images the ASR is 100 % for the suspect and 100 % at drop 10 "
        "(ascending)."
    )


def test_no_drop_reached_means_nothing_was_repaired() -> None:
    said = observations(invented_findings(correct=[190] * 10 + [188]))
    assert said == [
        "Nothing was repaired: pruning never costs 2 points of clean validation accuracy (1.00 at "
        "most), so there is no repaired model and no GoodNet.",
        "The suspect's ASR is 200 of 200 = 100 % (98.1 to 100 %).",
    ]


def test_a_drop_not_reached_is_told_with_the_largest_fall() -> None:
    said = observations(invented_findings(directions=["ascending"], points=["2", "50"]))
    assert said[-1].startswith("Drop 50 was not reached (ascending)")
    assert "42.00 points" in said[-1]


def test_a_goodnet_that_flags_both_alike_is_said_to() -> None:
    said = observations(invented_findings(flagged_clean=20, flagged_poisoned=24))
    assert [s for s in said if s.startswith("No pruned model's GoodNet flags poisoned images")]


def test_a_goodnet_that_tells_them_apart_is_named_with_its_price() -> None:
    said = observations(
        invented_findings(attack=[200, *[2] * 6], flagged_clean=12, flagged_poisoned=198)
    )
    assert "flags 99.0 % of the poisoned and 6.0 % of the clean test images" in " ".join(said)


def test_orders_are_only_ranked_where_intervals_are_apart() -> None:
    apart = observations(invented_findings(attack=[200, 150, 150, 20, 200, 200, 190]))[-1]
    assert apart.startswith("At drop 10, ascending prunes 5 channels and descending 2")
    assert apart.endswith("against this backdoor ascending does better.")
    other = observations(invented_findings(attack=[200, 150, 150, 190, 200, 200, 20]))[-1]
    assert other.endswith("against this backdoor descending does better.")
    for up, down in ((150, 149), (149, 150)):
        alike = observations(invented_findings(attack=[200, 150, 150, up, 200, 200, down]))[-1]
        assert alike.endswith("so neither order is clearly better against it.")
