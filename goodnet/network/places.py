"""Places along an axis, picked in any order, turned round, repeated and padded, as layers.

The tensor is made to (before, the axis, behind), as in `reductions`, unless it is an image: so
rows, columns and channels of images of any size can be picked. Places that follow each other in
even steps are cut out together; many that go backwards are turned round by exchanging halves,
quarters, and so on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from goodnet.network.checks import MOST_PARTS
from goodnet.network.reductions import Arguments, Made, Shape, axes_of, axis_of, in_three

TO_FIRST, TO_LAST = {"dims": (3, 1, 2)}, {"dims": (2, 3, 1)}
MOST_APART: Final = 4  # places are cut out one by one to turn them round
OPEN: Final = "needs a size that the network leaves open"


class Run(NamedTuple):
    """Places in even steps: the first one, the step, and how many there are."""

    start: int
    step: int
    times: int


def taken(
    shape: Shape, axis: int, places: Sequence[int], source: int = 0, made: int | None = None
) -> list[Made]:
    """The layers that make a tensor of these places of an axis, in this order.

    Args:
        shape: of the tensor, without the axis of images.
        axis: of it, counted from 0.
        places: 0 .. size - 1, or counted from behind.
        source: the tensor's number, see `Made`.
        made: so many tensors there are before; those up to it if that is not said.
    """
    side = shape[axis]
    if side is None:
        raise ValueError(OPEN)
    if not places or not all(-side <= place < side for place in places):
        raise ValueError(f"picks places {', '.join(map(str, places[:8])) or 'none'} of {side}")
    runs = list(_runs([place % side for place in places]))
    if runs == [Run(0, 1, side)]:
        return []
    if len(runs) > MOST_PARTS:
        raise ValueError(f"picks places in {len(runs)} pieces; {MOST_PARTS} can be")
    steps, is_open = _Steps(source, made or source + 1), None in shape
    last = axis == len(shape) - 1
    if len(shape) != 3 and is_open:
        raise ValueError(OPEN)
    if last and is_open:
        steps.add("Permute", TO_FIRST)
        shape, axis = (shape[2], *shape[:2]), 0
    elif last or len(shape) != 3:
        three = in_three(shape, axis, axis + 1)
        steps.add(*three)
        shape, axis = three[1]["target_shape"], 1
    start, ends = steps.end, list[int]()
    for run in runs:
        steps.end = start
        _cut(steps, run, shape, axis)
        ends.append(steps.end)
    if len(ends) > 1:
        steps.add("Concatenate", {"axis": axis + 1}, *ends)
    if last and is_open:
        steps.add("Permute", TO_LAST)
    return steps.made


def picked(shape: Shape, places: Mapping[int, Sequence[int]]) -> list[Made]:
    """The layers that make a tensor of these places of several axes."""
    steps = list[Made]()
    for axis, each in places.items():
        if steps and None not in shape:
            steps.append(("Reshape", {"target_shape": shape}))
        steps += taken(shape, axis, each, len(steps))
        shape = (*shape[:axis], len(each), *shape[axis + 1 :])
    return steps


class _Steps:
    """Layers that are made so far, and the number of the tensor that is taken next."""

    def __init__(self, source: int, first: int) -> None:
        self.made, self.end, self._first = list[Made](), source, first

    def add(self, kind: str, arguments: Arguments, *sources: int) -> None:
        self.made.append((kind, arguments, *(sources or (self.end,))))
        self.end = self._first + len(self.made) - 1


def _runs(places: Sequence[int]) -> Iterator[Run]:
    """The places, as many together as go in even steps; a few backwards are each alone."""
    first = 0
    while first < len(places):
        end = first + 1
        step = places[end] - places[first] if end < len(places) else 1
        while end < len(places) and places[end] - places[end - 1] == step:
            end += 1
        if step < 0 and end - first <= MOST_APART:
            end, step = first + 1, 1
        yield Run(places[first], step, end - first)
        first = end


def _cut(steps: _Steps, run: Run, shape: Shape, axis: int) -> None:
    """Places of axis 0 or 1 of a tensor with three."""
    width = run.times if run.step else 1
    low = min(run.start, run.start + run.step * (width - 1))
    stride = abs(run.step) or 1
    rest = (low, shape[axis] - low - stride * (width - 1) - 1)
    if any(rest):
        steps.add("Cropping2D", {"cropping": _of_two((0, 0), rest, axis)})
    if stride > 1:
        steps.add("MaxPooling2D", {"pool_size": (1, 1), "strides": _of_two(1, stride, axis)})
    if run.step < 0:
        _turn(steps, (*shape[:axis], width, *shape[axis + 1 :]), axis)
    if not run.step:
        steps.add("UpSampling2D", {"size": _of_two(1, run.times, axis)})


def _turn(steps: _Steps, shape: Shape, axis: int) -> None:
    """Axis 0 or 1 the other way round: halves, halves of these, and so on to single places."""
    if any(side is None for side in shape):
        raise ValueError(OPEN)
    levels = (shape[axis] - 1).bit_length()
    rest = (1 << levels) - shape[axis]
    before, behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    steps.add("ZeroPadding2D", {"padding": _of_two((0, 0), (0, rest), axis)})
    for level in range(levels):
        width = (1 << (levels - level - 1)) * behind
        steps.add("Reshape", {"target_shape": (before << level, 2, width)})
        start, ends = steps.end, list[int]()
        for rows in ((1, 0), (0, 1)):
            steps.add("Cropping2D", {"cropping": ((0, 0), rows)}, start)
            ends.append(steps.end)
        steps.add("Concatenate", {"axis": 2}, *ends)
    padded = (*shape[:axis], 1 << levels, *shape[axis + 1 :])
    steps.add("Reshape", {"target_shape": padded})
    steps.add("Cropping2D", {"cropping": _of_two((0, 0), (rest, 0), axis)})


def _of_two(other: Any, value: Any, axis: int) -> tuple[Any, Any]:
    """A value for axis 0 or 1, and what the other one has."""
    return (value, other) if axis == 0 else (other, value)


def take(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """`take` and `gather`, with places that are known."""
    (shape,), places = shapes, arguments["indices"]
    places = [places] if isinstance(places, int) else places
    return taken(shape, axis_of(arguments["axis"], shape), places)


def flip(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,) = shapes
    axes = axes_of(_given(arguments, "axis"), shape)
    return picked(shape, {axis: range(_side(shape, axis))[::-1] for axis in axes})


def roll(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), shift = shapes, arguments["shift"]
    axes = axes_of(_given(arguments, "axis"), shape)
    shifts = shift if isinstance(shift, list | tuple) else [shift] * len(axes)
    if len(set(axes)) != len(axes) or len(shifts) != len(axes):
        raise ValueError("rolls one axis more than once")
    sides = [_side(shape, axis) for axis in axes]
    rows = [[(place - s) % n for place in range(n)] for n, s in zip(sides, shifts, strict=True)]
    return picked(shape, dict(zip(axes, rows, strict=True)))


def repeat(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """Each place so many times, beside itself."""
    (shape,) = shapes
    axis, times = axis_of(_given(arguments, "axis"), shape), arguments["repeats"]
    return _repeated(shape, axis, axis + 1, times)


def tile(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """All places of an axis so many times, behind each other."""
    (shape,), times = shapes, list(arguments["repeats"])
    times = [1] * (len(shape) + 1 - len(times)) + times
    if len(times) != len(shape) + 1 or times[0] != 1:
        raise ValueError("repeats the images of a batch, or more axes than there are")
    steps = list[Made]()
    for axis, count in enumerate(times[1:]):
        if count > 1:
            steps += _repeated(shape, axis, axis, count)
            shape = (*shape[:axis], shape[axis] * count, *shape[axis + 1 :])
    return steps


def broadcast(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), (_, *target) = shapes, arguments["shape"]
    shape = (1,) * (len(target) - len(shape)) + shape
    times = [new if old == 1 else 1 for old, new in zip(shape, target, strict=True)]
    return tile({"repeats": [1, *times]}, [shape])


def pad(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    (shape,), (images, *widths) = shapes, arguments["pad_width"]
    if any(images) or len(widths) != len(shape) or any(len(width) != 2 for width in widths):
        raise ValueError(f"pads {len(widths)} axes; there are {len(shape)}")
    mode = arguments.get("mode", "constant")
    if mode != "constant":
        padded = {a: _mirrored(_side(shape, a), w, mode) for a, w in enumerate(widths) if any(w)}
        return picked(shape, padded)
    value = arguments.get("constant_values", 0)
    zeros = _zeros_around(shape, widths)
    if not value:
        return zeros
    made = len(zeros)  # the padded tensor; then ones are padded, and made to 0 and the value
    ones: Made = ("Rescaling", {"scale": 0.0, "offset": 1.0}, 0)
    around: Made = ("Rescaling", {"scale": -float(value), "offset": float(value)})
    return [*zeros, ones, *zeros, around, ("Add", {}, made, 2 * made + 2)]


def _zeros_around(shape: Shape, widths: Sequence[Sequence[int]]) -> list[Made]:
    steps = list[Made]()
    for axis, (before, behind) in enumerate(widths):
        if before or behind:
            steps.append(in_three(shape, axis, axis + 1))
            steps.append(("ZeroPadding2D", {"padding": ((0, 0), (before, behind))}))
            shape = (*shape[:axis], before + shape[axis] + behind, *shape[axis + 1 :])
    return steps


def _mirrored(side: int, width: Sequence[int], mode: str) -> list[int]:
    """The places of an axis with some before and behind: its ends, or what is next to them."""
    before, behind = width
    if mode == "edge":
        return [0] * before + list(range(side)) + [side - 1] * behind
    edge = int(mode == "reflect")
    if max(width) > side - edge:
        raise ValueError(f"pads {max(width)} places like {side}")
    front, back = range(edge, before + edge), range(side - behind - edge, side - edge)
    return [*front[::-1], *range(side), *back[::-1]]


def _repeated(shape: Shape, first: int, end: int, times: int) -> list[Made]:
    if times < 1 or None in shape:
        raise ValueError(OPEN if None in shape else f"repeats {times} times")
    again: Made = ("UpSampling2D", {"size": (1, times)})
    return [in_three(shape, first, end), again] if times > 1 else []


def _given(arguments: Arguments, name: str) -> Any:
    if arguments.get(name) is None:
        raise ValueError("works on all axes together, those of a batch's images too")
    return arguments[name]


def _side(shape: Shape, axis: int) -> int:
    if shape[axis] is None:
        raise ValueError(OPEN)
    return shape[axis]


def glu(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """Half of the places of an axis, weighed by the sigmoid of the others."""
    (shape,) = shapes
    axis = axis_of(arguments.get("axis", -1), shape)
    side = _side(shape, axis)
    if side % 2:
        raise ValueError(f"halves {side} places")
    values = taken(shape, axis, range(side // 2))
    gates = taken(shape, axis, range(side // 2, side), 0, 1 + len(values))
    weights: Made = ("Activation", {"activation": "sigmoid"})
    end = len(values) + len(gates) + 1
    return [*values, *gates, weights, ("Multiply", {}, len(values), end)]
