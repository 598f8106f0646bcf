"""The layers that do what an operation does, for tensors of known shapes.

Most operations look at one axis, or at some beside each other. The tensor is made to (before, the
axis, behind) then, and pooled or cropped as if that were an image. A slice with a step is a pooling
of single places; a constant c is 0 x + c; |x| is the larger of x and -x.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.network.reductions import (
    NEGATED,
    Arguments,
    Made,
    Shape,
    axes_of,
    axis_of,
    in_three,
    largest,
    mean,
    norm,
    smallest,
    total,
    variance,
)

Place = tuple[int, int, int]  # places left out at the beginning and at the end, and the step
LARGEST_POWER = 8
EVERYTHING: Place = (0, 0, 1)
WHOLE = ("Swapaxes", "Moveaxis", "Product")  # whose last step makes the right shape
GELU = 2 * math.sqrt(2 / math.pi)  # x sigmoid(GELU (x + 0.044715 x^3))


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
    if kind in _BY_NUMBER:
        return _BY_NUMBER[kind](arguments)
    if any(None in shape for shape in shapes) and not _is_open(kind, arguments, shapes):
        raise ValueError("needs a size that the network leaves open")
    if not shapes or 0 in made:
        raise ValueError("makes nothing")
    steps = _BY_SHAPE[kind](arguments, [tuple(shape) for shape in shapes])
    if any(None in shape for shape in shapes):
        return steps or [("Identity", {})]
    return steps if kind in WHOLE else [*steps, ("Reshape", {"target_shape": tuple(made)})]


def _clip(arguments: Arguments) -> list[Made]:
    steps, last = list[Made](), 0
    for name, kind in (("x_min", "Maximum"), ("x_max", "Minimum")):
        limit = arguments.get(name)
        if limit is not None:
            steps.append(("Rescaling", {"scale": 0.0, "offset": limit}, 0))
            steps.append((kind, {}, last, len(steps)))
            last = len(steps)
    return steps or [("Identity", {})]


def _power(arguments: Arguments) -> list[Made]:
    exponent = arguments["exponent"]
    if exponent == -0.5:
        return [("Sqrt", {}), *_quotient({}, 1)]
    if exponent == 0.5:
        return [("Sqrt", {})]
    if exponent > LARGEST_POWER:
        raise ValueError(f"raises numbers to the power {exponent}; {LARGEST_POWER} can be")
    return [("Multiply", {}, *[0] * exponent)] if exponent > 1 else [("Identity", {})]


def _quotient(arguments: Arguments, of: int = 0) -> list[Made]:
    constant = {"scale": 0.0, "offset": arguments.get("numerator", 1.0)}
    return [("Rescaling", constant, of), ("TrueDivide", {}, of + 1, of)]


def _approximate_gelu(arguments: Arguments) -> list[Made]:
    return [
        ("Multiply", {}, 0, 0, 0),
        ("Rescaling", {"scale": 0.044715 * GELU, "offset": 0.0}),
        ("Rescaling", {"scale": GELU, "offset": 0.0}, 0),
        ("Add", {}, 2, 3),
        ("Activation", {"activation": "sigmoid"}),
        ("Multiply", {}, 0, 5),
    ]


def _item(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), key = shapes, list(arguments["key"])
    axes = [item for item in key if item is not None and item != "..."]
    if key.count("...") > 1 or len(axes) > len(shape) + 1:
        raise ValueError(f"picks from {len(axes)} axes; there are {len(shape) + 1}")
    if "..." in key:
        place, missing = key.index("..."), len(shape) + 1 - len(axes)
        key[place : place + 1] = [[None, None, None]] * missing
    if not key or key[0] not in ([None, None, None], [None, None, 1]):
        raise ValueError("picks from the images of a batch")
    items = [item for item in key[1:] if item is not None]
    places = [_places(item, side) for item, side in zip(items, shape, strict=False)]
    if len(shape) == 3 and all(place == EVERYTHING for place in places[2:]):
        return _of_image(places[:2])
    steps = list[Made]()
    for number, (start, end, step) in enumerate(places):
        steps += _picked(shape, number, start, end, step)
        left = -((start + end - shape[number]) // step)
        shape = (*shape[:number], left, *shape[number + 1 :])
    return steps


def _is_open(kind: str, arguments: Arguments, shapes: Sequence[Any]) -> bool:
    """Whether it cuts rows and columns of images of any size, and nothing else."""
    key = arguments.get("key", [])
    whole = all(isinstance(item, list) or item == "..." for item in key)
    return kind == "GetItem" and whole and [len(shape) for shape in shapes] == [3]


def _places(item: Any, side: int | None) -> Place:
    """The places that an index or a slice picks."""
    if item == [None, None, None]:
        return EVERYTHING
    if side is None:
        start, stop, step = item[0] or 0, item[1] or 0, 1 if item[2] is None else item[2]
        if start < 0 or stop > 0 or step < 1:
            raise ValueError("needs a size that the network leaves open")
        return start, -stop, step
    if isinstance(item, int):
        if not -side <= item < side:
            raise ValueError(f"picks place {item} of {side}")
        item = [item % side, item % side + 1, 1]
    start, stop, step = slice(*item).indices(side) if item[2] != 0 else (0, 0, 0)
    if step < 1 or stop <= start:
        raise ValueError(f"picks places {':'.join(map(str, (start, stop, step)))}")
    return start, side - stop, step


def _of_image(places: Sequence[Place]) -> list[Made]:
    """Rows and columns of (H, W, channels)."""
    down, across = [*places, EVERYTHING, EVERYTHING][:2]
    cropping, strides = (down[:2], across[:2]), (down[2], across[2])
    steps: list[Made] = [("Cropping2D", {"cropping": cropping})] if any(map(any, cropping)) else []
    if strides != (1, 1):
        steps.append(("MaxPooling2D", {"pool_size": (1, 1), "strides": strides}))
    return steps


def _picked(shape: Shape, axis: int, start: int, end: int, step: int = 1) -> list[Made]:
    """Every step-th place of an axis but those before start and at its end, as (before, they,
    behind)."""
    if (start, end, step) == EVERYTHING:
        return []
    steps = [in_three(shape, axis, axis + 1)]
    if start or end:
        steps.append(("Cropping2D", {"cropping": ((0, 0), (start, end))}))
    if step > 1:
        steps.append(("MaxPooling2D", {"pool_size": (1, 1), "strides": (1, step)}))
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
    return _picked(shape, axis, start, side - stop)


def _unstack(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), part = shapes, arguments["part"]
    axis = axis_of(arguments["axis"], shape)
    if part >= shape[axis]:
        raise ValueError(f"picks place {part} of {shape[axis]}")
    return _picked(shape, axis, part, shape[axis] - part - 1)


def _stack(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    axis = axis_of(arguments["axis"], (*shapes[0], 1))
    target = (*shapes[0][:axis], 1, *shapes[0][axis:])
    apart: list[Made] = [("Reshape", {"target_shape": target}, n) for n in range(len(shapes))]
    numbers = range(len(shapes), 2 * len(shapes))
    return [*apart, ("Concatenate", {"axis": axis + 1}, *numbers)] if len(shapes) > 1 else apart


def _padded(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), (images, *widths) = shapes, arguments["pad_width"]
    if any(images) or len(widths) != len(shape) or any(len(width) != 2 for width in widths):
        raise ValueError(f"pads {len(widths)} axes; there are {len(shape)}")
    steps = list[Made]()
    for axis, (before, behind) in enumerate(widths):
        if before or behind:
            steps.append(in_three(shape, axis, axis + 1))
            steps.append(("ZeroPadding2D", {"padding": ((0, 0), (before, behind))}))
            shape = (*shape[:axis], before + shape[axis] + behind, *shape[axis + 1 :])
    return steps


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


_BY_NUMBER: Mapping[str, Callable[[Arguments], list[Made]]] = {
    "Clip": _clip,
    "Power": _power,
    "Reciprocal": _quotient,
    "Absolute": lambda arguments: [NEGATED, ("Maximum", {}, 0, 1)],
    "Gelu": _approximate_gelu,
}
_BY_SHAPE: Mapping[str, Callable[[Arguments, Sequence[Shape]], list[Made]]] = {
    "GetItem": _item,
    "Split": _split,
    "Unstack": _unstack,
    "Stack": _stack,
    "Pad": _padded,
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
}
