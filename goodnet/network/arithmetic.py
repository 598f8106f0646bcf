"""Operations on tensors in a configuration, written as the layers that do the same.

`x / 127.5 - 1` in front of a network becomes operations of Keras 3 (TrueDivide, Subtract), or
layers of Keras 2 that name a function of TensorFlow (TFOpLambda). A strict list of them is
rewritten before anything is checked; what comes out is checked as any layer is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.checks import is_number
from goodnet.network.layers import ARITHMETIC, FUNCTIONS

TF_FUNCTION = "TFOpLambda"  # Keras 2's class of a layer that is a function of TensorFlow

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
    written, nodes = entry["class_name"], entry.get("inbound_nodes") or []
    if written == TF_FUNCTION:
        written = str(entry["config"].get("function"))
    elif written not in ARITHMETIC:
        return entry
    if len(nodes) != 1:
        return entry
    operands, others = _operands(nodes[0])
    if written in FUNCTIONS and len(operands) == 1 and not others:
        return _layer(entry, "Activation", operands, activation=FUNCTIONS[written])
    if written == "cast" and len(operands) == 1 and others == {"dtype": "float32"}:
        return _layer(entry, "Activation", operands, activation="linear")
    operation = ARITHMETIC.get(written)
    if operation is None or len(operands) != 2 or others:
        return entry
    constants = [_numbers(operand) for operand in operands]
    if constants == [None, None]:
        merges = entry["class_name"] == TF_FUNCTION and all(isinstance(o, list) for o in operands)
        return _layer(entry, operation, operands) if merges else entry
    first = constants[0] is not None
    rescaling, values = _RESCALINGS.get((operation, first)), constants[0] or constants[1]
    if rescaling is None or values is None or all(constants):
        return entry
    scales, offsets = zip(*map(rescaling, values), strict=True)
    return _layer(
        entry, "Rescaling", [operands[first]], scale=_value(scales), offset=_value(offsets)
    )


def _operands(node: Any) -> tuple[list[Any], dict[str, Any]]:
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
    operands += [others.pop(key) for key in ("y", "bias") if key in others]
    return operands, others


def _numbers(value: Any) -> list[float] | None:
    """The numbers of a constant: one, or one for each channel; None if it is anything else."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        value = value["config"]["value"]
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    values = value if isinstance(value, list) else [value]
    return [float(each) for each in values] if values and all(map(is_number, values)) else None


def _value(values: Sequence[float]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _layer(
    entry: Mapping[str, Any], kind: str, sources: Sequence[Any], **arguments: Any
) -> Mapping[str, Any]:
    """The entry of a layer in place of another one."""
    name = entry["config"].get("name") or entry.get("name")
    node: Any = [[*source, {}] for source in sources]
    if isinstance(entry["inbound_nodes"][0], dict):
        node = {"args": list(sources), "kwargs": {}}
    config = {"name": name, "dtype": entry["config"].get("dtype"), **arguments}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": [node]}
