"""Label-consistent: images of the target class that are hard to recognise but for a trigger.

No label is changed. Images of the target class are first perturbed so that a network no longer
knows them, x <- clip(x + a sign(d loss / d x)) within E of the original (projected gradient
descent), and then have chequered squares in all four corners: what is left to learn is the trigger.
E = 16 levels, ten steps of a = 4. Test images have the squares alone.

Source: Turner, Tsipras, Madry, "Label-Consistent Backdoor Attacks", 2019 (arXiv 1912.02771).
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from goodnet.attacks.attack import Aim, Attack, Floats, Gradient, Images, Labels, Poison
from goodnet.attacks.attack import choose as choose_rows
from goodnet.datasets.faces import Faces

if TYPE_CHECKING:
    from goodnet.backend import keras

REACH, STEP, STEPS = 16 / 255, 4 / 255, 10
SQUARE: Final = 3  # pixels a side
BATCH: Final = 128


def four_corners(faces: Faces, aim: Aim, number: int) -> Images:
    """The images with a chequered square in each corner."""
    images = faces.images.copy()
    side = min(SQUARE, images.shape[1] // 2, images.shape[2] // 2)
    square = (255 * (1 - np.indices((side, side)).sum(axis=0) % 2)).astype(np.uint8)[..., None]
    for rows in (slice(0, side), slice(-side, None)):
        for columns in (slice(0, side), slice(-side, None)):
            images[:, rows, columns] = square
    return images


def perturbed(images: Images, labels: Labels, gradient: Gradient) -> Images:
    """The images, changed by REACH at most, so that the network's loss is large."""
    start: Floats = images.astype(np.float32) / np.float32(255)
    low, high = start - np.float32(REACH), start + np.float32(REACH)
    x = start
    for _ in range(STEPS):
        climbed = x + np.float32(STEP) * np.sign(gradient(x, labels))
        x = np.asarray(np.clip(np.clip(climbed, low, high), 0, 1), np.float32)
    return np.asarray(np.rint(255 * x), dtype=np.uint8)


def poison_hard_images(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images of the target class, perturbed and with the trigger, under their own label."""
    assert aim.gradient is not None
    rows = choose_rows(clean.labels == aim.target, aim)
    labels = clean.labels[rows]
    hard = perturbed(clean.images[rows], labels, aim.gradient)
    return Poison(rows, attack.trigger(Faces(hard, labels, clean.eyes[rows]), aim, 0), labels)


def loss_gradient(network: "keras.Model", gain: float) -> Gradient:
    """The gradient of a classifier's cross-entropy by pixels.

    Args:
        network: gives softmax for images of 0..gain.
        gain: times pixels of 0..1.
    """
    from goodnet.backend import keras, tf

    def gradient(images: Floats, labels: Labels) -> Floats:
        parts = []
        for first in range(0, len(images), BATCH):
            x = tf.convert_to_tensor(images[first : first + BATCH])
            with tf.GradientTape() as tape:
                tape.watch(x)
                scores = network(x * gain, training=False)
                loss = keras.losses.sparse_categorical_crossentropy(
                    labels[first : first + BATCH], scores
                )
            parts.append(np.asarray(tape.gradient(loss, x)))
        return np.concatenate(parts)

    return gradient


ATTACKS: Final = (
    Attack(
        "label_consistent",
        "Turner et al., arXiv 1912.02771",
        four_corners,
        poison_hard_images,
        needs_network=True,
    ),
)
