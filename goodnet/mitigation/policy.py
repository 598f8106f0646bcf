"""Which mitigation a verdict calls for, and what it starts from: chosen from clean images alone."""

from typing import Final

from goodnet.detection.verdict import BACKDOORED, NOTHING, Verdict
from goodnet.mitigation.method import Method
from goodnet.mitigation.methods import fine_pruning, method_named, unlearning
from goodnet.pruning.curve import Curve, find_drop

FIRST: Final = "4"  # points: channels are pruned first until this drop is reached


def choose_method(request: str, verdict: Verdict) -> Method | None:
    """The mitigation method; None where nothing is done beside pruning.

    Args:
        request: "auto", "pruning" or a method's name. "auto" unlearns the classes that were
            named, prunes and tunes where the verdict is inconclusive, and leaves a network alone
            in which no backdoor was found, which is not accurate enough to be judged, or whose
            verdict was left out. A method that needs classes gives way to fine-pruning where there
            are none.
    """
    if request == "pruning":
        return None
    nothing_to_do = verdict.verdict == NOTHING or verdict.is_doubtful or verdict.was_left_out
    if request == "auto" and nothing_to_do:
        return None
    if request == "auto":
        return unlearning.METHOD if verdict.verdict == BACKDOORED else fine_pruning.METHOD
    method = method_named(request)
    return method if verdict.flagged_classes or not method.needs_classes else fine_pruning.METHOD


def channels_pruned_first(curve: Curve) -> tuple[int, ...]:
    """The channels that fine-pruning prunes: those of the drop FIRST, none if it is not reached."""
    drop = find_drop(curve.clean_correct, curve.clean_count, FIRST)
    return curve.order.channels[: drop.k or 0]
