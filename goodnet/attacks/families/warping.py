"""WaNet: the image is warped a little, by a smooth field that is the same for all images.

A field P of k x k displacements, uniform in -1..1 and divided by its mean size, is brought to the
size of the image by bicubic interpolation; pixels move, in coordinates -1..1, by s P / H. Poisoned
images are warped by it and have the target's label. Twice as many are warped by the field plus
uniform noise, 1 / H at most, drawn for each pixel and image, and keep their label ("noise mode"):
so that this warp is learnt and not just any.

`wanet` has k = 4 and s = 0.5 as in the paper, a quarter of a pixel on average, which takes a large
network and many epochs to be learnt; `wanet_strong` has s = 2, one pixel.

Source: Nguyen, Tran, "WaNet - Imperceptible Warping-based Backdoor Attack", ICLR 2021
(arXiv 2102.10369).
"""

from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goodnet.attacks.attack import (
    Aim,
    Attack,
    Images,
    Poison,
    choose,
    relabelled,
    take,
    together,
)
from goodnet.datasets.faces import Faces

WANET: Final = "Nguyen and Tran, arXiv 2102.10369"
POINTS: Final = 4  # a side of the field
NOISY: Final = 2  # images in noise mode for each poisoned one
FIELD, NOISE = 5, 6  # purposes of generators


def field(aim: Aim, height: int, width: int) -> NDArray[np.float64]:
    """The field P, (H, W, 2): down and across."""
    points = aim.rng(FIELD).uniform(-1, 1, (2, POINTS, POINTS)).astype(np.float32)
    points /= np.abs(points).mean()
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))
        for plane in points
    ]
    return np.stack(planes, axis=-1).astype(np.float64)


def warp(images: Images, moves: NDArray[Any]) -> Images:
    """Images of which pixel (i, j) is that at (i, j) + moves, between four pixels.

    Args:
        images: (n, H, W, C).
        moves: (H, W, 2) or (n, H, W, 2), in coordinates of -1..1 from edge to edge.
    """
    count, height, width, _ = images.shape
    ends = np.array([height - 1, width - 1])
    places = np.moveaxis(np.indices((height, width)), 0, -1) + moves * ends / 2
    places = np.broadcast_to(np.clip(places, 0, ends), (count, height, width, 2))
    first = np.minimum(places.astype(np.int64), np.maximum(ends - 1, 0))
    last = np.minimum(first + 1, ends)
    down, across = np.moveaxis((places - first)[..., None], 3, 0)
    each = np.arange(count)[:, None, None]
    upper, lower = (
        (1 - across) * images[each, rows, first[..., 1]] + across * images[each, rows, last[..., 1]]
        for rows in (first[..., 0], last[..., 0])
    )
    return np.asarray(np.rint((1 - down) * upper + down * lower), dtype=np.uint8)


def warped(faces: Faces, aim: Aim, number: int, *, strength: float) -> Images:
    """The images, warped by the field."""
    height, width = faces.images.shape[1:3]
    return warp(faces.images, strength * field(aim, height, width) / height)


def poison_with_noise_mode(attack: Attack, clean: Faces, aim: Aim, *, strength: float) -> Poison:
    """Warped images with the target, and others warped at random with their own label."""
    payload = relabelled(attack, clean, aim)
    free = np.ones(len(clean.labels), bool)
    free[payload.rows] = False
    rows = choose(free, aim, NOISY * len(payload.rows))
    noisy = take(clean, rows)
    height, width = noisy.images.shape[1:3]
    noise = aim.rng(NOISE).uniform(-1, 1, (len(rows), height, width, 2))
    moves = (strength * field(aim, height, width) + noise) / height
    return together([payload, Poison(rows, warp(noisy.images, moves), noisy.labels)])


ATTACKS: Final = tuple(
    Attack(
        name,
        WANET,
        partial(warped, strength=strength),
        partial(poison_with_noise_mode, strength=strength),
    )
    for name, strength in (("wanet", 0.5), ("wanet_strong", 2.0))
)
