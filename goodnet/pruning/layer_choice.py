"""The layer whose channels are pruned: one that was named, or the one that "auto" stands for."""

from collections.abc import Sequence

from goodnet.errors import RequestRefused, one_line
from goodnet.network.calls import Ref, refs_of
from goodnet.network.graph import Architecture
from goodnet.network.layers import always
from goodnet.pruning.zeroing_plan import find_zeroing


def choose_layer(plan: Architecture, name: str, source: object) -> str:
    """The name of the layer to prune.

    Args:
        plan: the suspect's architecture.
        name: a layer's name, or "auto": the last pooling layer before the class scores; if there
            is none, the last convolution before them, or else the last hidden dense layer. Where
            there is attention, of what comes behind the last one, and dense or normalised. What
            only makes weights for another tensor, as in squeeze-and-excite, is passed over. Where
            no weights can make its channels zero, the normalisation that alone reads it, or else
            the last earlier layer of these kinds whose channels can be.
        source: the model, for the error message.

    Raises:
        RequestRefused: there is no such layer, or its channels cannot be pruned.
    """
    used = list(dict.fromkeys(node.call.layer for node in plan.ancestors(set(plan.outputs), set())))
    scores = score_layers(plan)
    candidates = [
        each
        for each in used
        if plan.layer(each).traits.prunable and plan.uses[each] == 1 and each not in scores
    ]
    if name == "auto":
        if chosen := _preferred(plan, used, candidates):
            return chosen
        more = any(plan.uses[each] > 1 and plan.layer(each).traits.role for each in used)
        fault = (
            "uses every pooling, convolution and dense layer before its class scores more than once"
            if more
            else "has no pooling, convolution or dense layer of its own before its class scores"
        )
        raise RequestRefused(source, fault)
    prunable = ", ".join(candidates) or "none"
    if name not in used:
        raise RequestRefused(
            source,
            f"has no layer {one_line(name, 60)!r}; layers that can be pruned: {prunable}",
        )
    layer = plan.layer(name)
    if name in scores:
        raise RequestRefused(
            source,
            f"layer {name!r} ({layer.kind}) makes the class scores: its channels are the classes; "
            f"layers that can be pruned: {prunable}",
        )
    if name not in candidates:
        raise RequestRefused(
            source,
            f"layer {name!r} ({layer.kind}) has no channels that can be pruned; layers "
            f"that can be: {prunable}",
        )
    return name


_BEHIND_ATTENTION = (("pooling",), ("convolution",), ("dense", "normalisation"))


def _preferred(plan: Architecture, used: Sequence[str], candidates: Sequence[str]) -> str | None:
    """The candidate that "auto" stands for, see `choose_layer`; None if no layer fits."""
    main = [each for each in candidates if not _is_gate(plan, Ref(each, 0, 0))]
    attends = [number for number, each in enumerate(used) if plan.layer(each).traits.operands]
    behind = set(used[attends[-1] :]) if attends else set()
    preferences = [
        *[([each for each in main if each in behind], roles) for roles in _BEHIND_ATTENTION],
        *[(main, (role,)) for role in ("pooling", "convolution", "dense")],
    ]
    for layers, roles in preferences:
        fitting = [each for each in layers if plan.layer(each).traits.role in roles]
        if fitting:
            earlier = [each for each in main if plan.layer(each).traits.role]
            earlier = earlier[: earlier.index(fitting[-1])]
            return _place(plan, fitting[-1], candidates, earlier)
    return None


def _place(
    plan: Architecture, layer: str, candidates: Sequence[str], earlier: Sequence[str]
) -> str:
    """The layer, or what is pruned in its place where no weights can make its channels zero.

    That is the normalisation that alone reads it, or the last of the earlier layers.
    """
    if find_zeroing(plan, layer):
        return layer
    readers = [node.call.layer for node in plan.consumers(Ref(layer, 0, 0))]
    normalising = len(readers) == 1 and plan.layer(readers[0]).traits.role == "normalisation"
    others = [*(readers if normalising else []), *reversed(earlier)]
    usable = (each for each in others if each in candidates and find_zeroing(plan, each))
    return next(usable, layer)


def _is_gate(plan: Architecture, ref: Ref) -> bool:
    """Whether a tensor comes to nothing but weights for those that it is made from."""
    before = {each.tensor for each in plan.ancestors({ref}, set())} | set(plan.inputs)
    before -= {ref}
    made, ends = {ref}, [ref]
    for end in ends:
        consumers = plan.consumers(end)
        if not consumers:
            return False
        for tensor, call in consumers:
            others = set(refs_of(call)) - made
            gated = plan.layer(call.layer).traits.gates and others and others <= before
            if not gated and tensor not in made:
                made.add(tensor)
                ends.append(tensor)
    return True


def score_layers(plan: Architecture) -> set[str]:
    """The layers whose channels are the classes, or some of them.

    These are the layers that make the scores, dense or convolutions, and what lies between them
    and the output: pooling, activations and others that sum over no channels.
    """
    scores, ends = set[str](), list(plan.outputs)
    while ends:
        end = ends.pop()
        if end in plan.calls_by_tensor and end.layer not in scores:
            scores.add(end.layer)
            traits = plan.layer(end.layer).traits
            if not traits.kernel or traits.channelwise is always:
                ends += refs_of(plan.calls_by_tensor[end])
    return scores
