"""Trigger inversion: patterns of coarse cells that gradients lead to a class.

At a location r a pattern of few cells is drawn by chance and moved uphill, with Adam, on the mean
margin of class c over clean images x of other classes, in the network's clean margins:

    max_p  m_c(r, p) = mean_x [ f_c(x') - max_{k != c} f_k(x') ],    x' = x with p at r.

For every class of every network such a search finds something. What counts is what is left after
what the same pattern does to networks without a backdoor is taken away, see `baseline`:

    e_c(r) = robust_c(r, p) - max( innocent_c(r, p), own_c(r), -1 ),

robust_c being the mean over the lowest quarter of images, others than the pattern was searched
with. With r the whole image, all classes are searched alike, and a pattern may be one that no plain
one resembles. A class's number is its lead there, over the most that any other may have and over
-1: where no class comes near, one that is less far is no target. Classes that plain patterns come
near to are searched for in small patches, too, and others at patches where these bring them nearer
than at most; such a class's number is its largest e_c there. At
larger locations a search finds something for every class of every network; there it only serves to
find a trigger that works better, for classes that stand out.

Source: the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900), made universal
as in Moosavi-Dezfooli et al., "Universal adversarial perturbations", CVPR 2017 (arXiv 1610.08401),
and bound to a location. Searching a trigger by gradient is "trigger inversion" since Wang et al.,
"Neural Cleanse", IEEE S&P 2019. Holding it against references is ours.

Limits: without references a class that is easily reached looks like a target. Two classes with a
pattern over the whole image hide each other's lead.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_workers, tf
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import (
    FLOOR,
    Candidate,
    Numbers,
    SearchResult,
    excesses,
    lead_over_next,
)
from goodnet.detection.method import TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel, at_once
from goodnet.progress import Progress
from goodnet.training.adam import adam_step
from goodnet.triggers.locations import WHOLE, Location
from goodnet.triggers.success import trigger_margins

PATCHES: Final = TriggerMethod(
    "searched patches",
    threshold=1.0,
    suspicion_threshold=0.8,
    candidates=SearchResult.best_patches,
    score=excesses,
)
BLENDED: Final = TriggerMethod(
    "blended triggers",
    threshold=1.0,
    suspicion_threshold=0.85,
    candidates=SearchResult.blended,
    score=lead_over_next,
)
STEPS: Final = 30
RATE: Final = 0.2
BATCH: Final = 8  # images that a pattern is moved on
TOGETHER: Final = 64  # patterns, of images up to 64 x 64; of larger ones fewer
SMALL_LOCATIONS: Final = {"patch": 3}  # of a class
OF_A_CLASS: Final = 3  # patches that stand out
LARGE_LOCATIONS: Final = {"band": 2, "column": 2, "strip": 1}
CELLS: Final = 14  # cells over the longer side of an image
PATCH_CELLS: Final = 4  # over a patch, at most
SEARCH_IMAGES, MEASURE_IMAGES = 48, 64

Tensor = Any
Rows = NDArray[np.int64]


def invert_triggers(
    model: LogitModel,
    clean: CleanImages,
    baseline: BenignBaseline,
    starts: Sequence[tuple[int, Location]],
    *,
    seed: int,
    progress: Progress,
) -> list[Candidate]:
    """A trigger by gradient for each class and location.

    What is innocent is not asked for where the margin is at most FLOOR, but for whole images: of
    these each class is held against the next.

    Args:
        model: the network.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        starts: the classes, each with a location.
        seed: of the choice of images and the patterns' starts.
        progress: called with (patterns done, patterns in all).
    """
    rng = np.random.default_rng((seed, 8))
    searched, measured = clean.draw(SEARCH_IMAGES + MEASURE_IMAGES, rng).divided(SEARCH_IMAGES)
    inverter, response = TriggerInverter(model, searched, rng), baseline.response(measured)
    tried = ShownImages(model, baseline.clean_margin, measured)
    candidates = list[Candidate]()
    most = at_once(clean.pixels.shape[1:])  # gradients take memory
    together = TOGETHER if most >= TOGETHER else WORKERS * max(1, most // BATCH)
    for first in range(0, len(starts), together):
        part = starts[first : first + together]
        for (target, location), pattern in zip(part, inverter.patterns(part), strict=True):
            trigger = location.trigger(target, pattern)
            shown = trigger.mask, [pattern]
            margin = float(tried.robust_margins(*shown, spread=True)[0, target])
            candidate = Candidate(trigger, location, margin)
            if margin > FLOOR or location.location_type == WHOLE:
                own = baseline.own_class_margin(target, location.mask)
                gain = float(response.gain(*shown)[0, target])
                plain = float(response.plain_margins[target])
                candidate = Candidate(trigger, location, margin, max(FLOOR, own), gain, plain)
            candidates.append(candidate)
        progress(len(candidates), len(starts))
    return candidates


def nearest_locations(
    locations: Sequence[Location], reached: Numbers, counts: Mapping[str, int]
) -> list[Location]:
    """The locations where plain patterns come nearest to a class.

    Args:
        locations: all of them.
        reached: how near plain patterns come to the class at each, (R,).
        counts: how many are chosen of each type.
    """
    order = [locations[number] for number in np.argsort(-reached, kind="stable")]
    return [
        location
        for location_type, count in counts.items()
        for location in [each for each in order if each.location_type == location_type][:count]
    ]


def outstanding_patches(
    locations: Sequence[Location], reached: Numbers, count: int
) -> list[tuple[int, Location]]:
    """The classes and patches where plain patterns come nearest, beyond the class's median patch.

    Args:
        locations: all of them.
        reached: how near plain patterns come to each class at each, (R, classes).
        count: how many are chosen at most, OF_A_CLASS of one class.
    """
    patches = [row for row, each in enumerate(locations) if each.location_type == "patch"]
    beyond = reached[patches] - np.median(reached[patches], axis=0)
    chosen, taken = list[tuple[int, Location]](), Counter[int]()
    for number in np.argsort(-beyond, axis=None, kind="stable").tolist():
        patch, target = divmod(number, reached.shape[1])
        if len(chosen) < count and taken[target] < OF_A_CLASS:
            chosen.append((target, locations[patches[patch]]))
            taken[target] += 1
    return chosen


class PatternGrid(NamedTuple):
    """Triggers that are moved together: patterns of cells, spread over locations.

    Attributes:
        down: what each cell contributes to each row, (n, H, g).
        across: what it contributes to each column, (n, W, k).
        masks: (n, H, W, 1).
        targets: one-hot, (n, classes).
    """

    down: Tensor
    across: Tensor
    masks: Tensor
    targets: Tensor

    def patterns(self, cells: Tensor) -> Tensor:
        """Cells (n, g, k, C), any number each, as patterns (n, H, W, C), 0..1."""
        return tf.einsum("nhg,ngkc,nwk->nhwc", self.down, tf.sigmoid(cells), self.across)


class TriggerInverter:
    """Moves patterns at many locations towards their classes, all at once."""

    def __init__(self, model: LogitModel, clean: CleanImages, rng: np.random.Generator) -> None:
        self._model, self._clean, self._rng = model, clean, rng
        self._clean_margin = model.clean_margin(clean)
        self._compiled = tf.function(self._slope, reduce_retracing=True)
        self._most = model.gradients_at_once(clean.pixels.shape[1:])

    def patterns(self, starts: Sequence[tuple[int, Location]]) -> list[Pixels]:
        """A pattern for each class and location, (H, W, C), 0..1; moved in workers."""
        targets, locations = zip(*starts, strict=True)
        down, across = _spread_cells(locations)
        shape = (len(starts), down.shape[2], across.shape[2], self._clean.pixels.shape[-1])
        cells = self._rng.normal(0, 0.5, shape).astype(np.float32)
        size = min(BATCH, at_once(self._clean.pixels.shape[1:]))
        batches = [self._rng.permutation(len(self._clean))[:size] for _ in range(STEPS)]
        masks = np.stack([location.mask for location in locations])
        arrays: tuple[NDArray[Any], ...] = cells, np.array(targets), down, across, masks
        count = max(min(WORKERS, len(starts)), -(-len(starts) // max(1, self._most // size)))
        parts = zip(*(np.array_split(array, count) for array in arrays), strict=True)
        moved = in_workers(lambda part: self._moved(batches, *part), parts)
        return list(np.concatenate(list(moved)))

    def _moved(
        self,
        batches: Sequence[Rows],
        starts: Pixels,
        targets: Rows,
        *spread: Pixels,
    ) -> Pixels:
        """The patterns that these cells become, a step for each batch of rows.

        Args:
            batches: rows of the images.
            starts: the cells, (n, g, k, C).
            targets: their classes, (n,).
            spread: `down`, `across` and `masks` of a `PatternGrid`.
        """
        down, across, masks = map(tf.constant, spread)
        grid = PatternGrid(down, across, masks, tf.one_hot(targets, self._model.classes))
        cells, moments = tf.constant(starts), tf.zeros((2, *starts.shape))
        most = max(1, self._most // len(starts))
        for step, rows in enumerate(batches):
            slopes = [
                self._compiled(cells, *self._batch(some, targets), grid)
                for some in _parts(rows, most)
            ]
            slope = tf.add_n(slopes)
            cells, moments = adam_step(cells, slope, moments, tf.constant(step + 1.0), RATE)
        return np.asarray(grid.patterns(cells))

    def _batch(self, rows: Rows, targets: Rows) -> tuple[Tensor, Tensor]:
        """Images (m, H, W, C), and 1 for each that is not of a target's class, (n, m)."""
        others = self._clean.labels[rows] != targets[:, None]
        return tf.constant(self._clean.pixels[rows]), tf.constant(others.astype(np.float32))

    def _slope(self, cells: Tensor, images: Tensor, others: Tensor, grid: PatternGrid) -> Any:
        """The slope of the sum of all margins on some images, for each cell, (n, g, k, C)."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(cells)
            patterns = grid.patterns(cells)
            margins = trigger_margins(self._model, images, grid.masks, patterns, grid.targets)
            reached = tf.reduce_sum(others * margins) / self._clean_margin
        return tape.gradient(reached, cells)


def _parts(rows: Rows, most: int) -> list[Rows]:
    return np.array_split(rows, -(-len(rows) // most))


def _spread_cells(locations: Sequence[Location]) -> tuple[Pixels, Pixels]:
    """The `down` and the `across` of a `PatternGrid`."""
    both = []
    for axis in (0, 1):
        cells = [_cells(location, axis) for location in locations]
        most = max(cells)
        both.append(
            np.stack(
                [
                    _interpolation(
                        location.image[axis], location.corner[axis], location.size[axis], n, most
                    )
                    for location, n in zip(locations, cells, strict=True)
                ]
            )
        )
    return both[0], both[1]


def _cells(location: Location, axis: int) -> int:
    if location.location_type == "patch":
        return min(PATCH_CELLS, location.size[axis])
    return max(1, round(location.size[axis] / max(1, round(max(location.image) / CELLS))))


def _interpolation(reach: int, start: int, size: int, cells: int, most: int) -> NDArray[np.float32]:
    """Linear interpolation of `cells` values over `size` pixels from `start` on, (reach, most)."""
    centres = np.clip((np.arange(size) + 0.5) / size * cells - 0.5, 0, cells - 1)
    below = centres.astype(int)
    above = np.minimum(below + 1, cells - 1)
    rows, share = np.arange(start, start + size), centres - below
    weights = np.zeros((reach, most), np.float32)
    np.add.at(weights, (rows, below), 1 - share)
    np.add.at(weights, (rows, above), share)
    return weights
