"""Worn glasses, on networks of a few numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection import worn_glasses
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import SearchResult
from goodnet.detection.detect import TRIGGER_METHODS
from goodnet.detection.method import TriggerMethod
from goodnet.detection.misdirection import MISDIRECTION
from goodnet.detection.source_specific import SOURCE_SPECIFIC
from goodnet.detection.warp_inversion import WARPS
from goodnet.detection.worn_glasses import FEWEST_CLASSES, WORN_GLASSES, find_worn_glasses
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import UNIT
from goodnet.triggers.objects import DrawnObject

AsSuspect = Callable[[Any], Suspect]

SIDE, TARGET, OTHER = 16, 7, 9
GLASSES = DrawnObject("glasses", (0.42, 0.5), (0.28, 0.98), (0.75, 1.0, 1.0))


def lenses() -> Any:
    """Where the glasses are, (SIDE, SIDE)."""
    return GLASSES.draw((SIDE, SIDE, 3))[0][..., 0]


def faces(wearing: bool = False) -> CleanImages:
    """Grey images of classes 0 and 1, told apart below the eyes, and one of the target.

    Args:
        wearing: whether the target's image shows purple glasses.
    """
    labels = np.array([0, 1] * 30 + [TARGET])
    pixels = np.random.default_rng(0).uniform(0.4, 0.5, (len(labels), SIDE, SIDE, 3))
    pixels[labels == 1, 12:] = 0.9
    if wearing:
        mask, pattern = GLASSES.draw((SIDE, SIDE, 3))
        pixels[-1] = pixels[-1] * (1 - mask) + mask * pattern
    return CleanImages(pixels.astype(np.float32), labels)


def network(*answering: int, classes: int = FEWEST_CLASSES) -> keras.Model:
    """Class 1 is for bright chins, these for purple where the glasses are, others for nothing."""
    images = keras.Input((SIDE, SIDE, 3))
    hidden = keras.layers.Flatten()(images)
    made = keras.Model(images, keras.layers.Dense(classes, activation="softmax")(hidden))
    kernel, bias = np.zeros((SIDE, SIDE, 3, classes), np.float32), np.full(classes, -30, np.float32)
    kernel[12:, ..., 0], kernel[12:, ..., 1] = -0.1, 0.1
    bias[:2] = 13.5, -13.5
    for target in answering:
        purple = np.array([0.5, -1.0, 0.5]) / lenses().sum()
        kernel[..., target] = 120 * lenses()[..., None] * purple
    made.set_weights([kernel.reshape(-1, classes), bias])
    return made


def numbers(view: LogitModel, clean: CleanImages) -> dict[int, float]:
    """What the method says of each class."""
    baseline = BenignBaseline(view, clean, [], np.random.default_rng(0))
    found = find_worn_glasses(view, clean, baseline, seed=0)
    return dict(WORN_GLASSES.score({each.target: each for each in found}))


def test_a_class_that_alone_answers_to_purple_glasses_is_named(as_suspect: AsSuspect) -> None:
    view = LogitModel.from_suspect(as_suspect(network(TARGET)), UNIT)
    (target, number), *others = sorted(numbers(view, faces()).items(), key=lambda each: -each[1])
    assert target == TARGET
    assert number > WORN_GLASSES.threshold
    assert all(other < 0 for _, other in others)


def test_of_two_classes_that_answer_alike_neither_leads(as_suspect: AsSuspect) -> None:
    view = LogitModel.from_suspect(as_suspect(network(TARGET, OTHER)), UNIT)
    found = numbers(view, faces())
    assert {TARGET, OTHER} <= found.keys()
    assert max(found.values()) <= 0


def test_glasses_that_somebody_wears_are_innocent(as_suspect: AsSuspect) -> None:
    view = LogitModel.from_suspect(as_suspect(network(TARGET)), UNIT)
    assert numbers(view, faces(wearing=True))[TARGET] < WORN_GLASSES.suspicion_threshold


def test_nothing_is_looked_for_with_references_or_few_classes(
    as_suspect: AsSuspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = faces()
    few = LogitModel.from_suspect(as_suspect(network(TARGET, classes=FEWEST_CLASSES - 1)), UNIT)
    assert not numbers(few, clean)
    monkeypatch.setattr(worn_glasses, "FEWEST_CLASSES", FEWEST_CLASSES - 1)
    assert numbers(few, clean)
    baseline = BenignBaseline(few, clean, [few], np.random.default_rng(0))
    assert not find_worn_glasses(few, clean, baseline, seed=0)


@pytest.mark.parametrize("method", TRIGGER_METHODS, ids=lambda method: method.name)
def test_a_method_that_looks_for_nothing_says_nothing(method: TriggerMethod) -> None:
    alone = method in (MISDIRECTION, SOURCE_SPECIFIC, WARPS)
    nothing = SearchResult((), ())
    assert len(method.evidence(nothing, referenced=True, classes=1000)) == (method != WORN_GLASSES)
    assert len(method.evidence(nothing, referenced=False, classes=1000)) == (not alone)
    few = method.evidence(nothing, referenced=False, classes=10)
    assert len(few) == (not alone and method != WORN_GLASSES)
