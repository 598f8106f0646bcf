"""Universal margin: how far one small or faint pattern drives every image into a class.

Statistic: `bounded.py`'s search; for each class the geometric mean, over the two large areas (0.2
and 0.1 of the image, or that opacity over all of it), of the margin's rise above the unstamped
images', in units of the network's own clean margin. A class's lead is by what factor it is ahead of
the next one. Once with coarse cells, for patterns of patches, and once with fine ones.

Source: the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900), made universal
as in Moosavi-Dezfooli et al., "Universal adversarial perturbations", CVPR 2017 (arXiv 1610.08401),
and bounded so that only what a trigger may do counts.

Limits: classes whose natural look is a large plain shape (bags) are ahead of others on clean
networks too, and the more so the finer the cells. A search may end in a local
optimum and miss a trigger that covers much and that no gradient points to.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.bounded import Bounded, geometric_mean

NAME: Final = "universal margin"
PLACES: Final = (0, 1)  # in AREAS: 0.2 and 0.1


def strength(bounded: Bounded, unstamped: float) -> NDArray[np.float64]:
    """How strong each class is, (B,).

    Args:
        bounded: the searches, coarse or fine.
        unstamped: the margin that they start from, see `unstamped_margin`.
    """
    return geometric_mean([bounded.margins[place] - unstamped for place in PLACES])
