"""A network whose images have their channels first, rewritten as one with channels last, exactly.

Each four-dimensional tensor (n, C, H, W) that a channels_first layer takes or makes is kept as
(n, H, W, C). Layers that look at positions say so in their `data_format`, others in their `axis`,
and those that work number by number do not care. In front of what needs the old order, and of what
is not known to do without it, a Permute brings it back. Weights stay as they are, but the rows of a
dense kernel behind a Flatten are put into the new order.

Files of repaired models take images as the suspect did: they begin with a Permute.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.network.calls import Call, Ref, map_refs, refs_of
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import ACTIVATIONS, always

Shape = tuple[int | None, ...]
Weights = list[NDArray[Any]]
WeightEdit = Callable[[Weights], Weights]

FIRST, LAST = "channels_first", "channels_last"
TO_LAST, TO_FIRST = (2, 3, 1), (3, 1, 2)  # as Permute counts, from 1
NEW_AXIS: Mapping[int, int] = {0: 0, 1: 3, 2: 1, 3: 2}  # of what is kept with its channels last
IMAGE_CHANNELS = (1, 3, 4)


def has_channels_first(plan: Architecture, shape: Shape) -> bool:
    """Whether a flat plan, for images of this shape, is to be rewritten."""
    formats = {plan.layer(call.layer).arguments.get("data_format") for call in plan.calls}
    return FIRST in formats or _takes_channels_first(plan, shape)


def with_channels_last(
    plan: Architecture, shapes: Mapping[Ref, Shape]
) -> tuple[Architecture, Architecture, Mapping[str, WeightEdit]]:
    """The flat plan with channels last, that of its files, and what becomes of its weights.

    Args:
        plan: see `has_channels_first`.
        shapes: of all its tensors, (None, ...).
    """
    rewriting = _Rewriting(plan, shapes)
    core = rewriting.plan()
    (images,) = plan.inputs
    if images not in rewriting.flipped:
        return core, core, rewriting.edits
    entry = Layer(f"{images.layer}_{LAST}", "Permute", {"dims": TO_LAST})
    source = Ref(entry.name, 0, 0)

    def behind(ref: Ref) -> Ref:
        return source if ref == images else ref

    calls = (call._replace(arguments=map_refs(behind, call.arguments)) for call in core.calls)
    written = replace(
        core,
        layers=(plan.layer(images.layer), entry, *core.layers[1:]),
        calls=(Call(entry.name, (images,)), *calls),
    )
    return core, written, rewriting.edits


class _Rewriting:
    """Goes through the calls of a plan.

    Attributes:
        flipped: the tensors that are kept with their channels last.
        edits: of layers whose weights change, what they become.
    """

    def __init__(self, plan: Architecture, shapes: Mapping[Ref, Shape]) -> None:
        self._old, self._shapes = plan, shapes
        self.flipped, self.edits = set[Ref](), dict[str, WeightEdit]()
        self._layers, self._calls = dict[str, Layer](), list[Call]()
        (images,) = plan.inputs
        first = plan.layer(images.layer)
        if _takes_channels_first(plan, shapes[images][1:]):
            self.flipped.add(images)
            none, *sides = first.arguments["batch_shape"]
            sides = [sides[axis - 1] for axis in TO_LAST]
            first = first._replace(arguments={"batch_shape": (none, *sides)})
        self._layers[first.name] = first

    def plan(self) -> Architecture:
        """The plan with channels last."""
        for ref, call in self._old.nodes:
            self._rewrite(ref, call)
        outputs = tuple(self._in_order(ref, flipped=False) for ref in self._old.outputs)
        layers, calls = tuple(self._layers.values()), tuple(self._calls)
        return replace(self._old, kind="Functional", layers=layers, calls=calls, outputs=outputs)

    def _rewrite(self, ref: Ref, call: Call) -> None:
        layer, sources = self._old.layer(call.layer), list(refs_of(call))
        first = layer.arguments.get("data_format") == FIRST
        any_flipped = not self.flipped.isdisjoint(sources)
        if first:
            layer = layer._replace(arguments={**layer.arguments, "data_format": LAST})
            self._add(ref, layer, call, flipped=True)
        elif layer.traits.shape_only and any_flipped:
            self._flatten(ref, layer, call)
        elif "dims" in layer.arguments and any_flipped:
            dims = tuple(NEW_AXIS[axis] for axis in layer.arguments["dims"])
            as_it_is = Layer(layer.name, "Identity", {})
            moved = layer._replace(arguments={"dims": dims})
            self._add(ref, as_it_is if dims == (1, 2, 3) else moved, call, flipped=None)
        elif any_flipped and (flipped := self._with_new_axes(layer, sources)):
            self._add(ref, flipped, call, flipped=True)
        else:
            self._add(ref, layer, call, flipped=False)

    def _add(self, ref: Ref, layer: Layer, call: Call, *, flipped: bool | None) -> None:
        """A call of a layer on tensors in the one order or the other, or as they are (None)."""

        def source(old: Ref) -> Ref:
            return old if flipped is None else self._in_order(old, flipped=flipped)

        self._calls.append(call._replace(arguments=map_refs(source, call.arguments)))
        self._layers[layer.name] = layer
        if flipped and len(self._shapes[ref]) == 4:
            self.flipped.add(ref)

    def _in_order(self, ref: Ref, *, flipped: bool) -> Ref:
        """The tensor with its channels where they are wanted, of an added layer if need be."""
        if len(self._shapes[ref]) != 4 or (ref in self.flipped) == flipped:
            return ref
        order, dims = (LAST, TO_LAST) if flipped else (FIRST, TO_FIRST)
        number = f"_{ref.call}" if ref.call else ""
        layer = Layer(f"{ref.layer}{number}_{order}", "Permute", {"dims": dims})
        if layer.name not in self._layers:
            self._layers[layer.name] = layer
            self._calls.append(Call(layer.name, (ref,)))
        return Ref(layer.name, 0, 0)

    def _with_new_axes(self, layer: Layer, sources: list[Ref]) -> Layer | None:
        """The layer for tensors with channels last; None if there is none."""
        traits, arguments = layer.traits, dict(layer.arguments)
        if any(len(self._shapes[source]) != 4 for source in sources):
            return None
        if "data_format" in traits.arguments:  # channels_last, and given channels first
            return None
        if "axis" in traits.arguments:
            axis = arguments.get("axis", -1)
            if not isinstance(axis, int) or self._old.uses[layer.name] > 1:
                return None
            return layer._replace(arguments={**arguments, "axis": NEW_AXIS[axis % 4]})
        if "shared_axes" in traits.arguments:
            shared = [NEW_AXIS[axis] for axis in arguments.get("shared_axes") or []]
            if self._old.uses[layer.name] > 1:
                return None
            self.edits[layer.name] = lambda weights: [w.transpose(1, 2, 0) for w in weights]
            return layer._replace(arguments={**arguments, "shared_axes": shared or None})
        each_alike = not any(isinstance(value, list | tuple) for value in arguments.values())
        one_by_one = traits.merging or (traits.channelwise is always and not traits.output_axes)
        mixes = ACTIVATIONS[layer.activation].mixes
        return layer if one_by_one and each_alike and not mixes else None

    def _flatten(self, ref: Ref, layer: Layer, call: Call) -> None:
        """Flatten, of a tensor that has its channels last now and had them first."""
        (source,) = refs_of(call)
        _, *sides = self._shapes[source]
        dense = self._dense_behind(ref) if None not in sides else None
        if dense is None:
            self._add(ref, layer, call, flipped=False)
            return
        rows = np.arange(np.prod([side or 1 for side in sides])).reshape([s or 1 for s in sides])
        order = rows.transpose(1, 2, 0).ravel()
        for name in dense:
            self.edits[name] = lambda weights: [weights[0][order], *weights[1:]]
        self._add(ref, layer, call, flipped=None)

    def _dense_behind(self, ref: Ref) -> list[str] | None:
        """The layers that weigh the numbers of a row; None where others see their order, too."""
        found = list[str]()
        if ref in self._old.outputs:
            return None
        for node in self._old.consumers(ref):
            layer = self._old.layer(node.call.layer)
            if self._old.uses[layer.name] > 1 or len(list(refs_of(node.call))) > 1:
                return None
            if layer.traits.kernel and layer.traits.weighted_sums:
                found.append(layer.name)
                continue
            if not layer.keeps_zero or layer.traits.output_axes or "shared_axes" in layer.arguments:
                return None
            behind = self._dense_behind(node.tensor)
            if behind is None or len(self._shapes[node.tensor]) != 2:
                return None
            found += behind
        return found


def _takes_channels_first(plan: Architecture, shape: Shape) -> bool:
    """Whether the images that a flat plan takes have their channels first."""
    if len(shape) != 3 or shape[0] not in IMAGE_CHANNELS:
        return False
    return shape[-1] not in IMAGE_CHANNELS or _reaches_channels_first(plan, plan.inputs[0])


def _reaches_channels_first(plan: Architecture, ref: Ref) -> bool:
    """Whether the first layers that look at positions behind a tensor have channels first."""
    for node in plan.consumers(ref):
        layer = plan.layer(node.call.layer)
        if "data_format" in layer.traits.arguments:
            return layer.arguments.get("data_format") == FIRST
        if "dims" in layer.arguments:
            return tuple(layer.arguments["dims"]) == TO_LAST
        return _reaches_channels_first(plan, node.tensor)
    return False
