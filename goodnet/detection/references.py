"""Reference networks: what a network of this architecture learns from the clean images alone.

Two are trained from scratch on the clean validation images, with half of the loss on the labels
and half on the suspect's answers to the same images. No trigger is in these images, so no reference
has a backdoor; but what the data themselves teach, that dark glasses are one person's and a handle
a bag's, a reference learns like the suspect. What also works on a reference is no trigger.

The answers are those of the softmax of logits over a third of the clean margin.

Source: ours; learning a clean student from the suspect's answers to clean images is "distillation",
Papernot et al., IEEE S&P 2016 (arXiv 1511.04508), where it was meant against other attacks.

Limits: they need images, some of each class. Without these there are none, and the verdict has to
do without.
"""

from typing import Final

import numpy as np

from goodnet.backend import in_workers, keras, tf
from goodnet.detection.problem import CleanImages, View
from goodnet.mitigation.tuning import varied
from goodnet.network import build_network
from goodnet.scale import Scale

COUNT: Final = 2
FEWEST: Final = 5  # images for each class, on average
STEPS: Final = 300  # and for many classes
STEPS_A_CLASS: Final = 6
MOST_STEPS: Final = 2000
BATCH: Final = 32
RATE: Final = 2e-3
SOFT: Final = 0.5  # of the loss is on the suspect's answers
SHARPNESS: Final = 3.0
LEARNED: Final = 0.7  # of the clean images; a reference that knows fewer says nothing


def references(view: View, clean: CleanImages, *, seed: int = 0, count: int = COUNT) -> list[View]:
    """Networks of the suspect's architecture without a backdoor; none where images are too few.

    Args:
        view: the suspect.
        clean: clean validation images.
        seed: of initial weights and batches.
        count: how many.
    """
    if len(clean) < FEWEST * view.classes:
        return []
    unit = view.clean_margin(clean)
    answers = tf.nn.softmax(SHARPNESS / unit * view.all_logits(clean.pixels))
    made = in_workers(
        lambda number: _reference(view, clean, answers, np.random.default_rng((seed, 7, number))),
        range(count),
    )
    return [reference for reference in list(made) if reference.right(clean).value >= LEARNED]


def _reference(
    view: View, clean: CleanImages, answers: tf.Tensor, rng: np.random.Generator
) -> View:
    network = build_network(view.plan, "a reference network")
    _initialise(network, rng)
    network.trainable = True
    variables = network.trainable_variables
    steps = min(max(STEPS, STEPS_A_CLASS * view.classes), MOST_STEPS)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(variables)

    @tf.function  # type: ignore[untyped-decorator]
    def learn(images: object, labels: object, soft: object) -> None:
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            like = tf.nn.softmax_cross_entropy_with_logits(soft, logits)
            loss = tf.reduce_mean((1 - SOFT) * hard + SOFT * like)
        optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(steps):
        rows = rng.permutation(len(clean))[:BATCH]
        images = tf.constant(varied(clean.pixels[rows], rng))
        learn(images, tf.constant(clean.labels[rows]), tf.gather(answers, rows))
    return View(view.plan, network, Scale.UNIT)


def _initialise(network: keras.Model, rng: np.random.Generator) -> None:
    """New starting values: kernels as He et al. draw them, everything else as it is."""
    for variable in network.trainable_variables:
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(rng.normal(0, np.sqrt(2 / fan_in), variable.shape))
