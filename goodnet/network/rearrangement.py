"""Operations that move numbers to other places, written as the layers that do the same.

Channels stacked in another order in front of a network that takes BGR, `reshape`, and means over
all places. As in `arithmetic`, what comes out is checked as any layer is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.arithmetic import layer_entry, operands_of, operation_of
from goodnet.network.checks import is_size
from goodnet.network.layers import MEANS, PICKS, STACKS

Entry = Mapping[str, Any]
Step = tuple[str, dict[str, Any]]  # a layer's class and its arguments

EVERYTHING = {"start": None, "stop": None, "step": None}


def as_layers(entries: Sequence[Any], outputs: Any, is_ours: Callable[[Any], bool]) -> list[Any]:
    """The entries of a functional model's layers, with layers in place of such operations.

    Args:
        entries: of the configuration.
        outputs: the model's, as it has them.
        is_ours: whether an entry claims to be Keras' own.
    """
    channels = {_name(each): pick for each in entries if is_ours(each) and (pick := _pick(each))}
    result = [_layer(entry, channels) if is_ours(entry) else entry for entry in entries]
    ends = [outputs, *(entry.get("inbound_nodes") for entry in result)]
    taken = {str(name) for end in ends for name in names_in(end)}
    return [each for each in result if _name(each) not in channels or _name(each) in taken]


def _layer(entry: Entry, channels: Mapping[str, tuple[Any, int]]) -> Entry:
    """The entry of the layer that does what this one does; itself if it is no such operation."""
    nodes = entry.get("inbound_nodes") or []
    operation, config = operation_of(entry), entry["config"]
    if len(nodes) != 1 or operation is None:
        return entry
    operands, others = operands_of(nodes[0])
    if operation in STACKS and config.get("axis") in (-1, 3):
        return _stacked(entry, operands, channels)
    if not operands:
        return entry
    source, shape = operands[0], _shape(operands[0])
    said = {**config, **others}
    step = _step(operation, said, shape)
    return layer_entry(entry, step[0], [source], **step[1]) if step else entry


def _step(operation: str, said: Mapping[str, Any], shape: Sequence[Any]) -> Step | None:
    """The one layer that does what an operation on one tensor does."""
    new = said.get("newshape") or said.get("shape")
    if isinstance(new, list) and len(new) > 1 and new[0] == -1:
        return "Reshape", {"target_shape": new[1:]}
    axes = said.get("axes") or said.get("perm")
    if isinstance(axes, list) and axes[:1] == [0]:
        return "Permute", {"dims": axes[1:]}
    axis, keep = said.get("axis"), {"keepdims": bool(said.get("keepdims"))}
    if operation in MEANS and axis == [1, 2] and len(shape) in (0, 4):
        return f"{MEANS[operation]}2D", keep
    if operation in MEANS and axis in (1, [1]) and len(shape) == 3:
        return f"{MEANS[operation]}1D", keep
    return None


def patch_steps(size: tuple[int, int], shape: Sequence[Any]) -> list[Step]:
    """Layers that cut an image (H, W, C) into patches beside each other, row by row, exactly.

    The last one makes (rows, columns, numbers of a patch). Empty where a side is not known.
    """
    if len(shape) != 3 or not all(map(is_size, shape)) or size[0] > shape[0] or size[1] > shape[1]:
        return []
    (down, across), (height, width, channels) = size, shape
    rows, columns = height // down, width // across
    rest = ((0, height % down), (0, width % across))
    steps: list[Step] = (
        [("Cropping2D", {"cropping": rest})] if height % down + width % across else []
    )
    return [
        *steps,
        ("Reshape", {"target_shape": (rows, down, columns, across * channels)}),
        ("Permute", {"dims": (1, 3, 2, 4)}),
        ("Reshape", {"target_shape": (rows, columns, down * across * channels)}),
    ]


def _stacked(
    entry: Entry, operands: Sequence[Any], channels: Mapping[str, tuple[Any, int]]
) -> Entry:
    """Channels of one tensor, picked and put together again in another order."""
    parts = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
    picks = [channels.get(name) for part in parts for name in names_in([part])[:1]]
    known = [pick for pick in picks if pick]
    if not known or len(known) != len(parts) or any(pick[0] != known[0][0] for pick in known):
        return entry
    order = [channel for _, channel in known]
    return layer_entry(entry, "Take", [known[0][0]], indices=order, axis=-1)


def _pick(entry: Entry) -> tuple[Any, int] | None:
    """The tensor and the channel of it, if that is what an entry takes: `x[..., 2]`."""
    nodes = entry.get("inbound_nodes") or []
    if len(nodes) != 1 or operation_of(entry) not in PICKS:
        return None
    operands, others = operands_of(nodes[0])
    *front, last = _key(operands[1:] or [others.get("slice_spec")]) or [None]
    all_places = front in ([...], [EVERYTHING] * 3)
    return (operands[0], last) if all_places and type(last) is int and last >= 0 else None


def _key(values: Sequence[Any]) -> list[Any]:
    """What stands between the brackets of `x[...]`, from Keras 2's or 3's form."""
    (key,) = values if len(values) == 1 else (None,)
    key = key.get("items") if isinstance(key, dict) else key
    return [index_of(each) for each in key] if isinstance(key, list) else []


def index_of(value: Any) -> Any:
    """One item between the brackets of `x[...]`; a slice as its start, stop and step."""
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__ellipsis__":
        return ...
    inner: Any = value.get("config") if value.get("class_name") == "__slice__" else value
    is_slice = isinstance(inner, dict) and set(inner) == set(EVERYTHING)
    return {key: inner[key] for key in EVERYTHING} if is_slice else "another"


def _shape(tensor: Any) -> list[Any]:
    """The shape of a tensor, as Keras 3 writes it; empty where it is not known."""
    shape = tensor["config"].get("shape") if isinstance(tensor, dict) else None
    return shape if isinstance(shape, list) else []


def _name(entry: Entry) -> str:
    return str(entry["config"].get("name") or entry.get("name"))


def names_in(value: Any) -> list[Any]:
    """The layers that are referred to somewhere in a value."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"][0]]
        return [name for each in value.values() for name in names_in(each)]
    if not isinstance(value, list):
        return []
    is_ref = len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)
    return [*(value[:1] if is_ref else []), *(n for each in value for n in names_in(each))]
