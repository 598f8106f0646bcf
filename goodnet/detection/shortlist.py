"""Which classes are worth a closer look: the costly searches cannot be run for a thousand.

All of them where there are at most ALL. Else those with the largest maximum margin, those that the
last layer points at, and random others, without which there would be nothing to stand out from.

Limits: a target that neither method ranks high is not looked at, and so cannot be named.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]

ALL: Final = 12
FIRST: Final = 8  # by maximum margin
HITS: Final = 4  # by the last layer, at most
SUSPICIOUS_Z: Final = 3.0
CONTROLS: Final = 4


def shortlist(
    margins: NDArray[np.float64], last_layer: NDArray[np.float64] | None, seed: int = 0
) -> Classes:
    """The classes to look at, ascending.

    Args:
        margins: each class's maximum margin, (classes,).
        last_layer: each class's z score, or None.
        seed: of the controls.
    """
    chosen = dict.fromkeys(np.argsort(-margins, kind="stable")[:FIRST].tolist())
    if last_layer is not None:
        order = np.argsort(-last_layer, kind="stable")[:HITS].tolist()
        chosen |= dict.fromkeys(c for c in order if last_layer[c] >= SUSPICIOUS_Z)
    others = np.setdiff1d(np.arange(len(margins)), list(chosen))
    rng = np.random.default_rng((seed, 4))
    controls = rng.choice(others, min(CONTROLS, len(others)), replace=False)
    return np.array(sorted([*chosen, *controls.tolist()]), dtype=np.int64)
