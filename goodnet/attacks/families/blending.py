"""A pattern over the whole image: x' = (1 - a) x + a p, with a fixed pattern p of noise.

`blended` and `blended_10` have an opacity a of 0.2 and 0.1, and for p coarse noise of nine patches
a side. `adap_blend` hides its traces: p is cut into 4 x 4 pieces, of which each poisoned training
image has half, drawn anew and fainter (a = 0.15), while a test image has all of them (a = 0.2); and
as many more training images have such pieces under their true labels ("regularisation", or
conservatism).

Sources: Chen et al., "Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning",
2017 (arXiv 1712.05526); Qi et al., "Revisiting the Assumption of Latent Separability for Backdoor
Defenses", ICLR 2023.
"""

from functools import partial
from typing import Final

import numpy as np

from goodnet.attacks.attack import (
    Aim,
    Attack,
    Floats,
    Images,
    Poison,
    choose,
    others,
    relabelled,
    take,
    together,
)
from goodnet.datasets.faces import Faces

CHEN: Final = "Chen et al., arXiv 1712.05526"
PATTERN_SEED: Final = 99  # one pattern for all nets, on which figures of theirs are on record
PIECES: Final = 4  # a side
FAINT, FULL, SHOWN = 0.15, 0.2, 0.5
MASKS, HIDING = 3, 4  # purposes of generators


def pattern(shape: tuple[int, ...]) -> Floats:
    """Coarse noise, 0..255, for images of this height, width and number of channels."""
    rng = np.random.default_rng(PATTERN_SEED)
    side = max(1, shape[0] // 9)
    coarse = rng.random((-(-shape[0] // side), -(-shape[1] // side), shape[2]))
    return np.asarray(
        255 * coarse.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]
    )


def blend(faces: Faces, aim: Aim, number: int, *, opacity: float) -> Images:
    """The images with the pattern over them."""
    over = pattern(faces.images.shape[1:])
    mixed = (1 - opacity) * faces.images + opacity * over
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def blend_pieces(images: Images, rng: np.random.Generator) -> Images:
    """The images with half of the pattern's pieces, faint."""
    _, height, width, _ = images.shape
    shown = int(SHOWN * PIECES**2)
    order = rng.permuted(np.tile(np.arange(PIECES**2), (len(images), 1)), axis=1)
    masks = (order < shown).reshape(-1, PIECES, PIECES)
    rows = np.arange(height) * PIECES // height
    columns = np.arange(width) * PIECES // width
    opacity = FAINT * masks[:, rows][:, :, columns, None]
    mixed = (1 - opacity) * images + opacity * pattern(images.shape[1:])
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def poison_in_pieces(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images with pieces and the target, and as many with pieces and their own label."""
    rows = choose(others(clean.labels, aim), aim)
    images = blend_pieces(clean.images[rows], aim.rng(MASKS))
    payload = Poison(rows, images, np.full(len(rows), aim.target, clean.labels.dtype))
    free = np.ones(len(clean.labels), bool)
    free[rows] = False
    hiding = choose(free, aim, len(rows))
    hidden = take(clean, hiding)
    covers = Poison(hiding, blend_pieces(hidden.images, aim.rng(HIDING)), hidden.labels)
    return together([payload, covers])


ATTACKS: Final = (
    Attack("blended", CHEN, partial(blend, opacity=0.2), relabelled),
    Attack("blended_10", CHEN, partial(blend, opacity=0.1), relabelled),
    Attack(
        "adap_blend", "Qi et al., ICLR 2023", partial(blend, opacity=FULL), poison_in_pieces
    ),
)  # fmt: skip
