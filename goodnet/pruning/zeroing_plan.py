"""The weights that are set to zero to prune channels, found in a network's plan; nothing is run.

Masking a channel of a layer's output equals zeroing weights only where what lies between maps
zero to zero. So the weights are looked for from the layer backwards, through what keeps a zero a
zero, to what can make one: a convolution's kernel and bias, or a batch normalisation's scale and
shift. (Zeroing the convolution *before* a batch normalisation would leave the normalisation's
shift.) Where a shortcut bars that way, the weights that read the channel are zeroed instead,
which is the same to everything behind.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import RequestRefused
from goodnet.network.calls import Ref, refs_of
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import ACTIVATIONS, LAST, Axes

Weights = list[NDArray[Any]]
# (a layer's weights, the channels to prune, all channels of the pruned layer) -> None, in place
Edit = Callable[[Weights, list[int], int], None]
Edits = dict[str, Edit]  # by layer


class ZeroingPlan(NamedTuple):
    """How a channel is pruned: edits of the layers that make it, or of those that read it."""

    side: Literal["made", "read"]
    edits: Edits


def plan_zeroing(plan: Architecture, layer: str, source: object) -> ZeroingPlan:
    """The weights to zero for pruning channels of a layer.

    Raises:
        RequestRefused: no weights of this network make exactly the layer's channels zero.
    """
    if found := find_zeroing(plan, layer):
        return found
    raise RequestRefused(
        source,
        f"channels of layer {layer!r} cannot be made exactly zero by weights of this network; "
        "name another layer with --layer",
    )


def find_zeroing(plan: Architecture, layer: str) -> ZeroingPlan | None:
    """The weights to zero for pruning channels of a layer; None if no weights can do it."""
    ref = Ref(layer, 0, 0)
    edits = _edits_upstream(plan, ref, cut=True)
    if edits is not None:
        return ZeroingPlan("made", edits)
    edits = _edits_downstream(plan, ref)
    return ZeroingPlan("read", edits) if edits else None


def _edits_upstream(plan: Architecture, ref: Ref, cut: bool = False) -> Edits | None:
    """Edits by which the tensor's channels become zero; None where there are none.

    Nothing but the way to the pruned layer may see what the edits change: tensors behind the
    layer itself (`cut`) may go anywhere, all others to one place.
    """
    seen_elsewhere = not cut and (len(plan.consumers(ref)) != 1 or ref in plan.outputs)
    if plan.uses[ref.layer] != 1 or seen_elsewhere:
        return None
    layer, sources = plan.layer(ref.layer), list(refs_of(plan.calls_by_tensor[ref]))
    if layer.traits.output_axes:
        keeps_zero = ACTIVATIONS[layer.activation].keeps_zero
        return {layer.name: _zero_outputs(layer.traits.output_axes)} if keeps_zero else None
    if layer.traits.normalises:
        return _edits_of_normalisation(plan, layer, sources[0])
    if not layer.keeps_zero:
        return None
    edits: Edits = {}
    for source in sources:
        branch = _edits_upstream(plan, source)
        if branch is None:
            return None
        edits |= branch
    return edits


def _edits_of_normalisation(plan: Architecture, layer: Layer, source: Ref) -> Edits | None:
    """Edits for a normalisation over the last axis: y = scale (x - mean) / sd + shift."""
    own = layer.traits.normalises == "own"
    if layer.arguments.get("axis", -1) not in ((-1,) if own else (-1, 3)):
        return None
    scale, center = layer.arguments.get("scale", True), layer.arguments.get("center", True)
    edit = _zero_outputs([LAST] * (1 + center))  # scale and shift, or shift and mean
    if scale:
        return {layer.name: edit}
    if own:  # where all are moved by the mean of all, none stays at zero
        return None
    upstream = _edits_upstream(plan, source)  # no scale to zero: then x and the mean have to be
    return None if upstream is None else {**upstream, layer.name: edit}


def _edits_downstream(plan: Architecture, ref: Ref) -> Edits | None:
    """Edits by which nothing behind the tensor reads the channels; None where there are none."""
    edits: Edits = {}
    if ref in plan.outputs:
        return None
    for node in plan.consumers(ref):
        layer = plan.layer(node.call.layer)
        if plan.uses[layer.name] != 1 or len(list(refs_of(node.call))) != 1:
            return None
        if layer.traits.kernel and layer.groups == 1:
            edits[layer.name] = _zero_inputs(layer.traits.input_axis)
            continue
        if not (layer.traits.shape_only or layer.keeps_zero):
            return None
        behind = _edits_downstream(plan, node.tensor)
        if behind is None:
            return None
        edits |= behind
    return edits


def _zero_outputs(axes: Sequence[Axes]) -> Edit:
    """An edit that zeroes output channels: of each weight, on these axes taken together."""

    def edit(weights: Weights, channels: list[int], width: int) -> None:
        for weight, own in zip(weights, axes, strict=False):  # a layer may have no bias
            if own:
                front = np.moveaxis(weight, own, range(len(own)))
                index = np.unravel_index(np.array(channels, int), front.shape[: len(own)])
                front[index] = 0

    return edit


def _zero_inputs(axis: int) -> Edit:
    """An edit that zeroes what a kernel multiplies input channels with: they take turns."""

    def edit(weights: Weights, channels: list[int], width: int) -> None:
        front = np.moveaxis(weights[0], axis, 0)
        front[np.isin(np.arange(len(front)) % width, channels)] = 0

    return edit
