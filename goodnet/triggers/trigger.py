"""A trigger: what becomes of an image, and for which class.

Some pixels are covered with a pattern, or the image is changed as a whole.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.metrics import Proportion
from goodnet.triggers.changes import AnyChange

Floats = NDArray[np.float32]


def apply_trigger(images: Any, mask: Any, pattern: Any) -> Any:
    """Images with a pattern where, and as far as, a mask covers them.

    Args:
        images: (..., H, W, C), 0..1; arrays or tensors, as are the others.
        mask: (..., H, W, 1), 0..1.
        pattern: (..., H, W, C), 0..1.
    """
    return images * (1 - mask) + mask * pattern


@dataclass(frozen=True, eq=False)
class Trigger:
    """A trigger.

    Attributes:
        target: the class it leads to.
        mask: float32 (H, W, 1), 0..1: how much of a pixel is covered.
        pattern: float32 (H, W, C), 0..1: what covers it.
        source: the class that it leads images from; None if from any.
        change: what is done to the image as a whole; then nothing is covered.
    """

    target: int
    mask: Floats
    pattern: Floats
    source: int | None = None
    change: AnyChange | None = None

    @classmethod
    def changing(cls, target: int, change: AnyChange, image: Sequence[int]) -> "Trigger":
        """The trigger that changes images of a shape (H, W, C) as a whole."""
        nothing = np.zeros((*image[:2], 1), np.float32)
        return cls(target, nothing, np.zeros(tuple(image), np.float32), change=change)

    @property
    def area(self) -> float:
        """The share of the image that it covers or changes, 0..1: the mean of the mask, or all."""
        return 1.0 if self.change else float(self.mask.mean())

    def apply(self, images: Floats, opacity: float = 1.0) -> Floats:
        """The images (..., H, W, C), 0..1, with the trigger; new ones.

        Args:
            images: float32.
            opacity: times the mask, or how much of the change there is.
        """
        if self.change:
            return self.change.weaker(opacity).apply(images)
        mask = self.mask * np.float32(opacity)
        return np.asarray(apply_trigger(images, mask, self.pattern), dtype=np.float32)


class Levels(NamedTuple):
    """Shares 0..1 as 256 levels: uint8, compressed, in base64.

    Attributes:
        shape: of the array.
        content: its levels.
    """

    shape: tuple[int, ...]
    content: str

    @classmethod
    def encode(cls, shares: Floats) -> "Levels":
        """An array of shares, rounded to 256 levels."""
        content = np.rint(255 * shares).astype(np.uint8).tobytes()
        return cls(shares.shape, base64.b64encode(zlib.compress(content, 9)).decode("ascii"))

    def decode(self) -> Floats:
        """The array again, float32 0..1."""
        content = zlib.decompress(base64.b64decode(self.content))
        levels = np.frombuffer(content, np.uint8).reshape(self.shape)
        return np.asarray(levels / np.float32(255), dtype=np.float32)


@dataclass(frozen=True)
class RecoveredTrigger:
    """A trigger that was recovered from a network by means of clean images, as JSON can hold it.

    Attributes:
        target: the class it leads to.
        success: the share of clean images of other classes, or of the source, that it takes to the
            target, images that it was not searched with where there are any: an estimate of the
            ASR.
        margin: the mean margin of the target on them, in the network's clean margins.
        mask: of the trigger, in 256 levels.
        pattern: likewise.
        source: the class that it leads images from; None if from any.
        change: likewise of the trigger.
    """

    target: int
    success: Proportion
    margin: float
    mask: Levels
    pattern: Levels
    source: int | None = None
    change: AnyChange | None = None

    @classmethod
    def encode(cls, trigger: Trigger, success: Proportion, margin: float) -> "RecoveredTrigger":
        """The record of a trigger."""
        levels = Levels.encode(trigger.mask), Levels.encode(trigger.pattern)
        return cls(trigger.target, success, margin, *levels, trigger.source, trigger.change)

    @property
    def trigger(self) -> Trigger:
        """The trigger, rounded to 256 levels."""
        levels = self.mask.decode(), self.pattern.decode()
        return Trigger(self.target, *levels, self.source, self.change)

    @property
    def area(self) -> float:
        """The share of the image that it covers or changes, 0..1."""
        return self.trigger.area

    @property
    def in_words(self) -> str:
        """What it does to an image, for people: "covers 3.9 % of the image"."""
        if self.change:
            return self.change.in_words
        return f"covers {100 * self.area:.1f} % of the image"

    def as_json(self) -> dict[str, Any]:
        """What it does, without mask and pattern, for `json.dumps`."""
        return {
            "target": self.target,
            **({} if self.source is None else {"source": self.source}),
            "area": round(self.area, 4),
            **({} if self.change is None else {"change": self.change.in_words}),
            "success": round(self.success.value, 4),
            "images": self.success.count,
            "margin": round(self.margin, 3),
        }
