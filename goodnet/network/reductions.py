"""Means, sums and other reductions of tensors of known shapes, as layers.

The tensor is made to (before, the axes that are reduced, behind), and pooled as if that were an
image.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Arguments = Mapping[str, Any]
Shape = tuple[int, ...]
# A layer's class, its arguments, and the numbers of the tensors that it takes, if that is not the
# one made last: first come those that the operation takes, then one of each step.
Made = tuple[Any, ...]

NEGATED = ("Rescaling", {"scale": -1.0, "offset": 0.0})


def in_three(shape: Shape, first: int, end: int) -> Made:
    """A Reshape to (before, axes first .. end - 1, behind)."""
    parts = (shape[:first], shape[first:end], shape[end:])
    return ("Reshape", {"target_shape": tuple(map(math.prod, parts))})


def axes_of(value: Any, shape: Shape) -> list[int]:
    return [axis_of(each, shape) for each in ([value] if isinstance(value, int) else value)]


def axis_of(value: int, shape: Shape) -> int:
    """An axis of images, counted from 0, of the tensor for one image."""
    axis = value - 1 if value >= 0 else value + len(shape)
    if not 0 <= axis < len(shape):
        raise ValueError(f"works along axis {value} of images, which cannot be")
    return axis


def _reduced(pooling: str) -> Callable[[Arguments, Sequence[Shape]], list[Made]]:
    """What pools all places of some axes: the last axes first."""

    def steps(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
        (shape,) = shapes
        made = list[Made]()
        for first, end in _groups(arguments, shape):
            width = math.prod(shape[first:end])
            made.append(in_three(shape, first, end))
            made.append((f"{pooling}Pooling2D", {"pool_size": (1, width)}))
            shape = (*shape[:first], *[1] * (end - first), *shape[end:])
        return made

    return steps


def _groups(arguments: Arguments, shape: Shape) -> list[tuple[int, int]]:
    """The axes that are reduced, those beside each other together, the last ones first."""
    if arguments.get("axis") is None:
        raise ValueError("reduces the images of a batch to one")
    groups = list[tuple[int, int]]()
    for axis in sorted(set(axes_of(arguments["axis"], shape)), reverse=True):
        if groups and groups[-1][0] == axis + 1:
            groups[-1] = (axis, groups[-1][1])
        else:
            groups.append((axis, axis + 1))
    return groups


def total(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    pooled = mean(arguments, shapes)
    count = math.prod(shapes[0][axis] for axis in set(axes_of(arguments["axis"], shapes[0])))
    return [*pooled, ("Rescaling", {"scale": float(count), "offset": 0.0})]


def smallest(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    return [NEGATED, *largest(arguments, shapes), NEGATED]


def variance(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    groups = _groups(arguments, shapes[0])
    if len(groups) != 1:
        raise ValueError("takes the variance over axes that are not beside each other")
    _, pooling = mean(arguments, shapes)
    three = in_three(shapes[0], *groups[0])
    return [three, pooling, ("Subtract", {}, 1, 2), ("Multiply", {}, 3, 3), pooling]


def standardised(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """Each image less its mean, divided by its deviation, which is 1 / sqrt(n) at least."""
    (shape,) = shapes
    count = math.prod(shape)
    pooling: Made = ("AveragePooling2D", {"pool_size": (1, count)})
    least = {"scale": 0.0, "offset": 1 / math.sqrt(count)}
    return [
        in_three(shape, 0, len(shape)),
        pooling,
        ("Subtract", {}, 1, 2),
        ("Multiply", {}, 3, 3),
        pooling,
        ("Sqrt", {}),
        ("Rescaling", least),
        ("Maximum", {}, 6, 7),
        ("TrueDivide", {}, 3, 8),
    ]


def local_response(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """AlexNet's: x / (bias + alpha s)^beta, s the sum of squares of the channels beside each."""
    (shape,), radius = shapes, arguments["depth_radius"]
    scaling = {"scale": arguments["alpha"] * (2 * radius + 1), "offset": arguments["bias"]}
    beside = {"pool_size": (1, 2 * radius + 1), "strides": 1}
    return [
        ("Multiply", {}, 0, 0),
        in_three(shape, len(shape) - 1, len(shape)),
        ("ZeroPadding2D", {"padding": ((0, 0), (radius, radius))}),
        ("AveragePooling2D", beside),
        ("Rescaling", scaling),
        ("Reshape", {"target_shape": shape}),
        *fractional_power(-arguments["beta"]),
        ("Multiply", {}, 0, 9),
    ]


def fractional_power(exponent: float) -> list[Made]:
    """x^c of numbers that are not negative: exp(c log x)."""
    return [
        ("Log", {}),
        ("Rescaling", {"scale": exponent, "offset": 0.0}),
        ("Activation", {"activation": "exponential"}),
    ]


def norm(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    square: Made = ("Multiply", {}, 0, 0)
    return [square, *total(arguments, shapes), ("Sqrt", {})]


mean, largest = _reduced("Average"), _reduced("Max")
