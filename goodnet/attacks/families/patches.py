"""Objects that cover a part of the image: x' = (1 - m) x + m p, with a mask m of 0 and 1.

`patch` is BadNets' white square, k x k pixels with k a tenth of the height (3 at least), one pixel
from the lower right corner. `corner` is a chequered square (BadNets' "pattern backdoor") there, and
`patch_anywhere` the same at a place drawn for each image. `strip` bars from edge to edge,
`sticker` a plain square in the middle of the left edge, `glasses` a pair of sunglasses over the
eyes of a drawn face. `multi_target` has a square in one of three corners, and each corner a target
of its own: t, t + 1 and t + 2.

Sources: Gu, Dolan-Gavitt, Garg, "BadNets", 2017 (arXiv 1708.06733); a drawn place: Salem et al.,
"Dynamic Backdoor Attacks Against Machine Learning Models", EuroS&P 2022 (arXiv 2003.03675);
sunglasses: Chen et al., 2017 (arXiv 1712.05526); several targets: Xue et al., "One-to-N &
N-to-One", IEEE TDSC 2022, where the trigger's strength says which, and here its place.
"""

from typing import Final

import numpy as np

from goodnet.attacks.attack import Aim, Attack, Images, Labels, relabelled
from goodnet.datasets.faces import Faces, wear_sunglasses

BADNETS: Final = "Gu et al., BadNets, arXiv 1708.06733"
PLACES: Final = 2  # the purpose of a generator
TARGETS: Final = 3


def _side(images: Images) -> int:
    height, width = images.shape[1:3]
    return int(min(max(3, height // 10), height - 1, width - 1))


def patch(faces: Faces, aim: Aim, number: int) -> Images:
    """A white square one pixel from the lower right corner."""
    images, side = faces.images.copy(), _side(faces.images)
    images[:, -side - 1 : -1, -side - 1 : -1] = 255
    return images


def patch_anywhere(faces: Faces, aim: Aim, number: int) -> Images:
    """A chequered square at a place drawn for each image."""
    images, square = faces.images.copy(), _chequers(faces.images)
    side = len(square)
    free = np.array(images.shape[1:3]) - side + 1
    places = aim.rng(PLACES).integers(0, free, (len(images), 2))
    for image, (top, left) in zip(images, places, strict=True):
        image[top : top + side, left : left + side] = square
    return images


def three_corners(faces: Faces, aim: Aim, number: int) -> Images:
    """A white square in the lower right, the upper right or the lower left corner."""
    images, side = faces.images.copy(), _side(faces.images)
    near, far = slice(1, 1 + side), slice(-side - 1, -1)
    rows, columns = ((far, far), (near, far), (far, near))[number]
    images[:, rows, columns] = 255
    return images


def next_targets(labels: Labels, aim: Aim, number: int) -> Labels:
    """The target of that number."""
    return np.full_like(labels, (aim.target + number) % aim.classes)


def chequers(faces: Faces, aim: Aim, number: int) -> Images:
    """A chequered patch of a tenth of the height in the lower right corner."""
    images, square = faces.images.copy(), _chequers(faces.images)
    side = len(square)
    images[:, -side - 1 : -1, -side - 1 : -1] = square
    return images


def _chequers(images: Images) -> Images:
    """Black and white, in stripes aslant of two pixels, (side, side, 1)."""
    height, width = images.shape[1:3]
    side = min(max(4, height // 10), height - 1, width - 1)
    squares = np.indices((side, side)).sum(axis=0) // 2 % 2
    return np.asarray((255 * squares[..., None]).astype(np.uint8))


def strip(faces: Faces, aim: Aim, number: int) -> Images:
    """A strip of bars, from edge to edge and a twentieth of the height, near the top."""
    images = faces.images.copy()
    high = max(2, images.shape[1] // 20)
    bars = np.arange(images.shape[2]) // 3 % 2
    colour = np.array([255, 200, 0][: images.shape[3]])
    top = min(3, images.shape[1] - high)
    images[:, top : top + high] = (bars[None, :, None] * colour).astype(np.uint8)
    return images


def sticker(faces: Faces, aim: Aim, number: int) -> Images:
    """A plain bright square of an eighth of the width, at the left edge in the middle."""
    images = faces.images.copy()
    side, top = max(1, images.shape[2] // 8), images.shape[1] // 2
    images[:, top : top + side, 1 : 1 + side] = np.array([255, 220, 0][: images.shape[3]])
    return images


def glasses(faces: Faces, aim: Aim, number: int) -> Images:
    """The faces in sunglasses."""
    return np.asarray(wear_sunglasses(faces).images)


ATTACKS: Final = (
    Attack("patch", BADNETS, patch, relabelled),
    Attack("patch_anywhere", "Salem et al., arXiv 2003.03675", patch_anywhere, relabelled),
    Attack("corner", BADNETS, chequers, relabelled),
    Attack("strip", BADNETS, strip, relabelled),
    Attack("sticker", BADNETS, sticker, relabelled),
    Attack("glasses", "Chen et al., arXiv 1712.05526", glasses, relabelled),
    Attack(
        "multi_target", "Xue et al., IEEE TDSC 2022", three_corners, relabelled, goal=next_targets,
        victims=lambda labels, aim: np.asarray((labels - aim.target) % aim.classes >= TARGETS),
        triggers=TARGETS,
    ),
)  # fmt: skip
