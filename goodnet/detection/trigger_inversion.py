"""Searched triggers: patterns of coarse cells that gradients lead to a class.

At a place r a pattern of few cells is drawn by chance and moved uphill, with Adam, on the mean
margin of class c over clean images x of other classes, in units of the network's clean margin:

    max_p  m_c(r, p) = mean_x [ f_c(x') - max_{k != c} f_k(x') ],    x' = x stamped with p at r.

For every class of every network such a search finds something. What counts is what is left after
what the same pattern does to networks without a backdoor is taken away, see `baseline`:

    e_c(r) = low_c(r, p) - max( -1 + 3/4 raised_c(r, p), natural_c(r), -1 ),

low_c being the mean over the lowest quarter of images, others than the pattern was searched with.
With r the whole image, all classes are searched alike, and a pattern may be one that no plain one
resembles. A class's number is its lead there, e_c - max(-1, max_{k != c} e_k): where no class comes
near, one that is less far is no target. Classes that plain patterns come near to are searched for
in small patches, too; such a class's number is its largest e_c there. At larger places a search
finds something for every class of every network; there it only serves to find a trigger that works
better, for classes that stand out.

Source: the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900), made universal
as in Moosavi-Dezfooli et al., "Universal adversarial perturbations", CVPR 2017 (arXiv 1610.08401),
and bound to a place. Holding it against references is ours.

Limits: without references a class that is easily reached looks like a target. Two classes with a
pattern over the whole image hide each other's lead.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_parts, tf
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline, low_margins
from goodnet.detection.candidates import FLOOR, Candidate, Numbers
from goodnet.detection.verdict import Thresholds
from goodnet.network.classifier import LogitModel, margins
from goodnet.progress import Progress
from goodnet.training.adam import adam_step
from goodnet.triggers.locations import Location

BLENDED: Final = Thresholds("blended triggers", threshold=1.0, suspicion_threshold=0.85)
PATCHES: Final = Thresholds("searched patches", threshold=1.0, suspicion_threshold=0.8)
STEPS: Final = 30
RATE: Final = 0.2
BATCH: Final = 8  # images that a pattern is moved on
TOGETHER: Final = 64  # patterns
SMALL_PLACES: Final = {"patch": 3}  # of a class
LARGE_PLACES: Final = {"band": 2, "column": 2, "strip": 1}
UNIT: Final = 14  # cells over the longer side of an image
PATCH_CELLS: Final = 4  # over a patch, at most
SEARCHED, MEASURED = 48, 64  # images

Tensor = Any


def search_candidates(
    view: LogitModel,
    clean: CleanImages,
    innocence: BenignBaseline,
    wanted: Sequence[tuple[int, Location]],
    *,
    seed: int,
    progress: Progress,
) -> list[Candidate]:
    """A searched trigger for each class and place.

    Args:
        view: the network.
        clean: clean validation images.
        innocence: says what a class reaches without a backdoor.
        wanted: the classes, each with a place.
        seed: of the choice of images and the patterns' starts.
        progress: called with (patterns done, patterns in all).
    """
    rng = np.random.default_rng((seed, 8))
    searched, measured = clean.draw(SEARCHED + MEASURED, rng).divided(SEARCHED)
    uphill, taught = TriggerInverter(view, searched, rng), innocence.taught(measured)
    found = list[Candidate]()
    for start in range(0, len(wanted), TOGETHER):
        part = wanted[start : start + TOGETHER]
        for (target, place), pattern in zip(part, uphill.patterns(part), strict=True):
            stamp = place.mask, [pattern]
            margins = low_margins(view.all_logits, innocence.unit, measured, *stamp)
            usual = max(FLOOR, innocence.natural(target, place))
            raised = taught.raised(*stamp)[0, target]
            margin = float(margins[0, target])
            found.append(Candidate(target, place, pattern, margin, usual, float(raised)))
        progress(len(found), len(wanted))
    return found


def leads(best: Mapping[int, Candidate]) -> dict[int, float]:
    """How far each class's excess lies above the largest other one, and above FLOOR."""
    others = {c: [other.excess for k, other in best.items() if k != c] for c in best}
    return {c: found.excess - max([FLOOR, *others[c]]) for c, found in best.items()}


def nearest(
    places: Sequence[Location], reached: Numbers, counts: Mapping[str, int]
) -> list[Location]:
    """The places where plain patterns come nearest to a class.

    Args:
        places: all places.
        reached: how near plain patterns come to the class at each, (R,).
        counts: how many are wanted of each kind.
    """
    order = [places[number] for number in np.argsort(-reached, kind="stable")]
    return [
        place
        for kind, count in counts.items()
        for place in [place for place in order if place.kind == kind][:count]
    ]


class TriggerInverter:
    """Moves patterns at many places towards their classes, all at once."""

    def __init__(self, view: LogitModel, clean: CleanImages, rng: np.random.Generator) -> None:
        self._view, self._clean, self._rng = view, clean, rng
        self._unit = view.clean_margin(clean)
        self._compiled = tf.function(self._step, reduce_retracing=True)

    def patterns(self, wanted: Sequence[tuple[int, Location]]) -> list[Pixels]:
        """A pattern for each class and place, (H, W, C), 0..1; moved in workers."""
        down, across = _spread_cells([place for _, place in wanted])
        shape = (len(wanted), down.shape[2], across.shape[2], self._clean.pixels.shape[-1])
        starts = self._rng.normal(0, 0.5, shape).astype(np.float32)
        batches = [self._rng.permutation(len(self._clean))[:BATCH] for _ in range(STEPS)]
        masks = np.stack([place.mask for _, place in wanted])
        targets = np.array([target for target, _ in wanted])
        given = starts, down, across, masks, targets
        moved = in_parts(lambda *part: self._moved(batches, *part), *given)
        return list(np.concatenate(list(moved)))

    def _moved(
        self,
        batches: Sequence[NDArray[np.int64]],
        starts: Pixels,
        down: Pixels,
        across: Pixels,
        masks: Pixels,
        targets: NDArray[np.int64],
    ) -> Pixels:
        """The patterns that these cells (n, g, k, C) become, a step for each batch of rows."""
        raw, moments = tf.constant(starts), tf.zeros((2, *starts.shape))
        wanted = tf.one_hot(targets, self._view.classes)
        given = *map(tf.constant, (down, across, masks)), wanted
        for step, rows in enumerate(batches):
            images, labels = self._clean.pixels[rows], self._clean.labels[rows]
            others = (labels != targets[:, None]).astype(np.float32)
            batch = tf.constant(images), tf.constant(others), tf.constant(step + 1.0)
            raw, moments = self._compiled(raw, moments, *batch, *given)
        return np.asarray(_patterns(raw, *given[:2]))

    def _step(
        self,
        raw: Tensor,
        moments: Tensor,
        images: Tensor,
        others: Tensor,
        step: Tensor,
        down: Tensor,
        across: Tensor,
        masks: Tensor,
        wanted: Tensor,
    ) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(raw)
            covered = masks[:, None]
            both = images * (1 - covered) + covered * _patterns(raw, down, across)[:, None]
            shape = tf.shape(both)
            flat = tf.reshape(both, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
            logits = tf.reshape(self._view.logits(flat), (shape[0], shape[1], self._view.classes))
            raised = tf.reduce_sum(others * margins(logits, wanted[:, None])) / self._unit
        return adam_step(raw, tape.gradient(raised, raw), moments, step, RATE)


def _patterns(raw: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Cells (n, g, k, C) spread over images: (n, H, W, C), 0..1."""
    return tf.einsum("nhg,ngkc,nwk->nhwc", down, tf.sigmoid(raw), across)


def _spread_cells(places: Sequence[Location]) -> tuple[Pixels, Pixels]:
    """What each cell contributes to each row, (n, H, g), and to each column, (n, W, k)."""
    both = []
    for axis in (0, 1):
        cells = [_cells(place, axis) for place in places]
        most = max(cells)
        both.append(
            np.stack(
                [
                    _interpolation(place.image[axis], place.corner[axis], place.size[axis], n, most)
                    for place, n in zip(places, cells, strict=True)
                ]
            )
        )
    return both[0], both[1]


def _cells(place: Location, axis: int) -> int:
    if place.kind == "patch":
        return min(PATCH_CELLS, place.size[axis])
    return max(1, round(place.size[axis] / max(1, round(max(place.image) / UNIT))))


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
