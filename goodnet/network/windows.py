"""Where a change of an image goes in a network: from a rectangle of it to one of each tensor.

A place of a tensor that a convolution or pooling makes sees a rectangle of the tensor before it,

    rows  s o - p .. s o - p + (k - 1) d      for row o of the output, and columns likewise,

with the kernel's size k, its stride s and dilation d, and p rows of padding in front. So what
changes in rows a .. b - 1 changes rows ceil((a + p - (k - 1) d) / s) .. floor((b - 1 + p) / s).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.network.calls import Node, Ref

Pair = tuple[int, int]
Starts = NDArray[np.int64]


class Frame(NamedTuple):
    """A rectangle of each of some tensors (H, W, channels), all of one size.

    Attributes:
        starts: the first row and column of each, (n, 2). Below 0 is padding.
        size: height and width.
    """

    starts: Starts
    size: Pair

    @property
    def area(self) -> int:
        """The places in it."""
        return self.size[0] * self.size[1]

    def differs(self, other: "Frame") -> bool:
        """Whether any rectangle is another one."""
        return self.size != other.size or bool((self.starts != other.starts).any())

    def union(self, other: "Frame", sides: Pair) -> "Frame":
        """The smallest that holds both."""
        ends = np.maximum(self.starts + self.size, other.starts + other.size)
        return frame_of(np.minimum(self.starts, other.starts), ends, sides)

    def cut(self, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is in it, (n, ..., height, width, C), of n tensors (n, ..., H, W, C)."""
        (height, width), corners = self.size, self.starts.tolist()
        windows = [
            each[..., top : top + height, left : left + width, :]
            for each, (top, left) in zip(tensors, corners, strict=True)
        ]
        return np.stack(windows)

    def take(self, rows: Any) -> "Frame":
        """That of some of the tensors."""
        return self._replace(starts=self.starts[rows])


def frame_of(starts: Starts, ends: Starts, sides: Pair) -> Frame:
    """A frame that holds all from starts to ends, (n, 2) each, in tensors of these sides."""
    height, width = (ends - starts).max(axis=0).tolist()
    return Frame(np.minimum(starts, np.subtract(sides, (height, width))), (height, width))


def covered(masks: NDArray[np.float32]) -> tuple[Starts, Starts]:
    """Where masks (n, H, W, 1) are not zero: first rows and columns, and those behind, (n, 2).

    A mask that is zero everywhere is taken to cover the first pixel.
    """
    starts, ends = np.empty((2, len(masks), 2), np.int64)
    for axis in (0, 1):
        lines = (masks[..., 0] != 0).any(axis=2 - axis)
        starts[:, axis] = lines.argmax(axis=1)
        ends[:, axis] = lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    empty = ~(masks != 0).any(axis=(1, 2, 3))
    ends[empty] = starts[empty] + 1
    return starts, ends


class Slide(NamedTuple):
    """How a kernel or a pool slides over a tensor; down and across.

    Attributes:
        reach: (k - 1) d.
        strides: s.
        before: p.
        fill: the value of the padding.
        before_sides: of the input.
        sides: of the output.
        averages: whether it averages, and does not count the padding.
    """

    reach: NDArray[np.int64]
    strides: NDArray[np.int64]
    before: NDArray[np.int64]
    fill: float
    before_sides: Pair
    sides: Pair
    averages: bool

    @classmethod
    def of(cls, layer: Any, before: Pair, after: Pair) -> "Slide":
        """How a Keras layer slides over a tensor of sides `before` to make one of sides `after`."""
        size = getattr(layer, "pool_size", None) or layer.kernel_size
        strides = np.array(layer.strides)
        reach = (np.array(size) - 1) * np.array(getattr(layer, "dilation_rate", (1, 1)))
        padding = np.zeros(2, np.int64)
        if layer.padding == "same":
            padding = np.maximum((np.array(after) - 1) * strides + reach + 1 - before, 0)
        pool = getattr(layer, "pool_mode", "")
        fill, averages = -np.inf if pool == "max" else 0.0, pool == "average" and padding.any()
        return cls(reach, strides, padding // 2, fill, before, after, bool(averages))

    @property
    def stays(self) -> bool:
        """Whether each place sees the same place alone."""
        return not self.reach.any() and bool((self.strides == 1).all())

    def changed(self, frame: Frame) -> Frame:
        """What of the output changes with a frame of the input; one place at least."""
        last = frame.starts + frame.size - 1 + self.before
        starts = -((self.reach - frame.starts - self.before) // self.strides)
        starts = np.clip(starts, 0, np.subtract(self.sides, 1))
        ends = np.clip(last // self.strides + 1, starts + 1, self.sides)
        return frame_of(starts, ends, self.sides)

    def seen(self, frame: Frame) -> Frame:
        """What of the input a frame of the output sees, padding with it."""
        height, width = ((np.array(frame.size) - 1) * self.strides + self.reach + 1).tolist()
        return Frame(frame.starts * self.strides - self.before, (height, width))

    def correction(self, frame: Frame) -> NDArray[np.float32]:
        """What averages with padding are multiplied with, (n, height, width, 1)."""
        shares = []
        for axis, (side, length) in enumerate(zip(self.before_sides, frame.size, strict=True)):
            places = frame.starts[:, axis, None] + np.arange(length)
            first = places * self.strides[axis] - self.before[axis]
            whole = self.reach[axis] + 1
            shares.append(whole / (np.minimum(first + whole, side) - np.maximum(first, 0)))
        down, across = shares
        product = down[:, :, None, None] * across[:, None, :, None]
        return np.asarray(product, np.float32)


class Paste(NamedTuple):
    """Where the values of regions of a tensor are, which is clean but for a window in each.

    They are looked up in a table: first some places of the clean tensor, row by row, then those of
    the windows, one window behind the other, then the padding.

    Attributes:
        places: int32 (n, height, width).
        bounds: the first place of the clean tensor that is needed, and the one behind the last.
    """

    places: NDArray[np.int32]
    bounds: NDArray[np.int32]

    @classmethod
    def of(cls, window: Frame, region: Frame, sides: Pair) -> "Paste":
        """That of n regions, each with its window, of tensors of these sides."""
        rows, columns = (
            region.starts[:, axis, None] + np.arange(region.size[axis]) for axis in (0, 1)
        )
        clean = _places(rows, columns, sides)
        top, bottom = np.clip([rows.min(), rows.max() + 1], 0, sides[0])
        first, last = top * sides[1], bottom * sides[1]
        own = _places(rows - window.starts[:, :1], columns - window.starts[:, 1:], window.size)
        ahead = last - first + np.arange(len(own)) * window.area
        padding = last - first + len(own) * window.area
        around = np.where(clean < 0, padding, clean - first)
        places = np.where(own < 0, around, own + ahead[:, None, None])
        return cls(places.astype(np.int32), np.array([first, last], np.int32))


def _places(rows: Starts, columns: Starts, sides: Pair) -> Starts:
    """The places of some rows (n, h) and columns (n, w), (n, h, w); below 0 beyond the sides."""
    height, width = sides
    beyond = -height * width
    down = np.where((rows >= 0) & (rows < height), rows * width, beyond)
    across = np.where((columns >= 0) & (columns < width), columns, beyond)
    return np.asarray(down[:, :, None] + across[:, None, :])


Frames = Mapping[Ref, Frame]


class Step(NamedTuple):
    """A call that is made on windows.

    Attributes:
        node: the call.
        sources: the tensors that it takes.
        sides: height and width of its output.
        slide: how it slides over its source; None if each place depends on the same place alone.
        shift: rows and columns that it adds in front, down and across.
        cost: of the whole tensor.
    """

    node: Node
    sources: tuple[Ref, ...]
    sides: Pair
    slide: Slide | None
    shift: Pair
    cost: int

    def frame(self, frames: Frames) -> Frame:
        """What of its output changes with these frames of what it takes."""
        frame, *others = (frames[ref] for ref in self.sources)
        if self.slide:
            return self.slide.changed(frame)
        for other in others:
            frame = frame.union(other, self.sides)
        return frame._replace(starts=frame.starts + self.shift)

    @property
    def pastes(self) -> tuple[Ref, ...]:
        """The tensors of which it needs more than the windows."""
        return self.sources if self.slide or len(self.sources) > 1 else ()

    def region(self, frame: Frame) -> Frame:
        """What of these it needs for a frame of its output."""
        return self.slide.seen(frame) if self.slide else frame


class Level(NamedTuple):
    """A place where the windows end.

    Attributes:
        steps: the calls that are made on windows.
        ends: the tensors of these, or the input, that the rest takes.
        rest: the calls behind.
        known: the tensors whose clean values are needed.
        cost: of putting the ends together and of the rest.
        values: of all that is known of one image.
    """

    steps: tuple[Step, ...]
    ends: tuple[Ref, ...]
    rest: tuple[Node, ...]
    known: tuple[Ref, ...]
    cost: int
    values: int
