"""How long and how fast a network is trained."""

import math
from typing import Final, NamedTuple

WARM_UP: Final = 0.3  # of the steps, in which the rate rises
FEWEST: Final = 60  # steps, for large networks
MOST_WORK: Final = 15_000_000_000  # steps times multiplications an image; some twelve minutes


class TrainingSchedule(NamedTuple):
    """How a network is trained further.

    Attributes:
        steps: batches.
        rate: the highest rate of Adam, for pixels 0..1.
        seed: of the batches.
    """

    steps: int
    rate: float
    seed: int = 0

    def learning_rate(self, step: int) -> float:
        """The rate of a step: up in a straight line, down along a cosine."""
        rising = max(1, round(WARM_UP * self.steps))
        if step < rising:
            return self.rate * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))


def steps_that_fit(steps: int, work: int) -> int:
    """So many steps, or for a large network as many as take a bearable time; FEWEST at least.

    Args:
        steps: what is best.
        work: multiplications for one image.
    """
    return max(min(FEWEST, steps), min(steps, MOST_WORK // work))
