"""What a mitigation method came to: records, without what makes them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from goodnet.evaluation.results import RepairedModel
from goodnet.metrics import Proportion


class TriggerRecheck(NamedTuple):
    """The most successful trigger recovered for a class, before and after.

    Attributes:
        target: the class.
        before: the share of the clean images that it is to lead that it takes there.
        after: likewise in the repaired network, for that trigger or one recovered from it anew.
    """

    target: int
    before: Proportion
    after: Proportion


class MethodResult(NamedTuple):
    """What a method did.

    Attributes:
        pruned: channels that it pruned first.
        steps: of training.
        classes: the classes for which the suspect is to guard the network, see
            `goodnet.network.goodnet.gate_by_suspect`; None where the network is to stand alone.
    """

    pruned: int
    steps: int
    classes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class MitigationResult:
    """What a mitigation method came to.

    Attributes:
        model: the repaired model.
        steps: of training.
        classes: those that the repaired network answers for in the suspect's place; None: all.
        held_out_before: held-out clean validation images that the suspect answers right.
        held_out_after: those that the repaired network does.
        triggers: what triggers recovered from the suspect do, for each class that has one.
        flagged_classes: those that are named, or stood out before and still do, when it is judged
            as the suspect was; None where it was not judged.
    """

    model: RepairedModel
    steps: int
    classes: tuple[int, ...] | None
    held_out_before: Proportion
    held_out_after: Proportion
    triggers: tuple[TriggerRecheck, ...]
    flagged_classes: tuple[int, ...] | None

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "method": self.model.method,
            "channels_pruned_first": self.model.pruned,
            "steps": self.steps,
            "answers_for_classes": None if self.classes is None else list(self.classes),
            "held_out_clean_accuracy": {
                "before": self.held_out_before.value,
                "after": self.held_out_after.value,
                "images": self.held_out_after.count,
            },
            "recovered_trigger_success": {
                str(trigger.target): {
                    "before": trigger.before.value,
                    "after": trigger.after.value,
                }
                for trigger in self.triggers
            },
            "named_when_judged_again": None
            if self.flagged_classes is None
            else list(self.flagged_classes),
        }
