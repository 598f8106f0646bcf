"""What a second repair came to: a record, without what makes it."""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from goodnet.metrics import Share

Name = Literal["unlearned", "finepruned"]
GONE: Final = 0.5  # a recovered trigger that succeeds on no larger share is none


class Recovery(NamedTuple):
    """The most successful trigger recovered for a class, before and after.

    Attributes:
        target: the class.
        before: the share of clean images of other classes that it takes there.
        after: likewise in the repaired network, for that trigger or one recovered from it anew.
        named: whether the class is named again when the repaired network is judged.
    """

    target: int
    before: Share
    after: Share
    named: bool


class Made(NamedTuple):
    """What a method did.

    Attributes:
        pruned: channels that it pruned first.
        steps: of training.
        classes: the classes for which the suspect is to guard the network, see
            `goodnet.repair.guard`; None where the network is to stand alone.
    """

    pruned: int
    steps: int
    classes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Mitigated:
    """A second repair.

    Attributes:
        name: how it was done.
        pruned: channels that were pruned first.
        steps: of training.
        classes: those that the repaired network answers for in the suspect's place; None: all.
        held_out_before: held-out clean validation images that the suspect answers right.
        held_out_after: those that the repaired network does.
        budget: how many points of them may be lost.
        recovered: what could be recovered for each class in question.
    """

    name: Name
    pruned: int
    steps: int
    classes: tuple[int, ...] | None
    held_out_before: Share
    held_out_after: Share
    budget: float
    recovered: tuple[Recovery, ...]

    @property
    def lost(self) -> float:
        """The points of accuracy lost on held-out clean validation images."""
        return 100 * (self.held_out_before.value - self.held_out_after.value)

    @property
    def kept_budget(self) -> bool:
        """Whether no more accuracy was lost than is allowed."""
        return self.lost <= self.budget + 1e-9

    @property
    def still_there(self) -> tuple[Recovery, ...]:
        """Classes for which a trigger can still be recovered."""
        return tuple(found for found in self.recovered if found.named or found.after.value > GONE)

    @property
    def succeeded(self) -> bool:
        """Whether the repaired network can be used, as far as clean images tell."""
        return self.kept_budget and not self.still_there

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "method": self.name,
            "channels_pruned_first": self.pruned,
            "steps": self.steps,
            "answers_for_classes": None if self.classes is None else list(self.classes),
            "held_out_clean_accuracy": {
                "before": self.held_out_before.value,
                "after": self.held_out_after.value,
                "images": self.held_out_after.count,
                "budget_points": self.budget,
            },
            "recovered_trigger_success": {
                str(found.target): {"before": found.before.value, "after": found.after.value}
                for found in self.recovered
            },
            "succeeded": self.succeeded,
        }
