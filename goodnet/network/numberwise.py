"""Operations that make each number of one number, as layers, whatever the shapes are.

A constant c is 0 x + c; |x| is the larger of x and -x.
"""

import math
from collections.abc import Callable, Mapping

from goodnet.network.reductions import NEGATED, Arguments, Made, fractional_power

LARGEST_POWER = 8
GELU = 2 * math.sqrt(2 / math.pi)  # x sigmoid(GELU (x + 0.044715 x^3))


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
    if abs(exponent) > LARGEST_POWER:
        raise ValueError(f"raises numbers to the power {exponent}; {LARGEST_POWER} can be")
    if exponent < 0:
        steps = _power({"exponent": -exponent})
        return [*steps, *_quotient({}, len(steps))]
    if exponent == 0.5:
        return [("Sqrt", {})]
    if exponent != int(exponent):
        return fractional_power(exponent)
    if not exponent:
        return [("Rescaling", {"scale": 0.0, "offset": 1.0})]
    return [("Multiply", {}, *[0] * int(exponent))] if exponent > 1 else [("Identity", {})]


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


BY_NUMBER: Mapping[str, Callable[[Arguments], list[Made]]] = {
    "Clip": _clip,
    "Power": _power,
    "Reciprocal": _quotient,
    "Absolute": lambda arguments: [NEGATED, ("Maximum", {}, 0, 1)],
    "Gelu": _approximate_gelu,
}
