"""A patch that takes each class to another one, on a network of four hidden units."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_detection import SIDE, SOME, clean_images

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection import misdirection
from goodnet.detection.detect import detect_with
from goodnet.detection.misdirection import MISDIRECTION, find_misdirection
from goodnet.detection.reference_models import ReferenceModels
from goodnet.detection.verdict import BACKDOORED
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import UNIT


def brightness_network(swaps: bool) -> keras.Model:
    """Class 1 for a bright middle, else 0; with a bright corner the other way, if it swaps."""
    images = keras.Input((SIDE, SIDE, 1))
    hidden = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(images))
    network = keras.Model(images, keras.layers.Dense(2, activation="softmax")(hidden))
    middle, corner = np.zeros((2, SIDE, SIDE, 1), np.float32)
    middle[4:8, 4:8] = 1 / 16
    corner[:2, :2] = 10 / 4 * swaps
    kernels = [middle - corner, -middle - corner, middle + corner, -middle + corner]
    biases = [-0.45, 0.45, -10.45, -9.55]
    ways = 20 * np.array([[0, 1], [1, 0], [1, 0], [0, 1]], np.float32)
    kernel = np.stack([each.ravel() for each in kernels], axis=1)
    network.set_weights([kernel, np.array(biases, np.float32), ways, np.zeros(2, np.float32)])
    return network


@pytest.fixture
def problem(
    as_suspect: Callable[[Any], Suspect],
) -> tuple[LogitModel, LogitModel, CleanImages]:
    """A network that swaps, one that does not, and clean images."""
    swapping, plain = (
        LogitModel.from_suspect(as_suspect(brightness_network(swaps)), UNIT)
        for swaps in (True, False)
    )
    return swapping, plain, clean_images()


def test_a_patch_that_swaps_the_classes_is_found_for_both(
    problem: tuple[LogitModel, LogitModel, CleanImages],
) -> None:
    swapping, plain, clean = problem
    assert swapping.accuracy(clean).value == plain.accuracy(clean).value == 1
    found = find_misdirection(swapping, clean, [plain], seed=0)
    assert [each.target for each in found] == [0, 1]
    assert found[0].trigger.mask[:2, :2].max() > 0
    assert found[0].share > 0.9 and found[0].innocent_share < 0.1
    taken = swapping.predict(found[0].trigger.apply(clean.pixels)) != clean.labels
    assert taken.mean() > 0.9
    assert find_misdirection(swapping, clean, [], seed=0) == []


def test_what_a_reference_loses_too_is_innocent(
    problem: tuple[LogitModel, LogitModel, CleanImages],
) -> None:
    swapping, plain, clean = problem
    for model, references in ((swapping, [plain, swapping]), (plain, [plain])):
        for each in find_misdirection(model, clean, references, seed=0):
            assert each.share <= each.innocent_share


def test_all_classes_are_named_and_none_depends_on_another(
    problem: tuple[LogitModel, LogitModel, CleanImages],
) -> None:
    swapping, plain, clean = problem
    verdict = detect_with(swapping, clean, ReferenceModels((plain,), SOME))
    assert verdict.verdict == BACKDOORED
    assert set(verdict.classes) == {0, 1}
    (statistic,) = (s for s in verdict.statistics if s.method == MISDIRECTION.name)
    assert set(statistic.at_least(statistic.threshold)) == {0, 1}
    clean_verdict = detect_with(plain, clean, ReferenceModels((plain,), SOME))
    assert not clean_verdict.classes


@pytest.mark.parametrize(
    ("answers", "targets"),
    [
        ([1, 1, 2, 2, 3, 3, 0, 0], [0, 1, 2, 3]),  # every class to the next
        ([3, 3, 3, 3, 3, 3, 3, 3], []),  # looks like one class
        ([3, 3, 3, 3, 1, 1, 3, 3], []),  # like two
    ],
)
def test_a_patch_that_looks_like_a_class_or_two_names_none(
    answers: list[int], targets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    monkeypatch.setattr(misdirection, "_answers", lambda *_: (np.array(answers), labels))
    assert misdirection._targets(SimpleNamespace(classes=4), None, None) == targets  # type: ignore[arg-type]
