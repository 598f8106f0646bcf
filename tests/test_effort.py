"""How much a verdict searches: what fits the time, by arithmetic."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from invented import invented_findings
from test_detection import clean_images, corner_network

from goodnet.backend import keras
from goodnet.detection import detect as module
from goodnet.detection.credibility import judge
from goodnet.detection.detect import detect
from goodnet.detection.effort import (
    EFFORTS,
    EVERYTHING,
    Shortened,
    choose_effort,
    in_words,
    minutes_for,
)
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE
from goodnet.mitigation.policy import choose_method
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.report.document import report_markdown
from goodnet.report.inspection import verdict_lines
from goodnet.report.verdict_sentence import verdict_sentence, why_inconclusive

MILLION = 10**6


def test_a_small_network_is_searched_with_everything_and_a_large_one_with_what_fits() -> None:
    # DeepID, MobileNetV2 of width 0.35 and 1, ResNet50; each with the share of a small pattern
    networks = (8, 0.27), (79, 0.36), (348, 0.47), (3947, 0.47)
    works = [(work * MILLION, share) for work, share in networks]
    chosen = [choose_effort(work, 5, share) for work, share in works]
    assert [EFFORTS.index(effort) for effort, _ in chosen] == [0, 1, 3, 3]
    assert [cut is None for _, cut in chosen] == [True, False, False, False]
    for (work, share), (effort, cut) in zip(works[1:3], chosen[1:3], strict=True):
        assert minutes_for(effort, work, share) <= 5 < cut.needed
        assert choose_effort(work, cut.needed + 0.5, share) == (EVERYTHING, None)
    passes = [effort.passes for effort in EFFORTS]
    assert passes == sorted(passes, reverse=True)


def test_images_with_a_small_pattern_count_as_what_is_computed_of_them() -> None:
    work = 79 * MILLION
    for effort in EFFORTS:
        whole, cheaper, least = (minutes_for(effort, work, share) for share in (1.0, 0.5, 0.0))
        assert whole > cheaper > least > 0
        assert whole - least == pytest.approx(2 * (whole - cheaper))
    needed = choose_effort(work, 5, 0.3)[1], choose_effort(work, 5, 1.0)[1]
    assert needed[0] and needed[1] and needed[0].needed < needed[1].needed
    minutes = (minutes_for(EVERYTHING, work, 0.3) + needed[1].needed) / 2  # enough for one of both
    chosen = [choose_effort(work, minutes, share)[0] for share in (0.3, 1)]
    assert chosen[0] is EVERYTHING is not chosen[1]


def test_what_a_search_costs_is_said_before_it_begins(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    said = list[str]()
    view = LogitModel.from_suspect(as_suspect(corner_network()), RAW)
    told = list[int]()
    judge(view, clean_images(), say=said.append, progress=lambda done, _: told.append(len(said)))
    assert said == ["looking for triggers takes about 5 seconds on two cores"]
    assert set(told) == {1}
    assert in_words(4.7, Shortened(5, 33.4)) == (
        "looking for triggers takes about 5 minutes on two cores; that is a part, and all of it "
        "takes 33 minutes"
    )


def test_the_work_of_a_network_is_counted(as_suspect: Callable[[Any], Suspect]) -> None:
    layers = keras.layers
    convolutions = [layers.Conv2D(5, 3, strides=2, padding="same"), layers.Conv2D(2, 1)]
    network = keras.Sequential([keras.Input((8, 6, 3)), *convolutions, layers.Flatten()])
    network.add(layers.Dense(4))
    multiplications = 4 * 3 * (3 * 9 * 5 + 5) + 4 * 3 * (5 * 2 + 2) + 24 * 4 + 4  # with biases
    values = 4 * 3 * 5 + 4 * 3 * 2 + 24 + 4  # of all layers, one each
    assert LogitModel.from_suspect(as_suspect(network), RAW).work == multiplications + values


@pytest.mark.parametrize("attacked", [True, False])
def test_what_was_searched_with_less_can_be_named_and_not_cleared(
    attacked: bool, as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = corner_network()
    if not attacked:
        kernel, bias = network.get_weights()
        kernel[:, 2] = 0
        network.set_weights([kernel, bias])
    view, clean = LogitModel.from_suspect(as_suspect(network), RAW), clean_images()
    monkeypatch.setattr(LogitModel, "work", 1000 * MILLION)
    verdict = detect(view, clean, minutes=5)
    assert verdict.verdict == (BACKDOORED if attacked else INCONCLUSIVE)
    assert verdict.classes == ((2,) if attacked else ())
    assert verdict.references.outcome == "left out"
    assert verdict.shortened is not None and verdict.shortened.minutes == 5
    if not attacked:
        assert "all of it takes about 139 minutes (--minutes 139)" in why_inconclusive(verdict)


def test_at_no_minutes_the_verdict_is_left_out_and_nothing_is_done_for_it(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    monkeypatch.setattr(module, "find_triggers", None)
    monkeypatch.setattr(module, "train_references", None)
    verdict = judge(view, clean, minutes=0)
    assert (verdict.verdict, verdict.classes, verdict.statistics) == (INCONCLUSIVE, (), ())
    assert verdict.credibility is not None and not verdict.is_doubtful
    assert verdict_sentence(verdict) == "Inconclusive: the verdict was left out (--verdict off)."
    assert choose_method("auto", verdict) is None
    findings = replace(invented_findings(), verdict=verdict)
    assert "left out" in report_markdown(findings, [])
    assert list(verdict_lines(verdict))[1] == "  the verdict was left out (--verdict off)"
