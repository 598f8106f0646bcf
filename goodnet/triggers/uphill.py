"""What has variants, moved to where something is larger, by chance."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

ROUNDS: Final = 6
STRENGTHS: Final = (1, 0.5, 0.25, 0.12)  # of a round's variants, EACH of each
EACH: Final = 3


class Varied(Protocol):
    """What has infinitely many variants nearby."""

    def varied(self, rng: np.random.Generator, strength: float) -> Self:
        """A variant: a little of everything else.

        Args:
            rng: draws it.
            strength: how much; 1 is much.
        """


Thing = TypeVar("Thing", bound=Varied)


def move_uphill(
    best: Thing,
    height_of: Callable[[Sequence[Thing]], NDArray[np.float64]],
    rng: np.random.Generator,
) -> Thing:
    """The thing moved to where something is larger, by chance: a variant that is better, or it.

    Args:
        best: the thing to begin with.
        height_of: things -> how large it is for each.
        rng: draws the variants.
    """
    (reached,) = height_of([best])
    for _ in range(ROUNDS):
        variants = [best.varied(rng, strength) for strength in STRENGTHS for _ in range(EACH)]
        heights = height_of(variants)
        if heights.max() > reached:
            best, reached = variants[int(heights.argmax())], heights.max()
    return best
