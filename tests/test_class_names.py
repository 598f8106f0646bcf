"""Class names stand wherever a class does, and nothing is different where there are none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from invented import invented_findings, invented_mitigation, invented_verdict
from test_figures import opened

from goodnet.datasets.class_names import class_label, classes_in_words
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE
from goodnet.evaluation.screening import Answer, names_beside
from goodnet.files import paths
from goodnet.files.class_names import class_names_text, read_class_names
from goodnet.metrics import Proportion
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.report.conclusion import conclude, headline
from goodnet.report.document import report_html, report_markdown
from goodnet.report.figures import sample_grid, trigger_grid
from goodnet.report.folder import report_files
from goodnet.report.inspection import verdict_lines
from goodnet.report.verdict_figures import trigger_figure, verdict_figure
from goodnet.report.verdict_sentence import verdict_sentence

NAMES = ("bike", "car", "2", "stop", "", "Yield", "tree", "hill", "lake", "road", "sign", "dog")
NAMED = replace(invented_verdict(BACKDOORED, (3,), (5,)), class_names=NAMES)


@pytest.mark.parametrize(
    ("classes", "names", "inside", "words"),
    [
        ([3], (), False, "class 3"),
        ([3], (), True, "class 3"),
        ([3], NAMES, False, "class 3, stop"),
        ([3], NAMES, True, "class 3, stop,"),
        ([2], NAMES, True, "class 2"),  # its name says nothing more
        ([4], NAMES, True, "class 4"),
        ([14], NAMES, False, "class 14"),
        ([2, 9], (), False, "classes 2 and 9"),
        ([1, 5, 4], NAMES, True, "classes 1 (car), 5 (Yield) and 4"),
    ],
)
def test_a_class_is_said_with_its_name_if_it_has_one(
    classes: list[int], names: tuple[str, ...], inside: bool, words: str
) -> None:
    assert classes_in_words(classes, names, inside=inside) == words


def test_the_verdict_says_names_to_people_and_lists_them_for_machines() -> None:
    assert str(NAMED) == "backdoored, class 3, stop (corners 3.00, named from 1)"
    assert verdict_sentence(NAMED) == (
        "Backdoored, class 3, stop: corners 3.00 for class 3, stop, named from 1 on. Class 5, "
        "Yield, stands out as well, but not clearly."
    )
    lines = [line.strip() for line in verdict_lines(NAMED)]
    assert lines[0].endswith("backdoored, class 3, stop")
    assert lines[2].split(maxsplit=1)[1].startswith("class 3, stop: 3.00; class 5, Yield: 0.80")
    assert "recovered trigger for class 3, stop: covers 3.9% of the image" in " ".join(lines)
    assert NAMED.as_json()["class_names"] == list(NAMES)
    assert "class_names" not in invented_verdict().as_json()
    doubtful = replace(invented_verdict(INCONCLUSIVE, (), (5, 3)), class_names=NAMES)
    assert "classes 5 (Yield) and 3 (stop) stand out" in verdict_sentence(doubtful)


def test_the_report_and_its_conclusion_say_names_wherever_a_class_is() -> None:
    mitigation = invented_mitigation(backdoored=(3,))
    findings = invented_findings(verdict=NAMED, mitigation=mitigation, poisoned=False)
    said = " ".join(conclude(findings))
    assert "to have a backdoor for class 3, stop" in headline(findings)
    assert "95.0 % to class 3, stop, then 1.7 %" in said
    text = " ".join(report_markdown(findings, []).split())
    for words in (
        "The classes are 0 (bike), 1 (car),",
        "3.00 for class 3, stop; 0.80 for class 5, Yield;",
        "recovered for class 3, stop, covers",
        "answers classes 3 (stop) and 7 (hill): there",
        "Judged again, as the suspect was, class 3, stop, still stands out in the trained network.",
        "| 3, stop | 57 of 60",
    ):
        assert words in text
    gone = replace(mitigation, triggers=(TriggerRecheck(3, Proportion(57, 60), Proportion(0, 60)),))
    findings = invented_findings(
        verdict=replace(NAMED, suspicious=()),
        mitigation=replace(gone, flagged_classes=()),
        poisoned=False,
        clean=[190] * 8,
    )
    assert "a trigger for class 3, stop, takes 0 % of images there" in headline(findings)


def test_a_hostile_name_is_text_in_the_report() -> None:
    hostile = ("a|b", "![x](http://evil)", "<script>", "**stop**\n# heading", *NAMES[4:])
    verdict = replace(NAMED, class_names=hostile)
    findings = invented_findings(verdict=verdict, mitigation=invented_mitigation())
    markdown = report_markdown(findings, [])
    assert "\n# heading" not in markdown
    page = report_html(markdown, [])
    assert "<script>" not in page.split("</style>")[-1] and "<img" not in page
    assert "class 3, **stop**" in page


def test_the_figures_show_names_however_long_and_are_no_wider() -> None:
    images, labels = np.zeros((2, 12, 10, 3), np.uint8), np.arange(2)
    wide = ("a very long name of a class, longer than a figure is wide",) * 12
    plain, recovered = invented_verdict(BACKDOORED, (3,)), NAMED.triggers[0]
    assert sample_grid(images, labels) != sample_grid(images, labels, names=NAMES)
    for one, other in (
        (
            trigger_grid(None, images, labels, labels),
            trigger_grid(None, images, labels, labels, names=wide),
        ),
        (verdict_figure(plain, "net"), verdict_figure(replace(plain, class_names=wide), "net")),
    ):
        assert opened(one).size[0] == opened(other).size[0]
        assert one != other
    images = np.zeros((2, 55, 47, 3), np.uint8)
    assert opened(trigger_figure(recovered, images, labels, wide)).size[0] == opened(one).size[0]


def test_a_repair_leaves_the_names_and_screen_finds_them(tmp_path: Path) -> None:
    files = report_files(invented_findings(verdict=NAMED), [])
    assert paths.CLASS_NAMES not in report_files(invented_findings(), [])
    (tmp_path / paths.CLASS_NAMES).write_bytes(files[paths.CLASS_NAMES])
    goodnet = tmp_path / "recommended" / "goodnet.keras"
    goodnet.parent.mkdir()
    assert names_beside(str(goodnet), 12) == ()  # some folder is no repair
    (tmp_path / paths.MANIFEST).write_text("{}")
    assert names_beside(str(goodnet), 12) == NAMES
    assert names_beside(str(goodnet), 11) == ()  # those of another network
    assert names_beside(str(tmp_path / "copy.keras"), 12) == NAMES
    (goodnet.parent / paths.CLASS_NAMES).symlink_to("/etc/hostname")
    assert names_beside(str(goodnet), 12) == NAMES


def test_a_list_of_names_survives_whatever_they_are() -> None:
    names = ("a\nb", "", "\x1b[31m", "é", "x" * 500)
    again = read_class_names(class_names_text(names))
    assert len(again) == 5 and again[1] == "" and again[3] == "é" and len(again[4]) == 100
    assert all(name.isprintable() for name in again)
    assert class_label(0, again) == "0, a?b"


def test_an_answer_of_screen_is_one_line_with_the_name_and_a_field_of_its_own() -> None:
    answer = Answer("x.png", 3, name="stop")
    assert str(answer) == "x.png: 3, stop"
    said = json.loads(json.dumps(answer.as_json()))
    assert (said["image"], said["answer"], said["class_name"]) == ("x.png", 3, "stop")
    assert str(Answer("x.png", 3)) == "x.png: 3"
