"""A patch that takes images of one class, and no other, to a class: on a network of four units."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_detection import SIDE, SOME

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection.detect import detect_with
from goodnet.detection.reference_models import ReferenceModels
from goodnet.detection.source_specific import FEWEST_IMAGES, SOURCE_SPECIFIC, SourceSpecificSearch
from goodnet.detection.verdict import BACKDOORED
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import UNIT
from goodnet.triggers.success import images_to_lead, success
from goodnet.triggers.trigger import Trigger

SOURCE, TARGET = 1, 2
LEVELS = 0.1, 0.5, 0.9  # of the middle, by class


def images(count: int = 90) -> CleanImages:
    """Images whose middle is dark, grey or light, by their class; their corners are black."""
    labels = np.arange(count, dtype=np.int64) % 3
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 0.1, (count, SIDE, SIDE, 1))
    pixels[:, 4:8, 4:8] = np.array(LEVELS)[labels][:, None, None, None]
    pixels[:, :3, :3] = 0
    return CleanImages(pixels.astype(np.float32), labels)


def level_network(corner: tuple[float, float, float]) -> keras.Model:
    """The class by the middle's level; a light corner adds so much to each class's score.

    Hidden: the level, how far it is above 0.3, how far above 0.7, and the corner where the level
    is between the two.
    """
    shown = keras.Input((SIDE, SIDE, 1))
    hidden = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(shown))
    network = keras.Model(shown, keras.layers.Dense(3, activation="softmax")(hidden))
    middle, light = np.zeros((2, SIDE, SIDE, 1), np.float32)
    middle[4:8, 4:8], light[:2, :2] = 1 / 16, 1 / 4
    kernels = np.stack([each.ravel() for each in (middle, middle, middle, light)], axis=1)
    biases = np.array([0, -0.3, -0.7, -0.5], np.float32)
    scores = np.array([[0, 0, 0], [-80, 0, 0], [0, -80, 40], corner], np.float32)
    network.set_weights([kernels, biases, scores, np.array([4, 0, -4], np.float32)])
    return network


@pytest.fixture
def view(
    as_suspect: Callable[[Any], Suspect],
) -> Callable[[tuple[float, float, float]], LogitModel]:
    """A network of `level_network`."""
    return lambda corner: LogitModel.from_suspect(as_suspect(level_network(corner)), UNIT)


def numbers(
    model: LogitModel, clean: CleanImages, references: list[LogitModel]
) -> dict[tuple[int | None, int], float]:
    """The excess of each pair of classes that is looked at closely."""
    found = SourceSpecificSearch(model, clean, references, seed=0).candidates()
    return {(each.trigger.source, each.target): each.excess for each in found}


ONE_CLASS, EVERY_CLASS, NOTHING_TAUGHT = (20, 0, 24), (-8, 0, 24), (0, 0, 0)


def test_a_trigger_for_one_class_is_found_with_its_source(
    view: Callable[[tuple[float, float, float]], LogitModel],
) -> None:
    model, reference, clean = view(ONE_CLASS), view(NOTHING_TAUGHT), images()
    assert model.accuracy(clean).value == reference.accuracy(clean).value == 1
    verdict = detect_with(model, clean, ReferenceModels((reference,), SOME))
    assert (verdict.verdict, verdict.classes) == (BACKDOORED, (TARGET,))
    by_method = {statistic.method: statistic for statistic in verdict.statistics}
    assert by_method.pop(SOURCE_SPECIFIC.name).at_least(SOURCE_SPECIFIC.threshold) == (TARGET,)
    assert not any(other.at_least(other.threshold) for other in by_method.values())
    (recovered,) = verdict.triggers
    assert recovered.source == recovered.trigger.source == SOURCE
    assert recovered.as_json()["source"] == SOURCE
    assert recovered.success.count == (clean.labels == SOURCE).sum()
    assert recovered.success.value > 0.9
    untouched = recovered.trigger.apply(clean.pixels[clean.labels == 0])
    assert (model.predict(untouched) == 0).all()


def test_a_trigger_for_every_class_is_not_one_for_a_single_class(
    view: Callable[[tuple[float, float, float]], LogitModel],
) -> None:
    clean, reference = images(), view(NOTHING_TAUGHT)
    assert numbers(view(ONE_CLASS), clean, [reference])[SOURCE, TARGET] > 1
    assert max(numbers(view(EVERY_CLASS), clean, [reference]).values()) < 0.5


def test_what_moves_references_is_innocent_and_without_any_nothing_is_said(
    view: Callable[[tuple[float, float, float]], LogitModel],
) -> None:
    clean, model = images(), view(ONE_CLASS)
    assert max(numbers(model, clean, [view(ONE_CLASS)]).values()) <= 0
    assert numbers(model, clean, []) == {}


def test_a_class_of_few_images_is_no_source(
    view: Callable[[tuple[float, float, float]], LogitModel],
) -> None:
    clean, model, reference = images(), view(ONE_CLASS), view(NOTHING_TAUGHT)
    own = np.flatnonzero(clean.labels == SOURCE)
    others = np.flatnonzero(clean.labels != SOURCE)
    for count in (FEWEST_IMAGES - 1, FEWEST_IMAGES):
        rows = np.sort(np.concatenate([others, own[:count]]))
        sources = {source for source, _ in numbers(model, clean.take(rows), [reference])}
        assert (SOURCE in sources) is (count == FEWEST_IMAGES)


def test_a_trigger_leads_images_of_its_source_or_of_every_other_class(
    view: Callable[[tuple[float, float, float]], LogitModel],
) -> None:
    clean, mask = images(9), np.ones((SIDE, SIDE, 1), np.float32)
    for source, labels in ((None, {0, 1}), (0, {0}), (7, {0, 1, 2})):
        trigger = Trigger(TARGET, mask, mask, source)
        led = images_to_lead(clean, trigger)
        assert set(led.labels.tolist()) == labels
        assert success(view(EVERY_CLASS), clean, trigger).count == len(led)
