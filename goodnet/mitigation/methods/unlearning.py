"""Unlearning a backdoor: the network is taught that what leads to its target means nothing.

For the classes C that a verdict named, a pool of triggers is kept that lead clean images to them,
by gradient, against the network as it is at each step; the network is trained on images with them
under their true labels, see `adversarial_triggers` and `finetune`:

    min over weights  E over clean (x, y)  [ loss(f(x'), y) ],   x' = x, or x with a trigger
    max over triggers E over clean x       [ f_c(x') - max_{k != c} f_k(x') ],   c in C.

Some triggers are where the verdict recovered one and like it at first, some are anywhere, and some
are random: the attacker's trigger is like all of them and none of them. Where the verdict recovered
a change of the whole image, variants of that are among them.

However it is trained, a network errs on other images than it did before. So it stands in for the
suspect only where that answers one of C, and the suspect's other answers are left as they are, see
`goodnet.network.goodnet.gate_by_suspect`. Then it costs little to doubt an innocent class, and the
runner-up to those that stand out is in C with them: it may well be a second target.

Source: unlearning is section VI.C of Wang et al., "Neural Cleanse", IEEE S&P 2019; taking both
problems by turns is Zeng et al., "Adversarial Unlearning of Backdoors via Implicit Hypergradient",
ICLR 2022 (arXiv 2110.03735), here with triggers in place of perturbations of all pixels.

Limits: a trigger for a class outside C still works. It takes a few hundred clean images of several
classes. What accuracy it costs is measured on images held out from it, not promised.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from goodnet.mitigation.holdout import HoldoutSplit
from goodnet.mitigation.method import Method
from goodnet.mitigation.outcome import MethodResult
from goodnet.progress import Progress, no_progress
from goodnet.training.schedule import LAST_PART, TrainingSchedule, steps_that_fit
from goodnet.triggers.changes import AnyChange
from goodnet.triggers.trigger import Floats, Trigger

if TYPE_CHECKING:
    from goodnet.datasets.images import CleanImages
    from goodnet.mitigation.adversarial_triggers import TriggerPool
    from goodnet.mitigation.mitigate import MitigationInput
    from goodnet.network.classifier import LogitModel

SCHEDULE: Final = TrainingSchedule(steps=400, rate=2e-3, level=0.3)
MAX_STEPS: Final = 1000  # for small images
PIXELS: Final = SCHEDULE.steps * 55 * 47 * 3  # steps times numbers an image; a minute at most
MOVE_EVERY: Final = 2  # steps the triggers are moved by one
LOOK_EVERY: Final = 20  # steps held-out images are looked at
LOOKS: Final = 2  # in a row at which nothing got better
GONE: Final = 0.03  # of the held-out images may still be led to the classes when training ends
STILL: Final = 0.01  # of the held-out images: less is no change
PLAIN, STAMPED, STAMPED_BY_POOL = 200, 48, 2  # of them: without and with a trigger, by one of it
RANDOM: Final = 0.2  # of the triggers are random ones
CHANGED: Final = 0.4  # of the triggers are changes, where one was recovered, varied by so much:
CHANGE_STRENGTH: Final = 1.5
MIN_OPACITY: Final = 0.5  # of a trigger's opacity is used at least
LOGIT_PENALTY: Final = 0.1  # clean margins by which a flagged class is answered less readily
FLAGGED_WEIGHT: Final = 3  # times as many triggers lead to a flagged class as to the runner-up


def repair(
    problem: "MitigationInput",
    model: "LogitModel",
    parts: HoldoutSplit,
    seed: int,
    progress: Progress,
) -> MethodResult:
    """Unlearn the classes that stand out and the runner-up, in the model's network, in place."""
    from goodnet.network.classifier import LogitModel

    verdict = problem.verdict
    flagged, runner_up = verdict.flagged_classes, verdict.runner_up
    schedule = schedule_for(parts.tuning.pixels.shape[1:], model.work, seed)
    steps = unlearn(
        model,
        LogitModel.from_suspect(problem.suspect, problem.preprocessing),
        parts,
        dict.fromkeys(flagged, FLAGGED_WEIGHT) | dict.fromkeys(runner_up, 1),
        verdict.recovered_triggers(),
        dict.fromkeys(flagged, LOGIT_PENALTY),
        schedule=schedule,
        progress=progress,
    )
    return MethodResult(0, steps, (*flagged, *runner_up))


def schedule_for(shape: Sequence[int], work: int, seed: int) -> TrainingSchedule:
    """The schedule for images of a shape (H, W, C): more steps for smaller ones, in a like time.

    Longer training leaves less of a backdoor, but a user waits three minutes and not more; for a
    network whose images take `work` multiplications each, see `steps_that_fit`.
    """
    steps = max(SCHEDULE.steps, min(MAX_STEPS, PIXELS // math.prod(shape)))
    return SCHEDULE._replace(steps=steps_that_fit(steps, work, LAST_PART), seed=seed)


def unlearn(
    model: "LogitModel",
    teacher: "LogitModel",
    parts: HoldoutSplit,
    targets: Mapping[int, int],
    seed_triggers: Sequence[Trigger] = (),
    logit_penalty: Mapping[int, float] = {},
    *,
    schedule: TrainingSchedule = SCHEDULE,
    progress: Progress = no_progress,
) -> int:
    """Train the model's network, in place, until what leads to the classes no longer does.

    Args:
        model: the network.
        teacher: the suspect.
        parts: clean images to tune with, and held-out ones, by which it is seen when to end.
        targets: the classes to unlearn, each with its weight: with twice the weight, twice as many
            triggers lead to one.
        seed_triggers: triggers that were recovered.
        logit_penalty: see `finetune.train_further`.
        schedule: how the network is trained.
        progress: called with (steps done, steps in all).

    Returns:
        The steps that were made.
    """
    from goodnet.mitigation.adversarial_triggers import TriggerPool
    from goodnet.training.finetune import train_further

    pool_rng = np.random.default_rng((schedule.seed, 11))
    patterns = [trigger for trigger in seed_triggers if not trigger.change]
    changes = [trigger.change for trigger in seed_triggers if trigger.change]
    pool = TriggerPool(model, parts.tuning, targets, patterns, pool_rng)
    classes = list(targets)
    apply = partial(_apply, pool, changes, classes[0])

    def step_done(done: int, total: int) -> None:
        if done % MOVE_EVERY == 0:
            pool.move()
        progress(done, total)

    return train_further(
        *(model, teacher, parts.tuning, schedule, apply, classes, logit_penalty),
        share=LAST_PART,
        settled=Watch(model, parts.held_out, seed_triggers, pool, pool_rng).settled,
        progress=step_done,
    )


def _apply(
    pool: "TriggerPool",
    changes: Sequence[AnyChange],
    target: int,
    image: Floats,
    rng: np.random.Generator,
) -> Floats:
    """The image with a trigger of the pool, a variant of a change, or a random trigger."""
    from goodnet.mitigation.adversarial_triggers import draw_trigger

    if changes and rng.random() < CHANGED:
        change = changes[int(rng.integers(len(changes)))].varied(rng, CHANGE_STRENGTH)
        return change.weaker(rng.uniform(MIN_OPACITY, 1)).apply(image)
    if rng.random() < RANDOM:
        height, width, channels = image.shape
        trigger = draw_trigger((height, width, channels), target, rng).trigger
    else:
        trigger = pool.draw(rng)
    return trigger.apply(image, opacity=rng.uniform(MIN_OPACITY, 1))


class Watch:
    """Whether triggers have lost their effect and accuracy rises no more, on held-out images.

    Args:
        model: the network that is trained.
        held_out: clean images that it is not trained with.
        recovered: the triggers of the verdict.
        pool: the triggers that are trained against.
        rng: draws images.
    """

    def __init__(
        self,
        model: "LogitModel",
        held_out: "CleanImages",
        recovered: Sequence[Trigger],
        pool: "TriggerPool",
        rng: np.random.Generator,
    ) -> None:
        self._plain, self._stamped = (held_out.draw(count, rng) for count in (PLAIN, STAMPED))
        self._model, self._recovered, self._pool, self._rng = model, recovered, pool, rng
        self._led, self._right, self._still = math.inf, 0.0, 0

    def settled(self, step: int) -> bool:
        """Whether hardly an image is led to the classes, and some looks in a row were no better."""
        if step % LOOK_EVERY:
            return False
        from goodnet.triggers.success import success

        shares = [success(self._model, self._stamped, each).value for each in self._recovered]
        shares.append(self._pool.success(self._stamped, STAMPED_BY_POOL, self._rng))
        led, right = float(np.mean(shares)), self._model.accuracy(self._plain).value
        better = led < self._led - STILL or right > self._right + STILL
        self._led, self._right = min(self._led, led), max(self._right, right)
        self._still = 0 if better else self._still + 1
        return led <= GONE and self._still >= LOOKS


METHOD: Final = Method(
    "unlearning", "Unlearning", "unlearned", repair, needs_classes=True, gated=True
)
