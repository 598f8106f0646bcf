"""Drawn faces are reproducible, tell people apart, and wear their sunglasses on the eyes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from goodnet.datasets.face_drawing import Sketch, locate_eyes
from goodnet.datasets.faces import (
    MOST_PEOPLE,
    TEST_PICTURES,
    TRAIN_PICTURES,
    VALID_PICTURES,
    Faces,
    draw_faces,
    wear_sunglasses,
)


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Ten pictures of each of twenty people."""
    return draw_faces(20, range(10), seed=1)


def brightness_at(faces: Faces, points: npt.NDArray[np.floating]) -> float:
    """Mean brightness 0..255 of the pixels nearest to points (n, 2, 2), given as (x, y)."""
    x, y = np.rint(points).astype(int).transpose(2, 0, 1)
    return float(faces.images[np.arange(len(x))[:, None], y, x].mean())


def eye_distances(faces: Faces) -> npt.NDArray[np.floating]:
    return np.hypot(*(faces.eyes[:, 1] - faces.eyes[:, 0]).T)


def test_images_labels_and_eyes_have_the_promised_form(faces: Faces) -> None:
    assert faces.images.shape == (200, 55, 47, 3)
    assert faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert faces.labels.tolist() == list(range(20)) * 10
    assert faces.eyes.shape == (200, 2, 2)
    assert faces.eyes.dtype == np.float32


def test_images_use_the_range_of_pixels(faces: Faces) -> None:
    assert np.quantile(faces.images, 0.05) < 50
    assert np.quantile(faces.images, 0.95) > 200


def test_the_same_seed_gives_the_same_faces(faces: Faces) -> None:
    again = draw_faces(20, range(10), seed=1)
    for part, same in zip(faces, again, strict=True):
        np.testing.assert_array_equal(part, same)


def test_another_seed_gives_other_people(faces: Faces) -> None:
    others = draw_faces(20, range(1), seed=2)
    off = np.abs(others.images.astype(int) - faces.images[:20])
    assert off.mean(axis=(1, 2, 3)).min() > 10


def test_a_picture_depends_on_its_person_and_number_only(faces: Faces) -> None:
    """Neither the number of people, nor the other pictures, nor the place in a batch matter."""
    few = draw_faces(7, range(3, 9, 2), seed=1)
    numbers = np.repeat(np.arange(10), 20)
    same = (faces.labels < 7) & np.isin(numbers, [3, 5, 7])
    np.testing.assert_array_equal(few.images, faces.images[same])
    np.testing.assert_array_equal(few.eyes, faces.eyes[same])


def test_train_valid_and_test_share_no_picture() -> None:
    assert not set(TRAIN_PICTURES) & set(VALID_PICTURES)
    assert not set(TEST_PICTURES) & (set(TRAIN_PICTURES) | set(VALID_PICTURES))


def test_no_two_pictures_of_a_person_are_alike(faces: Faces) -> None:
    pictures = faces.images.reshape(10, 20, -1).astype(int)
    for first in range(10):
        for second in range(first):
            off = np.abs(pictures[first] - pictures[second]).mean(axis=1)
            assert off.min() > 8


def test_people_do_not_share_their_poses(faces: Faces) -> None:
    middles = faces.eyes.mean(axis=1).reshape(10, 20, 2)
    assert middles[:, :, 0].std(axis=1).min() > 1


def test_people_are_told_apart_on_pictures_not_seen_before() -> None:
    """The nearest mean picture finds the person far more often than the 5 % of guessing."""
    seen, unseen = draw_faces(20, range(30), seed=4), draw_faces(20, range(30, 40), seed=4)
    means = seen.images.reshape(30, 20, -1).mean(axis=0)
    means -= means.mean(axis=1, keepdims=True)
    pictures = unseen.images.reshape(200, -1).astype(float)
    pictures -= pictures.mean(axis=1, keepdims=True)
    distances = ((pictures[:, None] - means) ** 2).sum(axis=2)
    assert np.mean(distances.argmin(axis=1) == unseen.labels) > 0.3


def test_as_many_people_as_the_largest_data_set_has() -> None:
    crowd = draw_faces(MOST_PEOPLE, range(1), seed=0)
    assert crowd.labels.tolist() == list(range(1283))
    assert len(np.unique(crowd.images.reshape(1283, -1), axis=0)) == 1283


def test_eyes_are_where_the_picture_has_them() -> None:
    """Bare eyes are dark in the middle: every step aside from there meets brighter skin."""
    faces = draw_faces(60, range(4), seed=5)
    assert (faces.eyes[:, 0, 0] < faces.eyes[:, 1, 0]).all()
    middle = brightness_at(faces, faces.eyes)
    for step in ((4, 0), (-4, 0), (0, 3), (0, -3)):
        assert brightness_at(faces, faces.eyes + np.array(step)) > middle + 8


@pytest.mark.parametrize("roll", [-0.2, 0.2])
@pytest.mark.parametrize("yaw", [-0.2, 0.0, 0.2])
def test_eyes_are_located_where_the_sketch_places_them(roll: float, yaw: float) -> None:
    """As found by searching all pixels for the eyes' place among the features."""
    pose = {"centre_x": 22, "centre_y": 29, "scale": 21, "roll": roll, "yaw": yaw, "pitch": -0.09}
    traits = {"eye_x": 0.4, "eye_y": -0.15} | pose
    columns = {name: np.array([[value]], np.float32) for name, value in traits.items()}
    sketch, eyes = Sketch(columns), locate_eyes(columns)
    for side, located in zip((-0.4, 0.4), eyes[0], strict=True):
        nearest = np.hypot(sketch.x - side, sketch.y + 0.15).argmin()
        np.testing.assert_allclose(located, (nearest % 47, nearest // 47), atol=0.75)


def test_sunglasses_change_only_what_is_around_the_eyes(faces: Faces) -> None:
    worn = wear_sunglasses(faces)
    changed = (worn.images != faces.images).any(axis=3)
    y, x = np.mgrid[:55, :47]
    middles = faces.eyes.mean(axis=1)
    far = np.hypot(x - middles[:, :1, None], y - middles[:, 1:, None])
    assert not changed[far > 1.3 * eye_distances(faces)[:, None, None]].any()
    assert (changed.mean(axis=(1, 2)) > 0.05).all()
    assert (changed.mean(axis=(1, 2)) < 0.35).all()


def test_sunglasses_follow_the_eyes(faces: Faces) -> None:
    """Both eyes vanish behind dark glass, and the frame leans like the line between them."""
    worn = wear_sunglasses(faces)
    x, y = np.rint(faces.eyes).astype(int).transpose(2, 0, 1)
    assert worn.images[np.arange(200)[:, None], y, x].max() < 90
    for before, after, eyes in zip(faces.images, worn.images, faces.eyes, strict=True):
        rows, columns = np.nonzero((before != after).any(axis=2))
        slope = np.polyfit(columns, rows, 1)[0]
        (x0, y0), (x1, y1) = eyes
        assert slope == pytest.approx((y1 - y0) / (x1 - x0), abs=0.12)


def test_sunglasses_turn_with_the_eyes() -> None:
    """A quarter turn of the eyes around the middle of a grey picture turns the glasses by it."""
    grey = np.full((2, 55, 47, 3), 128, np.uint8)
    eyes = np.array([[(15, 27), (31, 27)], [(23, 19), (23, 35)]], np.float32)
    level, turned = wear_sunglasses(Faces(grey, np.zeros(2, np.int64), eyes)).images[:, 4:51]
    assert np.abs(np.rot90(level, -1).astype(int) - turned).max() <= 1


def test_sunglasses_leave_the_given_faces_and_the_true_labels() -> None:
    faces = draw_faces(2, range(2), seed=0)
    images, eyes = faces.images.copy(), faces.eyes.copy()
    worn = wear_sunglasses(faces)
    np.testing.assert_array_equal(faces.images, images)
    np.testing.assert_array_equal(worn.eyes, eyes)
    assert worn.labels.tolist() == [0, 1, 0, 1]
    assert worn.images.dtype == np.uint8


def test_sunglasses_on_a_part_are_those_on_the_whole(faces: Faces) -> None:
    part = Faces(*(values[5:150:29] for values in faces))
    np.testing.assert_array_equal(
        wear_sunglasses(part).images, wear_sunglasses(faces).images[5:150:29]
    )


@pytest.mark.parametrize(
    ("people", "pictures", "seed", "fault"),
    [
        (1, range(2), 0, "people must be 2 to 1283, not 1"),
        (1284, range(2), 0, "people must be 2 to 1283, not 1284"),
        (2, range(0), 0, r"pictures must be .*, not range\(0, 0\)"),
        (2, range(-1, 2), 0, r"pictures must be .*, not range\(-1, 2\)"),
        (2, range(2), -1, r"seed must be 0 to 2\*\*32 - 1, not -1"),
        (2, range(2), 2**32, r"seed must be .*, not 4294967296"),
    ],
)
def test_arguments_out_of_range_are_refused(
    people: int, pictures: range, seed: int, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        draw_faces(people, pictures, seed=seed)


def test_sunglasses_refuse_images_and_eyes_that_do_not_belong_together(faces: Faces) -> None:
    with pytest.raises(ValueError, match=r"not \(200, 55, 47, 3\) with \(199, 2, 2\)"):
        wear_sunglasses(faces._replace(eyes=faces.eyes[1:]))
    with pytest.raises(ValueError, match=r"not \(200, 55, 40, 3\)"):
        wear_sunglasses(faces._replace(images=faces.images[:, :, :40]))
