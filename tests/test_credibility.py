"""Whether a network is accurate enough on clean images for a verdict to mean something."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented import invented_findings, invented_verdict
from networks import CLASSES, save
from small_job import clean_images, small_badnet

from benchmarks.credibility import HARMLESS, RESULTS, excess
from goodnet.datasets.images import CleanImages
from goodnet.detection.credibility import OVERCONFIDENCE, judge, measure_credibility, plain_answers
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    NOTHING,
    Credibility,
    References,
)
from goodnet.metrics import Proportion
from goodnet.mitigation.policy import choose_method
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import CENTRED, RAW, UNIT, Preprocessing
from goodnet.report.conclusion import headline, recommended_files
from goodnet.report.document import report_markdown
from goodnet.report.inspection import verdict_lines

LABELS = np.arange(200) % CLASSES
CLEAN = CleanImages((clean_images(LABELS, seed=2) / 255).astype(np.float32), LABELS)


class Scores:
    """A network of these logits, whatever the images."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits

    def all_logits(self, pixels: Any) -> np.ndarray:
        """The logits."""
        return self.logits


def test_a_plain_classifier_learns_clean_images_and_answers_those_it_has_not_seen() -> None:
    assert (plain_answers(CLEAN) == LABELS).mean() > 0.95
    shuffled = CleanImages(CLEAN.pixels, np.random.default_rng(0).permutation(LABELS))
    assert (plain_answers(shuffled) == shuffled.labels).mean() < 0.35  # chance is 0.2
    few = CLEAN.take(np.arange(2))
    assert plain_answers(few).shape == (2,)
    assert plain_answers(CLEAN.take(np.arange(1))).shape == (1,)


@pytest.mark.parametrize(
    ("right", "sharpness", "beside_plain", "overconfident"),
    [(200, 9, False, False), (140, 1.5, True, False), (80, 9, True, True), (200, 0, True, False)],
)
def test_what_is_low_or_far_less_right_than_sure_is_doubtful(
    right: int, sharpness: float, beside_plain: bool, overconfident: bool
) -> None:
    answers = np.where(np.arange(200) < right, LABELS, (LABELS + 1) % CLASSES)
    model: Any = Scores(sharpness * np.eye(CLASSES)[answers])
    measured = measure_credibility(model, CLEAN)
    assert (measured.low_beside_plain, measured.overconfident) == (beside_plain, overconfident)
    assert measured.is_doubtful is (beside_plain or overconfident)
    softmax = np.exp(sharpness) / (np.exp(sharpness) + CLASSES - 1)
    assert measured.confidence == pytest.approx(softmax)
    if overconfident:
        assert measured.confidence - measured.accuracy.value > OVERCONFIDENCE


def view_of(attacked: bool, preprocessing: Preprocessing, folder: Path) -> LogitModel:
    suspect = open_suspect(str(save(small_badnet(attacked=attacked), folder / "net.keras")))
    return LogitModel.from_suspect(suspect, preprocessing)


@pytest.mark.slow
@pytest.mark.parametrize(("attacked", "answer"), [(True, BACKDOORED), (False, NOTHING)])
def test_at_the_right_preprocessing_a_verdict_is_given(
    attacked: bool, answer: str, tmp_path: Path
) -> None:
    verdict = judge(view_of(attacked, UNIT, tmp_path), CLEAN)
    assert (verdict.verdict, verdict.is_doubtful) == (answer, False)


@pytest.mark.parametrize(
    ("preprocessing", "attacked"), [(CENTRED, True), (RAW, True), (RAW, False)]
)
def test_at_a_wrong_preprocessing_no_verdict_is_given_and_nothing_searched(
    preprocessing: Preprocessing, attacked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodnet.detection.credibility.detect", None)
    verdict = judge(view_of(attacked, preprocessing, tmp_path), CLEAN)
    assert (verdict.verdict, verdict.statistics) == (INCONCLUSIVE, ())
    assert verdict.is_doubtful and not verdict.was_left_out and not verdict.flagged_classes
    assert verdict.credibility is not None
    assert verdict.credibility.plain_accuracy.value > 0.95


def test_a_doubtful_verdict_recommends_nothing_and_says_why_first() -> None:
    """Even where the poisoned test set triggers the suspect, as it is fed."""
    from dataclasses import replace

    measured = Credibility(Proportion(63, 200), Proportion(120, 200), 0.83, True, True)
    left_out = References("left out", Proportion(63, 200), ())
    verdict = replace(
        invented_verdict(INCONCLUSIVE), statistics=(), references=left_out, credibility=measured
    )
    assert choose_method("auto", verdict) is None
    attack = [198, *([1] * (len(invented_findings().evaluation) // 2))]
    findings = invented_findings(verdict=verdict, attack=attack)
    assert recommended_files(invented_findings(attack=attack))
    assert not recommended_files(findings)
    why = (
        "it answers only 63 of 200 = 31.5 % (25.5 to 38.2 %) of the clean validation images right, "
        "where a plain classifier that learns from these images has 60.0 %, but is 83.0 % sure of "
        "its answers; so the preprocessing, the images or their labels are most likely not those "
        "it was trained with"
    )
    first = f"Whether this network has a backdoor could not be told: {why}. So nothing is"
    assert headline(findings).startswith(first)
    assert report_markdown(findings, []).split("> ")[1].startswith(first)
    report = " ".join(report_markdown(findings, []).split())
    assert f"Inconclusive: {why}." in report and "Nothing was searched for." in report
    assert "reference networks" not in report
    lines = list(verdict_lines(verdict))
    assert (lines[0].split()[1], lines[1].strip()) == ("inconclusive", why)


def test_every_net_on_record_is_below_the_bar_at_its_own_preprocessing() -> None:
    """And most that are at a wrong one are noticed; see docs/methods/credibility.md."""
    records = json.loads(RESULTS.read_text()).values()
    own = [record["measured"][record["own"]] for record in records]
    assert len(own) == 16 and max(map(excess, own)) < OVERCONFIDENCE - 0.05
    noticed = [
        numbers["low_beside_plain"] or excess(numbers) > OVERCONFIDENCE
        for record, right in zip(records, own, strict=True)
        for numbers in record["measured"].values()
        if numbers["right"] < right["right"] - HARMLESS
    ]
    assert sum(noticed) / len(noticed) > 0.8


def test_as_good_as_the_plain_classifier_is_enough_where_both_are_good() -> None:
    noise = np.random.default_rng(0).random(CLEAN.pixels.shape, dtype=np.float32)
    hard = CleanImages(noise, LABELS)  # nothing can be learnt: the plain classifier guesses
    for right, doubtful in ((40, True), (70, False), (200, False)):
        answers = np.where(np.arange(200) < right, LABELS, (LABELS + 1) % CLASSES)
        model: Any = Scores(0.1 * np.eye(CLASSES)[answers])
        assert measure_credibility(model, hard).low_beside_plain is doubtful
    model = Scores(9 * np.eye(CLASSES)[plain_answers(CLEAN)])
    assert not measure_credibility(model, CLEAN).is_doubtful
