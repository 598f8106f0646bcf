"""Operations that make several tensors, as one operation for each tensor that is used.

`a, b = ops.split(x, 2)` is one entry of a configuration, whose tensors are numbered. In its place
there are entries that each make the tensor with the number `part`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.function_calls import operation_in

Entry = Mapping[str, Any]

SPLITS = ("Split", "Unstack", "split", "unstack")


def with_parts_apart(
    entries: Sequence[Entry], outputs: Any, is_ours: Callable[[Any], bool]
) -> tuple[list[Any], Any]:
    """The entries, those that make several tensors as one for each, and the model's outputs."""
    splits = (each for each in entries if is_ours(each) and operation_in(each) in SPLITS)
    names = {_name(each) for each in splits if len(each.get("inbound_nodes") or []) == 1}
    if not names:
        return list(entries), outputs
    parts = dict[tuple[str, int], None]()
    renamed = [_renamed(each, names, parts) for each in entries]
    outputs = _with_names(outputs, names, parts)
    result = list[Any]()
    for entry in renamed:
        if _name(entry) not in names:
            result.append(entry)
        for name, part in parts if _name(entry) in names else ():
            if name == _name(entry):
                config = {**entry["config"], "name": _part(name, part), "part": part}
                result.append({**entry, "name": config["name"], "config": config})
    return result, outputs


def _renamed(entry: Entry, names: set[str], parts: dict[tuple[str, int], None]) -> Entry:
    if not entry.get("inbound_nodes"):
        return entry
    return {**entry, "inbound_nodes": _with_names(entry["inbound_nodes"], names, parts)}


def _with_names(value: Any, names: set[str], parts: dict[tuple[str, int], None]) -> Any:
    """The value, with references to parts of such an entry by names of their own."""
    if isinstance(value, dict):
        return {key: _with_names(each, names, parts) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= 3 and isinstance(value[0], str) and value[0] in names and value[1] == 0:
        parts[value[0], value[2]] = None
        return [_part(value[0], value[2]), 0, 0, *_with_names(value[3:], names, parts)]
    return [_with_names(each, names, parts) for each in value]


def _part(name: str, part: Any) -> str:
    return f"{name}_part_{part}"


def _name(entry: Entry) -> str:
    return str(entry["config"].get("name") or entry.get("name"))
