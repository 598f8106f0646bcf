"""Maximum margin: how far one image can be driven into a class, whatever the image.

Statistic: for each class c, from noise, gradient ascent on the pixels x of

    max_x  f_c(x) - max_{k != c} f_k(x),      0 <= x <= 1,

with the logits f; x is noise covered, as far as it helps, by a pattern. The class that a backdoor
leads to reaches farther than others.

Source: Wang, Xiang, Miller, Kesidis, "MM-BD: Post-Training Detection of Backdoor Attacks with
Arbitrary Backdoor Pattern Types Using a Maximum Margin Statistic", IEEE S&P 2024 (arXiv
2205.06900). Theirs ends in a test against a null distribution; here it only makes the shortlist:
on clean networks of few classes the runner-up is often as far ahead as a target.

Limits: at the wrong pixel scale it answers nonsense. It sees no clean image, so natural features
count as much as a trigger.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.detection.problem import CleanImages, View
from goodnet.detection.search import Progress, no_progress

NAME: Final = "maximum margin"
STEPS: Final = 40
RATE: Final = 0.2
COARSE: Final = 2  # pixels a side of a cell
NOBODY: Final = -1  # the label of the noise: it belongs to no class


def score(
    view: View, shape: tuple[int, int, int], seed: int = 0, progress: Progress = no_progress
) -> NDArray[np.float64]:
    """The maximum margin of each class in logits, (classes,).

    Args:
        view: the network.
        shape: height, width, channels of its images.
        seed: of the noise.
        progress: called with (searches done, searches in all).
    """
    rng = np.random.default_rng((seed, 2))
    noise = CleanImages(rng.random((1, *shape), dtype=np.float32), np.array([NOBODY]))
    classes = np.arange(view.classes)
    found = view.search.run(
        noise, classes, (1.0,), steps=STEPS, rate=RATE, coarse=COARSE, seed=seed, progress=progress
    )
    return found[0].margins.astype(np.float64)
