"""Operations that move numbers to other places, written as the layers that do the same.

`x[..., ::-1]` in front of a network that takes BGR, patches cut out of an image, `reshape`, and
means over all places. As in `arithmetic`, what comes out is checked as any layer is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.arithmetic import layer_entry, operands_of, operation_of
from goodnet.network.checks import is_size
from goodnet.network.layers import MEANS, PICKS, SPLITS, STACKS, TURNS

Entry = Mapping[str, Any]
Step = tuple[str, dict[str, Any]]  # a layer's class and its arguments

TO_FIRST, TO_LAST = {"dims": (3, 1, 2)}, {"dims": (2, 3, 1)}
EVERYTHING = {"start": None, "stop": None, "step": None}
BACKWARDS = {"start": None, "stop": None, "step": -1}
USUAL_CHANNELS = 3  # where a file does not say it: Keras 2


def as_layers(entries: Sequence[Any], outputs: Any, is_ours: Callable[[Any], bool]) -> list[Any]:
    """The entries of a functional model's layers, with layers in place of such operations.

    Args:
        entries: of the configuration.
        outputs: the model's, as it has them.
        is_ours: whether an entry claims to be Keras' own.
    """
    channels = {_name(each): pick for each in entries if is_ours(each) and (pick := _pick(each))}
    result, taken = list[Any](), {_name(each) for each in entries}
    for entry in entries:
        made = (_layers(entry, channels) if is_ours(entry) else None) or [entry]
        if any(_name(each) in taken for each in made[:-1]):  # Keras numbers operations likewise
            made = _layers({**entry, "joint": "_moved_"}, channels) or [entry]
        result += made
    ends = [outputs, *(entry.get("inbound_nodes") for entry in result)]
    taken = {str(name) for end in ends for name in names_in(end)}
    return [each for each in result if _name(each) not in channels or _name(each) in taken]


def _layers(entry: Entry, channels: Mapping[str, tuple[Any, int]]) -> list[Entry] | None:
    """The layers that do what an entry does; None if it is no such operation."""
    nodes = entry.get("inbound_nodes") or []
    operation, config = operation_of(entry), entry["config"]
    if len(nodes) != 1 or operation is None:
        return None
    operands, others = operands_of(nodes[0])
    if operation in STACKS and config.get("axis") in (-1, 3):
        return _stacked(entry, operands, channels)
    if not operands:
        return None
    source, shape = operands[0], _shape(operands[0])
    said = {**config, **others}
    if operation in PICKS:
        key = _key(operands[1:] or [others.get("slice_spec")])
        turned = key in ([..., BACKWARDS], [EVERYTHING] * 3 + [BACKWARDS])
        return _reordered(entry, source, _order(shape)[::-1]) if turned else None
    if operation in TURNS and said.get("axis") in (
        -1,
        [-1],
        *([3, [3]] if len(shape) == 4 else []),
    ):
        return _reordered(entry, source, _order(shape)[::-1])
    if operation in SPLITS:
        return _patches(entry, source, config, shape)
    steps = _steps(operation, said, shape)
    return _chain(entry, source, steps) if steps else None


def _steps(operation: str, said: Mapping[str, Any], shape: Sequence[Any]) -> list[Step] | None:
    """The one layer that does what an operation on one tensor does."""
    new = said.get("newshape") or said.get("shape")
    if isinstance(new, list) and len(new) > 1 and new[0] == -1:
        return [("Reshape", {"target_shape": new[1:]})]
    axes = said.get("axes") or said.get("perm")
    if isinstance(axes, list) and axes[:1] == [0]:
        return [("Permute", {"dims": axes[1:]})]
    axis, keep = said.get("axis"), {"keepdims": bool(said.get("keepdims"))}
    if operation in MEANS and axis == [1, 2] and len(shape) in (0, 4):
        return [(f"{MEANS[operation]}2D", keep)]
    if operation in MEANS and axis in (1, [1]) and len(shape) == 3:
        return [(f"{MEANS[operation]}1D", keep)]
    return None


def _patches(
    entry: Entry, source: Any, config: Mapping[str, Any], shape: Sequence[Any]
) -> list[Entry] | None:
    """Patches beside each other, each a row of its pixels."""
    size, strides = (
        [each, each] if isinstance(each, int) else each
        for each in (config.get("size"), config.get("strides"))
    )
    beside = strides in (None, size) and config.get("dilation_rate") in (1, [1, 1])
    usual = config.get("padding") == "valid" and config.get("data_format") != "channels_first"
    known = isinstance(size, list) and len(shape) == 4 and all(map(is_size, [*size, *shape[1:]]))
    if not (beside and usual and known and len(size or []) == 2):
        return None
    steps = patch_steps((size[0], size[1]), shape[1:]) if size else []
    return _chain(entry, source, steps) if steps else None


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
) -> list[Entry] | None:
    """Channels of one tensor, picked and put together again in another order."""
    parts = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
    picks = [channels.get(name) for part in parts for name in names_in([part])[:1]]
    known = [pick for pick in picks if pick]
    if not known or len(known) != len(parts) or any(pick[0] != known[0][0] for pick in known):
        return None
    return _reordered(entry, known[0][0], [channel for _, channel in known])


def _reordered(entry: Entry, source: Any, order: Sequence[int]) -> list[Entry] | None:
    """Channels in another order: each is cut out, with channels first, and put behind others."""
    count = len(_order(_shape(source)))
    if not all(0 <= channel < count for channel in order):
        return None
    name, keras_3 = _name(entry), isinstance(entry["inbound_nodes"][0], dict)
    first = _named(entry, _inner(entry, "first"), "Permute", [source], TO_FIRST)
    parts = [
        _named(
            entry,
            _inner(entry, place),
            "Cropping2D",
            [_ref(_name(first), keras_3)],
            {"cropping": ((channel, count - 1 - channel), (0, 0))},
        )
        for place, channel in enumerate(order)
    ]
    refs = [_ref(_name(part), keras_3) for part in parts]
    both = _named(entry, _inner(entry, "all"), "Concatenate", refs, {"axis": 1})
    last = _named(entry, name, "Permute", [_ref(_name(both), keras_3)], TO_LAST)
    return [first, *parts, both, last]


def _chain(entry: Entry, source: Any, steps: Sequence[Step]) -> list[Entry]:
    """The entries of layers behind each other, the last of which has the entry's name."""
    keras_3, made = isinstance(entry["inbound_nodes"][0], dict), list[Entry]()
    for number, (kind, arguments) in enumerate(steps, start=1):
        name = _name(entry) if number == len(steps) else _inner(entry, number)
        made.append(_named(entry, name, kind, [source], arguments))
        source = _ref(name, keras_3)
    return made


def _named(
    entry: Entry, name: str, kind: str, sources: Sequence[Any], arguments: Mapping[str, Any]
) -> Entry:
    renamed = {**entry, "name": name, "config": {**entry["config"], "name": name}}
    return layer_entry(renamed, kind, sources, **arguments)


def _inner(entry: Entry, what: Any) -> str:
    """The name of a layer that is made beside the one that has the entry's name."""
    return f"{_name(entry)}{entry.get('joint', '_')}{what}"


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


def _order(shape: Sequence[Any]) -> list[int]:
    """The numbers of the channels of a tensor of this shape."""
    count = shape[-1] if shape else USUAL_CHANNELS
    return list(range(count if isinstance(count, int) and 0 < count < 64 else 0))


def _name(entry: Entry) -> str:
    return str(entry["config"].get("name") or entry.get("name"))


def _ref(name: str, keras_3: bool) -> Any:
    """A reference to a tensor of a layer that is called once."""
    if not keras_3:
        return [name, 0, 0]
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


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
