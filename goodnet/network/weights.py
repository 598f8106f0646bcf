"""Which array of a file belongs to which variable of a network."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import keras
from goodnet.errors import ModelRefused, one_line

Weights = NDArray[Any]
StoredFile = Sequence[tuple[str, Sequence[Weights]]]  # a layer's name or path, and its arrays


def paired_weights(
    network: keras.Model, layout: str, stored: StoredFile, source: object
) -> list[tuple[Any, Weights]]:
    """Every variable of the network with its array, of the same shape and finite.

    Args:
        network: its variables need not be initialised.
        layout: "keras_2" and "keras_3" (HDF5, by layer in the model's order; the two differ in
            the order within a partly frozen model), "paths" (Keras 3's own format, by the layer's
            path) or "tree" (SavedModel, by the layer's number in its model).
        stored: the file's arrays.
        source: the file, for the error message.

    Raises:
        ModelRefused: an array is missing, left over, of the wrong shape, or not finite.
    """
    arrays, pairs = dict(stored), list[tuple[Any, Weights]]()
    slots = slots_of(network, layout, list(arrays))
    if layout not in ("paths", "tree") and len(slots) != len(arrays):
        raise ModelRefused(
            source, f"holds weights for {len(arrays)} layers; its architecture has {len(slots)}"
        )
    for key, name, variables in slots:
        if key not in arrays:
            raise ModelRefused(source, f"holds no weights for layer {name!r}")
        pairs += _paired(name, variables, arrays.pop(key), source)
    left = [path for path in arrays if not path.endswith("seed_generator")]
    if left:
        raise ModelRefused(source, f"holds weights for {one_line(left[0], 60)!r}, which it has not")
    return pairs


def _paired(
    name: str, variables: Sequence[Any], arrays: Sequence[Weights], source: object
) -> Iterator[tuple[Any, Weights]]:
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
        yield variable, array


def slots_of(
    network: keras.Model, layout: str, names: Sequence[str]
) -> list[tuple[str, str, list[Any]]]:
    """Each layer with weights: what it is called in a file, its name, and its variables.

    Args:
        network: its variables need not be initialised.
        layout: of the file, as above.
        names: the file's layers in its order.
    """
    if layout == "paths":
        return list(_by_path(network))
    if layout == "tree":
        return list(_by_number(network))
    layers = [layer for layer in network.layers if layer.weights]
    keys = [*names, *(layer.name for layer in layers[len(names) :])]
    return [
        (key, layer.name, [*trainable, *others])
        for key, layer in zip(keys, layers, strict=False)
        for trainable, others in [_trainable_first(layer, layout)]
    ]


def _trainable_first(layer: Any, layout: str) -> tuple[list[Any], list[Any]]:
    """A layer's trainable variables, and the others."""
    if layout == "keras_3" or not isinstance(layer, keras.Model):
        return layer.trainable_weights, layer.non_trainable_weights
    trainable, others = list[Any](), list[Any]()
    for inner in layer.layers:
        first, second = _trainable_first(inner, layout)
        trainable += first
        others += second
    return (trainable, others) if layer.trainable else ([], trainable + others)


def _by_number(
    network: keras.Model, prefix: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, str, list[Any]]]:
    """Each layer with weights and its path in a SavedModel: numbered among such layers."""
    seen = set() if seen is None else seen
    weighted = [layer for layer in network.layers if layer.weights]
    for number, layer in enumerate(weighted):
        path = f"{prefix}layer_with_weights-{number}"
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            yield from _by_number(layer, f"{path}/", seen)
        else:
            yield path, layer.name, layer.weights


def _by_path(
    network: keras.Model, prefix: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, str, list[Any]]]:
    """Each layer with weights and its path in Keras 3's format: class names, numbered."""
    seen = set() if seen is None else seen
    counts: dict[str, int] = {}
    for layer in network.layers:
        kind = _snake_case(type(layer).__name__)
        number = counts.setdefault(kind, 0)
        counts[kind] += 1
        path = f"{prefix}layers/{kind}{f'_{number}' if number else ''}"
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            yield from _by_path(layer, f"{path}/", seen)
        elif layer.weights:
            yield from _by_sublayer(layer, path)


def _by_sublayer(layer: Any, path: str) -> Iterator[tuple[str, str, list[Any]]]:
    """A layer with weights, or those in it that have them: query, key, value of an attention."""
    inner = [each for each in layer._flatten_layers(include_self=False) if each.weights]
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    if own or not inner:
        yield path, layer.name, own if inner else layer.weights
    for each in inner:
        (name,) = (key for key, value in vars(layer).items() if value is each)
        yield f"{path}/{name.lstrip('_')}", layer.name, each.weights


def _snake_case(name: str) -> str:
    """Keras' own form of a class name: "Conv2D" -> "conv2d", "ReLU" -> "re_lu"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
