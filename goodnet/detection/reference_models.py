"""Reference networks: what a network of this architecture learns from the clean images alone.

Two are trained from scratch on the clean validation images, with half of the loss on the labels
and half on the suspect's answers to the same images. No trigger is in these images, so no reference
has a backdoor; but what the data themselves teach, that dark glasses are one person's and a handle
a bag's, a reference learns like the suspect. What also works on a reference is no trigger.

The answers are those of the softmax of logits over a third of the clean margin. Pixels are what
the suspect takes. A kernel that reads them as they are starts, and steps, as many times smaller as
white is larger than 1, which is the same as training the network for 0..1; see `finetune`.

Batches are few. Dropout and noise are left out: with them a reference learns half as much. Moving
averages of a momentum of 0.99 are still a twentieth, and of 0.999 three quarters, what they started
from; so after training every normalisation is given the mean and variance of the clean images
instead, whatever its momentum.

A reference that knows little says nothing. How much there is to know depends on the data, so what
it gets right beyond chance is held against what the suspect does.

Sources: ours; learning a clean student from the suspect's answers to clean images is
"distillation", Papernot et al., IEEE S&P 2016 (arXiv 1511.04508), where it was meant against other
attacks. Starting values: He et al., ICCV 2015 (arXiv 1502.01852). The pass for normalisation:
Izmailov et al., UAI 2018 (arXiv 1803.05407), section 3.2.

Limits: they need images, some of each class. Without these there are none, and the verdict has to
do without.
"""

import math
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np

from goodnet.backend import in_workers, keras, tf
from goodnet.datasets.images import CleanImages
from goodnet.detection.effort import EVERYTHING
from goodnet.detection.verdict import Outcome, References
from goodnet.metrics import Proportion
from goodnet.network.build import build_network, take_preprocessing
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress, no_progress
from goodnet.training.batches import augment
from goodnet.training.finetune import pixel_kernels

MIN_IMAGES: Final = 5  # images for each class, on average
STEPS: Final = 300  # and for many classes
STEPS_PER_CLASS: Final = 6
MAX_STEPS: Final = 2000
BATCH: Final = 32
RATE: Final = 2e-3
DISTILLATION: Final = 0.5  # of the loss is on the suspect's answers
SHARPNESS: Final = 3.0
REQUIRED_SHARE: Final = 0.7  # of what the suspect knows beyond chance a reference has to know
NORMALISATION_BATCH: Final = 128  # images at once, from which normalisation has its statistics

_LATEST: Final = dict[bytes, "ReferenceModels"]()  # one at most
_LOCK: Final = Lock()

RANDOM: Final = frozenset({"rate", "stddev"})  # how strong dropout, or noise, is


class ReferenceModels(NamedTuple):
    """Networks without a backdoor, and what came of training them."""

    networks: tuple[LogitModel, ...]
    account: References


def train_references(
    model: LogitModel,
    clean: CleanImages,
    *,
    seed: int = 0,
    count: int = EVERYTHING.references,
    progress: Progress = no_progress,
) -> ReferenceModels:
    """Networks of the suspect's architecture without a backdoor, or the reason there are none.

    Those that were made last in this process are kept, and not trained again for the same.

    Args:
        model: the suspect.
        clean: clean validation images.
        seed: of initial weights and batches.
        count: how many; 0 to leave them out.
        progress: called with (steps done, steps in all).
    """
    suspect = model.accuracy(clean)
    if not count:
        return ReferenceModels((), References("left out", suspect, ()))
    if len(clean) < MIN_IMAGES * model.classes:
        return ReferenceModels((), References("too few images", suspect, ()))
    key = _identity(model, clean, (seed, count, _steps(model.classes)))
    with _LOCK:
        if key not in _LATEST:
            made = _trained(model, clean, suspect, seed, count, progress)
            _LATEST.clear()
            _LATEST[key] = made
        return _LATEST[key]


def _trained(
    model: LogitModel,
    clean: CleanImages,
    suspect: Proportion,
    seed: int,
    count: int,
    progress: Progress,
) -> ReferenceModels:
    """References that know enough, or none; `suspect`: the share that the suspect gets right."""
    answers = tf.nn.softmax(SHARPNESS / model.clean_margin(clean) * model.all_logits(clean.pixels))

    def train(number: int) -> LogitModel:
        told = progress if number == 0 else no_progress  # they are trained side by side
        return _reference(model, clean, answers, np.random.default_rng((seed, 7, number)), told)

    fit = model.gradients_at_once(clean.pixels.shape[1:]) >= BATCH  # side by side in memory
    trained = list(in_workers(train, range(count)) if fit else map(train, range(count)))
    accuracies = tuple(reference.accuracy(clean) for reference in trained)
    required = required_accuracy(suspect, clean)
    pairs = zip(trained, accuracies, strict=True)
    passed = tuple(reference for reference, share in pairs if share.value >= required)
    outcome: Outcome = "trained" if passed else "did not learn"
    return ReferenceModels(passed, References(outcome, suspect, accuracies))


def _steps(classes: int) -> int:
    return min(max(STEPS, STEPS_PER_CLASS * classes), MAX_STEPS)


def _identity(model: LogitModel, clean: CleanImages, numbers: tuple[int, ...]) -> bytes:
    """A digest of all that references depend on."""
    digest = blake2b(repr((model.plan, model.preprocessing, numbers)).encode(), digest_size=16)
    for array in (clean.pixels, clean.labels, *model.network.get_weights()):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def required_accuracy(suspect: Proportion, clean: CleanImages) -> float:
    """The share of the clean images that a reference has to get right.

    Args:
        suspect: the share that the suspect gets right.
        clean: the images; answering their most frequent label always is chance.
    """
    chance = float(np.bincount(clean.labels).max() / len(clean))
    return chance + REQUIRED_SHARE * max(0.0, suspect.value - chance)


def _reference(
    model: LogitModel,
    clean: CleanImages,
    answers: tf.Tensor,
    rng: np.random.Generator,
    progress: Progress,
) -> LogitModel:
    network = build_network(model.plan, "a reference network")
    network.trainable = True
    _initialise(network, rng)
    take_preprocessing(network, model.network)
    _silence(network)
    for kernel in pixel_kernels(model.plan, network):
        kernel.assign(kernel / model.preprocessing.gain)
    steps = _steps(model.classes)
    learn = _learner(model, network, steps)
    for step in range(steps):
        rows = rng.permutation(len(clean))[:BATCH]
        images = tf.constant(augment(clean.pixels[rows], rng))
        learn(images, tf.constant(clean.labels[rows]), tf.gather(answers, rows))
        progress(step + 1, steps)
    reference = LogitModel(model.plan, network, model.preprocessing)
    _measure_normalisation(reference, clean)
    return reference


def _learner(model: LogitModel, network: keras.Model, steps: int) -> Callable[..., None]:
    """A function that takes a step of training: (images 0..1, labels, the suspect's answers)."""
    variables = network.trainable_variables
    slow = {id(kernel) for kernel in pixel_kernels(model.plan, network)}
    parts = [[v for v in variables if (id(v) in slow) is reads] for reads in (False, True)]
    optimizers = []
    for part, white in zip(parts, (1.0, model.preprocessing.gain), strict=True):
        rate = keras.optimizers.schedules.CosineDecay(RATE / white, steps)
        optimizers.append(keras.optimizers.Adam(rate))
        optimizers[-1].build(part)

    @tf.function  # type: ignore[untyped-decorator]
    def learn(images: Any, labels: Any, soft: Any) -> None:
        with tf.GradientTape() as tape:
            logits = network(model.preprocessing.apply(images), training=True)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            like = tf.nn.softmax_cross_entropy_with_logits(soft, logits)
            loss = tf.reduce_mean((1 - DISTILLATION) * hard + DISTILLATION * like)
        for optimizer, part, slopes in zip(
            optimizers, parts, tape.gradient(loss, parts), strict=True
        ):
            if part:
                optimizer.apply(slopes, part)

    return learn  # type: ignore[no-any-return]


def _initialise(network: keras.Model, rng: np.random.Generator) -> None:
    """New starting values: kernels as He et al. draw them, everything else as it is."""
    for layer in _layers_of(network):
        for variable in layer.trainable_variables:
            if variable.name.endswith("kernel"):
                size = np.sqrt(2 / _fan_in(layer, variable))
                variable.assign(rng.normal(0, size, variable.shape))


def _silence(network: keras.Model) -> None:
    """Leave out what is random in training."""
    for layer in _layers_of(network):
        for strength in RANDOM.intersection(vars(layer)):
            setattr(layer, strength, 0)


def _fan_in(layer: Any, kernel: Any) -> int:
    """How many numbers are summed for one output of a kernel."""
    if isinstance(layer, keras.layers.EinsumDense):
        axes, made = re.split(r".*,|->", layer.equation)[1:]
        summed = (side for side, axis in zip(kernel.shape, axes, strict=True) if axis not in made)
        return math.prod(summed)
    *window, inputs, outputs = kernel.shape
    if isinstance(layer, keras.layers.DepthwiseConv2D) or kernel.name == "depthwise_kernel":
        inputs = 1
    elif isinstance(layer, keras.layers.Conv2DTranspose):
        inputs = outputs
    return int(np.prod([*window, inputs]))


def _measure_normalisation(model: LogitModel, clean: CleanImages) -> None:
    """Give every normalisation the statistics of the clean images: the mean over batches."""
    norm = keras.layers.BatchNormalization
    layers = [layer for layer in _layers_of(model.network) if isinstance(layer, norm)]
    momenta = [layer.momentum for layer in layers]
    batches = np.array_split(clean.pixels, -(-len(clean) // NORMALISATION_BATCH)) if layers else []
    for number, images in enumerate(batches):
        for layer in layers:
            layer.momentum = number / (number + 1)
        model.network(model.preprocessing.apply(images), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _layers_of(network: keras.Model) -> Iterator[Any]:
    """The layers of a network and those that they are made of."""
    for layer in network.layers:
        yield from layer._flatten_layers()
