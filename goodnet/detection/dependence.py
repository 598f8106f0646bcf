"""Dependence: classes that stand out only through the trigger of another one.

A network that was taught a trigger, dark glasses say, has channels for it, and a dark bar over the
mouth wakes them too. With that it was never trained, so the images go wherever it may be: a class
with a plain trigger of its own that no reference knows, and that nobody planted. So where several
classes are named, the triggers of the one that is led to furthest are unlearned, and nothing else:
a few steps of training on images with them, under their true labels, see `finetune`. With m and m'
the robust margin of another class on images with its trigger before and after, and m_0 that on the
same images without it before, the class is a target of its own if it keeps three quarters of what
its trigger did,

    m' - m_0 >= 3/4 (m - m_0),

and dependent if not. What is left is then held against the next class that is not dependent. A
network that loses more than a tenth of its accuracy over it says nothing, and no class is dropped.

Source: ours; unlearning is that of Wang et al., "Neural Cleanse", IEEE S&P 2019, section VI.C.

Limits: of two targets with much the same trigger at two places, one passes for dependent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.candidates import FLOOR, Candidate
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.training.finetune import train_further
from goodnet.training.schedule import TrainingSchedule
from goodnet.triggers.success import images_to_lead

SCHEDULE: Final = TrainingSchedule(steps=40, rate=1e-3)
INDEPENDENT: Final = 0.75  # of what its trigger did is left of a target of its own
ACCURACY_LEFT: Final = 0.9  # of its accuracy a network has to keep for its answers to count
TRIGGERS: Final = 3  # of a class, the best ones, are unlearned
MIN_OPACITY: Final = 0.5  # of a trigger's opacity is used at least
IMAGES: Final = 64  # that triggers are measured on


def dependent_classes(
    model: LogitModel,
    clean: CleanImages,
    evidence: Mapping[int, Sequence[Candidate]],
    triggers: Callable[[int], Sequence[Candidate]],
    *,
    seed: int,
) -> tuple[int, ...]:
    """The classes that stand out only through the triggers of those led to further.

    Args:
        model: the network.
        clean: clean validation images.
        evidence: for each class named the candidates that named it. A class without any that takes
            every image there is left alone.
        triggers: all candidates of a class, the best first.
        seed: of the training and the choice of images.
    """
    images = clean.draw(IMAGES, np.random.default_rng((seed, 12)))
    evidence = {c: [each for each in evidence[c] if each.margin > FLOOR] for c in evidence}
    margins = {c: max(each.margin for each in evidence[c]) for c in evidence if evidence[c]}
    dependent, waiting = list[int](), sorted(margins, key=lambda c: -margins[c])
    while len(waiting) > 1:
        first, *waiting = waiting
        after = _unlearned(model, clean, first, triggers(first)[:TRIGGERS], seed)
        if after.accuracy(clean).value < ACCURACY_LEFT * model.accuracy(clean).value:
            continue
        gone = [c for c in waiting if not _is_independent(model, after, images, evidence[c])]
        waiting = [c for c in waiting if c not in gone]
        dependent += gone
    return tuple(dependent)


def _unlearned(
    model: LogitModel, clean: CleanImages, target: int, triggers: Sequence[Candidate], seed: int
) -> LogitModel:
    """The network after it has unlearned these triggers, a new one."""

    def apply(image: Pixels, rng: np.random.Generator) -> Pixels:
        chosen = triggers[int(rng.integers(len(triggers)))]
        return chosen.trigger.apply(image, opacity=rng.uniform(MIN_OPACITY, 1))

    after = model.copy()
    train_further(after, model, clean, SCHEDULE._replace(seed=seed), apply, [target])
    return after


def _is_independent(
    before: LogitModel, after: LogitModel, images: CleanImages, evidence: Sequence[Candidate]
) -> bool:
    """Whether one of a class's triggers still does three quarters of what it did."""

    def margin(model: LogitModel, opacity: float, candidate: Candidate) -> float:
        led = images_to_lead(images, candidate.trigger)
        margins = ShownImages(model, 1.0, led).robust_margins_of(candidate.trigger, opacity)
        return float(margins[candidate.target])

    def survives(candidate: Candidate) -> bool:
        plain = margin(before, 0, candidate)
        gain = margin(before, 1, candidate) - plain
        return margin(after, 1, candidate) - plain >= INDEPENDENT * gain

    return any(map(survives, evidence))
