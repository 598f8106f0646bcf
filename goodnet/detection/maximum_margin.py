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

Limits: alone it names nothing, for a network that others trained led with an innocent class by more
than twice the threshold. It takes many classes to say what is usual, and two targets hide each
other. With few starts the class in the lead changes with the noise, and at a wrong scale of the
pixels it means nothing.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_workers, tf
from goodnet.detection.method import DirectMethod
from goodnet.detection.outliers import median_and_spread
from goodnet.network.classifier import LogitModel, margins
from goodnet.training.adam import adam_step

MIN_CLASSES: Final = 100
FINALISTS: Final = 24  # classes that are tried again
STARTS: Final = 24
STEPS: Final = 40
RATE: Final = 0.01
BATCH: Final = 64  # images

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]


def score(model: LogitModel, *, seed: int = 0) -> dict[int, float] | None:
    """The leads of the classes that noise was taken furthest to; None where classes are few."""
    if model.classes < MIN_CLASSES:
        return None
    rng = np.random.default_rng((seed, 9))
    first = maximum_margins(model, np.arange(model.classes), rng)
    middle, spread = median_and_spread(first)
    finalists = np.argsort(-first, kind="stable")[:FINALISTS]
    retried = maximum_margins(model, finalists.repeat(STARTS), rng)
    z = (retried.reshape(-1, STARTS).mean(axis=1) - middle) / spread
    return {int(c): float(z[i] - np.delete(z, i).max()) for i, c in enumerate(finalists)}


def maximum_margins(model: LogitModel, classes: Classes, rng: np.random.Generator) -> Numbers:
    """The margin that one start of noise reaches for each of these classes, (n,)."""
    shape = model.network.input_shape[1:]
    ascend = _ascent(model)

    def batch_margins(part: slice) -> Numbers:
        noise_rng = np.random.default_rng(seeds[part.start])
        noise = noise_rng.random((len(classes[part]), *shape), dtype=np.float32)
        targets = np.eye(model.classes, dtype=np.float32)[classes[part]]
        few = -(-len(noise) // model.gradients_at_once(shape))
        some = zip(np.array_split(noise, few), np.array_split(targets, few), strict=True)
        return np.concatenate([np.asarray(ascend(*map(tf.constant, each))) for each in some])

    seeds = rng.integers(2**32, size=len(classes))
    parts = [slice(start, start + BATCH) for start in range(0, len(classes), BATCH)]
    return np.concatenate(list(in_workers(batch_margins, parts))).astype(np.float64)


def _ascent(model: LogitModel) -> Any:
    """A function that takes images (n, H, W, C) uphill on the margins of their targets."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step_of(images: Any, moments: Any, targets: Any, step: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            reached = margins(model.logits(images), targets)
        moved, moments = adam_step(images, tape.gradient(reached, images), moments, step, RATE)
        return tf.clip_by_value(moved, 0, 1), moments

    def ascend(images: Any, targets: Any) -> Any:
        moments = tf.zeros((2, *images.shape))
        for step in range(STEPS):
            images, moments = step_of(images, moments, targets, tf.constant(step + 1.0))
        return margins(model.logits(images), targets)

    return ascend


MAXIMUM_MARGIN: Final = DirectMethod(
    "maximum margin",
    threshold=1.75,
    suspicion_threshold=1.5,
    names_alone=False,
    score=lambda model, clean, seed: score(model, seed=seed),
)
