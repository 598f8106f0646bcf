"""Operations of Keras 3 and functions of TensorFlow in a configuration, by one name each.

`ops.split` and `tf.split` become the same entry, with their arguments beside each other whether
they are written with the operation, with the call, or as constants. Where a layer does what they
do, whatever the shapes, it is the layer's. What is not on the list stays as it is, and is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from goodnet.network.arithmetic import TF_FUNCTIONS, constant_in, layer_entry, operands_of
from goodnet.network.checks import MOST_PARTS, is_number
from goodnet.network.known_functions import READ, Read
from goodnet.network.rearrangement import index_of

Entry = Mapping[str, Any]


_LIMITS = {"x_min": ("Maximum", "math.maximum"), "x_max": ("Minimum", "math.minimum")}
_POWERS = ("Power", "math.pow")
_QUOTIENTS = ("TrueDivide", "Divide", "math.truediv", "math.divide")
_ITEMS = ("GetItem", "__operators__.getitem")


def as_operation(entry: Entry) -> Entry:
    """The entry of a layer or an operation; the entry itself if it is on no list."""
    nodes, config = entry.get("inbound_nodes") or [], entry.get("config") or {}
    written = str(entry["class_name"])
    of_tensorflow = written in TF_FUNCTIONS
    written = str(config.get("function")) if of_tensorflow else written
    if len(nodes) != 1:
        return entry
    operands, others = operands_of(nodes[0])
    said = {**({} if of_tensorflow else _said(config)), **others}
    said |= {"part": config["part"]} if "part" in config else {}
    read = READ.get(written)
    if read and read.constants:
        behind = [constant_in(each) for each in operands[1:]]
        said |= dict(zip(read.constants, behind, strict=False))
        operands = operands[:1]
    tensors = [each for each in operands if not is_number(each)]
    if written in _ITEMS:
        key = _key(operands[1:] or [others.get("slice_spec")])
        return layer_entry(entry, "GetItem", operands[:1], key=key)
    if len(operands) == 2 and len(tensors) == 1:
        return _with_number(entry, written, operands, others)
    if written == "split":
        return _apart(entry, operands, said)
    if not (read and tensors == operands and said is not None):
        return entry
    arguments = _arguments(read, said)
    if arguments is None:
        return entry
    if len(operands) == 1 and _is_list_of_tensors(operands[0]):
        operands = operands[0]
    kind, arguments = _finished(read.kind, arguments)
    return layer_entry(entry, kind, operands, **arguments)


def _key(values: Sequence[Any]) -> list[Any]:
    """What stands between the brackets of `x[...]`: numbers, None, "...", and lists for slices."""
    (key,) = values if len(values) == 1 else ([values],)
    key = key.get("items", key) if isinstance(key, dict) else key
    return [_item(each) for each in (key if isinstance(key, list) else [key])]


def _item(value: Any) -> Any:
    if isinstance(value, list):  # numbers of places, or a tensor
        return str(value)
    index = index_of(value)
    return "..." if index is ... else list(index.values()) if isinstance(index, dict) else index


def _said(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation of Keras 3 says of itself."""
    passed_over = ("name", "dtype", "trainable")
    return {k: v for k, v in config.items() if k not in passed_over and v is not None}


def _arguments(read: Read, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its arguments, by our names; None if it says something that is not known."""
    rest = {key: value for key, value in said.items() if key not in read.names}
    if any(value not in read.neutral.get(key, ()) for key, value in rest.items()):
        return None
    return {**read.given, **{ours: said[its] for its, ours in read.names.items() if its in said}}


def _with_number(
    entry: Entry, written: str, operands: Sequence[Any], others: Mapping[str, Any]
) -> Entry:
    """An operation on a tensor and a number."""
    first = is_number(operands[0])
    number, tensor = operands if first else operands[::-1]
    limit = next((limit for limit, names in _LIMITS.items() if written in names), None)
    if limit and not others:
        return layer_entry(entry, "Clip", [tensor], **{limit: number})
    if written in _POWERS and not first and not others:
        exponent = int(number) if number == int(number) else number
        kind = ("Sqrt", {}) if exponent == 0.5 else ("Power", {"exponent": exponent})
        return layer_entry(entry, kind[0], [tensor], **kind[1])
    if written in _QUOTIENTS and first and not others:
        return layer_entry(entry, "Reciprocal", [tensor], numerator=number)
    return entry


def _apart(entry: Entry, operands: Sequence[Any], said: Mapping[str, Any]) -> Entry:
    """`tf.split` as Keras has it: by where parts begin, not by their sizes."""
    sizes = said.get("num_or_size_splits")
    if isinstance(sizes, list):
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            return entry
        sizes = [sum(sizes[:number]) for number in range(1, len(sizes[:MOST_PARTS]))]
    rest = {key: value for key, value in said.items() if key != "num_or_size_splits"}
    arguments = {"axis": 0, "indices_or_sections": sizes, **rest}
    return layer_entry(entry, "Split", operands, **arguments)


def _finished(kind: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The layer's arguments, where these have another form."""
    if kind == "Gelu" and arguments["approximate"] is False:
        return "Activation", {"activation": "gelu"}
    if kind == "Resizing" and isinstance(size := arguments.pop("size", None), list):
        arguments |= dict(zip(("height", "width"), size, strict=False))
    for name in ("pool_size", "strides", "size", "dilation_rate"):  # of images, channels as well
        if _has_ends(arguments.get(name), 1):
            arguments[name] = arguments[name][1:3]
    if isinstance(mode := arguments.get("mode"), str):
        arguments["mode"] = mode.lower()
    if isinstance(padding := arguments.get("padding"), str):
        arguments["padding"] = padding.lower()
    zeros = not arguments.get("constant_values") and arguments.get("mode") in (None, "constant")
    if kind == "Pad" and zeros and _has_ends(arguments.get("pad_width"), [0, 0]):
        return "ZeroPadding2D", {"padding": arguments["pad_width"][1:3]}
    return kind, arguments


def _has_ends(value: Any, end: Any) -> bool:
    """Whether it says something of each of four axes, and nothing of the first and the last."""
    return isinstance(value, list) and len(value) == 4 and value[0] == value[3] == end


def _is_list_of_tensors(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not isinstance(value[0], str)


def operation_in(entry: Entry) -> Any:
    """The class of an entry, or TensorFlow's function in it."""
    of_tensorflow = entry["class_name"] in TF_FUNCTIONS
    return entry["config"].get("function") if of_tensorflow else entry["class_name"]
