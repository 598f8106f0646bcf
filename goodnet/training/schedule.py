"""How long and how fast a network is trained."""

import math
from typing import Final, NamedTuple

WARM_UP: Final = 0.3  # of the steps, in which the rate rises


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
