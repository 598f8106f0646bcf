"""Checks that an argument of a layer, as a file has it, is one that may be passed on."""

import math
import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

EQUATION = re.compile(r"[A-Za-z., ]{1,60}->[A-Za-z. ]{1,30}")
LARGEST_SIZE = 1 << 20
MOST_PARTS = 256  # of a tensor that is split
MOST_NUMBERS = 1 << 16
LARGEST_TABLE = 1 << 18  # numbers: a position embedding of 256 places and 1,024 channels


def is_number(value: Any) -> bool:
    """Whether the value is a finite int or float, and no bool."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= 1e30
        and math.isfinite(value)
    )


def is_share(value: Any) -> bool:
    """Whether the value is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_bool(value: Any) -> bool:
    """Whether the value is true or false."""
    return isinstance(value, bool)


def is_size(value: Any) -> bool:
    """Whether the value is a positive whole number that a layer can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_SIZE


def is_whole(value: Any) -> bool:
    """Whether the value is a whole number of sensible size, of either sign."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_SIZE


def is_part(value: Any) -> bool:
    """Whether the value is the number of a part of a tensor, or how many there are."""
    return is_whole(value) and 0 <= value <= MOST_PARTS


def is_equation(value: Any) -> bool:
    """Whether the value says what is multiplied with what, in Einstein's notation."""
    return isinstance(value, str) and bool(EQUATION.fullmatch(value))


def is_description(value: Any) -> bool:
    """Whether the value may be that of a layer, which is then checked as any is."""
    return isinstance(value, dict)


def one_of(*values: Any) -> Check:
    """A check that the value is one of these."""
    return lambda value: any(value == v and type(value) is type(v) for v in values)


def optional(check: Check) -> Check:
    """A check that also lets `None` pass."""
    return lambda value: value is None or check(value)


def listed(check: Check, longest: int = 8) -> Check:
    """A check for lists (tuples, in Python) of at most `longest` items that all pass `check`."""
    return lambda value: (
        isinstance(value, list | tuple) and len(value) <= longest and all(map(check, value))
    )


def either(*checks: Check) -> Check:
    """A check that one of these passes."""
    return lambda value: any(check(value) for check in checks)


def is_padding(value: Any) -> bool:
    """Whether the value is a padding or cropping: one number, one a side, or two a side."""

    def whole(side: Any) -> bool:
        return is_whole(side) and bool(side >= 0)

    return either(whole, listed(either(whole, listed(whole, 2)), 2))(value)


def is_table(value: Any) -> bool:
    """Whether the value is a number, or an array of numbers of up to three axes, as lists."""
    values, count = [value], 1
    for _ in range(3):
        if not all(isinstance(each, list) for each in values):
            break
        lengths = {len(each) for each in values}
        count *= max(lengths, default=0)
        if len(lengths) != 1 or not 0 < count <= LARGEST_TABLE:
            return False
        values = [number for each in values for number in each]
    return all(map(is_number, values))


def is_axis(value: Any) -> bool:
    """Whether the value is an axis, or a list of axes."""
    return either(is_whole, listed(is_whole))(value)


IS_SIZES = either(is_size, listed(is_size, 2))
IS_NUMBERS = either(is_number, listed(is_number, MOST_NUMBERS))
IS_TABLE = is_table
IS_CHANNELS_LAST = one_of("channels_last", None)
IS_DATA_FORMAT = one_of("channels_last", "channels_first", None)
