"""What recovered triggers do to a repaired model: evidence from clean images alone.

A trigger that was recovered from the suspect is a likeness of the attacker's. Where it took images
to its class in the suspect and no longer does, that speaks for the repair; it proves nothing about
other triggers. A search on the repaired model itself adds what it finds there.
"""

from collections.abc import Sequence

from goodnet.datasets.images import CleanImages
from goodnet.metrics import Share
from goodnet.mitigation.outcome import Recovery
from goodnet.network.classifier import Scorer
from goodnet.triggers.success import success
from goodnet.triggers.trigger import Trigger


def recheck(
    suspect: Scorer,
    repaired: Scorer,
    images: CleanImages,
    recovered: Sequence[Trigger],
    fresh: Sequence[Trigger] = (),
) -> tuple[Recovery, ...]:
    """For each class with a trigger, what the best one does in the suspect and in the model.

    Args:
        suspect: the suspect.
        repaired: the repaired model.
        images: clean images that the repair was not trained with.
        recovered: triggers recovered from the suspect.
        fresh: triggers recovered from the repaired model; they count in that one only.
    """

    def best(network: Scorer, triggers: Sequence[Trigger], target: int) -> Share:
        shares = [
            success(network, images, target, trigger.mask, trigger.pattern)
            for trigger in triggers
            if trigger.target == target
        ]
        return max(shares, key=lambda share: share.value)

    return tuple(
        Recovery(
            target, best(suspect, recovered, target), best(repaired, [*recovered, *fresh], target)
        )
        for target in dict.fromkeys(trigger.target for trigger in recovered)
    )
