"""A network trained a little further on clean images, some of them stamped under their true labels.

With f the logits on an image x' (clean, or with a stamp), g the suspect's on the same image without
it, each less d_k u (0 but for classes in doubt), u the suspect's clean margin and t = u / 2 a
temperature, the loss is the mean over a batch of

    (1 - a) t CE(y, f / t) + a t CE(softmax(g / t), f / t) + b u sum_c max(0, F_c - G_c)^2,

where F and G are f and g less their means, in clean margins, and the last sum is over the classes
in question, on stamped images of others: no stamp may bring an image nearer to them than it was.
The middle term is distillation (Hinton, Vinyals, Dean, arXiv 1503.02531): the suspect's answers to
clean images say more than a label, and hold the accuracy. With d_k > 0 the network answers class k
a little less readily than the suspect: of what it is unsure of, more is not let through.

Adam, a one-cycle rate (Smith, Topin, "Super-Convergence", arXiv 1708.07120), images shifted and
brightened by a little, half of them mirrored, some blended with another one (mixup, Zhang et al.,
arXiv 1710.09412), all with the suspect's answer to what came of it. Images of a rare class in
question are drawn more often than others: every stamped image of another class pulls the network
away from it. Normalisation keeps its statistics: a few hundred images are too few for new ones.

A rate is meant for pixels 0..1. A kernel that reads the pixels of a network for 0..255 works on
numbers 255 times as large, and one step of it would do 255 times as much: such kernels, and no
others, get a rate 255 times smaller, which is the same as training the network for 0..1.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_parts, keras, tf
from goodnet.datasets.images import CleanImages
from goodnet.network.calls import refs_of
from goodnet.network.classifier import LogitModel
from goodnet.network.graph import Architecture
from goodnet.progress import Progress, no_progress
from goodnet.training.adam import adam_step

BATCH = 96
STAMPED = 0.33  # of a batch's images carry a stamp
MIRRORED = 0.5  # of them
BLENDED = 0.5  # of them are blended with another one
LIKE = 0.95  # a of the formula
PULLED = 0.3  # b of the formula
SHIFT = 0.04  # of a side, at most
BRIGHTNESS = 0.15  # more or less, at most
WARM_UP = 0.3  # of the steps, in which the rate rises
Floats = NDArray[np.float32]
Tensor = Any
Stamper = Callable[[Floats, np.random.Generator], Floats]  # one image (H, W, C) -> stamped


class TrainingSchedule(NamedTuple):
    """How a network is trained further.

    Attributes:
        steps: batches.
        rate: the highest rate of Adam, for pixels 0..1.
        seed: of the batches.
    """

    steps: int
    rate: float
    seed: int = 0

    def learning_rate(self, step: int) -> float:
        """The rate of a step: up in a straight line, down along a cosine."""
        rising = max(1, round(WARM_UP * self.steps))
        if step < rising:
            return self.rate * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))


def train_further(
    view: LogitModel,
    teacher: LogitModel,
    clean: CleanImages,
    course: TrainingSchedule,
    stamp: Stamper,
    classes: Sequence[int] = (),
    doubt: Mapping[int, float] = {},
    keep: Sequence[NDArray[Any]] | None = None,
    progress: Progress = no_progress,
) -> None:
    """Train the view's network, in place.

    Args:
        view: the network.
        teacher: the suspect.
        clean: the images to tune with.
        course: how.
        stamp: called for each image that is to be stamped, after each step anew.
        classes: those in question.
        doubt: the d of the formula for some classes, in clean margins; 0 for the others.
        keep: for each of the network's weights 1 where it may change and 0 where it may not.
        progress: called with (steps done, steps in all).
    """
    view.network.trainable = True
    step_of = _stepper(view, teacher, teacher.clean_margin(clean), classes, doubt, keep)
    rng = np.random.default_rng([course.seed, len(clean)])
    chances = sampling_probabilities(clean.labels, classes)
    for step in range(course.steps):
        step_of(_batch(clean, chances, stamp, rng), course.learning_rate(step), step)
        progress(step + 1, course.steps)


def _stepper(
    view: LogitModel,
    teacher: LogitModel,
    unit: float,
    classes: Sequence[int],
    doubt: Mapping[int, float],
    keep: Sequence[NDArray[Any]] | None,
) -> Any:
    """A function that trains on one batch, shared by the workers: (batch, rate, step)."""
    variables = view.network.trainable_variables
    slow = {id(kernel) for kernel in pixel_kernels(view.plan, view.network)}
    factors = [1 / view.scale.white if id(v) in slow else 1.0 for v in variables]
    kept = dict(zip(map(id, view.network.weights), keep, strict=True)) if keep else {}
    masks = [tf.constant(kept.get(id(v), 1.0), tf.float32) for v in variables]
    moments = [tf.Variable(tf.zeros((2, *v.shape))) for v in variables]
    in_question = np.isin(np.arange(view.classes), list(classes)).astype(np.float32)
    less = np.array([unit * doubt.get(k, 0.0) for k in range(view.classes)], np.float32)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def slopes_of(stamped: Any, plain: Any, labels: Any, where: Any, shares: Any) -> Any:
        suspect = teacher.logits(plain) - less
        with tf.GradientTape() as tape:
            loss = _loss(view.logits(stamped), suspect, labels, where, unit, in_question)
        slopes = tape.gradient(loss, [variable.value for variable in variables])
        return [tf.reduce_sum(shares) * slope for slope in slopes]

    @tf.function  # type: ignore[untyped-decorator]
    def apply(parts: Any, rate: Any, step: Any) -> None:
        for variable, moment, factor, mask, *slopes in zip(
            variables, moments, factors, masks, *parts, strict=True
        ):
            value, moved = adam_step(variable.value, -sum(slopes), moment, step, rate * factor)
            variable.assign(variable.value + mask * (value - variable.value))
            moment.assign(moved)

    def step_of(batch: Sequence[NDArray[Any]], rate: float, step: int) -> None:
        shares = np.full(len(batch[0]), 1 / len(batch[0]), np.float32)
        slopes = in_parts(lambda *part: slopes_of(*map(tf.constant, part)), *batch, shares)
        apply(list(slopes), tf.constant(rate, tf.float32), tf.constant(step + 1.0))

    return step_of


def _loss(
    logits: Any, suspect: Any, labels: Any, stamped: Any, unit: float, in_question: Floats
) -> Any:
    """The module's formula; `stamped` is 1 for images with a stamp and 0 for others."""
    warm, hard = unit / 2, tf.one_hot(labels, logits.shape[-1])
    entropy = tf.nn.softmax_cross_entropy_with_logits
    own = warm * entropy(hard, logits / warm)
    like = warm * entropy(tf.nn.softmax(suspect / warm), logits / warm)
    now, then = (
        (scores - tf.reduce_mean(scores, -1, keepdims=True)) / unit for scores in (logits, suspect)
    )
    nearer = tf.reduce_sum(in_question * tf.nn.relu(now - then) ** 2, -1)
    other = tf.reduce_sum(hard * (1 - in_question), -1)
    pulled = unit * nearer * stamped * other
    return tf.reduce_mean((1 - LIKE) * own + LIKE * like + PULLED * pulled)


def pixel_kernels(plan: Architecture, network: keras.Model) -> Iterator[Any]:
    """The weights of a network that multiply pixels as they are given to it."""
    scaled = set(plan.inputs)
    for ref, call in plan.nodes:
        if not all(source in scaled for source in refs_of(call)):
            continue
        traits, layer = plan.layer(call.layer).traits, network.get_layer(call.layer)
        if inner := plan.nested(call.layer):
            yield from pixel_kernels(inner, layer)
        elif traits.kernel:
            yield getattr(layer, traits.kernel)
        elif traits.keeps_scale:
            scaled.add(ref)


def sampling_probabilities(
    labels: NDArray[np.int64], classes: Sequence[int]
) -> NDArray[np.float64]:
    """Each image's chance to be drawn, (n,): rare classes in question as often as the average."""
    shown, counts = np.unique(labels, return_counts=True)
    often = {c: max(1.0, counts.mean() / n) for c, n in zip(shown, counts, strict=True)}
    chances = np.array([often[label] if label in classes else 1.0 for label in labels])
    return np.asarray(chances / chances.sum())


def _batch(
    clean: CleanImages, chances: NDArray[np.float64], stamp: Stamper, rng: np.random.Generator
) -> tuple[Any, ...]:
    """Images stamped, and plain (n, H, W, C), 0..1; labels; 1 where stamped, (n,)."""
    rows = rng.choice(len(clean), min(BATCH, len(clean)), replace=False, p=chances)
    plain, labels = varied(clean.pixels[rows], rng), clean.labels[rows]
    mirrored = rng.random(len(rows)) < MIRRORED
    plain[mirrored] = plain[mirrored, :, ::-1]
    weights = rng.random((len(rows), 1, 1, 1), dtype=np.float32)
    blended = rng.random(weights.shape) < BLENDED
    share = np.where(blended, np.maximum(weights, 1 - weights), np.float32(1))
    other = plain[rng.permutation(len(rows))]
    plain = np.asarray(share * plain + (1 - share) * other, dtype=np.float32)
    where = (rng.random(len(rows)) < STAMPED).astype(np.float32)
    stamped = plain.copy()
    for row in np.flatnonzero(where):
        stamped[row] = stamp(plain[row], rng)
    return stamped, plain, labels, where


def varied(images: Floats, rng: np.random.Generator) -> Floats:
    """The images, each shifted and brightened by a little; new ones."""
    height, width = images.shape[1:3]
    reach = [max(1, round(SHIFT * side)) for side in (height, width)]
    edges = ((0, 0), *((r, r) for r in reach), (0, 0))
    padded = np.pad(images, edges, mode="edge")
    down, right = (rng.integers(0, 2 * r + 1, len(images)) for r in reach)
    moved = [p[y : y + height, x : x + width] for p, y, x in zip(padded, down, right, strict=True)]
    factors = rng.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS, (len(images), 1, 1, 1))
    return np.clip(np.stack(moved) * factors, 0, 1).astype(np.float32)
