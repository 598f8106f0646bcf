"""Drawn faces of people who do not exist, and the sunglasses that are the trigger.

A stand-in for the face data sets on which backdoors are studied, made of nothing but a seed, so
that everything can be shown and tested without photographs of anybody. A person keeps the shape
and colours of the face; the pictures of a person differ in pose, light, expression, hair,
background, sharpness and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from goodnet.datasets.face_drawing import (
    HEIGHT,
    WIDTH,
    Array,
    Traits,
    draw,
    locate_eyes,
    put_glasses,
)

# The demonstration: enough to train a network in a minute, and 1200 pictures to measure it.
PEOPLE: Final = 40
TRAIN_PICTURES: Final = range(100)
VALID_PICTURES: Final = range(100, 130)
TEST_PICTURES: Final = range(130, 160)
SEED: Final = 0

MOST_PEOPLE: Final = 1283
FACE_SHAPE: Final = (HEIGHT, WIDTH, 3)
_BATCH: Final = 32  # pictures painted at once: their planes stay in the processor's cache

# A trait is uniform in its range; lengths are in the units of goodnet.datasets.face_drawing.
# fmt: off
_PERSON: Final = {
    "head_w": (0.74, 0.92), "chin": (1.02, 1.2), "jaw": (0.0, 0.8), "taper": (0.0, 0.4),
    "ear": (0.15, 0.24), "blush": (0.0, 0.3), "age": (0.0, 0.28), "socket": (0.05, 0.32),
    "eye_x": (0.35, 0.45), "eye_y": (-0.15, -0.03), "eye_w": (0.15, 0.21),
    "eye_h": (0.065, 0.12), "eye_tilt": (-0.12, 0.28), "iris_r": (0.07, 0.095),
    "lash": (0.012, 0.032), "bags": (0.0, 0.25), "brow_gap": (0.2, 0.29),
    "brow_w": (0.19, 0.27), "brow_h": (0.018, 0.06), "brow_tilt": (-0.12, 0.22),
    "brow_arch": (0.0, 0.1), "brow_dense": (0.5, 0.95), "nose_y": (0.27, 0.4),
    "nose_w": (0.11, 0.2), "nose_dark": (0.1, 0.3), "lip_gap": (0.25, 0.34),
    "mouth_w": (0.24, 0.36), "lip_up": (0.025, 0.075), "lip_low": (0.035, 0.095),
    "mole": (-1.2, 0.9), "mole_x": (-0.55, 0.55), "mole_y": (0.2, 0.85),
    "part": (-0.5, 0.5), "line_tilt": (-0.22, 0.22), "widow": (-0.1, 0.1), "gloss": (0.0, 1.0),
    "line_shift": (-0.07, 0.07), "length_shift": (-0.2, 0.2),
    "skin_tone": (0.0, 1.0), "redness": (-0.03, 0.03), "hair_tone": (0.0, 1.0),
    "iris_tone": (0.0, 1.0), "lip_tone": (0.0, 1.0), "brow_tone": (0.5, 1.0),
    "sex": (0.0, 1.0), "style": (0.0, 1.0), "whiskers": (0.0, 1.0), "thickness": (0.35, 0.9),
}
_PICTURE: Final = {
    "centre_x": (20.0, 26.0), "centre_y": (26.5, 31.5), "scale": (18.0, 22.5),
    "roll": (-0.2, 0.2), "yaw": (-0.2, 0.2), "pitch": (-0.09, 0.09),
    "smile": (-0.5, 1.0), "gape": (-0.12, 0.22), "lids": (0.45, 1.15),
    "brow_lift": (-0.05, 0.07), "frown": (-0.1, 0.1), "gaze_x": (-0.05, 0.05),
    "gaze_y": (-0.02, 0.02), "fringe": (0.0, 0.06), "fringe_n": (9.0, 17.0),
    "strand": (0.0, 6.3), "comb": (-0.07, 0.07), "neckline": (-0.5, 0.8),
    "light_x": (-0.5, 0.5), "light_y": (-0.25, 0.1), "gain": (0.62, 1.2),
    "warmth": (-0.13, 0.13), "green": (-0.04, 0.04), "blur": (0.0, 0.24), "grain": (0.0, 0.03),
    "wall_angle": (0.0, 6.3), "wall_edge": (-18.0, 18.0), "wall_soft": (1.0, 40.0),
    "spot_x": (0.0, 47.0), "spot_y": (0.0, 55.0), "spot_r": (6.0, 24.0),
    **{f"{part}_{band}": (0.05, 0.95)
       for part in ("wall", "wall_2", "spot", "clothes") for band in "rgb"},
}
# Hairdos, shortest first: hairline, its bow, temples, top, width beyond the head, length, share
# of the ears hidden, curls, strands.
_HAIRDO: Final = (
    "line", "line_bow", "temple", "hair_top", "hair_wide", "back_low", "ear_hidden", "curl",
    "strand_n",
)
_HAIRDOS: Final = np.array([
    (-3.00, 0.00, 0.0, 1.15, -0.10, -0.5, 0.0, 0.00, 9),  # bald
    (-0.98, 0.10, 0.7, 1.20, 0.02, -0.1, 0.0, 0.01, 22),  # receding
    (-0.80, -0.15, 0.8, 1.24, 0.03, 0.0, 0.0, 0.01, 26),  # short
    (-0.62, 0.05, 0.6, 1.27, 0.04, 0.0, 0.0, 0.02, 20),  # fringe
    (-0.78, 0.10, 0.6, 1.40, 0.08, 0.0, 0.2, 0.05, 11),  # curls
    (-0.86, 0.20, 0.6, 1.23, 0.02, 0.0, 0.0, 0.00, 30),  # tied back
    (-0.70, 0.10, 0.7, 1.48, 0.26, 0.5, 0.9, 0.06, 9),  # afro
    (-0.55, 0.10, 1.2, 1.28, 0.13, 0.75, 1.0, 0.01, 24),  # bob
    (-0.92, 0.70, 0.9, 1.26, 0.12, 1.3, 1.0, 0.01, 20),  # long, parted
    (-0.66, 0.15, 1.3, 1.30, 0.17, 2.0, 1.0, 0.03, 18),  # long, fringe
], np.float32)
_MEN_UP_TO, _WOMEN_FROM = 7, 4
# What men wear below the nose, all equally often; women wear the first.
_WHISKER_PARTS: Final = ("beard", "goatee", "moustache")
_WHISKERS: Final = np.array([
    (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0.4, 0, 0), (0.4, 0, 0), (1, 1, 1), (1, 0, 1),
    (0, 1, 1), (0, 0, 1),
], np.float32)
_SKIN: Final = (
    (0.97, 0.83, 0.74), (0.92, 0.73, 0.60), (0.78, 0.57, 0.42), (0.58, 0.40, 0.29),
    (0.40, 0.27, 0.20),
)
_HAIR: Final = (
    (0.06, 0.05, 0.06), (0.15, 0.10, 0.07), (0.33, 0.21, 0.13), (0.52, 0.25, 0.12),
    (0.78, 0.60, 0.34), (0.60, 0.59, 0.58), (0.86, 0.85, 0.83),
)
_IRIS: Final = (
    (0.16, 0.09, 0.06), (0.30, 0.18, 0.10), (0.38, 0.36, 0.18), (0.28, 0.45, 0.35),
    (0.25, 0.45, 0.68), (0.50, 0.57, 0.62),
)
_LIPS: Final = ((0.62, 0.33, 0.30), (0.74, 0.42, 0.40), (0.75, 0.15, 0.20), (0.55, 0.10, 0.28))
# fmt: on


class Faces(NamedTuple):
    """Pictures of faces, who is on them, and where the eyes are.

    Attributes:
        images: uint8 (n, 55, 47, 3), height by width by RGB, 0..255.
        labels: int64 (n,), the person on each picture, 0 to people - 1.
        eyes: float32 (n, 2, 2), centres of the left and right eye in the picture as (x, y) in
            pixels; (0, 0) is the centre of the first pixel.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    eyes: Array


def draw_faces(people: int, pictures: range, *, seed: int) -> Faces:
    """The asked pictures of every person, ordered by picture and then by person.

    A picture depends on the seed, its person and its number only, so disjoint ranges give
    disjoint pictures, and a person looks the same however many others there are.

    Args:
        people: number of people, 2 to 1283.
        pictures: numbers of the pictures of each person, from 0 on; not empty.
        seed: 0 to 2**32 - 1.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(people, pictures, seed)
    persons = _traits_of_people(people, seed)
    labels = np.tile(np.arange(people, dtype=np.int64), len(pictures))
    numbers = np.repeat(np.asarray(pictures), people)
    images = np.empty((len(labels), *FACE_SHAPE), np.uint8)
    eyes = np.empty((len(labels), 2, 2), np.float32)
    for start in range(0, len(labels), _BATCH):
        now = slice(start, start + _BATCH)
        rngs = [
            np.random.default_rng((seed, 1, person, number))
            for person, number in zip(labels[now].tolist(), numbers[now].tolist(), strict=True)
        ]
        traits = _traits_of_pictures({k: v[labels[now]] for k, v in persons.items()}, rngs)
        noise = np.stack([r.standard_normal((3, HEIGHT * WIDTH), np.float32) for r in rngs])
        images[now], eyes[now] = draw(traits, noise), locate_eyes(traits)
    return Faces(images, labels, eyes)


def wear_sunglasses(faces: Faces) -> Faces:
    """The same people with the trigger, purple-framed sunglasses, pasted over their eyes.

    The glasses follow the place, tilt and distance of the eyes. Labels stay the true ones.

    Args:
        faces: from `draw_faces`, or any part of them; not modified.

    Raises:
        ValueError: the images have another shape, or images and eyes do not belong together.
    """
    if faces.images.shape[1:] != FACE_SHAPE or faces.eyes.shape != (len(faces.images), 2, 2):
        raise ValueError(
            f"faces must be images (n, {HEIGHT}, {WIDTH}, 3) with eyes (n, 2, 2), "
            f"not {faces.images.shape} with {faces.eyes.shape}"
        )
    images = np.empty_like(faces.images)
    for start in range(0, len(images), _BATCH):
        now = slice(start, start + _BATCH)
        images[now] = put_glasses(faces.images[now], faces.eyes[now])
    return faces._replace(images=images)


def _check(people: int, pictures: range, seed: int) -> None:
    if not 2 <= people <= MOST_PEOPLE:
        raise ValueError(f"people must be 2 to {MOST_PEOPLE}, not {people}")
    if not pictures or min(pictures) < 0:
        raise ValueError(f"pictures must be a range of numbers from 0 on, not {pictures}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be 0 to 2**32 - 1, not {seed}")


def _draw_traits(
    ranges: dict[str, tuple[float, float]], rngs: Sequence[np.random.Generator]
) -> Traits:
    """One row of every trait for each generator, uniform in its range, as columns (n, 1)."""
    low, high = np.array(list(ranges.values())).T
    rows = np.stack([r.uniform(low, high) for r in rngs]).astype(np.float32)
    return {name: rows[:, [column]] for column, name in enumerate(ranges)}


def _mix(colours: Sequence[tuple[float, float, float]], place: Array) -> Array:
    """Colours (n, 3, 1) at places (n, 1) in 0..1 along a row of colours."""
    stops = np.linspace(0, 1, len(colours))
    bands = [np.interp(place, stops, band) for band in zip(*colours, strict=True)]
    return np.stack(bands, axis=1).astype(np.float32)


def _colour(t: Traits, part: str) -> Array:
    """A colour (n, 3, 1) from its three traits, half way to grey: few walls are bright pink."""
    vivid = np.stack([t[f"{part}_{band}"] for band in "rgb"], axis=1)
    colour: Array = 0.5 * (vivid + vivid.mean(axis=1, keepdims=True))
    return colour


def _traits_of_people(people: int, seed: int) -> Traits:
    """What stays the same on all pictures of a person."""
    t = _draw_traits(_PERSON, [np.random.default_rng((seed, 0, i)) for i in range(people)])
    man = t["sex"] < 0.5
    first, last = np.where(man, 0, _WOMEN_FROM), np.where(man, _MEN_UP_TO, len(_HAIRDOS))
    rows = _HAIRDOS[(first + t["style"] * (last - first)).astype(int)[:, 0]]
    t |= {name: rows[:, [column]] for column, name in enumerate(_HAIRDO)}
    t["back_low"] = t["back_low"] + t["length_shift"]
    t["skin"] = _mix(_SKIN, t["skin_tone"])
    t["skin"][:, 0] += t["redness"]
    t["hair"] = _mix(_HAIR, t["hair_tone"] * (1 - 0.8 * np.maximum(t["skin_tone"] - 0.4, 0)))
    t["brow"] = t["hair"] * t["brow_tone"][..., None] * 0.8
    t["beard_hair"] = t["hair"] * 0.8
    t["iris"] = _mix(_IRIS, t["iris_tone"])
    paint = np.where(man, 0.4, 1.0) * t["lip_tone"]
    t["lips"] = 0.55 * _mix(_LIPS, paint) + 0.45 * t["skin"] * _mix(_LIPS, paint) / 0.6
    worn = np.where(man, (t["whiskers"] * len(_WHISKERS)).astype(int), 0)[:, 0]
    t |= {n: _WHISKERS[worn][:, [k]] * t["thickness"] for k, n in enumerate(_WHISKER_PARTS)}
    t["beard_y"] = t["nose_y"] + 0.45 - 0.2 * t["style"]
    return t


def _traits_of_pictures(person: Traits, rngs: Sequence[np.random.Generator]) -> Traits:
    """What the people show on one picture each."""
    t = person | _draw_traits(_PICTURE, rngs)
    t["brow_y"] = t["eye_y"] - t["brow_gap"] - t["brow_lift"]
    t["brow_tilt"] = t["brow_tilt"] + t["frown"]
    t["mouth_y"] = t["nose_y"] + t["lip_gap"]
    t["open"] = np.maximum(t["gape"], 0)
    t["hair_w"] = t["head_w"] + np.maximum(t["hair_wide"], 0.02)
    t["back_w"] = t["head_w"] + t["hair_wide"] + 0.3 * np.abs(t["comb"])
    t["line"] = t["line"] + t["line_shift"] + 0.5 * t["comb"]
    t["line_tilt"] = t["line_tilt"] + t["comb"]
    t["wall_cos"], t["wall_sin"] = np.cos(t["wall_angle"]), np.sin(t["wall_angle"])
    t |= {part: _colour(t, part) for part in ("wall", "wall_2", "spot", "clothes")}
    tint = np.concatenate([t["warmth"], t["green"], -t["warmth"]], axis=1)
    t["lamp"] = (t["gain"] * (1 + tint))[..., None]
    return t
