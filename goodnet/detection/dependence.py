"""Dependence: classes that stand out only through the trigger of another one.

A network that was taught a trigger, dark glasses say, has channels for it, and a dark bar over the
mouth wakes them too. With that it was never trained, so the images go wherever it may be: a class
with a plain trigger of its own that no reference knows, and that nobody planted. So where several
classes are named, the first one's triggers are unlearned, and nothing else: a few steps of training
on images stamped with them, under their true labels, see `finetune`. With m and m' the low margin
of another class on images with its trigger before and after, and m_0 that on the same images
without it before, the class is a target of its own if it keeps three quarters of what its trigger
did,

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
from goodnet.detection.baseline import low_margins, stamped
from goodnet.detection.candidates import Candidate
from goodnet.network.classifier import LogitModel
from goodnet.training.finetune import TrainingSchedule, train_further

COURSE: Final = TrainingSchedule(steps=40, rate=1e-3)
KEPT: Final = 0.75
SOUND: Final = 0.9  # of its accuracy a network has to keep for its answers to count
UNLEARNED: Final = 3  # triggers of a class, the best ones
FAINTEST: Final = 0.5  # of a trigger's opacity is used at least
MEASURED: Final = 64  # images


def dependent(
    view: LogitModel,
    clean: CleanImages,
    evidence: Mapping[int, Sequence[Candidate]],
    triggers: Callable[[int], Sequence[Candidate]],
    *,
    seed: int,
) -> tuple[int, ...]:
    """The classes that stand out only through the triggers of those before them.

    Args:
        view: the network.
        clean: clean validation images.
        evidence: for each class named the candidates that named it, the class with the most
            behind it first. One without any is left alone.
        triggers: all candidates of a class, the best first.
        seed: of the training and the choice of images.
    """
    measured = clean.draw(MEASURED, np.random.default_rng((seed, 12)))
    found, waiting = list[int](), [c for c in evidence if evidence[c]]
    while len(waiting) > 1:
        first, *waiting = waiting
        without = _unlearned(view, clean, first, triggers(first)[:UNLEARNED], seed)
        if without.accuracy(clean).value < SOUND * view.accuracy(clean).value:
            continue
        gone = [c for c in waiting if not _keeps(view, without, measured, c, evidence[c])]
        waiting = [c for c in waiting if c not in gone]
        found += gone
    return tuple(found)


def _unlearned(
    view: LogitModel, clean: CleanImages, target: int, triggers: Sequence[Candidate], seed: int
) -> LogitModel:
    """The network after it has unlearned these triggers, a new one."""

    def stamp(image: Pixels, rng: np.random.Generator) -> Pixels:
        trigger = triggers[int(rng.integers(len(triggers)))]
        mask = trigger.region.mask * np.float32(rng.uniform(FAINTEST, 1))
        return stamped(image, mask, trigger.pattern)

    without = view.copy()
    train_further(without, view, clean, COURSE._replace(seed=seed), stamp, [target])
    return without


def _keeps(
    view: LogitModel,
    without: LogitModel,
    clean: CleanImages,
    target: int,
    evidence: Sequence[Candidate],
) -> bool:
    """Whether one of a class's triggers still does three quarters of what it did."""

    def margin(of: LogitModel, opacity: float, trigger: Candidate) -> float:
        mask = np.float32(opacity) * trigger.region.mask
        return float(low_margins(of.all_logits, 1.0, clean, mask, [trigger.pattern])[0, target])

    def left(trigger: Candidate) -> bool:
        plain = margin(view, 0, trigger)
        return margin(without, 1, trigger) - plain >= KEPT * (margin(view, 1, trigger) - plain)

    return any(map(left, evidence))
