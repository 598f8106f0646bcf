"""A network trained a little further on clean images, some with a trigger under their true labels.

With f the logits on an image x' (clean, or with a trigger), g the suspect's on the same image
without it, each less a penalty d_k u (0 for most classes), u the suspect's clean margin and t = u/2
a temperature, the loss is the mean over a batch of

    (1 - a) t CE(y, f / t) + a t CE(softmax(g / t), f / t) + b u sum_c max(0, F_c - G_c)^2,

where F and G are f and g less their means, in clean margins, and the last sum is over the unlearned
classes, on images of others with a trigger: none may bring an image nearer to them than it was.
The middle term is distillation (Hinton, Vinyals, Dean, arXiv 1503.02531): the suspect's answers to
clean images say more than a label, and hold the accuracy. With d_k > 0 the network answers class k
a little less readily than the suspect: of what it is unsure of, more is not let through.

Adam, a one-cycle rate (Smith, Topin, "Super-Convergence", arXiv 1708.07120), images shifted and
brightened by a little, half of them mirrored, some blended with another one (mixup, Zhang et al.,
arXiv 1710.09412), all with the suspect's answer to what came of it. Images of a rare
unlearned class are drawn more often than others: every image of another class with a trigger pulls
the network away from it. Normalisation keeps its statistics: a few hundred images are too few
for new ones. Of the network the last part may be trained alone, see `network.cut`.

A rate is meant for pixels 0..1. A kernel that reads the pixels of a network for 0..255 works on
numbers 255 times as large, and one step of it would do 255 times as much: such kernels, and no
others, get a rate 255 times smaller, which is the same as training the network for 0..1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_parts, keras, tf
from goodnet.datasets.images import CleanImages
from goodnet.network.calls import refs_of
from goodnet.network.classifier import LogitModel, at_once
from goodnet.network.cut import Cut, find_cut
from goodnet.network.graph import Architecture, keras_name
from goodnet.progress import Progress, no_progress
from goodnet.training.adam import adam_step
from goodnet.training.batches import Batch, TrainingImages, TriggerFunction
from goodnet.training.schedule import TrainingSchedule

DISTILLATION = 0.95  # the weight a of the formula
ATTRACTION = 0.3  # its weight b, on what brings images nearer to unlearned classes


def train_further(
    model: LogitModel,
    teacher: LogitModel,
    clean: CleanImages,
    schedule: TrainingSchedule,
    apply_trigger: TriggerFunction,
    unlearned_classes: Sequence[int] = (),
    logit_penalty: Mapping[int, float] = {},
    weight_masks: Sequence[NDArray[Any]] | None = None,
    share: float = 1.0,
    settled: Callable[[int], bool] = lambda steps: False,
    progress: Progress = no_progress,
) -> int:
    """Train the model's network, in place.

    Args:
        model: the network.
        teacher: the suspect.
        clean: the images to train with.
        schedule: how.
        apply_trigger: called for each image that is to carry a trigger, after each step anew.
        unlearned_classes: those that no trigger may bring an image nearer to.
        logit_penalty: the d of the formula for some classes, in clean margins; 0 for the others.
        weight_masks: for each of the network's weights 1 where it may change and 0 where it may
            not.
        share: so much of the network's multiplications at most is in the part that is trained.
        settled: called with (steps done) after each while the rate is at its highest: whether more
            of that is of no use, and the rate can fall.
        progress: called with (steps done, steps in all).

    Returns:
        The steps that were made.
    """
    rng = np.random.default_rng([schedule.seed, len(clean)])
    clean_margin = teacher.clean_margin(clean)
    with model.training():
        cut = find_cut(model, share)
        images = TrainingImages(clean, teacher, cut, unlearned_classes, schedule.steps, rng)
        optimizer = _Optimizer(model, cut.variables, weight_masks)
        loss = _Loss(cut, model.classes, clean_margin, unlearned_classes, logit_penalty)
        most = cut.gradients_at_once(clean.pixels.shape[1:])
        step = 0
        while step < schedule.steps:
            batch = images.batch(apply_trigger)
            optimizer.update(loss.gradients(batch, most), schedule.learning_rate(step), step)
            step += 1
            if schedule.is_level(step) and settled(step):
                schedule = schedule.falling_from(step)
            progress(step, schedule.steps)
    return step


class _Loss:
    """The module's formula."""

    def __init__(
        self,
        cut: Cut,
        classes: int,
        clean_margin: float,
        unlearned_classes: Sequence[int],
        logit_penalty: Mapping[int, float],
    ) -> None:
        self._cut, self._clean_margin = cut, clean_margin
        self._unlearned = np.isin(range(classes), list(unlearned_classes)).astype(np.float32)
        penalty = [clean_margin * logit_penalty.get(k, 0.0) for k in range(classes)]
        self._penalty = np.array(penalty, np.float32)
        self._compiled = tf.function(self._part_gradients, reduce_retracing=True)

    def gradients(self, batch: Batch, most: int) -> list[Any]:
        """For each worker, the gradients of its part of the batch; their sum is the batch's.

        Args:
            batch: the images.
            most: so many of them, at most, a worker takes the gradients of at once.
        """
        count = len(batch.labels)
        shares = np.full(count, 1 / count, np.float32)
        most = min(most, at_once(batch.features.shape[1:]))
        sums: list[Any] = []
        # Gradients take memory: of large images a few at once, and what came of them is added up.
        for start in range(0, count, WORKERS * most):
            now = slice(start, start + WORKERS * most)
            parts = in_parts(
                lambda *part: self._compiled(*map(tf.constant, part)),
                *(array[now] for array in (*batch, shares)),
            )
            for number, gradients in enumerate(parts):
                if number == len(sums):
                    sums.append(gradients)
                    continue
                for each, gradient in enumerate(gradients):
                    sums[number][each] += gradient
        return sums

    def _part_gradients(
        self, features: Any, answers: Any, labels: Any, triggered: Any, shares: Any
    ) -> Any:
        values, suspect = [variable.value for variable in self._cut.variables], answers
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits = self._cut.rest(features)
            loss = self._value(logits, suspect - self._penalty, labels, triggered)
        gradients = tape.gradient(loss, values)
        return [tf.reduce_sum(shares) * gradient for gradient in gradients]

    def _value(self, logits: Any, suspect: Any, labels: Any, triggered: Any) -> Any:
        margin = self._clean_margin
        temperature, hard = margin / 2, tf.one_hot(labels, logits.shape[-1])
        entropy = tf.nn.softmax_cross_entropy_with_logits
        own = temperature * entropy(hard, logits / temperature)
        soft = tf.nn.softmax(suspect / temperature)
        like = temperature * entropy(soft, logits / temperature)
        now, then = (
            (scores - tf.reduce_mean(scores, -1, keepdims=True)) / margin
            for scores in (logits, suspect)
        )
        nearer = tf.reduce_sum(self._unlearned * tf.nn.relu(now - then) ** 2, -1)
        other = tf.reduce_sum(hard * (1 - self._unlearned), -1)
        attraction = margin * nearer * triggered * other
        return tf.reduce_mean(
            (1 - DISTILLATION) * own + DISTILLATION * like + ATTRACTION * attraction
        )


class _Optimizer:
    """Adam for a network's trainable weights: slower where they read pixels, some left alone."""

    def __init__(
        self,
        model: LogitModel,
        variables: Sequence[Any],
        weight_masks: Sequence[NDArray[Any]] | None,
    ) -> None:
        self._variables = variables
        slow = {id(kernel) for kernel in pixel_kernels(model.plan, model.network)}
        self._factors = [
            1 / model.preprocessing.gain if id(v) in slow else 1.0 for v in self._variables
        ]
        ids = map(id, model.network.weights)
        masks = dict(zip(ids, weight_masks, strict=True)) if weight_masks else {}
        kept = [np.asarray(masks.get(id(v), 1), np.float32) for v in self._variables]
        self._masks = [tf.constant(mask) for mask in kept]
        self._moments = [tf.Variable(tf.zeros((2, *v.shape))) for v in self._variables]
        self._compiled = tf.function(self._update)

    def update(self, gradients: list[Any], rate: float, step: int) -> None:
        """A step down the sum of these gradients of all weights."""
        self._compiled(gradients, tf.constant(rate, tf.float32), tf.constant(step + 1.0))

    def _update(self, gradients: Any, rate: Any, step: Any) -> None:
        for variable, moments, factor, mask, *parts in zip(
            self._variables, self._moments, self._factors, self._masks, *gradients, strict=True
        ):
            value, moved = adam_step(variable.value, -sum(parts), moments, step, rate * factor)
            variable.assign(variable.value + mask * (value - variable.value))
            moments.assign(moved)


def pixel_kernels(plan: Architecture, network: keras.Model) -> Iterator[Any]:
    """The weights of a network that multiply pixels as they are given to it."""
    scaled = set(plan.inputs)
    for ref, call in plan.nodes:
        if not all(source in scaled for source in refs_of(call)):
            continue
        traits, layer = plan.layer(call.layer).traits, network.get_layer(keras_name(call.layer))
        if traits.kernel:
            yield getattr(layer, traits.kernel)
        elif traits.keeps_scale:
            scaled.add(ref)
