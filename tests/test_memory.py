"""How much goes through a network at once: less where pictures, or what layers make, are large."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import IMAGE_SHAPE, NETWORKS

from goodnet import backend
from goodnet.datasets.images import CleanImages
from goodnet.detection import maximum_margin, trigger_inversion
from goodnet.detection.maximum_margin import maximum_margins
from goodnet.detection.trigger_inversion import TriggerInverter
from goodnet.mitigation.adversarial_triggers import TriggerPool
from goodnet.network import classifier
from goodnet.network.classifier import LogitModel
from goodnet.network.cut import Cut, find_cut
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.pruning import activations
from goodnet.pruning.split import Split
from goodnet.training.batches import augment
from goodnet.training.finetune import train_further
from goodnet.training.schedule import TrainingSchedule
from goodnet.triggers.locations import Location

Open = Callable[[Any], Suspect]
layers = backend.keras.layers


def convolutional() -> Any:
    """Takes images of any size, and makes 100 values of each pixel."""
    images = backend.keras.Input((None, None, 3))
    x = layers.Conv2D(50, 3, padding="same", activation="relu", name="first")(images)
    x = layers.Conv2D(25, 1, name="second")(layers.Conv2D(25, 1)(x))
    scores = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D(name="pool")(x))
    return backend.keras.Model(images, scores)


@pytest.fixture
def model(as_suspect: Open) -> LogitModel:
    """A small network."""
    return LogitModel.from_suspect(as_suspect(NETWORKS["plain"]()), RAW)


@pytest.fixture
def clean(model: LogitModel) -> CleanImages:
    """Images that it answers right."""
    pixels = np.random.default_rng(0).random((12, *IMAGE_SHAPE), dtype=np.float32)
    return CleanImages(pixels, model.predict(pixels))


def test_the_larger_the_picture_the_fewer_gradients_at_once(as_suspect: Open) -> None:
    """And those of the rest of a network alone are more."""
    suspect = as_suspect(convolutional())
    model, split = LogitModel.from_suspect(suspect, RAW), Split(suspect, "pool")
    sides = (100, 224, 448, 2000)
    assert [model.gradients_at_once((side, side, 3)) for side in sides] == [39, 7, 1, 1]
    assert Cut(model, None).gradients_at_once((448, 448, 3)) == 1
    assert find_cut(model, 0.5).gradients_at_once((448, 448, 3)) == 7
    assert [split.largest((side, side, 3)) for side in sides[:3]] == [50 * s * s for s in sides[:3]]


def test_the_head_sees_few_images_at_once_where_it_makes_much_of_them(
    as_suspect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    split = Split(as_suspect(NETWORKS["plain"]()), "pool_2")
    monkeypatch.setattr(activations, "HEAD_VALUES", 5 * split.largest(IMAGE_SHAPE) + 1)
    whole = split.activations

    def watched(images: Any) -> Any:
        seen.append(len(images))
        return whole(images)

    monkeypatch.setattr(split, "activations", watched)
    dataset: Any = CleanSet(np.random.default_rng(0).random((17, *IMAGE_SHAPE), dtype=np.float32))
    [block] = split.cache.map_blocks(lambda block: block, dataset, RAW)
    assert seen == [5, 5, 5, 2]
    np.testing.assert_array_equal(block.activations[0], whole(dataset.pixels)[0])


class CleanSet:
    """As much of a data set as the head needs."""

    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels

    def images(self, rows: slice, _: object) -> Any:
        """Some of them."""
        return self.pixels[rows]

    def rows(self, _: int) -> list[slice]:
        """All in one block."""
        return [slice(0, len(self.pixels))]


def gradients_of_training(model: LogitModel, clean: CleanImages) -> list[Any]:
    """The weights after two steps of training."""
    trained, schedule = model.copy(), TrainingSchedule(steps=2, rate=1e-3)
    train_further(trained, model, clean, schedule, lambda image, _: 1 - image, [1])
    return [weight - old for weight, old in zip(*map(weights_of, (trained, model)), strict=True)]


def weights_of(model: LogitModel) -> list[Any]:
    """All weights."""
    weights: list[Any] = model.network.get_weights()
    return weights


def inverted(model: LogitModel, clean: CleanImages) -> list[Any]:
    """Patterns searched by gradient at some places."""
    sides, rng = IMAGE_SHAPE[:2], np.random.default_rng(1)
    places = [Location("patch", sides, (n, n), (4, 4), (4, 4)) for n in range(3)]
    inverter = TriggerInverter(model, clean, rng)
    return inverter.patterns([(n, place) for n, place in enumerate(places)])


def pooled(model: LogitModel, clean: CleanImages) -> list[Any]:
    """The margins of a pool's triggers after a move."""
    pool = TriggerPool(model, clean, {0: 1, 1: 2}, [], np.random.default_rng(2))
    pool.move()
    return [np.array([each.margin for each in pool._pool])]


def maximal(model: LogitModel, _: CleanImages) -> list[Any]:
    """The margins that noise is taken to."""
    return [maximum_margins(model, np.arange(model.classes), np.random.default_rng(3))]


@pytest.mark.parametrize("made", [gradients_of_training, inverted, pooled, maximal])
def test_gradients_taken_one_by_one_are_those_taken_together(
    made: Any, model: LogitModel, clean: CleanImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_inversion, "STEPS", 2)
    monkeypatch.setattr(maximum_margin, "STEPS", 2)
    together, counts, logits = made(model, clean), list[Any](), LogitModel.logits
    monkeypatch.setattr(classifier, "GRADIENT_VALUES", 1)

    def watched(self: LogitModel, images: Any) -> Any:
        backend.tf.py_function(lambda each: counts.append(len(each)), [images], [])
        return logits(self, images)

    monkeypatch.setattr(LogitModel, "logits", watched)
    alone = made(model, clean)
    assert counts.count(1) > len(counts) / 2
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_images_are_shifted_and_brightened_block_by_block_as_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.random.default_rng(0).random((9, *IMAGE_SHAPE), dtype=np.float32)
    together = augment(pixels, np.random.default_rng(1))
    monkeypatch.setattr(classifier, "BLOCK", 2)
    np.testing.assert_array_equal(augment(pixels, np.random.default_rng(1)), together)
