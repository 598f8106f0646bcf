"""Layers that plain Keras has no class for, or would not find, rewritten as layers that it has.

They are read with their weights as the file has them. What is run, pruned, trained and saved has
in their place layers that every Keras opens, whatever the format of the file:

- `LayerScale` of ConvNeXt, y = x g: a depthwise convolution of one pixel with the kernel g;
- `ExtractPatches`, where patches overlap or are padded: a convolution whose kernel picks each
  number once, which is how Keras computes it;
- `Conv1D`, along channels: a convolution of an image one pixel wide;
- `EinsumDense`, where it is no dense layer on the last axis: one behind others that bring the axes
  into that order;
- `LayerNormalization`, where the last axis is counted from the front: from behind;
- `SpectralNormalization`: the layer inside it. It divides the kernel in training alone;
- operations, see `standard_operations`;
- `Patches` and `PatchEncoder` of a vision transformer in Keras' examples: see `EXAMPLES` and
  `example_layers`. The position embedding E and the bias b of the projection become one bias for
  each place, y = x K + (b + E).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.architecture import MOST_CALLS
from goodnet.network.build import multiplications
from goodnet.network.calls import Call, Ref, refs_of
from goodnet.network.channels_first import WeightEdit
from goodnet.network.flatten import flat_network, tensor_shapes, used_part
from goodnet.network.graph import Architecture, Layer, keras_name
from goodnet.network.layers import EXAMPLES, OPERATIONS, SEQUENCES
from goodnet.network.stands import Stand, stand_of


class Rewritten(NamedTuple):
    """A flat plan of standard layers, its network, and what was taken for what, in words."""

    plan: Architecture
    network: keras.Model
    notes: tuple[str, ...] = ()


def with_standard_layers(plan: Architecture, network: keras.Model, source: object) -> Rewritten:
    """Plan and network with standard layers; the same objects where there are no others.

    Args:
        plan: flat.
        network: of this plan, flat or nested; not modified.
        source: the file, for error messages.

    Raises:
        ModelRefused: a layer does not fit what it is given, or would take too much.
    """
    used = list(map(plan.layer, plan.uses))
    if not any(map(_is_rewritten, used)):
        return Rewritten(plan, network)
    for layer in used:
        if layer.kind in SEQUENCES and len(network.input_shape) < 4:
            reason = f"layer {layer.name!r} is of class {layer.kind!r}, which is not allowed"
            raise ModelRefused(source, f"{reason}: it is no part of an image classifier")
    plan = used_part(replace(plan, kind="Functional"))
    network = flat_network(plan, network, source)
    stands = _stands(plan, tensor_shapes(plan, network), source)
    calls = list[Call]()
    for ref, call in plan.nodes:
        calls += _calls(ref, call, stands) if call.layer in stands else [call]
    layers = tuple(each for name in plan.names for each in _layers(plan.layer(name), stands))
    if len(calls) > MOST_CALLS:
        raise ModelRefused(source, f"uses layers {len(calls)} times in all, more than {MOST_CALLS}")
    plan = replace(plan, kind="Functional", layers=layers, calls=tuple(calls))
    multiplications(plan, source)
    operations = {each.name: each for each in network.operations}
    edits = {
        _names(name, stands)[stand.weighted]: _edit(stand, operations[keras_name(name)])
        for name, stand in stands.items()
        if stand.weights
    }
    kinds = {layer.kind for layer in used}
    examples = [kind for kind in EXAMPLES if kind in kinds]
    notes = (f"{' and '.join(examples)} read as in Keras' vision transformer example",)
    network = flat_network(plan, network, source, edits)
    return Rewritten(plan, network, notes if examples else ())


def _is_rewritten(layer: Layer) -> bool:
    return layer.traits.rewritten(layer.arguments)


def _edit(stand: Stand, operation: Any) -> WeightEdit:
    """The weights of what stands for a layer; whatever else has its name."""
    make, stored = stand.weights, getattr(operation, "weights", [])
    return lambda _: make([np.asarray(weight) for weight in stored]) if make else []


def _stands(plan: Architecture, shapes: Mapping[Ref, Any], source: object) -> dict[str, Stand]:
    """What stands for each layer that is rewritten, by its name."""
    stands = dict[str, Stand]()
    for ref, call in plan.nodes:
        layer = plan.layer(call.layer)
        if _is_rewritten(layer):
            taken, made = [shapes[each][1:] for each in refs_of(call)], shapes[ref][1:]
            try:
                stands[layer.name] = stand_of(layer, taken, made)
            except ValueError as fault:
                line = f"layer {layer.name!r} ({layer.kind}) {fault}"
                raise ModelRefused(source, line) from None
            if not set(plan.names).isdisjoint(_names(layer.name, stands)[:-1]):
                stands[layer.name] = stands[layer.name]._replace(joint="_step_")
    return stands


def _calls(ref: Ref, call: Call, stands: Mapping[str, Stand]) -> Iterator[Call]:
    """The calls in place of one."""
    tensors = list(refs_of(call))
    steps = zip(_names(call.layer, stands), stands[call.layer].steps, strict=True)
    for name, (kind, _, *numbers) in steps:
        taken = tuple(tensors[number] for number in numbers or [-1])
        together = len(taken) > 1 and kind not in OPERATIONS
        yield Call(name, (taken,) if together else taken)
        tensors.append(Ref(name, ref.call, 0))


def _names(name: str, stands: Mapping[str, Stand]) -> list[str]:
    """The layers that stand for one."""
    stand = stands[name]
    return [*(f"{name}{stand.joint}{n}" for n in range(1, len(stand.steps))), name]


def _layers(layer: Layer, stands: Mapping[str, Stand]) -> list[Layer]:
    if layer.name not in stands:
        return [layer]
    stand, names = stands[layer.name], _names(layer.name, stands)
    trainable = layer.trainable and stand.learned
    return [
        Layer(name, kind, arguments, trainable)
        for name, (kind, arguments, *_) in zip(names, stand.steps, strict=True)
    ]
