"""What recovered triggers do to a repaired model: evidence from clean images alone.

A trigger that was recovered from the suspect is a likeness of the attacker's. Where it took images
to its class in the suspect and no longer does, that speaks for the repair; it proves nothing about
other triggers. A search on the repaired model itself adds what it finds there.
"""

from collections.abc import Sequence

from goodnet.datasets.images import CleanImages
from goodnet.metrics import Proportion
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.network.classifier import Classifier
from goodnet.triggers.success import success
from goodnet.triggers.trigger import Trigger


def recheck(
    suspect: Classifier,
    repaired: Classifier,
    images: CleanImages,
    recovered: Sequence[Trigger],
    fresh: Sequence[Trigger] = (),
) -> tuple[TriggerRecheck, ...]:
    """For each class with a trigger, what the best one does in the suspect and in the model.

    Args:
        suspect: the suspect.
        repaired: the repaired model.
        images: clean images that the repair was not trained with.
        recovered: triggers recovered from the suspect.
        fresh: triggers recovered from the repaired model; they count in that one only.
    """

    def best(network: Classifier, triggers: Sequence[Trigger], target: int) -> Proportion:
        shares = [
            success(network, images, trigger) for trigger in triggers if trigger.target == target
        ]
        return max(shares, key=lambda share: share.value)

    return tuple(
        TriggerRecheck(
            target, best(suspect, recovered, target), best(repaired, [*recovered, *fresh], target)
        )
        for target in dict.fromkeys(trigger.target for trigger in recovered)
    )
