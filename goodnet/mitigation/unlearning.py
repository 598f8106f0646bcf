"""Unlearning a backdoor: the network is taught that what leads to its target means nothing.

For the classes C that a verdict named, a bank of stamps is kept that lead clean images to them, by
gradient, against the network as it is at each step; the network is trained on stamped images under
their true labels, see `adversarial_triggers` and `finetune`:

    min over weights  E over clean (x, y)  [ loss(f(x'), y) ],   x' = x, or x with a stamp of
    max over stamps   E over clean x       [ f_c(x') - max_{k != c} f_k(x') ],   c in C.

Some stamps are at the places where the verdict recovered a trigger and like it at first, some are
anywhere, and some are random: the attacker's trigger is like all of them and none of them.

However it is trained, a network errs on other images than it did before. So it stands in for the
suspect only where that answers one of C, and the suspect's other answers are left as they are, see
`goodnet.network.goodnet.gate_by_suspect`.
Then it costs little to doubt an innocent class, and the one that
follows those that stand out is in C with them: it may well be a second target.

Source: unlearning is section VI.C of Wang et al., "Neural Cleanse", IEEE S&P 2019; taking both
problems by turns is Zeng et al., "Adversarial Unlearning of Backdoors via Implicit Hypergradient",
ICLR 2022 (arXiv 2110.03735), here with stamps in place of perturbations of all pixels.

Limits: a trigger for a class outside C still works. It takes a few hundred clean images of several
classes. What accuracy it costs is measured on images held out from it, not promised.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from goodnet.mitigation.adversarial_triggers import Floats, TriggerPool, draw_stamp
from goodnet.mitigation.holdout import HoldoutSplit
from goodnet.mitigation.outcome import MethodResult
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress, no_progress
from goodnet.training.finetune import TrainingSchedule, train_further
from goodnet.triggers.trigger import Trigger

if TYPE_CHECKING:
    from goodnet.mitigation.mitigate import MitigationInput

COURSE: Final = TrainingSchedule(steps=800, rate=2e-3)
MOST_STEPS: Final = 2000  # for small images
WORK: Final = COURSE.steps * 55 * 47 * 3  # steps times numbers an image; two to three minutes
RANDOM: Final = 0.2  # of the stamps are random ones
FAINTEST: Final = 0.5  # of a stamp's opacity is used at least
DOUBT: Final = 0.1  # clean margins by which a class that stands out is answered less readily
OFTEN: Final = 3  # times as many stamps lead to a class that stands out as to the one that follows


def repair(
    problem: "MitigationInput", view: LogitModel, parts: HoldoutSplit, seed: int, progress: Progress
) -> MethodResult:
    """Unlearn the classes in question, in the view's network, in place."""
    verdict = problem.verdict
    out = verdict.flagged_classes
    near = [found.trigger() for found in (*verdict.triggers, *verdict.other_triggers)]
    teacher = LogitModel.from_suspect(problem.suspect, problem.scale)
    course = course_for(parts.tuning.pixels.shape[1:], seed)
    targets = (*out * OFTEN, *verdict.runner_up)
    doubt = dict.fromkeys(out, DOUBT)
    unlearn(view, teacher, parts, targets, near, doubt, course=course, progress=progress)
    return MethodResult(0, course.steps, (*out, *verdict.runner_up))


def course_for(shape: Sequence[int], seed: int) -> TrainingSchedule:
    """The course for images of a shape (H, W, C): the smaller they are, the longer, in a like time.

    Longer training leaves less of a backdoor, but a user waits three minutes and not more.
    """
    steps = max(COURSE.steps, min(MOST_STEPS, WORK // math.prod(shape)))
    return COURSE._replace(steps=steps, seed=seed)


def unlearn(
    view: LogitModel,
    teacher: LogitModel,
    parts: HoldoutSplit,
    targets: Sequence[int],
    near: Sequence[Trigger] = (),
    doubt: Mapping[int, float] = {},
    *,
    course: TrainingSchedule = COURSE,
    progress: Progress = no_progress,
) -> None:
    """Train the view's network, in place, until what leads to the classes no longer does.

    Args:
        view: the network.
        teacher: the suspect.
        parts: clean images to tune with, and held-out ones, which are not looked at.
        targets: the classes in question; one that is there twice gets twice as many stamps.
        near: triggers that were recovered.
        doubt: see `finetune.train_further`.
        course: how the network is trained.
        progress: called with (steps done, steps in all).
    """
    rng = np.random.default_rng((course.seed, 11))
    bank = TriggerPool(view, parts.tuning, targets, near, rng)

    def stamp(image: Floats, rng: np.random.Generator) -> Floats:
        if rng.random() < RANDOM:
            chosen = draw_stamp(parts.tuning.pixels.shape[1:], targets[0], rng)
        else:
            chosen = bank.stamps[int(rng.integers(len(bank.stamps)))]
        mask = chosen.mask * np.float32(rng.uniform(FAINTEST, 1))
        return np.asarray(image * (1 - mask) + mask * chosen.pattern)

    def step_done(done: int, total: int) -> None:
        bank.move()
        progress(done, total)

    train_further(view, teacher, parts.tuning, course, stamp, targets, doubt, progress=step_done)
