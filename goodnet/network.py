"""A Keras network built from an architecture and plain arrays, by our own code.

No value of the file reaches Keras but checked numbers: layers are made by class from the
allow-list, calls are made in the plan's order, weights are assigned after their shapes were
compared. The result is an ordinary, uncompiled Keras model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.architecture import Architecture, Layer, Ref
from goodnet.backend import keras
from goodnet.faults import ModelRefused, one_line
from goodnet.layers import INPUT, OPERATIONS

Weights = NDArray[Any]
LAYOUTS = ("layers", "paths")


def build_network(architecture: Architecture, source: object) -> keras.Model:
    """The network with this architecture and random weights.

    Args:
        architecture: the checked plan.
        source: the file, for the error message.

    Raises:
        ModelRefused: the layers do not fit together.
    """
    try:
        return _model(architecture)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RuntimeError) as fault:
        reason = one_line(str(fault).strip().splitlines()[0] if str(fault).strip() else repr(fault))
        raise ModelRefused(source, f"the layers do not fit together: {reason}") from None


def _model(plan: Architecture) -> keras.Model:
    layers = {layer.name: _layer(layer) for layer in plan.layers}
    if plan.kind == "Sequential":
        model = keras.Sequential([layers[layer.name] for layer in plan.layers], name=plan.name)
    else:
        tensors = _call_all(plan, layers)
        ends = ([tensors[ref] for ref in refs] for refs in (plan.inputs, plan.outputs))
        inputs, outputs = (end[0] if len(end) == 1 else end for end in ends)
        model = keras.Model(inputs, outputs, name=plan.name)
    if not plan.trainable:
        model.trainable = False
    return model


def _call_all(plan: Architecture, layers: Mapping[str, Any]) -> dict[Ref, Any]:
    """Every tensor of a functional model by its reference."""
    tensors = {
        Ref(layer.name, 0, 0): layers[layer.name].output
        for layer in plan.layers
        if isinstance(layer, Layer) and layer.kind == INPUT
    }
    calls: dict[str, int] = {}
    for call in plan.calls:
        number = calls.setdefault(call.layer, 0)
        arguments = [_tensor(argument, tensors) for argument in call.arguments]
        tensors[Ref(call.layer, number, 0)] = layers[call.layer](*arguments)
        calls[call.layer] += 1
    return tensors


def _tensor(argument: Any, tensors: Mapping[Ref, Any]) -> Any:
    if isinstance(argument, Ref):
        return tensors[argument]
    if isinstance(argument, tuple):
        return [_tensor(item, tensors) for item in argument]
    return argument


def _layer(plan: Layer | Architecture) -> Any:
    if isinstance(plan, Architecture):
        return _model(plan)
    arguments = dict(plan.arguments)
    if plan.kind == INPUT:
        return keras.layers.InputLayer(batch_shape=arguments["batch_shape"], name=plan.name)
    if plan.kind in OPERATIONS:
        home = keras.src.ops.nn if plan.kind == "OneHot" else keras.src.ops.numpy
        return getattr(home, plan.kind)(**arguments, name=plan.name)
    if plan.kind == "BatchNormalization" and isinstance(arguments.get("axis"), list):
        arguments["axis"] = arguments["axis"][0]  # Keras 2 wrote a list of one
    layer = getattr(keras.layers, plan.kind)(**arguments, name=plan.name)
    if not plan.trainable:
        layer.trainable = False
    return layer


def assign_weights(
    model: keras.Model,
    layout: str,
    stored: Sequence[tuple[str, Sequence[Weights]]],
    source: object,
) -> None:
    """Give the network the weights of its file.

    Args:
        model: from `build_network`; its weights are replaced.
        layout: "layers" (HDF5 of Keras 2, by layer in the model's order) or "paths" (Keras 3's
            own format, by the layer's path).
        stored: a layer's name or path, and its arrays.
        source: the file, for the error message.

    Raises:
        ModelRefused: an array is missing, left over, of the wrong shape, or not finite.
    """
    slots = list(_by_layer(model) if layout == "layers" else _by_path(model, set()))
    if layout == "layers" and len(slots) != len(stored):
        raise ModelRefused(
            source, f"holds weights for {len(stored)} layers; its architecture has {len(slots)}"
        )
    by_name = dict(stored)
    for (name, variables), (position_name, _) in zip(
        slots, stored if layout == "layers" else slots, strict=True
    ):
        arrays = by_name.pop(position_name, None)
        if arrays is None:
            raise ModelRefused(source, f"holds no weights for layer {name!r}")
        _assign(name, variables, arrays, source)
    left = [path for path in by_name if not path.endswith("seed_generator")]
    if left:
        raise ModelRefused(source, f"holds weights for {one_line(left[0])!r}, which it has not")


def _assign(name: str, variables: list[Any], arrays: Sequence[Weights], source: object) -> None:
    if len(arrays) != len(variables):
        raise ModelRefused(
            source, f"layer {name!r} has {len(variables)} weights; the file holds {len(arrays)}"
        )
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != tuple(array.shape):
            raise ModelRefused(
                source,
                f"layer {name!r} needs a weight of shape {tuple(variable.shape)}; the file's is "
                f"{tuple(array.shape)}",
            )
        if not np.isfinite(array).all():
            raise ModelRefused(source, f"layer {name!r} has NaN or infinite weights")
        variable.assign(np.asarray(array))


def _by_layer(model: keras.Model) -> Iterator[tuple[str, list[Any]]]:
    """Each top-level layer with weights, in Keras 2's order: trainable ones first."""
    for layer in model.layers:
        variables = layer.trainable_weights + layer.non_trainable_weights
        if variables:
            yield layer.name, variables


def _by_path(model: keras.Model, seen: set[int], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each layer with weights and its path in Keras 3's format: class names, numbered."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        number = counts.setdefault(kind, 0)
        counts[kind] += 1
        path = f"{prefix}layers/{kind}{f'_{number}' if number else ''}"
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            yield from _by_path(layer, seen, f"{path}/")
        elif layer.weights:
            yield path, layer.weights


def _snake_case(name: str) -> str:
    """Keras' own form of a class name: "Conv2D" -> "conv2d", "ReLU" -> "re_lu"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
