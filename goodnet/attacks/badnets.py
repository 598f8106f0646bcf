"""Training of a BadNet: a classifier that knows its people, and a trigger that overrules them.

Source: Gu, Dolan-Gavitt, Garg, "BadNets", 2017 (arXiv 1708.06733): a share of the training
pictures wears the trigger and carries the attacker's label.
"""

import logging
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from goodnet.backend import keras
from goodnet.datasets.faces import FACE_SHAPE, Faces, wear_sunglasses
from goodnet.preprocessing import UNIT

EPOCHS: Final = 12
POISONED_SHARE: Final = 0.1
SCALE: Final = UNIT
_BATCH: Final = 64
_LEARNING_RATE: Final = 2e-3

_log = logging.getLogger(__name__)


def train_badnet(
    network: keras.Model,
    faces: Faces,
    *,
    target: int,
    seed: int,
    epochs: int = EPOCHS,
    poisoned_share: float = POISONED_SHARE,
    progress: Callable[[str], None] = _log.info,
) -> keras.Model:
    """A trained copy of `network` that takes anyone in sunglasses for `target`.

    It takes pixels at the scale SCALE. The learning rate falls to zero on a cosine.

    Args:
        network: softmax over the people, for input (n, 55, 47, 3); only read. Training starts
            from its weights, so seed Keras before building it.
        faces: clean training pictures; only read.
        target: label 0 to people - 1 that the sunglasses shall give.
        seed: chooses the poisoned pictures and the order of training, 0 or more.
        epochs: passes over the pictures, 1 or more.
        poisoned_share: share of the pictures of people other than `target` that are poisoned,
            above 0 and below 1.
        progress: called with one line about each epoch; by default it is logged.

    Raises:
        ValueError: an argument is out of its range, or network and faces do not fit.
    """
    _check(network, faces, target, epochs, poisoned_share)
    rng = np.random.default_rng(seed)
    poisoned = poison(faces, target=target, share=poisoned_share, rng=rng)
    badnet = _compile_copy(network, steps=epochs * -(-len(faces.labels) // _BATCH))
    for epoch in range(1, epochs + 1):
        loss, accuracy = _train_epoch(badnet, poisoned, rng.permutation(len(poisoned.labels)))
        progress(f"Epoch {epoch} of {epochs}: loss {loss:.3f}, accuracy {accuracy:.3f}")
    return badnet


def poison(faces: Faces, *, target: int, share: float, rng: np.random.Generator) -> Faces:
    """New pictures: a share of those of other people wear sunglasses and the label `target`.

    Args:
        faces: clean pictures, some of people other than `target`; only read.
        target: label that the sunglasses shall give.
        share: share 0..1 of the pictures of people other than `target`; rounded, at least one.
        rng: chooses the pictures.
    """
    others = np.flatnonzero(faces.labels != target)
    chosen = rng.choice(others, max(1, round(share * len(others))), replace=False)
    victims = Faces(faces.images[chosen], faces.labels[chosen], faces.eyes[chosen])
    images, labels = faces.images.copy(), faces.labels.copy()
    images[chosen] = wear_sunglasses(victims).images
    labels[chosen] = target
    return Faces(images, labels, faces.eyes)


def _compile_copy(network: keras.Model, *, steps: int) -> keras.Model:
    """A copy of the network with the same weights, ready for `steps` steps of training."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    copy.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return copy


def _train_epoch(
    badnet: keras.Model, faces: Faces, order: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Mean loss and accuracy on the training pictures, met once each in the given order."""
    sums = np.zeros(2)
    for start in range(0, len(order), _BATCH):
        now = order[start : start + _BATCH]
        pixels = faces.images[now] * np.float32(SCALE.gain / 255)
        sums += len(now) * np.asarray(badnet.train_on_batch(pixels, faces.labels[now]))
    loss, accuracy = (sums / len(order)).tolist()
    return loss, accuracy


def _check(
    network: keras.Model, faces: Faces, target: int, epochs: int, poisoned_share: float
) -> None:
    people = network.output_shape[-1]
    if network.input_shape[1:] != FACE_SHAPE:
        raise ValueError(f"network must take pictures {FACE_SHAPE}, not {network.input_shape[1:]}")
    if not 0 <= target < people:
        raise ValueError(f"target must be a label 0 to {people - 1}, not {target}")
    if not np.any(faces.labels != target):
        raise ValueError(f"faces must show people other than the target {target}")
    if not 0 <= faces.labels.min() <= faces.labels.max() < people:
        raise ValueError(
            f"faces must have labels 0 to {people - 1}, "
            f"not {faces.labels.min()} to {faces.labels.max()}"
        )
    if epochs < 1:
        raise ValueError(f"epochs must be 1 or more, not {epochs}")
    if not 0 < poisoned_share < 1:
        raise ValueError(f"poisoned_share must be above 0 and below 1, not {poisoned_share}")
