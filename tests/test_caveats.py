"""What weakens a repair's numbers is said, with the numbers."""

from dataclasses import replace

from invented import COUNT, invented_findings

from goodnet.report.caveats import caveats


def test_caveats_name_missing_classes_small_sets_and_sets_given_twice() -> None:
    findings = invented_findings(labels_present=9, clean=[100] * 7)
    valid, test, *poisoned = findings.sets
    twice = replace(findings, sets=(valid, replace(test, sha256=valid.sha256), *poisoned))
    said = caveats(twice)
    assert said[0] == (
        "The clean validation set shows 9 of the model's 12 classes: it says nothing about the "
        "others. Channels that only the others use look unused, and what a mitigation did to "
        "them is unknown."
    )
    assert "clean validation set and clean test set" in said[2]
    parts = [replace(each, array=f"x_{each.role}") for each in twice.sets[:2]]
    assert caveats(replace(twice, sets=(*parts, *poisoned)))[2:] == said[3:]
    assert f"With {COUNT} clean validation images, one image is 0.50 points" in said[3]
    assert "4, 8, 20 images" in said[3]
    assert "95 % intervals are as wide as 43.1 to 56.9 %" in said[4]


def test_large_and_complete_sets_need_no_caution() -> None:
    findings = invented_findings(points=["10"], count=4000, clean=[3800] * 3, attack=[4000] * 3)
    curve = findings.curves[0]._replace(clean_count=4000)
    assert caveats(replace(findings, curves=(curve,))) == []
