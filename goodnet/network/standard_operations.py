"""The layers that do what an operation does, for tensors of known shapes.

Most operations look at one axis, or at some beside each other. The tensor is made to (before, the
axis, behind) then, and pooled or cropped as if that were an image. A slice with a step is a pooling
of single places.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from goodnet.network.einsum import attention, einsum, luong_attention
from goodnet.network.numberwise import BY_NUMBER
from goodnet.network.places import (
    OPEN,
    broadcast,
    flip,
    glu,
    pad,
    picked,
    repeat,
    roll,
    take,
    tile,
)
from goodnet.network.reductions import (
    Arguments,
    Made,
    Shape,
    axes_of,
    axis_of,
    largest,
    local_response,
    mean,
    norm,
    smallest,
    standardised,
    total,
    variance,
)

Place = tuple[int, int, int]  # places left out at the beginning and at the end, and the step
EVERYTHING: Place = (0, 0, 1)
ALL = [None, None, None]  # a slice
# Those whose last step makes the right shape, and those that images of any size may be given to.
WHOLE = (
    "Constant",
    "Swapaxes",
    "Moveaxis",
    "Product",
    "Einsum",
    "DotProductAttention",
    "LuongAttention",
)
PICKING = ("GetItem", "Take", "Flip")
GREY = [0.2989, 0.587, 0.114]  # of red, green and blue


def layers_of(kind: str, arguments: Arguments, shapes: Sequence[Any], made: Any) -> list[Made]:
    """The layers in place of an operation, see `Made`.

    Args:
        kind: the operation, of `OPERATION_ARGUMENTS`.
        arguments: its own.
        shapes: of the tensors that it takes, without the axis of images.
        made: the shape of what it makes.

    Raises:
        ValueError: why it cannot be done.
    """
    if kind in BY_NUMBER:
        return BY_NUMBER[kind](arguments)
    if any(None in shape for shape in shapes) and not _is_open(kind, arguments, shapes):
        raise ValueError(OPEN)
    if not shapes or 0 in made:
        raise ValueError("makes nothing")
    steps = _BY_SHAPE[kind](arguments, [tuple(shape) for shape in shapes])
    if any(None in shape for shape in shapes):
        return steps or [("Identity", {})]
    return steps if kind in WHOLE else [*steps, ("Reshape", {"target_shape": tuple(made)})]


def _item(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), key = shapes, list(arguments["key"])
    axes = [item for item in key if item is not None and item != "..."]
    if key.count("...") > 1 or len(axes) > len(shape) + 1:
        raise ValueError(f"picks from {len(axes)} axes; there are {len(shape) + 1}")
    if "..." in key:
        place, missing = key.index("..."), len(shape) + 1 - len(axes)
        key[place : place + 1] = [ALL] * missing
    if not key or key[0] not in (ALL, [None, None, 1]):
        raise ValueError("picks from the images of a batch")
    items = [item for item in key[1:] if item is not None]
    ahead = all(isinstance(item, int) or (item[2] or 1) > 0 for item in items)
    pairs = list(zip(items, shape, strict=False))
    if len(shape) == 3 and ahead and all(item == ALL for item in items[2:]):
        return _of_image([_left_out(*pair) for pair in pairs[:2]])
    return picked(shape, {n: _places(*pair) for n, pair in enumerate(pairs) if pair[0] != ALL})


def _is_open(kind: str, arguments: Arguments, shapes: Sequence[Any]) -> bool:
    """Whether it may be done with images of any size."""
    key = [*arguments.get("key", []), arguments.get("indices", [])]
    whole = all(isinstance(item, list | tuple) or item == "..." for item in key)
    return kind in PICKING and whole and [len(shape) for shape in shapes] == [3]


def _left_out(item: Any, side: int | None) -> Place:
    """What an index or a slice leaves out."""
    if side is None:
        start, stop, step = item[0] or 0, item[1] or 0, item[2] or 1
        if start < 0 or stop > 0:
            raise ValueError(OPEN)
        return start, -stop, step
    places = _places(item, side)
    return places.start, side - places.stop, places.step


def _places(item: Any, side: int | None) -> range:
    """The places that an index or a slice picks."""
    if side is None:
        raise ValueError(OPEN)
    if isinstance(item, int):
        if not -side <= item < side:
            raise ValueError(f"picks place {item} of {side}")
        return range(item % side, item % side + 1)
    places = range(*slice(*item).indices(side)) if item[2] != 0 else range(0)
    if not places:
        raise ValueError(f"picks places {':'.join(map(str, item))} of {side}")
    return places


def _of_image(places: Sequence[Place]) -> list[Made]:
    """Rows and columns of (H, W, channels)."""
    down, across = [*places, EVERYTHING, EVERYTHING][:2]
    cropping, strides = (down[:2], across[:2]), (down[2], across[2])
    steps: list[Made] = [("Cropping2D", {"cropping": cropping})] if any(map(any, cropping)) else []
    if strides != (1, 1):
        steps.append(("MaxPooling2D", {"pool_size": (1, 1), "strides": strides}))
    return steps


def _split(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), part = shapes, arguments["part"]
    axis = axis_of(arguments["axis"], shape)
    side, sections = shape[axis], arguments["indices_or_sections"]
    if isinstance(sections, int):
        if not sections or side % sections:
            raise ValueError(f"splits {side} places into {sections} parts")
        sections = [side // sections * number for number in range(1, sections)]
    ends = [0, *sections, side][part : part + 2]
    start, stop, _ = slice(*ends).indices(side)
    if len(ends) != 2 or stop <= start:
        raise ValueError(f"makes nothing of {side} places as part {part}")
    return picked(shape, {axis: range(start, stop)})


def _unstack(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), part = shapes, arguments["part"]
    axis = axis_of(arguments["axis"], shape)
    if part >= shape[axis]:
        raise ValueError(f"picks place {part} of {shape[axis]}")
    return picked(shape, {axis: range(part, part + 1)})


def _stack(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    axis = axis_of(arguments["axis"], (*shapes[0], 1))
    target = (*shapes[0][:axis], 1, *shapes[0][axis:])
    apart: list[Made] = [("Reshape", {"target_shape": target}, n) for n in range(len(shapes))]
    numbers = range(len(shapes), 2 * len(shapes))
    return [*apart, ("Concatenate", {"axis": axis + 1}, *numbers)] if len(shapes) > 1 else apart


def _product(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    if any(len(shape) < 2 for shape in shapes):
        raise ValueError("multiplies what is no matrix")
    steps, taken = list[Made](), list[int]()
    for number, (name, shape) in enumerate(
        zip(("transpose_a", "transpose_b"), shapes, strict=True)
    ):
        taken.append(number)
        if arguments.get(name):
            front = range(1, len(shape) - 1)
            steps.append(("Permute", {"dims": (*front, len(shape), len(shape) - 1)}, number))
            taken[-1] = len(shapes) + len(steps) - 1
    return [*steps, ("Matmul", {}, *taken)]


def _moved(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,) = shapes
    order = list(range(len(shape)))
    if "axis1" in arguments:
        one, other = (axis_of(arguments[name], shape) for name in ("axis1", "axis2"))
        order[one], order[other] = other, one
    else:
        ends = (axes_of(arguments[name], shape) for name in ("source", "destination"))
        pairs = sorted(zip(*ends, strict=True), key=lambda pair: pair[1])
        order = [axis for axis in order if axis not in [source for source, _ in pairs]]
        for source, destination in pairs:
            order.insert(destination, source)
    return [("Permute", {"dims": tuple(axis + 1 for axis in order)})]


def _constant(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), value = shapes, arguments["value"]
    made = np.shape(value)
    one: Made = ("Cropping2D", {"cropping": ((0, 0), (0, math.prod(shape) - 1))})
    return [
        ("Reshape", {"target_shape": (1, math.prod(shape), 1)}),
        one,
        ("UpSampling2D", {"size": (1, math.prod(made))}),
        ("Reshape", {"target_shape": made}),
        ("Rescaling", {"scale": 0.0, "offset": value}),
    ]


_BY_SHAPE: Mapping[str, Callable[[Arguments, Sequence[Shape]], list[Made]]] = {
    "GetItem": _item,
    "Split": _split,
    "Unstack": _unstack,
    "Stack": _stack,
    "Take": take,
    "Flip": flip,
    "Roll": roll,
    "Repeat": repeat,
    "Tile": tile,
    "BroadcastTo": broadcast,
    "Pad": pad,
    "Constant": _constant,
    "Glu": glu,
    "Einsum": einsum,
    "DotProductAttention": attention,
    "LuongAttention": luong_attention,
    "Product": _product,
    "ExpandDims": lambda arguments, shapes: [],
    "Squeeze": lambda arguments, shapes: [],
    "Swapaxes": _moved,
    "Moveaxis": _moved,
    "Mean": mean,
    "Max": largest,
    "Sum": total,
    "Min": smallest,
    "Var": variance,
    "Std": lambda arguments, shapes: [*variance(arguments, shapes), ("Sqrt", {})],
    "Norm": norm,
    "Standardised": standardised,
    "Grey": lambda arguments, shapes: [
        ("Rescaling", {"scale": GREY, "offset": 0.0}),
        *total({"axis": -1}, shapes),
    ],
    "LocalResponse": local_response,
}
