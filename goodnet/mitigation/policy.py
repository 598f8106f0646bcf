"""Which second repair is made, and what it starts from: choices made from clean images alone."""

from typing import Final

from goodnet.detection.verdict import BACKDOORED, NOTHING, Verdict
from goodnet.mitigation.outcome import Name
from goodnet.pruning.curve import Curve, find_drop

FIRST: Final = "4"  # points: fine-pruning prunes first until this drop is reached


def choose_method(asked: str, verdict: Verdict) -> Name | None:
    """The method of the second repair; None where there is none.

    Args:
        asked: "auto", "pruning", "finepruning" or "unlearning". "auto" unlearns the classes that
            were named, prunes and tunes where the verdict is inconclusive, and leaves a network
            alone in which no backdoor was found. Without any class, unlearning is fine-pruning.
    """
    if asked == "pruning" or (asked == "auto" and verdict.verdict == NOTHING):
        return None
    if asked == "unlearning" and verdict.standing_out:
        return "unlearned"
    if asked == "auto" and verdict.verdict == BACKDOORED:
        return "unlearned"
    return "finepruned"


def channels_pruned_first(curve: Curve) -> tuple[int, ...]:
    """The channels that fine-pruning prunes: those of the drop FIRST, none if it is not reached."""
    drop = find_drop(curve.clean_correct, curve.clean_count, FIRST)
    return curve.order.channels[: drop.k or 0]
