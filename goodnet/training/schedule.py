"""How long and how fast a network is trained."""

import math
from typing import Final, NamedTuple

WARM_UP: Final = 0.3  # of the steps, in which the rate rises
FEWEST: Final = 60  # steps, for large networks
MOST_WORK: Final = 18_000_000_000_000  # multiplications: ten minutes on two cores, about
PASSES, PASSES_OF_PART = 340, 170  # images through the network for a step, all and part trained
LAST_PART: Final = 0.3  # of a network's multiplications, where a part is trained
LARGE: Final = 50_000_000  # for an image: of a network that takes more no more is ever trained


class TrainingSchedule(NamedTuple):
    """How a network is trained further.

    Attributes:
        steps: batches.
        rate: the highest rate of Adam, for pixels 0..1.
        seed: of the batches.
        level: the share of the steps between its rise and its fall, in which it is the highest.
    """

    steps: int
    rate: float
    seed: int = 0
    level: float = 0.0

    def learning_rate(self, step: int) -> float:
        """The rate of a step: up in a straight line, level, down along a cosine."""
        rising, falling = self._rising, self._falling
        if step < rising:
            return self.rate * (step + 1) / rising
        done = max(0, step - falling) / max(1, self.steps - falling)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))

    @property
    def _rising(self) -> int:
        """The steps in which the rate rises."""
        return max(1, round(WARM_UP * self.steps))

    @property
    def _falling(self) -> int:
        """The step from which on it falls."""
        return self._rising + round(self.level * self.steps)

    def is_level(self, step: int) -> bool:
        """Whether the rate is the highest after so many steps."""
        return self._rising <= step < self._falling

    def falling_from(self, step: int) -> "TrainingSchedule":
        """The same, but shorter: the rate falls from this step on, in proportion to it."""
        steps = min(self.steps, math.ceil(step / (WARM_UP + self.level)))
        return self._replace(steps=steps)


def steps_that_fit(steps: int, work: int, share: float = 1.0) -> int:
    """So many steps, or for a large network as many as MOST_WORK allows; FEWEST at least.

    Args:
        steps: what is best.
        work: multiplications for one image.
        share: of them, in the part that is trained.
    """
    passes = PASSES if share == 1 else PASSES_OF_PART
    return max(min(FEWEST, steps), min(steps, MOST_WORK // (passes * work)))
