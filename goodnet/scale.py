"""The pixel scale a network was trained at: a value that travels with it.

The lab has both kinds of net, and a net fed at the wrong scale answers nonsense without an error.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Literal, NamedTuple

from goodnet.errors import RequestRefused
from goodnet.metrics import Proportion


class Scale(Enum):
    """What white is: 255 (`raw`) or 1 (`unit`)."""

    RAW = "raw"
    UNIT = "unit"

    @property
    def white(self) -> float:
        """The value of a pixel at full intensity; black is 0."""
        return 255.0 if self is Scale.RAW else 1.0


class PixelScaleInfo(NamedTuple):
    """The pixel scale of a network.

    Attributes:
        scale: the scale.
        chosen: whether it was asked for, or found by means of clean images.
        tried: the clean validation accuracy at every scale that was tried.
    """

    scale: Scale
    origin: Literal["given", "found"]
    accuracies: Mapping[Scale, Proportion]


def choose_scale(
    accuracies: Mapping[Scale, Proportion], chance: float, source: object
) -> PixelScaleInfo:
    """The scale with the higher clean validation accuracy; on a tie, the raw one.

    Args:
        tried: clean validation accuracy at each scale.
        chance: what answering the most frequent label always would give, 0..1.
        source: the model, for the error message.

    Raises:
        RequestRefused: no accuracy is above chance, beyond its 95 % interval.
    """
    best = max(
        sorted(accuracies, key=lambda scale: scale.value), key=lambda scale: accuracies[scale].value
    )
    if accuracies[best].low <= chance:
        shares = ", ".join(f"{scale.value} {share}" for scale, share in accuracies.items())
        raise RequestRefused(
            source,
            f"answers clean validation images no better than chance ({chance:.1%}) at any "
            f"pixel scale (tried: {shares}); model and data do not belong together, or the labels "
            "are wrong",
        )
    return PixelScaleInfo(best, "found", accuracies)
