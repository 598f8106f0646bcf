"""Clean images with small patterns on them: a network's answers, at the cost of what these change.

Searches put many patterns on the same few images. What the first layers make of the clean images is
computed once; of an image with a pattern only windows are, see `windowed`. The answers are those of
the plain way, up to the rounding of float32. Where windows save nothing, the plain way is taken.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from threading import Lock
from typing import Final
from weakref import ref as weak

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_parts, tf
from goodnet.datasets.images import Pixels
from goodnet.network.calls import Ref
from goodnet.network.classifier import MOST_VALUES, LogitModel, Tensor, at_once, block_of
from goodnet.network.windowed import WindowedNetwork
from goodnet.network.windows import Frame, Level, covered, frame_of

HELD: Final = 1 << 26  # values of clean images, in all: 256 MB
CALL: Final = 70_000_000  # multiplications that it costs to call it, about
TOGETHER: Final = 4 * MOST_VALUES  # values of a tensor that is made at once
TYPICAL: Final = ((0.14, 0.14), (0.06, 1.0), (0.22, 0.22))  # of the sides
SIZES: Final = 4  # patterns whose sizes differ by less than a side through this go together

Logits = NDArray[np.float32]
Rows = NDArray[np.int64]


class StampedImages:
    """Some images that patterns are put on. The network's weights must not change meanwhile.

    Args:
        model: the network.
        pixels: the images, (n, H, W, C), 0..1.
    """

    def __init__(self, model: LogitModel, pixels: Pixels) -> None:
        self.model, self.pixels = model, pixels
        self._lock, self._known = Lock(), dict[Ref, Tensor]()

    @property
    def _network(self) -> WindowedNetwork:
        return self.model.windowed(self.pixels.shape[1:])

    def logits(self, masks: Pixels, patterns: Pixels) -> Logits:
        """The scores of all images with each pattern, (p, n, classes), computed here.

        Args:
            masks: how much of each pixel is covered, (p, H, W, 1); or (1, H, W, 1), for all.
            patterns: what covers it, (p, H, W, C).
        """
        count = len(patterns)
        if count == 1:
            return self._plain_logits(masks, patterns)
        masks = np.broadcast_to(masks, (count, *masks.shape[1:]))
        (starts, ends), (height, width) = covered(masks), self.pixels.shape[1:3]
        result = np.empty((count, len(self.pixels), self.model.classes), np.float32)
        for rows in _of_one_size(ends - starts, (height, width)):
            frame = frame_of(starts[rows], ends[rows], (height, width))
            result[rows] = self._together(frame, masks[rows], patterns[rows])
        return result

    def all_logits(self, masks: Pixels, patterns: Pixels) -> Logits:
        """The same of many patterns, computed in workers."""
        if len(patterns) == 1:
            only = masks[0], patterns[0]
            return self.model.all_logits(self.pixels, lambda some: _covered_with(some, *only))[None]
        masks = np.broadcast_to(masks, (len(patterns), *masks.shape[1:]))
        return np.concatenate(list(in_parts(self.logits, masks, patterns)))

    def forget(self) -> None:
        """Let go of what is known of the clean images; it can be computed again."""
        self._known = {}

    def _plain_logits(self, masks: Pixels, patterns: Pixels) -> Logits:
        """The scores of all images with each pattern, each image run whole."""
        logits = list[Logits]()
        block, some = block_of(self.pixels), list[Logits]()
        for rows in _parts(len(patterns), block // len(self.pixels)):
            for images in np.array_split(self.pixels, -(-len(self.pixels) // block)):
                plain = _covered_with(images, masks[rows, None], patterns[rows, None])
                flat = plain.reshape(-1, *plain.shape[2:])
                some.append(self.model.some_logits(flat).reshape(*plain.shape[:2], -1))
            logits.append(np.concatenate(some, axis=1))
            some.clear()
        return np.concatenate(logits)

    def _together(self, frame: Frame, masks: Pixels, patterns: Pixels) -> Logits:
        """The scores of all images with patterns of one size, (p, n, classes)."""
        frames, images = self._network.frames(frame), len(self.pixels)
        level, cost = self._network.cheapest(frames, HELD / images)
        saved = (self._network.cost - cost) * images * len(patterns)
        if level is None or len(patterns) == 1 or saved <= CALL:
            return self._plain_logits(masks, patterns)
        together = max(1, TOGETHER // self._network.largest(level, frames))
        result = np.empty((len(patterns), images, self.model.classes), np.float32)
        clean = self._clean(level)
        for some in _parts(images, together):
            known = {ref: clean[ref][some] for ref in level.known} if together < images else clean
            for rows in _parts(len(patterns), together // (some.stop - some.start)):
                own = {ref: each.take(rows) for ref, each in frames.items()}
                windows = self._windows(own[self._network.input], some, masks[rows], patterns[rows])
                logits = self._network.logits(level, known, own, windows)
                result[rows, some] = logits.reshape(*windows.shape[:2], -1).swapaxes(0, 1)
        return result

    def _windows(self, frame: Frame, some: slice, masks: Pixels, patterns: Pixels) -> Pixels:
        """What the network takes of some images with patterns, (n, p, height, width, C)."""
        images = np.broadcast_to(self.pixels[some], (len(masks), *self.pixels[some].shape))
        shown = (frame.cut(each) for each in (images, masks[:, None], patterns[:, None]))
        inputs = self.model.preprocessing.apply(_covered_with(*shown))
        return np.ascontiguousarray(inputs.swapaxes(0, 1), np.float32)

    def _clean(self, level: Level) -> Mapping[Ref, Tensor]:
        """What windows need of the clean images, computed once."""
        with self._lock:
            known = self._known
            if not known.keys() >= {*level.known}:
                parts = _parts(len(self.pixels), at_once(self.pixels.shape[1:]))
                made = [self._network.clean(self._inputs(part), level) for part in parts]
                new = {ref: tf.concat([each[ref] for each in made], axis=0) for ref in level.known}
                both = {**known, **new}
                self._known = known = both if _values(both) <= HELD else new
        _hold(self, _values(known))
        return known

    def _inputs(self, some: slice) -> Pixels:
        """What the network takes of some clean images."""
        return np.asarray(self.model.preprocessing.apply(self.pixels[some]), np.float32)


def typical_share(model: LogitModel, shape: tuple[int, ...], images: int) -> float:
    """What an image with a small pattern costs, as a share of a whole pass, 0..1.

    The mean over a patch, a strip and an object of usual sizes in the middle of the image.

    Args:
        model: the network.
        shape: height, width and channels of the images.
        images: so many clean ones are looked at together.
    """
    height, width, _ = shape
    network, middle, shares = model.windowed(shape), np.array([[height // 2, width // 2]]), []
    for size in TYPICAL:
        half = np.ceil(np.multiply(size, (height / 2, width / 2))).astype(np.int64)
        half = np.minimum(half, middle)
        frame = frame_of(middle - half, middle + half, (height, width))
        _, cost = network.cheapest(network.frames(frame), HELD / images)
        shares.append(cost / network.cost if network.cost else 1.0)
    return float(np.mean(shares))


def _parts(count: int, most: int) -> Iterator[slice]:
    """Parts of so many things, of about the same size, at most so many each."""
    number = -(-count // max(1, most))
    ends = [round(count * each / number) for each in range(number + 1)]
    return (slice(*both) for both in pairwise(ends))


def _values(tensors: Mapping[Ref, Tensor]) -> int:
    return sum(int(each.shape.num_elements()) for each in tensors.values())


def _covered_with(images: Pixels, masks: Pixels, patterns: Pixels) -> Pixels:
    """Images with patterns where, and as far as, masks cover them; as `apply_trigger`."""
    return images * (1 - masks) + masks * patterns


def _of_one_size(sizes: Rows, sides: tuple[int, int]) -> Iterator[Rows]:
    """The rows of patterns of about the same size, (p, 2)."""
    classes = -(-SIZES * sizes // np.array(sides))
    for each in np.unique(classes, axis=0):
        yield np.flatnonzero((classes == each).all(axis=1))


_HOLDERS: dict[weak[StampedImages], int] = {}  # and how many values each holds; the latest last
_HOLDERS_LOCK = Lock()


def _hold(holder: StampedImages, values: int) -> None:
    """Let some images keep what they know; those that were not asked for long forget it."""
    with _HOLDERS_LOCK:
        _HOLDERS.pop(weak(holder), None)
        _HOLDERS[weak(holder)] = values
        for other in [*_HOLDERS]:
            held = other()
            if held is None:
                del _HOLDERS[other]
            elif sum(_HOLDERS.values()) > HELD and held is not holder:
                held.forget()
                del _HOLDERS[other]
