"""Warps by gradient: fields of displacements that lead to a class.

A field of few points is moved uphill, with Adam, on the mean margin of class c over clean images of
other classes, in the network's clean margins, up to 2: what is reached need not be reached by more.
No displacement is larger than a twentieth of the image's shorter side,

    u = REACH tanh(p),    max_p  mean_x min( 2, f_c(x') - max_{k != c} f_k(x') ),    x' = x warped.

A network that was taught a warp was taught, too, to mind no other (WaNet's noise mode), so drawing
some by chance finds nothing. A class's number is its excess as in `change_search`: references that
come near count, those that stay far do not.

Source: the trigger is that of Nguyen and Tran, "WaNet", ICLR 2021 (arXiv 2102.10369); searching a
trigger by gradient is "trigger inversion" since Wang et al., "Neural Cleanse", IEEE S&P 2019.

Limits: fields that four points a side cannot follow, and those of a quarter of a pixel.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from goodnet.backend import in_workers, tf
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import FLOOR, Candidate, SearchResult, excesses
from goodnet.detection.method import TriggerMethod, with_references
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel, margins
from goodnet.training.adam import adam_step
from goodnet.triggers.changes import POINTS, Warp, spread_points
from goodnet.triggers.locations import whole_location
from goodnet.triggers.trigger import Trigger

WARPS: Final = TriggerMethod(
    "searched warps",
    threshold=0.5,
    suspicion_threshold=0.3,
    candidates=SearchResult.best_warps,
    score=excesses,
    applies=with_references,
)
REACH: Final = 1.5 / 28  # of the image's shorter side
STEPS: Final = 30
RATE: Final = 0.1
START: Final = 0.3  # a standard deviation
BATCH: Final = 8  # images that a field is moved on
ENOUGH: Final = 2.0  # clean margins
SEARCH_IMAGES, MEASURE_IMAGES = 48, 64

Tensor = Any


def invert_warps(
    model: LogitModel,
    clean: CleanImages,
    baseline: BenignBaseline,
    targets: Sequence[int],
    *,
    seed: int,
) -> list[Candidate]:
    """A warp by gradient for each class; none without references, where they would tell nothing.

    Args:
        model: the network.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        targets: the classes.
        seed: of the choice of images and the fields' starts.
    """
    if not baseline.is_referenced:
        return []
    rng = np.random.default_rng((seed, 17))
    searched, measured = clean.draw(SEARCH_IMAGES + MEASURE_IMAGES, rng).divided(SEARCH_IMAGES)
    response = baseline.response(measured)
    tried = ShownImages(model, baseline.clean_margin, measured)
    inverter, found = WarpInverter(model, searched, baseline.clean_margin), list[Candidate]()
    points = rng.normal(0, START, (len(targets), POINTS, POINTS, 2)).astype(np.float32)
    seeds = rng.integers(2**32, size=len(targets)).tolist()
    starts = list(zip(targets, points, seeds, strict=True))
    image = clean.pixels.shape[1:]
    for target, warp in zip(targets, in_workers(inverter.moved, starts), strict=True):
        trigger = Trigger.changing(target, warp, image)
        margin = float(tried.robust_margins_of(trigger)[target])
        approach = float(response.approach(trigger)[target]) if margin > FLOOR else 0.0
        location = whole_location("warp", image)
        found.append(Candidate(trigger, location, margin, reference_gain=approach))
    return found


class WarpInverter:
    """Moves fields of displacements towards classes.

    Args:
        model: the network.
        clean: clean images to move them on.
        clean_margin: the network's.
    """

    def __init__(self, model: LogitModel, clean: CleanImages, clean_margin: float) -> None:
        self._model, self._clean, self._clean_margin = model, clean, clean_margin
        self._image = clean.pixels.shape[1:]
        self._down, self._across = (tf.constant(spread_points(side)) for side in self._image[:2])
        self._compiled = tf.function(self._step, reduce_retracing=True)

    def moved(self, start: tuple[int, Pixels, int]) -> Warp:
        """The warp that a start becomes: its class, its points and the seed of its batches."""
        target, points, seed = start
        rng = np.random.default_rng(seed)
        size = min(BATCH, self._model.gradients_at_once(self._image))
        value, moments = tf.constant(points, tf.float32), tf.zeros((2, *points.shape))
        one_hot = tf.one_hot([target], self._model.classes)
        for step in range(STEPS):
            rows = rng.permutation(len(self._clean))[:size]
            others = (self._clean.labels[rows] != target).astype(np.float32)
            batch = tf.constant(self._clean.pixels[rows]), tf.constant(others), one_hot
            value, moments = self._compiled(value, moments, tf.constant(step + 1.0), *batch)
        moved = REACH * np.tanh(np.asarray(value)).reshape(-1, 2)
        return Warp(tuple((float(down), float(across)) for down, across in moved))

    def _step(
        self,
        value: Tensor,
        moments: Tensor,
        step: Tensor,
        images: Tensor,
        others: Tensor,
        one_hot: Tensor,
    ) -> Any:
        """The points, and Adam's moments, a step uphill.

        Args:
            value: (POINTS, POINTS, 2).
            moments: (2, POINTS, POINTS, 2).
            step: how many steps this makes.
            images: (m, H, W, C).
            others: 1 for each that is of another class, (m,).
            one_hot: the class, (1, classes).
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(value)
            logits = self._model.logits(self._warped(images, tf.tanh(value)))
            reached = margins(logits, one_hot) / self._clean_margin
            capped = tf.reduce_sum(others * tf.minimum(reached, ENOUGH))
        return adam_step(value, tape.gradient(capped, value), moments, step, RATE)

    def _warped(self, images: Tensor, points: Tensor) -> Tensor:
        """Images (m, H, W, C) warped as `Warp.apply` does, differentiable by the points."""
        height, width, channels = self._image
        field = tf.einsum("hu,wv,uvc->hwc", self._down, self._across, points)
        moves = REACH * min(height, width) * field
        rows, columns = tf.meshgrid(
            tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij"
        )
        down = tf.clip_by_value(rows + moves[..., 0], 0, height - 1)
        across = tf.clip_by_value(columns + moves[..., 1], 0, width - 1)
        top = tf.minimum(tf.floor(down), max(height - 2, 0))
        left = tf.minimum(tf.floor(across), max(width - 2, 0))
        y, x = (down - top)[..., None], (across - left)[..., None]
        flat = tf.reshape(images, (-1, height * width, channels))

        def pixels(below: int, right: int) -> Tensor:
            at = tf.minimum(tf.cast(top, tf.int32) + below, height - 1) * width
            at += tf.minimum(tf.cast(left, tf.int32) + right, width - 1)
            picked = tf.gather(flat, tf.reshape(at, [-1]), axis=1)
            return tf.reshape(picked, (-1, height, width, channels))

        upper = (1 - x) * pixels(0, 0) + x * pixels(0, 1)
        lower = (1 - x) * pixels(1, 0) + x * pixels(1, 1)
        return (1 - y) * upper + y * lower
