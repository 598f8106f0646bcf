"""What stands for a layer that is rewritten, for tensors of known shapes, see `standard_layers`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from goodnet.network.channels_first import FIRST
from goodnet.network.cost import LARGEST_TENSOR
from goodnet.network.einsum import ordered, terms_of
from goodnet.network.graph import Layer
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


def stand_of(layer: Layer, taken: Sequence[Any], made: Any) -> Stand:
    """What stands for a layer that is given tensors of these shapes, and makes one."""
    if layer.traits.home == "operation":
        return Stand(layers_of(layer.kind, layer.arguments, taken, made), joint="_step_")
    if layer.traits.normalises:
        return _with_last_axis(layer, taken[0])
    return _STANDS[layer.kind](layer.arguments, taken[0])


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


def _conv_1d(arguments: Mapping[str, Any], shape: Sequence[int | None]) -> Stand:
    if len(shape) != 2 or None in shape:
        raise ValueError(OPEN)
    slides = {"kernel_size": 1, "strides": 1, "dilation_rate": 1}
    along = {key: (_first(arguments.get(key, one)), 1) for key, one in slides.items()}
    others = {key: value for key, value in arguments.items() if key != "data_format"}
    image: Made = ("Reshape", {"target_shape": (shape[0], 1, shape[1])})
    row: Made = ("Reshape", {"target_shape": (-1, arguments["filters"])})

    def weights(stored: Weights) -> Weights:
        return [stored[0][:, None], *stored[1:]]

    return Stand([image, ("Conv2D", {**others, **along}), row], weights, weighted=1)


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


def _with_last_axis(layer: Layer, shape: Sequence[int | None]) -> Stand:
    """Keras 2 counts the last axis from the front."""
    axis = layer.arguments["axis"]
    arguments = {**layer.arguments, "axis": -1 if axis == len(shape) else axis}
    return Stand([(layer.kind, arguments)], lambda stored: stored)


def _first(value: Any) -> int:
    first: int = value if isinstance(value, int) else value[0]
    return first


def _pair(value: Any) -> tuple[int, int]:
    down, across = (value, value) if isinstance(value, int) else value
    return down, across


_STANDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[int | None]], Stand]] = {
    "LayerScale": _layer_scale,
    "ExtractPatches": _extract_patches,
    "EinsumDense": _einsum_dense,
    "Conv1D": _conv_1d,
    "Patches": _patches,
    "PatchEncoder": _patch_encoder,
    "SpectralNormalization": _spectral_normalization,
}
