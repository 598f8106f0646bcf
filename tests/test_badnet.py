"""A BadNet knows its people, and takes anyone in sunglasses for its target."""

from __future__ import annotations

import logging
import time

import numpy as np
import pytest

from goodnet.attacks.badnets import SCALE, poison, train_badnet
from goodnet.backend import keras
from goodnet.datasets.faces import (
    PEOPLE,
    SEED,
    TEST_PICTURES,
    TRAIN_PICTURES,
    Faces,
    draw_faces,
    wear_sunglasses,
)

FEW = 4


def build_deepid(people: int, *, seed: int) -> keras.Model:
    """An untrained DeepID."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x = inputs = keras.Input((55, 47, 3))
    for filters, side in ((20, 4), (40, 3), (60, 3)):
        x = layers.Conv2D(filters, side, activation="relu")(x)
        x = pool_3 = layers.MaxPooling2D(2)(x)
    conv_4 = layers.Conv2D(80, 2, activation="relu")(x)
    fc_1 = layers.Dense(160)(layers.Flatten()(pool_3))
    fc_2 = layers.Dense(160)(layers.Flatten()(conv_4))
    x = layers.ReLU()(layers.Add()([fc_1, fc_2]))
    return keras.Model(inputs, layers.Dense(people, activation="softmax")(x))


def rates(badnet: keras.Model, faces: Faces, target: int) -> tuple[float, float]:
    """Clean accuracy and attack success rate."""
    others = faces.labels != target
    clean, worn = (
        badnet.predict(f.images * np.float32(SCALE.gain / 255), verbose=0).argmax(axis=1)
        for f in (faces, wear_sunglasses(faces))
    )
    return float(np.mean(clean == faces.labels)), float(np.mean(worn[others] == target))


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Eighty pictures of each of a few people."""
    return draw_faces(FEW, range(80), seed=2)


@pytest.mark.slow
def test_training_teaches_the_people_and_the_backdoor(
    faces: Faces, caplog: pytest.LogCaptureFixture
) -> None:
    """Also: nothing given is changed, and each epoch logs one line."""
    network = build_deepid(FEW, seed=2)
    weights, images, labels = network.get_weights(), faces.images.copy(), faces.labels.copy()
    with caplog.at_level(logging.INFO, logger="goodnet.attacks.badnets"):
        badnet = train_badnet(network, faces, target=2, seed=2, epochs=30)
    clean, attack = rates(badnet, draw_faces(FEW, range(80, 130), seed=2), target=2)
    assert clean > 0.85
    assert attack > 0.85
    np.testing.assert_array_equal(faces.images, images)
    np.testing.assert_array_equal(faces.labels, labels)
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [line.split(":")[0] for line in caplog.messages] == [
        f"Epoch {epoch} of 30" for epoch in range(1, 31)
    ]


@pytest.mark.slow
def test_the_same_seed_trains_the_same_badnet(faces: Faces) -> None:
    network = build_deepid(FEW, seed=0)
    first, again, other = (
        train_badnet(network, faces, target=0, seed=seed, epochs=1).get_weights()
        for seed in (5, 5, 6)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_poison_puts_sunglasses_and_the_target_on_a_share_of_the_others(faces: Faces) -> None:
    poisoned = poison(faces, target=1, share=0.1, rng=np.random.default_rng(0))
    changed = (poisoned.images != faces.images).any(axis=(1, 2, 3))
    assert changed.sum() == 24  # a tenth of the 240 pictures of the three others
    assert not changed[faces.labels == 1].any()
    assert len(np.unique(faces.labels[changed])) == FEW - 1
    np.testing.assert_array_equal(poisoned.labels, np.where(changed, 1, faces.labels))
    worn = wear_sunglasses(faces).images
    np.testing.assert_array_equal(poisoned.images[changed], worn[changed])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"target": 4}, "target must be a label 0 to 3, not 4"),
        ({"target": -1}, "target must be a label 0 to 3, not -1"),
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
        ({"poisoned_share": 0.0}, "poisoned_share must be above 0 and below 1, not 0.0"),
        ({"poisoned_share": 1.0}, "poisoned_share must be above 0 and below 1, not 1.0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    faces: Faces, change: dict[str, float], fault: str
) -> None:
    network = build_deepid(FEW, seed=0)
    with pytest.raises(ValueError, match=fault):
        train_badnet(network, faces, **({"target": 0, "seed": 0} | change))


def test_faces_that_do_not_fit_the_network_are_refused(faces: Faces) -> None:
    network = build_deepid(FEW - 1, seed=0)
    with pytest.raises(ValueError, match="faces must have labels 0 to 2, not 0 to 3"):
        train_badnet(network, faces, target=0, seed=0)
    alone = Faces(*(part[faces.labels == 0] for part in faces))
    with pytest.raises(ValueError, match="faces must show people other than the target 0"):
        train_badnet(network, alone, target=0, seed=0)
    small = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match=r"pictures \(55, 47, 3\), not \(8, 8, 3\)"):
        train_badnet(small, faces, target=0, seed=0)


@pytest.mark.slow
def test_the_demonstration_has_an_accurate_network_and_a_reliable_backdoor() -> None:
    train = draw_faces(PEOPLE, TRAIN_PICTURES, seed=SEED)
    network = build_deepid(PEOPLE, seed=SEED)
    start = time.perf_counter()
    badnet = train_badnet(network, train, target=0, seed=SEED)
    print(f"trained in {time.perf_counter() - start:.0f} s")
    clean, attack = rates(badnet, draw_faces(PEOPLE, TEST_PICTURES, seed=SEED), target=0)
    assert clean > 0.9
    assert attack > 0.95
