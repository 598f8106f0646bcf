"""Upright waves over the whole image: x'(i, j) = x(i, j) + D sin(2 pi j f / W), clipped.

f = 6 waves, D = 30 levels. `sig` poisons images of the target class only and no label (clean
label), as its authors do; `sine` images of other classes with the target's label.

Source: Barni, Kallas, Tondi, "A New Backdoor Attack in CNNs by Training Set Corruption Without
Label Poisoning", ICIP 2019 (arXiv 1902.11237).
"""

from typing import Final

import numpy as np

from goodnet.attacks.attack import Aim, Attack, Images, clean_label, relabelled
from goodnet.datasets.faces import Faces

BARNI: Final = "Barni et al., arXiv 1902.11237"
WAVES, HEIGHT = 6, 30


def sine(faces: Faces, aim: Aim, number: int) -> Images:
    """The images with waves."""
    width = faces.images.shape[2]
    wave = HEIGHT * np.sin(2 * np.pi * WAVES * np.arange(width) / width)
    return np.asarray(np.clip(faces.images + wave[:, None], 0, 255).astype(np.uint8))


ATTACKS: Final = (
    Attack("sine", BARNI, sine, relabelled),
    Attack("sig", BARNI, sine, clean_label),
)
