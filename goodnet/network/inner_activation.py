"""Layers whose activation is a layer, `Conv2D(8, 3, activation=LeakyReLU())`, written as two.

The activation has the name then, and the layer before it that name with an ending: what is pruned
under it, and what other layers take, is what it was. Where it is a function, as `tf.nn.softmax` is
to Keras 3, its name stands for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from goodnet.network.layers import ACTIVATION_LAYERS, TENSORFLOW_NAMES, current_name

ENDING = "_linear"


def with_activations_apart(entries: Sequence[Any]) -> list[Any]:
    """The entries of a model's layers with such activations behind their layers."""
    result = list[Any]()
    for entry in map(_with_named_function, entries):
        config: Any = entry.get("config")
        inner: Any = config.get("activation") if isinstance(config, dict) else None
        known = isinstance(inner, dict) and isinstance(inner.get("config"), dict)
        if not known or current_name(str(inner.get("class_name"))) not in ACTIVATION_LAYERS:
            result.append(entry)
            continue
        name = config.get("name") or entry.get("name")
        first = {**entry, "name": f"{name}{ENDING}"}
        first["config"] = {**config, "name": first["name"], "activation": "linear"}
        nodes = [_node(node, [first["name"], n, 0]) for n, node in enumerate(_nodes(entry))]
        config = {**inner["config"], "name": name}
        result += [first, {**inner, "name": name, "config": config, "inbound_nodes": nodes}]
    return result


def _with_named_function(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a layer; an activation that is a function is a name in it, today's."""
    config = entry.get("config")
    inner = config.get("activation") if isinstance(config, dict) else None
    if not isinstance(inner, dict) or inner.get("class_name") != "function":
        return entry
    name = inner.get("config")
    name = TENSORFLOW_NAMES.get(name, name) if isinstance(name, str) else None
    return {**entry, "config": {**entry["config"], "activation": name or inner}}


def _nodes(entry: Mapping[str, Any]) -> Sequence[Any]:
    return entry.get("inbound_nodes") or []


def _node(like: Any, source: list[Any]) -> Any:
    """A call with one tensor, in the form of another call: Keras 2's or 3's."""
    if not isinstance(like, dict):
        return [[*source, {}]]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": source}}
    return {"args": [tensor], "kwargs": {}}
