"""What is done to pixels before a network sees them: what there is, and which is taken."""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from invented import invented_findings

from goodnet.errors import RequestRefused
from goodnet.metrics import Proportion
from goodnet.preprocessing import (
    BUILT_IN,
    CAFFE,
    RAW,
    SIGNED,
    TORCH,
    UNIT,
    Preprocessing,
    PreprocessingInfo,
    candidates,
    choose_preprocessing,
    parse_preprocessing,
    select_preprocessing,
)
from goodnet.report.document import report_markdown
from goodnet.report.preprocessing_sentences import preprocessing_sentences


def right(hits: int, count: int = 100) -> np.ndarray:
    """The first images are answered right."""
    return np.arange(count) < hits


def test_the_one_that_answers_better_is_taken() -> None:
    tried = {RAW: right(5), UNIT: right(90)}
    info = choose_preprocessing(tried, chance=0.1, source="net.h5")
    assert info.preprocessing == UNIT
    assert {name: share.hits for name, share in info.accuracies.items()} == {"raw": 5, "unit": 90}
    assert info.near_ties == ()


def test_on_a_tie_the_first_one_is_taken() -> None:
    tried = {RAW: right(90), UNIT: right(90), SIGNED: right(90)}
    info = choose_preprocessing(tried, chance=0.1, source="net.h5")
    assert (info.preprocessing, info.near_ties) == (RAW, ("unit", "signed"))


@pytest.mark.parametrize(
    ("unit", "signed", "count", "choice", "near"),
    [
        (90, 96, 100, SIGNED, ()),
        (90, 92, 100, SIGNED, ("unit",)),
        (900, 920, 1000, SIGNED, ()),
        (900, 902, 1000, UNIT, ("signed",)),
        (902, 900, 1000, UNIT, ("signed",)),
    ],
)
def test_raw_and_unit_are_left_only_for_what_is_clearly_better_or_by_a_point(
    unit: int, signed: int, count: int, choice: Preprocessing, near: tuple[str, ...]
) -> None:
    tried = {RAW: right(20, count), UNIT: right(unit, count), SIGNED: right(signed, count)}
    info = choose_preprocessing(tried, chance=0.1, source="net.h5")
    assert (info.preprocessing, info.near_ties) == (choice, near)


def test_near_chance_with_all_is_refused_with_what_was_tried() -> None:
    tried = {RAW: right(12), UNIT: right(9)}
    with pytest.raises(RequestRefused, match=r"net\.h5: .*chance.*raw 12\.0%.*unit 9\.0%"):
        choose_preprocessing(tried, chance=0.1, source="net.h5")


@pytest.mark.parametrize(
    ("white", "preprocessing", "result"),
    [(255, RAW, 51), (255, UNIT, 0.2), (1, UNIT, 51), (1, RAW, 13005)],
)
def test_raw_and_unit_are_exact(white: float, preprocessing: Preprocessing, result: float) -> None:
    pixels = np.array([51], dtype=np.float32)
    scaled = preprocessing.apply_to_pixels(pixels, white)
    assert scaled.dtype == np.float32
    assert scaled[0] == np.float32(result)
    assert pixels[0] == 51


KERAS = {"caffe": "caffe", "torch": "torch", "signed": "tf"}


@pytest.mark.parametrize("name", KERAS)
def test_modes_of_keras_are_its_own(name: str) -> None:
    """From pixels 0..255, and from 0..1 by the differentiable way, as Keras has them."""
    from goodnet.backend import keras, tf

    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.float32)
    expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=KERAS[name])
    (ours,) = (each for each in BUILT_IN if each.name == name)
    np.testing.assert_allclose(ours.apply_to_pixels(pixels, 255), expected, atol=2e-5)
    np.testing.assert_allclose(ours.apply_to_pixels(pixels / 255, 1), expected, atol=2e-5)
    np.testing.assert_allclose(ours.apply(tf.constant(pixels / 255)), expected, atol=2e-5)
    assert ours.apply_to_pixels(pixels, 255).dtype == np.float32


def test_standardising_gives_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).random((50, 4, 4, 3)) ** [1, 2, 3]
    moments = [each.mean(axis=(0, 1, 2)) for each in (images, images**2)]
    *_, whole, by_channel = candidates(moments[0], moments[1])
    assert (whole.name, by_channel.name) == ("standardised", "standardised-by-channel")
    assert whole.apply(images).mean() == pytest.approx(0)
    assert whole.apply(images).std() == pytest.approx(1)
    ours = by_channel.apply_to_pixels(images.astype(np.float32), 1).reshape(-1, 3)
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(ours.std(axis=0), 1, rtol=1e-5)


def test_grey_images_have_no_channel_order_and_constant_ones_no_deviation() -> None:
    names = [each.name for each in candidates(np.array([0.5]), np.array([0.3]))]
    assert names == ["raw", "unit", "signed", "centred", "standardised"]
    names = [each.name for each in candidates(np.array([0.5]), np.array([0.25]))]
    assert names == ["raw", "unit", "signed", "centred"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("mean=103.939,116.779,123.68,std=1,order=bgr", CAFFE),
        ("mean=103.939,116.779,123.68,order=bgr", CAFFE),
        ("mean=0.485,0.456,0.406,std=0.229,0.224,0.225", TORCH),
        ("mean=127.5,std=127.5", SIGNED),
        ("std=.5,mean=.5,white=1", SIGNED),
        ("mean=0,white=255", RAW),
        ("mean=0", UNIT),
        ("std=255", UNIT),
        ("torch", TORCH),
        ("raw", RAW),
    ],
)
def test_numbers_are_taken_in_either_unit(text: str, same: Preprocessing) -> None:
    ours = parse_preprocessing(text)
    assert ours is not None
    images = np.random.default_rng(0).random((2, 4, 4, 3))
    np.testing.assert_allclose(ours.apply(images), same.apply(images), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("percent", "is not one of auto, raw, unit"),
        ("", "is not one of"),
        ("3,mean=1", "belongs to nothing"),
        ("mean=1,mean=2", "each once"),
        ("median=1", "is not one of mean, std"),
        ("mean=a,b", "a, b are not numbers"),
        ("mean=,std=1", "not numbers"),
        ("mean=nan", "not finite"),
        ("std=inf", "not finite"),
        ("std=0", "not above 0"),
        ("std=-1", "not above 0"),
        ("std=2,white=1", "not above 0 and up to 1"),
        ("mean=300", r"not in 0\.\.255"),
        ("mean=-1", r"not in 0\.\.1"),
        ("mean=100,white=1", r"not in 0\.\.1"),
        ("mean=1,2,3,std=1,2", "3 means do not go with 2"),
        ("mean=1,white=128", "white is neither"),
        ("mean=1,white=1,255", "white is neither"),
        ("mean=1,order=gbr", "not rgb or bgr"),
        ("mean=1,order=bgr,rgb", "not rgb or bgr"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(text: str, fault: str) -> None:
    with pytest.raises(RequestRefused, match=f"--preprocessing: .*{fault}"):
        parse_preprocessing(text)


@pytest.mark.parametrize(
    ("text", "channels"), [("caffe", 1), ("torch", 4), ("mean=.5,order=bgr", 1), ("mean=1,2,3", 4)]
)
def test_what_is_for_other_channels_is_refused(text: str, channels: int) -> None:
    with pytest.raises(RequestRefused, match=f"{channels} channels"):
        select_preprocessing(text, (), channels)


def test_report_and_inspect_say_how_a_preprocessing_was_found() -> None:
    def info(origin: Any = "found", **hits: tuple[int, int]) -> PreprocessingInfo:
        shares = {name: Proportion(*each) for name, each in hits.items()}
        return PreprocessingInfo(RAW, origin, shares, ("unit",) if len(hits) > 2 else ())

    assert preprocessing_sentences(info(raw=(95, 100), unit=(9, 100))) == []
    assert preprocessing_sentences(info("given", raw=(95, 100))) == []
    assert preprocessing_sentences(info(raw=(95, 100), unit=(94, 100), caffe=(3, 64))) == [
        "It is a near-tie: with unit the accuracy differs by no more than chance may do.",
        "A first look, at 64 images, ruled out caffe.",
    ]
    near = info(raw=(95, 100), unit=(95, 100), torch=(96, 100), caffe=(64, 64))
    said = "torch is more accurate, but by no more than chance may do, and raw is the usual one."
    assert preprocessing_sentences(near)[0] == said
    text = " ".join(report_markdown(replace(invented_findings(), preprocessing=near), []).split())
    assert f"are answered best so, or nearly so). {said} It is a near-tie: with unit" in text
    for name, share in near.accuracies.items():
        assert f"| {name} | {share.hits} of {share.count} = " in text


@pytest.mark.parametrize("options", [["--scale", "unit"], ["--preprocessing", "unit"], []])
def test_scale_is_another_word_for_preprocessing(options: list[str]) -> None:
    from flows.options import parser_of_repair
    from goodnet.command import inspect

    expected = options[-1] if options else "auto"
    assert parser_of_repair().parse_args(["model.h5", *options]).preprocessing == expected
    parser = argparse.ArgumentParser()
    inspect.add_options(parser)
    asked = parser.parse_args(["model.h5", *options])
    assert asked.preprocessing == expected
    assert not hasattr(asked, "scale")
