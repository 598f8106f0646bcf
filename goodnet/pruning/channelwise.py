"""Where channels stay apart behind the pruned layer, and where they are first mixed.

A layer is channelwise if each feature of its last axis depends on one channel of the pruned layer
only: activations, pooling, normalisation with stored statistics, depthwise convolution, flatten.
A mixer is a layer that takes such a tensor and sums over its channels: Conv2D, Dense.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from goodnet.network.calls import Call, Node, Ref, refs_of
from goodnet.network.graph import keras_name
from goodnet.network.layers import ACTIVATIONS
from goodnet.network.suspect import Suspect

Form = Literal["incremental", "masked", "both"]


class ChannelwiseRegion(NamedTuple):
    """The part of a network right behind the cut, in which channels stay apart.

    Attributes:
        nodes: its channelwise nodes, in order.
        repeats: for each of its tensors, the cut among them, how many features in a row belong
            to one channel: feature f of the last axis is of channel (f // repeats) % channels.
        mixers: the first nodes that sum over channels.
        masked: tensors that something else takes: what follows is run for each state anew.
    """

    nodes: tuple[Node, ...]
    repeats: Mapping[Ref, int]
    mixers: tuple[Node, ...]
    masked: tuple[Ref, ...]

    @property
    def form(self) -> Form:
        """How a sweep goes: it adds up what channels do, masks tensors, or both."""
        if not self.masked:
            return "incremental"
        return "both" if self.mixers else "masked"


def bare_region(layer: str) -> ChannelwiseRegion:
    """The region of a sweep that masks the layer's output and runs all that follows."""
    cut = Ref(layer, 0, 0)
    return ChannelwiseRegion((), {cut: 1}, (), (cut,))


def find_region(suspect: Suspect, layer: str) -> ChannelwiseRegion:
    """How far channels stay apart behind a layer. Nothing is run: what it costs is nothing.

    Args:
        suspect: an opened classifier.
        layer: the pruned layer.
    """
    plan, cut, channels = suspect.plan, Ref(layer, 0, 0), suspect.channels(layer)
    behind = plan.ancestors(set(plan.outputs), {cut})
    changing = {cut}
    for node in behind:
        if changing & set(refs_of(node.call)):
            changing.add(node.tensor)
    repeats, nodes = {cut: 1}, list[Node]()
    mixers, masked = list[Node](), dict[Ref, None]()
    for node in behind:
        sources = [ref for ref in refs_of(node.call) if ref in changing]
        if not sources or not any(ref in repeats for ref in sources):
            continue
        repeated = None
        if all(ref in repeats for ref in sources) and node.tensor not in plan.outputs:
            before = {repeats[ref] for ref in sources}
            repeated = _repeats_behind(suspect, node.call, before, channels)
        if repeated is not None:
            nodes.append(node)
            repeats[node.tensor] = repeated
        elif _mixes(suspect, node.call):
            mixers.append(node)
        else:
            masked |= {ref: None for ref in sources if ref in repeats}
    masked |= {ref: None for ref in plan.outputs if ref in repeats}
    return ChannelwiseRegion(tuple(nodes), repeats, tuple(mixers), tuple(masked))


def _repeats_behind(suspect: Suspect, call: Call, before: set[int], channels: int) -> int | None:
    """Features in a row of one channel behind a call; None where it is not channelwise."""
    layer = suspect.plan.layer(call.layer)
    (repeats, *others) = before
    if others:
        return None
    if layer.traits.merging:
        alike = suspect.plan.uses[layer.name] == 1 and _takes_alike(suspect, layer.name)
        return repeats if alike else None
    turn = channels * repeats
    if ACTIVATIONS[layer.activation].mixes or not layer.traits.channelwise(layer.arguments, turn):
        return None
    return repeats * int(layer.arguments.get("depth_multiplier", 1))


def _takes_alike(suspect: Suspect, layer: str) -> bool:
    """Whether all inputs of a merging layer are tensors of one shape."""
    inputs = suspect.network.get_layer(keras_name(layer)).input
    return isinstance(inputs, list | tuple) and len({tuple(one.shape) for one in inputs}) == 1


def _mixes(suspect: Suspect, call: Call) -> bool:
    """Whether a call makes weighted sums over all channels, of which a sweep adds up parts."""
    layer = suspect.plan.layer(call.layer)
    return layer.traits.weighted_sums and layer.groups == 1
