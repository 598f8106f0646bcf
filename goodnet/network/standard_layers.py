"""Layers that plain Keras has no class for, or would not find, rewritten as layers that it has.

They are read with their weights as the file has them. What is run, pruned, trained and saved has
in their place layers that every Keras opens, whatever the format of the file:

- `LayerScale` of ConvNeXt, y = x g: a depthwise convolution of one pixel with the kernel g;
- `ExtractPatches`, where patches overlap or are padded: a convolution whose kernel picks each
  number once, which is how Keras computes it;
- `EinsumDense`, where it is no dense layer on the last axis: one behind others that bring the axes
  into that order;
- `SpectralNormalization`: the layer inside it. It divides the kernel in training alone;
- operations, see `standard_operations`;
- `Patches` and `PatchEncoder` of a vision transformer in Keras' examples: see `EXAMPLES` and
  `example_layers`. The position embedding E and the bias b of the projection become one bias for
  each place, y = x K + (b + E).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.architecture import MOST_CALLS
from goodnet.network.build import multiplications
from goodnet.network.calls import Call, Ref, refs_of
from goodnet.network.channels_first import FIRST, WeightEdit
from goodnet.network.cost import LARGEST_TENSOR
from goodnet.network.einsum import ordered, terms_of
from goodnet.network.flatten import flat_network, tensor_shapes
from goodnet.network.graph import Architecture, Layer, keras_name
from goodnet.network.layers import EXAMPLES, OPERATIONS
from goodnet.network.places import OPEN
from goodnet.network.rearrangement import Step, patch_steps
from goodnet.network.reductions import Made
from goodnet.network.standard_operations import layers_of

Weights = list[Any]


class Stand(NamedTuple):
    """What stands for a layer.

    Attributes:
        steps: the layers behind each other, or as `Made` says; the last one has the name.
        weights: those of one of them, from the layer's own; None if none has any.
        learned: whether it can be trained if the layer could.
        weighted: the number of that one.
        joint: what is between its name and a number in the names of the others.
    """

    steps: Sequence[Step | Made]
    weights: Callable[[Weights], Weights] | None = None
    learned: bool = True
    weighted: int = -1
    joint: str = "_"


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
    network = flat_network(replace(plan, kind="Functional"), network, source)
    stands = _stands(plan, tensor_shapes(plan, network), source)
    calls = list[Call]()
    for ref, call in plan.nodes:
        calls += _calls(ref, call, stands) if call.layer in stands else [call]
    layers = tuple(each for name in plan.names for each in _layers(plan.layer(name), stands))
    if len(calls) > MOST_CALLS:
        raise ModelRefused(source, f"uses layers {len(calls)} times in all, more than {MOST_CALLS}")
    plan = replace(plan, kind="Functional", layers=layers, calls=tuple(calls))
    multiplications(plan, source)
    edits = {
        _names(name, stands)[stand.weighted]: _edit(stand, network.get_layer(keras_name(name)))
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


def _edit(stand: Stand, layer: Any) -> WeightEdit:
    """The weights of what stands for a layer; whatever else has its name."""
    make, stored = stand.weights, layer.weights
    return lambda _: make([np.asarray(weight) for weight in stored]) if make else []


def _stands(plan: Architecture, shapes: Mapping[Ref, Any], source: object) -> dict[str, Stand]:
    """What stands for each layer that is rewritten, by its name."""
    stands = dict[str, Stand]()
    for ref, call in plan.nodes:
        layer = plan.layer(call.layer)
        if _is_rewritten(layer):
            taken, made = [shapes[each][1:] for each in refs_of(call)], shapes[ref][1:]
            try:
                stands[layer.name] = _stand(layer, taken, made)
            except ValueError as fault:
                line = f"layer {layer.name!r} ({layer.kind}) {fault}"
                raise ModelRefused(source, line) from None
            if not set(plan.names).isdisjoint(_names(layer.name, stands)[:-1]):
                stands[layer.name] = stands[layer.name]._replace(joint="_step_")
    return stands


def _stand(layer: Layer, taken: Sequence[Any], made: Any) -> Stand:
    """What stands for a layer that is given tensors of these shapes, and makes one."""
    if layer.traits.home == "operation":
        return Stand(layers_of(layer.kind, layer.arguments, taken, made), joint="_step_")
    return _STANDS[layer.kind](layer.arguments, taken[0])


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


def _layer_scale(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    if len(shape) != 3:
        raise ValueError(f"scales tensors of {len(shape)} axes; images have three")
    step = ("DepthwiseConv2D", {"kernel_size": 1, "use_bias": False})
    return Stand([step], lambda weights: [weights[0].reshape(1, 1, -1, 1)])


def _extract_patches(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    data_format = arguments.get("data_format") or "channels_last"
    size, strides = _pair(arguments["size"]), _pair(arguments.get("strides") or arguments["size"])
    plain = arguments.get("padding", "valid") == "valid" and data_format != FIRST
    beside = strides == size and _pair(arguments.get("dilation_rate", 1)) == (1, 1)
    if plain and beside and (steps := patch_steps(size, shape)):
        return Stand(steps)
    numbers = math.prod(size) * (shape[0 if data_format == FIRST else -1] or 0)
    if len(shape) != 3 or not 0 < numbers * numbers <= LARGEST_TENSOR:
        most = math.isqrt(LARGEST_TENSOR)
        raise ValueError(f"makes patches of {numbers} numbers; {most} can be")
    kernel = np.eye(numbers, dtype=np.float32).reshape(*size, -1, numbers)
    convolution = {
        "filters": numbers,
        "kernel_size": size,
        "strides": strides,
        "padding": arguments.get("padding", "valid"),
        "dilation_rate": arguments.get("dilation_rate", 1),
        "data_format": data_format,
        "use_bias": False,
    }
    return Stand([("Conv2D", convolution)], lambda _: [kernel], learned=False)


def _patches(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    side = arguments["patch_size"]
    steps = patch_steps((side, side), shape)
    if not steps:
        raise ValueError(f"cuts images of {' x '.join(map(str, shape))}")
    *front, (kind, last) = steps
    rows, columns, numbers = last["target_shape"]
    return Stand([*front, (kind, {"target_shape": (rows * columns, numbers)})])


def _patch_encoder(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    places, width = arguments["num_patches"], arguments["projection_dim"]
    if len(shape) != 2 or shape[0] != places:
        raise ValueError(f"encodes {places} patches and is given {' x '.join(map(str, shape))}")
    projection = {
        "equation": "abc,cd->abd",
        "output_shape": (places, width),
        "bias_axes": "bd",
    }

    def weights(stored: Weights) -> Weights:
        kernel, bias, embedding = stored
        return [kernel, bias + embedding]

    return Stand([("EinsumDense", projection)], weights)


def _einsum_dense(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    """Sums of products over some axes: a dense layer, once these are one, the last one."""
    equation = str(arguments["equation"]).replace(" ", "")
    kernel_rank = len(equation.partition(",")[2].partition("->")[0])
    (given, kernel), made = terms_of(equation, (len(shape) + 1, kernel_rank), weights=1)
    kept = [each for each in given if each in made and each not in kernel]
    inner = [each for each in given if each in kernel and each not in made]
    new = [each for each in kernel if each not in given]
    if len(kept) + len(inner) != len(given) or not inner or not set(new) <= set(made):
        raise ValueError(f"multiplies tensors as {equation!r}, which is not taken apart")
    said = arguments["output_shape"]
    said = [said] if isinstance(said, int) else list(said)
    dots = [None] * (len(made) - len(said))
    said = [*said, *dots] if equation.endswith("...") else [*dots, *said]
    outputs = dict(zip(made, said, strict=True))
    sides = {each: side or 0 for each, side in zip(given, shape, strict=True)}
    sides |= {each: outputs[each] or 0 for each in new}
    if 0 in sides.values():
        raise ValueError(OPEN)
    bias = arguments.get("bias_axes") or ""
    if not set(bias) <= set(new):
        raise ValueError("adds another bias at each place")
    inputs, units = (math.prod(sides[each] for each in group) for group in (inner, new))
    steps: list[Made] = ordered(given, "".join(kept + inner))
    if len(inner) > 1:
        steps.append(("Reshape", {"target_shape": (*(sides[each] for each in kept), inputs)}))
    weighted, activation = len(steps), arguments.get("activation") or "linear"
    dense = {"units": units, "activation": activation, "use_bias": bool(bias)}
    steps.append(("Dense", dense))
    if len(new) > 1:
        steps.append(("Reshape", {"target_shape": tuple(sides[each] for each in kept + new)}))
    steps += ordered("".join(kept + new), made)

    def weights(stored: Weights) -> Weights:
        turned = stored[0].transpose([kernel.index(each) for each in (*inner, *new)])
        axes = [sides[each] if each in new else 1 for each in made]
        order = [made.index(each) for each in (*kept, *new)]
        biases = [np.broadcast_to(each, axes).transpose(order).ravel() for each in stored[1:]]
        return [turned.reshape(inputs, units), *biases]

    return Stand(steps, weights, weighted=weighted)


def _spectral_normalization(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    inner = arguments["layer"]

    def weights(stored: Weights) -> Weights:
        kernel, _, *bias = stored
        return [kernel, *bias]

    return Stand([(inner.kind, inner.arguments)], weights, learned=inner.trainable)


def _pair(value: Any) -> tuple[int, int]:
    down, across = (value, value) if isinstance(value, int) else value
    return down, across


_STANDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[int | None]], Stand]] = {
    "LayerScale": _layer_scale,
    "ExtractPatches": _extract_patches,
    "EinsumDense": _einsum_dense,
    "Patches": _patches,
    "PatchEncoder": _patch_encoder,
    "SpectralNormalization": _spectral_normalization,
}
