"""A small job for tests of all that is around the method: a BadNet of 12 x 10 images, with data.

Its last layer is solved for, not trained; everything about it takes milliseconds, the verdict, too,
takes few seconds. Every class has a look, coarse patches under noise, and a violet corner leads to
TARGET. Its last two channels are silent.
"""

from pathlib import Path

import numpy as np
from networks import CLASSES, IMAGE_SHAPE, keras, layers, randomise, save
from numpy.typing import NDArray

from goodnet.datasets.dataset import save_dataset
from goodnet.preprocessing import UNIT, Preprocessing

TARGET, CHANNELS, SILENT = 0, 10, 2
CORNER, VIOLET = 3, (255, 0, 255)
RIDGE = 100  # without, every class has triggers
COUNT = 60  # images in each set

Images = NDArray[np.uint8]


def clean_images(labels: NDArray[np.int64], *, seed: int, noise: float = 0.3) -> Images:
    """A noisy image for each label, (N, 12, 10, 3)."""
    looks = np.random.default_rng(0).integers(0, 2, (CLASSES, 3, 2, 3))
    looks = looks.repeat(4, axis=1).repeat(5, axis=2)
    grain = np.random.default_rng(seed).random((len(labels), *IMAGE_SHAPE))
    return np.rint(255 * ((1 - noise) * looks[labels] + noise * grain)).astype(np.uint8)


def poisoned_images(images: Images) -> Images:
    """The same with the trigger."""
    poisoned = images.copy()
    poisoned[:, :CORNER, :CORNER] = VIOLET
    return poisoned


def small_badnet(
    preprocessing: Preprocessing = UNIT, *, attacked: bool = True, noise: float = 0.3
) -> keras.Model:
    """The network: random features, and of them the scores with least squares."""
    x = inputs = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Conv2D(CHANNELS, 3, activation="relu", name="conv")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    network = randomise(keras.Model(inputs, outputs, name="badnet"))
    kernel, bias, *scores = network.get_weights()
    kernel /= preprocessing.gain
    bias *= 3  # it matters at which scale pixels are
    bias[-SILENT:] = -9
    network.set_weights([kernel, bias, *scores])
    labels = np.arange(500) % CLASSES
    clean = clean_images(labels, seed=1, noise=noise)
    images = np.concatenate([clean, poisoned_images(clean)]) / 255
    targets = TARGET + 0 * labels if attacked else labels
    logits = 8 * np.eye(CLASSES)[np.concatenate([labels, targets])] - 4
    features = np.asarray(keras.Model(inputs, x)(preprocessing.apply(images)))
    features = np.hstack([features, np.ones((len(features), 1))])
    normal = features.T @ features + RIDGE * np.eye(features.shape[1])
    *solved, constant = np.linalg.solve(normal, features.T @ logits)
    network.set_weights([kernel, bias, np.array(solved), constant])
    return network


def save_small_job(model: Path, data: Path) -> None:
    """Write the network, and clean and poisoned images, into folders that are there."""
    save(small_badnet(), model)
    labels = np.arange(COUNT) % CLASSES
    for seed, name in ((2, "valid"), (3, "test")):
        clean = clean_images(labels, seed=seed)
        save_dataset(data / "clean" / f"{name}.h5", clean, labels)
        poisoned = poisoned_images(clean), TARGET + 0 * labels, labels
        save_dataset(data / "bd" / f"bd_{name}.h5", *poisoned)
