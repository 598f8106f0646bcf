"""What recovered triggers do to a repaired model: evidence from clean images alone.

A trigger that was recovered from the suspect is a likeness of the attacker's. Where it took images
to its class in the suspect and no longer does, that speaks for the repair; it proves nothing about
other triggers. A search on the repaired model itself adds what it finds there.
"""

from collections.abc import Mapping, Sequence

from goodnet.datasets.images import CleanImages
from goodnet.metrics import Proportion
from goodnet.mitigation.outcome import TriggerRecheck
from goodnet.network.classifier import Classifier
from goodnet.triggers.success import success
from goodnet.triggers.trigger import Trigger


def best_successes(
    network: Classifier, images: CleanImages, triggers: Sequence[Trigger]
) -> dict[int, Proportion]:
    """For each class with a trigger, what the best one does in a network.

    Args:
        network: the network.
        images: clean images that a repair was not trained with.
        triggers: the triggers.
    """
    best = dict[int, Proportion]()
    for trigger in triggers:
        share = success(network, images, trigger)
        known = best.get(trigger.target, share)
        best[trigger.target] = max(known, share, key=lambda each: each.value)
    return best


def recheck(
    before: Mapping[int, Proportion],
    repaired: Classifier,
    images: CleanImages,
    recovered: Sequence[Trigger],
    fresh: Sequence[Trigger] = (),
) -> tuple[TriggerRecheck, ...]:
    """For each class with a trigger, what the best one does in the suspect and in the model.

    Args:
        before: what the best recovered ones do in the suspect.
        repaired: the repaired model.
        images: clean images that the repair was not trained with.
        recovered: triggers recovered from the suspect.
        fresh: triggers recovered from the repaired model; they count in that one only.
    """
    after = best_successes(repaired, images, [*recovered, *fresh])
    return tuple(TriggerRecheck(target, share, after[target]) for target, share in before.items())
