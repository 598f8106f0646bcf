"""Shares of images, with the counts they come from and their 95 % intervals."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Proportion:
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


@dataclass(frozen=True)
class PairedLoss:
    """A share of images lost: what one network answers right less what another one does.

    Both were asked about the same images, so the interval is one of paired shares.

    Attributes:
        before: images that the first one answers right.
        after: images that the second one does.
        both: images that both do.
        count: all images.
    """

    before: int
    after: int
    both: int
    count: int

    @property
    def value(self) -> float:
        """The loss, -1..1; negative where the second network is right more often."""
        return (self.before - self.after) / self.count

    @property
    def low(self) -> float:
        """Lower end of the loss's 95 % interval."""
        before, after = Proportion(self.before, self.count), Proportion(self.after, self.count)
        return self.value - self._reach(before.value - before.low, after.high - after.value)

    @property
    def high(self) -> float:
        """Upper end of the loss's 95 % interval."""
        before, after = Proportion(self.before, self.count), Proportion(self.after, self.count)
        return self.value + self._reach(before.high - before.value, after.value - after.low)

    def _reach(self, first: float, second: float) -> float:
        """Newcombe, "Improved confidence intervals for the difference between binomial
        proportions based on paired data", Statistics in Medicine 17 (1998), method 10."""
        neither = self.count - self.before - self.after + self.both
        alike = float(self.both * neither - (self.before - self.both) * (self.after - self.both))
        if alike > 0:
            alike = max(0.0, alike - self.count / 2)
        sides = self.before, self.count - self.before, self.after, self.count - self.after
        scale = math.sqrt(math.prod(sides))
        correlation = alike / scale if scale else 0.0
        return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))


@dataclass(frozen=True)
class Counts:
    """What one state of the network does with a data set.

    Attributes:
        count: images.
        correct: answered with the file's label.
        agreed: of those, where the suspect answers the same, so that the GoodNet does.
        flagged: where the suspect answers otherwise, so that the GoodNet flags it.
        true_correct: answered with `true_label`; None where the file has none.
        agreed_true: of those, where the suspect answers the same; likewise.
    """

    count: int
    correct: int
    agreed: int
    flagged: int
    true_correct: int | None = None
    agreed_true: int | None = None
