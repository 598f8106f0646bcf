"""Which channels clean images use, and the order to prune them in."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Direction = Literal["ascending", "descending"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


class Order(NamedTuple):
    """Channels in the order they are pruned: `channels[k-1]` is the k-th to go.

    Attributes:
        direction: "ascending", quietest first, or "descending", loudest first.
        channels: indices, each once.
        activations: each channel's mean activation, by index.
    """

    direction: Direction
    channels: tuple[int, ...]
    activations: tuple[float, ...]

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels that are exactly zero on all clean images."""
        return tuple(c for c, value in enumerate(self.activations) if value == 0)

    @property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        """Groups of channels with equal activation: their order among themselves is arbitrary."""
        groups: dict[float, list[int]] = {}
        for channel in self.channels:
            groups.setdefault(self.activations[channel], []).append(channel)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    def kept(self) -> NDArray[np.bool_]:
        """Which channels are left at each k: bool (channels + 1, channels)."""
        count = len(self.channels)
        kept = np.ones((count + 1, count), dtype=bool)
        for k, channel in enumerate(self.channels, start=1):
            kept[k:, channel] = False
        return kept


def order_channels(activations: NDArray[np.float64], direction: Direction) -> Order:
    """The pruning order: channels sorted by mean activation, ties by index.

    Args:
        activations: mean activation of each channel over the clean validation images, (C,).
        direction: "ascending" or "descending".
    """
    signed = activations if direction == "ascending" else -activations
    channels = np.argsort(signed, kind="stable")
    return Order(direction, tuple(channels.tolist()), tuple(activations.tolist()))
