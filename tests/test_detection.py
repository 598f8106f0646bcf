"""Triggers and the differentiable view, on images small enough to see."""

from collections.abc import Callable
from typing import Any

import numpy as np

from goodnet.backend import keras
from goodnet.detection.problem import CleanImages, View
from goodnet.detection.recovery import recover_trigger
from goodnet.detection.trigger import Trigger
from goodnet.metrics import Share
from goodnet.scale import Scale
from goodnet.suspect import Suspect

SIDE = 12


def corner_network() -> keras.Model:
    """Three classes told apart by brightness, and class 2 for a bright corner, at the raw scale."""
    images = keras.Input((SIDE, SIDE, 1))
    hidden = keras.layers.Flatten()(images)
    network = keras.Model(images, keras.layers.Dense(3, activation="softmax")(hidden))
    kernel = np.zeros((SIDE, SIDE, 3), np.float32)
    kernel[4:8, 4:8, 0], kernel[4:8, 4:8, 1] = -1, 1
    kernel[:2, :2, 2] = 20
    network.set_weights([kernel.reshape(-1, 3) / 255, np.array([8, -8, -20], np.float32)])
    return network


def clean_images(count: int = 40) -> CleanImages:
    """Dark images of class 0 and bright ones of class 1, with black corners."""
    labels = np.arange(count, dtype=np.int64) % 2
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 0.2, (count, SIDE, SIDE, 1)) + 0.7 * labels[:, None, None, None]
    pixels[:, :3, :3] = 0
    return CleanImages(pixels.astype(np.float32), labels)


def test_view_takes_off_the_softmax_and_carries_the_scale(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    suspect, clean = as_suspect(corner_network()), clean_images()
    view = View.of(suspect, Scale.RAW)
    kernel, bias = suspect.network.get_weights()
    logits = clean.pixels.reshape(len(clean), -1) * 255 @ kernel + bias
    np.testing.assert_allclose(view.all_logits(clean.pixels), logits, rtol=1e-4, atol=1e-3)
    assert np.array_equal(view.answers(clean.pixels), clean.labels)


def test_stamp_covers_what_the_mask_says_and_nothing_else() -> None:
    mask, pattern = np.zeros((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)
    mask[0, 0], mask[0, 1] = 1, 0.5
    images = np.full((1, 2, 2, 1), 0.2, np.float32)
    stamped = Trigger(0, mask, pattern, Share(0, 1), 0.0).stamp(images)
    np.testing.assert_allclose(stamped[0, ..., 0], [[1, 0.6], [0.2, 0.2]], rtol=1e-6)
    assert (images == np.float32(0.2)).all()


def test_the_trigger_of_a_bright_corner_is_recovered(as_suspect: Callable[[Any], Suspect]) -> None:
    view, clean = View.of(as_suspect(corner_network()), Scale.RAW), clean_images()
    trigger = recover_trigger(view, clean, 2)
    assert trigger.target == 2
    assert trigger.success.value > 0.9
    assert (view.answers(trigger.stamp(clean.pixels)) == 2).mean() > 0.9
