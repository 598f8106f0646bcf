"""The curve, and where on it the repaired models are taken.

Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3. Only clean validation
images are counted in what this module chooses from; poisoned ones are not a parameter.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from goodnet.errors import RequestRefused
from goodnet.metrics import Counts
from goodnet.pruning.order import Order


class Drop(NamedTuple):
    """A repaired model's place on the curve.

    Attributes:
        points: the asked fall of clean validation accuracy, in percentage points.
        k: the smallest number of channels pruned at which accuracy has fallen that far; None
            where no k reaches it.
        largest: the largest fall seen on the curve, in points.
    """

    points: str
    k: int | None
    largest: float


def parse_points(thresholds: Sequence[float | str]) -> tuple[str, ...]:
    """The thresholds in points, smallest first, each once, in their shortest form.

    Raises:
        RequestRefused: one is not a number above 0 and at most 100, or none is given.
    """
    exact = set()
    for points in thresholds:
        try:
            value = Fraction(str(points))
        except (ValueError, ZeroDivisionError):
            raise RequestRefused("--drop", f"{points!r} is not a number of points") from None
        if not 0 < value <= 100 or value * 10**6 != int(value * 10**6):
            raise RequestRefused("--drop", f"{points} is not between 0 and 100 points")
        exact.add(value)
    if not exact:
        raise RequestRefused("--drop", "needs at least one number of points")
    return tuple(f"{float(value):.6f}".rstrip("0").rstrip(".") for value in sorted(exact))


def find_drop(correct: Sequence[int], count: int, points: str) -> Drop:
    """The first k whose clean accuracy lies at least `points` below the suspect's.

    Counts are compared, not rounded shares: 100 (correct[0] - correct[k]) >= points * count.

    Args:
        correct: clean validation images answered right with k = 0, 1, ... channels pruned.
        count: clean validation images.
        points: percentage points, from `parse_points`.
    """
    needed = Fraction(points) * count / 100
    k = next((k for k, right in enumerate(correct) if correct[0] - right >= needed), None)
    return Drop(points, k, 100 * (correct[0] - min(correct)) / count)


class Curve(NamedTuple):
    """Clean accuracy and attack success of one order at k = 0 .. channels pruned.

    Attributes:
        order: which channel goes at each k.
        clean_correct: clean validation images answered right, for each k.
        clean_count: clean validation images.
        attack_hits: poisoned validation images answered with the target; None without a set.
        poisoned_count: poisoned validation images, 0 without a set.
        drops: where the repaired models are taken, from the clean counts alone.
    """

    order: Order
    clean_correct: tuple[int, ...]
    clean_count: int
    attack_hits: tuple[int, ...] | None
    poisoned_count: int
    drops: tuple[Drop, ...]

    @property
    def fractions(self) -> tuple[float, ...]:
        """The fraction of channels pruned at each k, 0..1."""
        channels = len(self.order.channels)
        return tuple(k / channels for k in range(channels + 1))

    @property
    def clean_accuracy(self) -> tuple[float, ...]:
        """Share of clean validation images answered right at each k, 0..1."""
        return tuple(right / self.clean_count for right in self.clean_correct)

    @property
    def attack_success(self) -> tuple[float, ...] | None:
        """Share of poisoned validation images answered with the target at each k, 0..1."""
        if self.attack_hits is None:
            return None
        return tuple(hits / self.poisoned_count for hits in self.attack_hits)


def make_curve(
    order: Order, clean: Sequence[Counts], poisoned: Sequence[Counts] | None, points: Sequence[str]
) -> Curve:
    """The curve of one order.

    Args:
        order: the order channels were pruned in.
        clean: what the network does with the clean validation images at k = 0, 1, ... pruned.
        poisoned: with the poisoned ones; they draw a line in the curve and have no part in the
            drops.
        points: the thresholds, from `parse_points`.
    """
    correct, count = tuple(counts.correct for counts in clean), clean[0].count
    drops = tuple(find_drop(correct, count, p) for p in points)
    if poisoned is None:
        return Curve(order, correct, count, None, 0, drops)
    hits = tuple(counts.correct for counts in poisoned)
    return Curve(order, correct, count, hits, poisoned[0].count, drops)
