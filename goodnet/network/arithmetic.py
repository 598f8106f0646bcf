"""Operations on tensors in a configuration, written as the layers that do the same.

`x / 127.5 - 1` in front of a network becomes operations of Keras 3 (TrueDivide, Subtract), or
layers of Keras 2 that name a function of TensorFlow (TFOpLambda). A strict list of them is
rewritten before anything is checked; what comes out is checked as any layer is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.checks import is_table
from goodnet.network.layers import ARITHMETIC, FUNCTIONS, MOVES, RANDOM

TF_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")  # Keras 2's: a function of TensorFlow

# What x and a constant c make, and a constant and x: scale and offset.
_RESCALINGS: Mapping[tuple[str, bool], Callable[[float], tuple[float, float]]] = {
    ("Add", False): lambda c: (1.0, c),
    ("Add", True): lambda c: (1.0, c),
    ("Subtract", False): lambda c: (1.0, -c),
    ("Subtract", True): lambda c: (-1.0, c),
    ("Multiply", False): lambda c: (c, 0.0),
    ("Multiply", True): lambda c: (c, 0.0),
    ("Divide", False): lambda c: (1.0 / c if c else math.inf, 0.0),
}


def as_layer(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a layer that does what this one does; the entry itself if it is a layer.

    A number, or one for each channel, becomes a Rescaling. What is not on the list stays.
    """
    written, nodes = operation_of(entry), entry.get("inbound_nodes") or []
    if written is None or len(nodes) != 1:
        return entry
    operands, others = operands_of(nodes[0])
    if written in FUNCTIONS and len(operands) == 1 and not others:
        return layer_entry(entry, "Activation", operands, activation=FUNCTIONS[written])
    if written == "Cast" and entry["config"].get("dtype") == "float32" and len(operands) == 1:
        return layer_entry(entry, "Activation", operands, activation="linear")
    if written == "cast" and len(operands) == 1 and others == {"dtype": "float32"}:
        return layer_entry(entry, "Activation", operands, activation="linear")
    operation = ARITHMETIC.get(written)
    if operation is None or len(operands) != 2 or others:
        return entry
    constants = [_numbers(operand) for operand in operands]
    if constants == [None, None]:
        merges = entry["class_name"] in TF_FUNCTIONS and all(isinstance(o, list) for o in operands)
        kind = "TrueDivide" if operation == "Divide" else operation
        return layer_entry(entry, kind, operands) if merges else entry
    first = constants[0] is not None
    rescaling = _RESCALINGS.get((operation, first))
    if rescaling is None or None not in constants:
        return entry
    values = constants[0] if first else constants[1]
    scale = _mapped(values, lambda c: rescaling(c)[0])
    offset = _mapped(values, lambda c: rescaling(c)[1])
    if isinstance(values, list) and isinstance(values[0], list):  # a table of ones says little
        scale, offset = _compact(scale), _compact(offset)
    return layer_entry(entry, "Rescaling", [operands[first]], scale=scale, offset=offset)


def operation_of(entry: Mapping[str, Any]) -> str | None:
    """The operation of Keras 3, or function of TensorFlow, that an entry is; None for a layer."""
    written = str(entry["class_name"])
    if written in TF_FUNCTIONS:
        return str(entry["config"].get("function"))
    known = (ARITHMETIC, FUNCTIONS, MOVES, ("Cast",))
    return written if any(written in each for each in known) else None


def operands_of(node: Any) -> tuple[list[Any], dict[str, Any]]:
    """What is taken, tensors and constants in order, and other arguments that are not None."""
    operands, others = list[Any](), dict[str, Any]()
    if isinstance(node, dict):
        operands, others = list(node["args"]), dict(node.get("kwargs") or {})
    else:
        for name, call, output, *keywords in node:
            operands.append(output if name == "_CONSTANT_VALUE" else [name, call, output])
            others |= keywords[0] if keywords else {}
    others = {key: value for key, value in others.items() if value is not None}
    if others.get("data_format") == "NHWC":
        del others["data_format"]
    operands += [others.pop(key) for key in ("y", "bias", "b") if key in others]
    return operands, others


def with_nodes_in_lists(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with each call a list of tensors; Keras 2 has none for functions of one tensor."""
    if not entry.get("inbound_nodes"):
        return entry
    nodes = [
        [node] if isinstance(node, list) and node and isinstance(node[0], str) else node
        for node in entry["inbound_nodes"]
    ]
    return {**entry, "inbound_nodes": nodes}


def _numbers(value: Any) -> Any:
    """A constant's number, or array of numbers, as lists; None if it is anything else."""
    value = constant_in(value)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _mapped(value, float) if value != [] and is_table(value) else None


def constant_in(value: Any) -> Any:
    """The numbers of an array that Keras 3 wrote; what else it is as it is."""
    is_array = isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__")
    return value["config"]["value"] if is_array else value


def _mapped(value: Any, change: Callable[[float], float]) -> Any:
    """The number, or array, with each number changed to another one."""
    return [_mapped(each, change) for each in value] if isinstance(value, list) else change(value)


def _compact(table: list[Any]) -> Any:
    """The number, where all numbers of a table are the same."""
    flat: list[Any] = table
    while isinstance(flat[0], list):
        flat = [number for row in flat for number in row]
    return flat[0] if len(set(flat)) == 1 else table


def layer_entry(
    entry: Mapping[str, Any], kind: str, sources: Sequence[Any], **arguments: Any
) -> Mapping[str, Any]:
    """The entry of a layer in place of another one."""
    name = entry["config"].get("name") or entry.get("name")
    node: Any = [[*source, {}] for source in sources]
    if isinstance(entry["inbound_nodes"][0], dict):
        node = {"args": list(sources) if len(sources) == 1 else [list(sources)], "kwargs": {}}
    config = {"name": name, "dtype": entry["config"].get("dtype"), **arguments}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": [node]}


def without_training(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a layer; of a random one without the `training=True` that Keras 3 stores.

    It stores the default of the call so, and turns it off at each prediction. In files of Keras 2
    it is there only where somebody asked for it, and stays on.
    """
    if entry["class_name"] not in RANDOM:
        return entry
    nodes = [
        {**node, "kwargs": {**(node.get("kwargs") or {}), "training": None}}
        if isinstance(node, dict)
        else node
        for node in entry.get("inbound_nodes") or []
    ]
    return {**entry, "inbound_nodes": nodes}
