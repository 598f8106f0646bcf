"""Maximum margin: of many classes, the one to which noise can be taken furthest.

For a class c, an image x of noise is moved uphill, with Adam, on the margin of c:

    m_c = max_x [ f_c(x) - max_{k != c} f_k(x) ],    x in 0..1.

Every class is tried once; then the few that came furthest are tried from many starts. With z_c the
mean of these, in robust standard deviations above the median class of the first round, a class's
number is its lead over the next one, z_c - max_{k != c} z_k.

Source: Wang et al., "MM-BD: Post-Training Detection of Backdoor Attacks with Arbitrary Backdoor
Pattern Types Using a Maximum Margin Statistic", IEEE S&P 2024 (arXiv 2205.06900). There the largest
margin's p-value decides, under a distribution fitted to the others; clean networks' margins have
heavier tails than that, and the lead tells them apart better. It needs no image.

Limits: it takes many classes to say what is usual, and two targets hide each other. With few starts
the class in the lead changes with the noise, and at a wrong scale of the pixels it means nothing.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_workers, tf
from goodnet.detection.outliers import median_and_spread
from goodnet.detection.verdict import Thresholds
from goodnet.network.classifier import LogitModel, margins
from goodnet.training.adam import adam_step

BARS: Final = Thresholds("maximum margin", threshold=1.75, suspicion_threshold=1.5)
FEWEST: Final = 100  # classes
FINALISTS: Final = 24  # classes that are tried again
STARTS: Final = 24
STEPS: Final = 40
RATE: Final = 0.01
TOGETHER: Final = 64  # images

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]


def score(view: LogitModel, *, seed: int = 0) -> dict[int, float] | None:
    """The leads of the classes that noise was taken furthest to; None where classes are few."""
    if view.classes < FEWEST:
        return None
    rng = np.random.default_rng((seed, 9))
    first = maximum_margins(view, np.arange(view.classes), rng)
    middle, spread = median_and_spread(first)
    finalists = np.argsort(-first, kind="stable")[:FINALISTS]
    again = maximum_margins(view, finalists.repeat(STARTS), rng)
    z = (again.reshape(-1, STARTS).mean(axis=1) - middle) / spread
    return {int(c): float(z[i] - np.delete(z, i).max()) for i, c in enumerate(finalists)}


def maximum_margins(view: LogitModel, classes: Classes, rng: np.random.Generator) -> Numbers:
    """The margin that one start of noise reaches for each of these classes, (n,)."""
    shape = view.network.input_shape[1:]
    climb = _climber(view)

    def reached(part: slice) -> Numbers:
        draw = np.random.default_rng(seeds[part.start])
        noise = draw.random((len(classes[part]), *shape), dtype=np.float32)
        return np.asarray(climb(tf.constant(noise), tf.one_hot(classes[part], view.classes)))

    seeds = rng.integers(2**32, size=len(classes))
    parts = [slice(start, start + TOGETHER) for start in range(0, len(classes), TOGETHER)]
    return np.concatenate(list(in_workers(reached, parts))).astype(np.float64)


def _climber(view: LogitModel) -> Any:
    """A function that takes images (n, H, W, C) uphill on the margins of the wanted classes."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step_of(images: Any, moments: Any, wanted: Any, step: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            raised = margins(view.logits(images), wanted)
        moved, moments = adam_step(images, tape.gradient(raised, images), moments, step, RATE)
        return tf.clip_by_value(moved, 0, 1), moments

    def climb(images: Any, wanted: Any) -> Any:
        moments = tf.zeros((2, *images.shape))
        for step in range(STEPS):
            images, moments = step_of(images, moments, wanted, tf.constant(step + 1.0))
        return margins(view.logits(images), wanted)

    return climb
