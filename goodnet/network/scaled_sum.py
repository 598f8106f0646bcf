"""Keras' CustomScaleLayer, of InceptionResNetV2 alone, as the two layers that do the same.

It makes `x + scale * y`, and is no layer that another Keras file may name. What is made of it, a
Rescaling and an Add, is checked as any layers are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from goodnet.network.arithmetic import layer_entry, operands_of
from goodnet.network.layers import EVERY_LAYER
from goodnet.network.refusal import is_of_keras

SCALED = "_scaled"
NAMES = ("CustomScaleLayer", "Custom>CustomScaleLayer")


def with_sums_apart(entries: Sequence[Any]) -> list[Any]:
    """The entries of a model's layers, each such one as two."""
    return [each for entry in entries for each in _apart(entry)]


def _is_scaled_sum(entry: Mapping[str, Any]) -> bool:
    """Whether it is one; late versions of Keras 2 have it in the package "Custom"."""
    said = set(entry["config"]) <= {*EVERY_LAYER, "trainable", "scale"}
    return entry["class_name"] in NAMES and is_of_keras(entry) and said


def _apart(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    nodes = entry.get("inbound_nodes") or []
    if not _is_scaled_sum(entry) or len(nodes) != 1:
        return [entry]
    operands, others = operands_of(nodes[0])
    if len(operands) == 1 and isinstance(operands[0], list):  # Keras 3: a list is one argument
        operands = operands[0]
    if len(operands) != 2 or others:
        return [entry]
    config = entry["config"]
    name = f"{config.get('name') or entry.get('name')}{SCALED}"
    scaled = {**entry, "name": name, "config": {**config, "name": name}}
    history = [name, 0, 0]
    tensor: Any = {"class_name": "__keras_tensor__", "config": {"keras_history": history}}
    result = tensor if isinstance(nodes[0], dict) else history
    return [
        layer_entry(scaled, "Rescaling", operands[1:], scale=config["scale"], offset=0.0),
        layer_entry(entry, "Add", [operands[0], result]),
    ]
