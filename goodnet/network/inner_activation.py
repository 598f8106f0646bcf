"""Layers whose activation is a layer, `Conv2D(8, 3, activation=LeakyReLU())`, written as two.

The activation has the name then, and the layer before it that name with an ending: what is pruned
under it, and what other layers take, is what it was. Where it is a function, as `tf.nn.softmax` is
to Keras 3, its name stands for it. Keras 2's hard sigmoid is 0.2 x + 0.5, cut off at 0 and 1, and
no function of Keras 3, whose own has another slope: it is written as layers likewise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from goodnet.network.layers import ACTIVATION_LAYERS, TENSORFLOW_NAMES, current_name

ENDING = "_linear"
HARD_SIGMOID = ("Rescaling", {"scale": 0.2, "offset": 0.5})


def with_activations_apart(entries: Sequence[Any], *, keras_2: bool) -> list[Any]:
    """The entries of a model's layers with such activations behind their layers."""
    return [each for entry in entries for each in _apart(_with_named_function(entry), keras_2)]


def is_of_keras_2(config: Any) -> bool:
    """Whether Keras 2 wrote the configuration of a model: it names shapes of input otherwise."""
    if isinstance(config, dict):
        return "batch_input_shape" in config or any(map(is_of_keras_2, config.values()))
    return isinstance(config, list) and any(map(is_of_keras_2, config))


def _apart(entry: Mapping[str, Any], keras_2: bool) -> list[Any]:
    config: Any = entry.get("config")
    inner: Any = config.get("activation") if isinstance(config, dict) else None
    if inner == "hard_sigmoid" and keras_2:
        return _chain(entry, [("scaled", *HARD_SIGMOID), ("", "ReLU", {"max_value": 1.0})])
    known = isinstance(inner, dict) and isinstance(inner.get("config"), dict)
    if not known or current_name(str(inner.get("class_name"))) not in ACTIVATION_LAYERS:
        return [entry]
    return _chain(entry, [("", inner, inner["config"])])


def _chain(entry: Mapping[str, Any], behind: Sequence[tuple[str, Any, Any]]) -> list[Any]:
    """The entry without its activation, and layers behind it, the last of which has its name."""
    config = entry["config"]
    name = str(config.get("name") or entry.get("name"))
    last = f"{name}{ENDING}"
    result = [{**entry, "name": last, "config": {**config, "name": last, "activation": "linear"}}]
    for ending, kind, arguments in behind:
        nodes = [_node(node, [last, number, 0]) for number, node in enumerate(_nodes(entry))]
        last = f"{name}_{ending}" if ending else name
        like = kind if isinstance(kind, dict) else {"class_name": kind}
        said = {**arguments, "name": last}
        result.append({**like, "name": last, "config": said, "inbound_nodes": nodes})
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
