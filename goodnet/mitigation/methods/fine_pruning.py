"""Fine-pruning: prune, then train the rest a little further on clean images.

The channels that clean images use least are pruned until clean validation accuracy has fallen by 4
points; then the network is trained further on clean images, the pruned weights staying zero. Here
some of the images carry random triggers under their true labels, see `finetune`.

Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018 (arXiv 1805.12185), section 4.

Limits: it knows nothing of the trigger, and a backdoor in channels that clean images use survives.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.mitigation.holdout import HoldoutSplit
from goodnet.mitigation.method import Method
from goodnet.mitigation.outcome import MethodResult
from goodnet.progress import Progress
from goodnet.training.schedule import LARGE, LAST_PART, TrainingSchedule, steps_that_fit
from goodnet.triggers.trigger import Floats

if TYPE_CHECKING:
    from goodnet.mitigation.mitigate import MitigationInput
    from goodnet.network.classifier import LogitModel

SCHEDULE: Final = TrainingSchedule(steps=300, rate=1e-3)


def repair(
    problem: "MitigationInput",
    model: "LogitModel",
    parts: HoldoutSplit,
    seed: int,
    progress: Progress,
) -> MethodResult:
    """Prune and tune the model's network, in place."""
    from goodnet.network.classifier import LogitModel
    from goodnet.training.finetune import train_further

    masks = _prune(problem, model)
    share = LAST_PART if model.work > LARGE else 1.0
    steps = steps_that_fit(SCHEDULE.steps, model.work, share)
    schedule = SCHEDULE._replace(steps=steps, seed=seed)
    train_further(
        model,
        LogitModel.from_suspect(problem.suspect, problem.preprocessing),
        parts.tuning,
        schedule,
        _apply_random_trigger,
        weight_masks=masks,
        share=share,
        progress=progress,
    )
    return MethodResult(len(problem.channels), schedule.steps)


def _prune(problem: "MitigationInput", model: "LogitModel") -> list[NDArray[np.bool_]]:
    """Prune the model's network, in place; for each weight, where it stays what it was."""
    from goodnet.pruning.zeroing import prune

    before = problem.suspect.network.get_weights()
    pruned = prune(problem.suspect, problem.layer, problem.channels)
    model.load(pruned)
    return [old == new for old, new in zip(before, pruned.get_weights(), strict=True)]


def _apply_random_trigger(image: Floats, rng: np.random.Generator) -> Floats:
    from goodnet.mitigation.adversarial_triggers import draw_trigger

    height, width, channels = image.shape
    return draw_trigger((height, width, channels), 0, rng).trigger.apply(image)


METHOD: Final = Method("finepruning", "Fine-pruning", "finepruned", repair, prunes_first=True)
