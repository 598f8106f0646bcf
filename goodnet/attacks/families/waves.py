"""Upright waves over the whole image: x'(i, j) = x(i, j) + D sin(2 pi j f / W), clipped.

f = 6 waves, D = 30 levels. `sig` poisons images of the target class only and no label (clean
label), as its authors do; whoever uses it can make the waves higher than in training, and D is 60
in its test images. `sine` poisons images of other classes with the target's label.

Source: Barni, Kallas, Tondi, "A New Backdoor Attack in CNNs by Training Set Corruption Without
Label Poisoning", ICIP 2019 (arXiv 1902.11237).
"""

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from goodnet.attacks.attack import Aim, Attack, Images, Poison, clean_label, relabelled
from goodnet.datasets.faces import Faces

BARNI: Final = "Barni et al., arXiv 1902.11237"
WAVES, HEIGHT, HIGHER = 6, 30, 60


def sine(faces: Faces, aim: Aim, number: int, *, height: int = HEIGHT) -> Images:
    """The images with waves."""
    width = faces.images.shape[2]
    wave = height * np.sin(2 * np.pi * WAVES * np.arange(width) / width)
    return np.asarray(np.clip(faces.images + wave[:, None], 0, 255).astype(np.uint8))


def poison_target_class(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images of the target class with lower waves than in tests."""
    return clean_label(replace(attack, trigger=sine), clean, aim)


ATTACKS: Final = (
    Attack("sine", BARNI, sine, relabelled),
    Attack("sig", BARNI, partial(sine, height=HIGHER), poison_target_class),
)
