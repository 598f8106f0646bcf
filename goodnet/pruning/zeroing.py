"""Pruning for real: weights set so that the pruned channels are exactly zero.

Masking a channel of a layer's output equals zeroing weights only where what lies between maps
zero to zero. So the weights are looked for from the layer backwards, through what keeps a zero a
zero, to what can make one: a convolution's kernel and bias, or a batch normalisation's scale and
shift. (Zeroing the convolution *before* a batch normalisation would leave the normalisation's
shift.) Where a shortcut bars that way, the weights that read the channel are zeroed instead,
which is the same to everything behind.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import keras
from goodnet.errors import RequestRefused
from goodnet.network.architecture import Architecture, Ref, refs_of
from goodnet.network.build import build_network
from goodnet.network.graph import POOLING, Graph
from goodnet.network.layers import ZERO_PRESERVING_ACTIVATIONS
from goodnet.network.suspect import Suspect

Weights = list[NDArray[Any]]
# (a layer's weights, the channels to prune, all channels of the pruned layer) -> None, in place
Edit = Callable[[Weights, list[int], int], None]

_KEEPS_ZERO = POOLING | {
    "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    "ActivityRegularization", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "LeakyReLU",
    "PReLU", "ELU",
}  # fmt: skip
_SHAPE_ONLY = frozenset({"Flatten"})


class ZeroingPlan(NamedTuple):
    """How a channel is pruned: `edits` by layer name, on the side that makes or reads it."""

    side: str
    edits: dict[str, Edit]


def plan_zeroing(plan: Architecture, layer: str, source: object) -> ZeroingPlan:
    """The weights to zero for pruning channels of a layer.

    Raises:
        RequestRefused: no weights of this network make exactly the layer's channels zero.
    """
    graph = Graph(plan)
    ref = Ref(layer, 0, 0)
    making = _making(graph, ref, last=True)
    if making is not None:
        return ZeroingPlan("made", making)
    reading = _reading(graph, ref, "channels")
    if reading:
        return ZeroingPlan("read", reading)
    raise RequestRefused(
        source,
        f"channels of layer {layer!r} cannot be made exactly zero by weights of this network; "
        "name another layer with --layer",
    )


def pruned_weights(
    weights: dict[str, Weights], cut: ZeroingPlan, channels: Collection[int], width: int
) -> dict[str, Weights]:
    """New weights of the layers that the cut touches.

    Args:
        weights: each layer's arrays; not modified.
        cut: from `plan_zeroing`.
        channels: the channels to prune.
        width: how many channels the pruned layer has.
    """
    changed = {}
    for name, edit in cut.edits.items():
        arrays = [np.array(array) for array in weights[name]]
        edit(arrays, sorted(channels), width)
        changed[name] = arrays
    return changed


def _keeps_zero(graph: Graph, name: str) -> bool:
    """Whether the layer maps a channel of zeros to the same channel of zeros."""
    kind, arguments = graph.kind(name), graph.arguments(name)
    if kind == "Activation":
        return (arguments.get("activation") or "linear") in ZERO_PRESERVING_ACTIVATIONS
    if kind == "ReLU":
        return arguments.get("threshold", 0) == 0 and arguments.get("max_value") != 0
    return kind in _KEEPS_ZERO


def _making(graph: Graph, ref: Ref, last: bool = False) -> dict[str, Edit] | None:
    """Edits by which the tensor's channels become zero; None where there are none.

    Nothing but the way to the pruned layer may see what the edits change: tensors behind the
    layer itself (`last`) may go anywhere, all others to one place.
    """
    name = ref.layer
    shared = graph.times.get(name, 0) != 1
    if shared or (not last and (len(graph.takers(ref)) != 1 or ref in graph.plan.outputs)):
        return None
    kind, arguments = graph.kind(name), graph.arguments(name)
    inputs = list(refs_of(graph.made_by[ref]))
    activation = arguments.get("activation") or "linear"
    if kind in _OUTPUT_EDITS:
        return {name: _OUTPUT_EDITS[kind]} if activation in ZERO_PRESERVING_ACTIVATIONS else None
    if kind == "BatchNormalization":
        return _making_normalised(graph, name, inputs[0])
    if _keeps_zero(graph, name):
        return _making(graph, inputs[0])
    if kind in ("Add", "Subtract", "Average", "Maximum", "Minimum"):
        branches = [_making(graph, branch) for branch in inputs]
        found = [edits for edits in branches if edits is not None]
        return (
            {k: v for edits in found for k, v in edits.items()}
            if len(found) == len(inputs)
            else None
        )
    return None


def _making_normalised(graph: Graph, name: str, before: Ref) -> dict[str, Edit] | None:
    """Edits for a batch normalisation over the last axis: y = scale (x - mean) / sd + shift."""
    arguments = graph.arguments(name)
    axis = arguments.get("axis", -1)
    if (axis[0] if isinstance(axis, list | tuple) else axis) not in (-1, 3):
        return None
    scale, center = arguments.get("scale", True), arguments.get("center", True)
    if scale:
        return {name: _zero_last_axis_of(range(1 + center))}
    upstream = _making(graph, before)  # no scale to zero: then x and the mean have to be
    return None if upstream is None else {**upstream, name: _zero_last_axis_of(range(1 + center))}


def _reading(graph: Graph, ref: Ref, form: str) -> dict[str, Edit] | None:
    """Edits by which nothing behind the tensor reads the channels; None where there are none."""
    edits: dict[str, Edit] = {}
    if ref in graph.plan.outputs:
        return None
    for made, call in graph.takers(ref):
        name, kind = call.layer, graph.kind(call.layer)
        if graph.times[name] != 1 or len(list(refs_of(call))) != 1:
            return None
        if kind in _INPUT_EDITS and graph.arguments(name).get("groups", 1) == 1:
            flat = kind == "Dense" and form == "flat"
            edits[name] = _zero_flat_rows if flat else _INPUT_EDITS[kind]
            continue
        if not (kind in _SHAPE_ONLY or _keeps_zero(graph, name)):
            return None
        inner = _reading(graph, made, "flat" if kind == "Flatten" else form)
        if inner is None:
            return None
        edits |= inner
    return edits


def _zero_last_axis_of(numbers: range | None = None) -> Edit:
    """An edit that zeroes the channels in the last axis of these arrays; None: of all."""

    def edit(weights: Weights, channels: list[int], width: int) -> None:
        for number in range(len(weights)) if numbers is None else numbers:
            weights[number][..., channels] = 0

    return edit


def _zero_separable_output(weights: Weights, channels: list[int], width: int) -> None:
    for array in weights[1:]:  # the depthwise kernel comes first
        array[..., channels] = 0


def _zero_depthwise_output(weights: Weights, channels: list[int], width: int) -> None:
    multiplier = weights[0].shape[3]  # kernel: (height, width, inputs, multiplier)
    for channel in channels:
        weights[0][:, :, channel // multiplier, channel % multiplier] = 0
    for bias in weights[1:]:
        bias[channels] = 0


def _zero_transposed_output(weights: Weights, channels: list[int], width: int) -> None:
    weights[0][:, :, channels, :] = 0  # kernel: (height, width, outputs, inputs)
    for bias in weights[1:]:
        bias[channels] = 0


def _zero_input_channels(weights: Weights, channels: list[int], width: int) -> None:
    weights[0][..., channels, :] = 0


def _zero_flat_rows(weights: Weights, channels: list[int], width: int) -> None:
    rows = np.isin(np.arange(len(weights[0])) % width, channels)
    weights[0][rows] = 0


def _zero_transposed_input(weights: Weights, channels: list[int], width: int) -> None:
    weights[0][..., channels] = 0


_OUTPUT_EDITS: dict[str, Edit] = {
    "Conv2D": _zero_last_axis_of(),
    "Dense": _zero_last_axis_of(),
    "SeparableConv2D": _zero_separable_output,
    "DepthwiseConv2D": _zero_depthwise_output,
    "Conv2DTranspose": _zero_transposed_output,
}
_INPUT_EDITS: dict[str, Edit] = {
    "Conv2D": _zero_input_channels,
    "Dense": _zero_input_channels,
    "SeparableConv2D": _zero_input_channels,
    "DepthwiseConv2D": _zero_input_channels,
    "Conv2DTranspose": _zero_transposed_input,
}


def prune(suspect: Suspect, layer: str, channels: Collection[int]) -> keras.Model:
    """A new network of the suspect's architecture in which the layer's channels are zero.

    Args:
        suspect: not modified.
        layer: the pruned layer.
        channels: the indices of the channels to prune.

    Raises:
        RequestRefused: no weights of this network make exactly these channels zero.
    """
    cut = plan_zeroing(suspect.plan, layer, suspect.source)
    weights = {inner.name: inner.get_weights() for inner in suspect.network.layers}
    width = int(suspect.network.get_layer(layer).output.shape[-1])
    repaired = build_network(suspect.plan, suspect.source)
    repaired.set_weights(suspect.network.get_weights())
    for name, arrays in pruned_weights(weights, cut, channels, width).items():
        repaired.get_layer(name).set_weights(arrays)
    return repaired
