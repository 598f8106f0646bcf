"""Where channels stay apart behind the pruned layer, and where they are first mixed.

A layer is channelwise if each feature of its last axis depends on one channel of the pruned layer
only: activations, pooling, normalisation with stored statistics, depthwise convolution, flatten.
A mixer is a layer that takes such a tensor and sums over its channels: Conv2D, Dense.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from goodnet.network.architecture import Call, Ref, refs_of
from goodnet.network.graph import POOLING, Graph
from goodnet.network.layers import MERGING

MadeBy = tuple[Ref, Call]

_CHANNELWISE = POOLING | {
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Dropout", "SpatialDropout2D",
    "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization", "ZeroPadding2D",
    "Cropping2D", "UpSampling2D", "BatchNormalization", "Rescaling", "Flatten", "Reshape",
    "DepthwiseConv2D",
}  # fmt: skip
_MIXES = frozenset({"softmax", "log_softmax"})


class ChannelwiseRegion(NamedTuple):
    """The part of a network right behind the cut, in which channels stay apart.

    Attributes:
        calls: its channelwise calls, in order.
        repeats: for each of its tensors, the cut among them, how many features in a row belong
            to one channel: feature f of the last axis is of channel (f // repeats) % channels.
        mixers: the first calls that sum over channels.
        masked: tensors that something else takes: what follows is run for each state anew.
    """

    calls: tuple[MadeBy, ...]
    repeats: Mapping[Ref, int]
    mixers: tuple[MadeBy, ...]
    masked: tuple[Ref, ...]

    @property
    def form(self) -> str:
        """How a sweep adds channels: "incremental", "masked", or "both"."""
        if not self.masked:
            return "incremental"
        return "both" if self.mixers else "masked"


def bare_region(cut: Ref) -> ChannelwiseRegion:
    """The region of a sweep that masks the cut itself and runs all that follows."""
    return ChannelwiseRegion((), {cut: 1}, (), (cut,))


def find_region(
    graph: Graph, cut: Ref, channels: int, operations: Mapping[str, Any]
) -> ChannelwiseRegion:
    """How far channels stay apart behind the cut.

    Args:
        graph: the suspect's plan.
        cut: the pruned layer's output.
        channels: how many channels it has.
        operations: the network's layers by name.
    """
    behind = graph.needed(set(graph.plan.outputs), {cut})
    changing = {cut}
    for made, call in behind:
        if changing & set(refs_of(call)):
            changing.add(made)
    repeats, calls = {cut: 1}, list[MadeBy]()
    mixers, masked = list[MadeBy](), dict[Ref, None]()
    for made, call in behind:
        taken = [ref for ref in refs_of(call) if ref in changing]
        if not taken or not any(ref in repeats for ref in taken):
            continue
        repeated = None
        if all(ref in repeats for ref in taken) and made not in graph.plan.outputs:
            before = {repeats[ref] for ref in taken}
            repeated = _repeats_behind(graph, call, before, channels, operations)
        if repeated is not None:
            calls.append((made, call))
            repeats[made] = repeated
        elif _mixes(graph, call):
            mixers.append((made, call))
        else:
            masked |= {ref: None for ref in taken if ref in repeats}
    masked |= {ref: None for ref in graph.plan.outputs if ref in repeats}
    return ChannelwiseRegion(tuple(calls), repeats, tuple(mixers), tuple(masked))


def _repeats_behind(
    graph: Graph, call: Call, before: set[int], channels: int, operations: Mapping[str, Any]
) -> int | None:
    """Features in a row of one channel behind a call; None where it is not channelwise."""
    kind, arguments = graph.kind(call.layer), graph.arguments(call.layer)
    (repeats, *others) = before
    if others:
        return None
    if kind in MERGING:
        alike = graph.times[call.layer] == 1 and _takes_alike(operations[call.layer])
        return repeats if alike else None
    if kind not in _CHANNELWISE or arguments.get("activation") in _MIXES:
        return None
    if kind == "Reshape" and (
        arguments["target_shape"][-1] <= 0
        or arguments["target_shape"][-1] % (channels * repeats) != 0
    ):
        return None
    if kind == "DepthwiseConv2D":
        return repeats * int(arguments.get("depth_multiplier", 1))
    return repeats


def _takes_alike(operation: Any) -> bool:
    """Whether all inputs of a merging layer are tensors of one shape."""
    inputs = operation.input
    return isinstance(inputs, list | tuple) and len({tuple(one.shape) for one in inputs}) == 1


def _mixes(graph: Graph, call: Call) -> bool:
    kind = graph.kind(call.layer)
    return kind == "Dense" or (
        kind == "Conv2D" and graph.arguments(call.layer).get("groups", 1) == 1
    )
