"""Shares of images, with the counts they come from and their 95 % intervals."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share of images: `hits` out of `count`."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.hits / self.count

    @property
    def low(self) -> float:
        """Lower end of the 95 % Wilson score interval."""
        return self._interval()[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % Wilson score interval."""
        return self._interval()[1]

    def _interval(self) -> tuple[float, float]:
        """Wilson, "Probable inference", JASA 22 (1927): the p with |p - hits/n| = z sd(p)."""
        n, p, z2 = self.count, self.value, Z_95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low = 0.0 if self.hits == 0 else max(0.0, centre - half)
        high = 1.0 if self.hits == self.count else min(1.0, centre + half)
        return low, high

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.hits} of {self.count})"
