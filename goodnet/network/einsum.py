"""Products of tensors in Einstein's notation, and attention, as layers.

"bqhd,bkhd->bhqk" is, for each b and h, a product of matrices: q x d times d x k. So the tensors are
brought into the orders (b h, q, d) and (b h, d, k), multiplied, and what comes out is brought into
the order that is asked for. The first axis is that of images, in every tensor.
"""

import math
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

from goodnet.network.reductions import Arguments, Made, Shape, total


class Terms(NamedTuple):
    """The letters of each tensor's axes, and of those of the result, without that of images."""

    taken: tuple[str, ...]
    made: str


def terms_of(equation: str, ranks: Sequence[int], *, weights: int = 0) -> Terms:
    """What an equation says.

    Args:
        equation: "ab,bc->ac"; "..." stands for as many axes as are left.
        ranks: how many axes each tensor has, with that of images.
        weights: how many of the tensors, the last ones, are weights and have none of images.
    """
    left, _, made = "".join(equation.split()).partition("->")
    taken = left.split(",")
    if len(taken) != len(ranks) or not made:
        raise ValueError(f"multiplies {len(ranks)} tensors as {equation!r}")
    counts = (n - len(t) + 3 for t, n in zip(taken, ranks, strict=True) if "..." in t)
    spare = [each for each in ascii_uppercase if each not in equation]
    dots = "".join(spare[: max(counts, default=0)])
    taken, made = [each.replace("...", dots) for each in taken], made.replace("...", dots)
    images, tensors = made[0], [*taken[: len(taken) - weights], made]
    fits = all(
        "." not in each and len(set(each)) == len(each) == rank
        for each, rank in zip(taken, ranks, strict=True)
    )
    fits = fits and len(set(made)) == len(made) and set(made) <= set("".join(taken))
    mixed = any(each[:1] != images for each in tensors) or any(
        images in each for each in taken[len(tensors) - 1 :]
    )
    if not fits or mixed:
        raise ValueError(f"multiplies tensors as {equation!r}, which is not taken apart")
    return Terms(tuple(each.removeprefix(images) for each in taken), made[1:])


def einsum(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """The layers of an einsum of one tensor or two."""
    terms = terms_of(arguments["subscripts"], [len(shape) + 1 for shape in shapes])
    if len(shapes) == 1:
        return _alone(terms, shapes[0])
    if len(shapes) != 2:
        raise ValueError(f"multiplies {len(shapes)} tensors at once")
    return product(terms, (shapes[0], shapes[1]), (0, 1), len(shapes))


def _alone(terms: Terms, shape: Shape) -> list[Made]:
    (letters,), made = terms
    gone = [axis for axis, letter in enumerate(letters) if letter not in made]
    steps = total({"axis": [axis + 1 for axis in gone]}, [shape]) if gone else []
    kept = [letter for letter in letters if letter in made]
    sides = tuple(shape[letters.index(letter)] for letter in kept)
    return [*steps, ("Reshape", {"target_shape": sides}), *ordered("".join(kept), made)]


def product(
    terms: Terms, shapes: tuple[Shape, Shape], numbers: tuple[int, int], made: int
) -> list[Made]:
    """The layers that multiply two tensors.

    Args:
        terms: what is multiplied with what.
        shapes: the tensors'.
        numbers: the tensors', see `Made`.
        made: so many tensors there are before.
    """
    (one, other), result = terms
    sizes = _sizes((one, other), shapes)
    if single := (set(one) ^ set(other)) - set(result):
        raise ValueError(f"sums {', '.join(sorted(single))}, which one of its tensors has")
    both = [each for each in one if each in other and each in result]
    inner = [each for each in one if each in other and each not in result]
    rows = [each for each in one if each not in other]
    columns = [each for each in other if each not in one]
    steps, ends = list[Made](), list[int]()
    for letters, order, number in (
        (one, (both, rows, inner), numbers[0]),
        (other, (both, inner, columns), numbers[1]),
    ):
        turned = ordered(letters, "".join(each for group in order for each in group))
        shape = tuple(math.prod(sizes[each] for each in group) for group in order)
        steps += [(*step, number) for step in turned]
        source = () if turned else (number,)
        steps.append(("Reshape", {"target_shape": shape}, *source))
        ends.append(made + len(steps) - 1)
    straight = [*both, *rows, *columns]
    return [
        *steps,
        ("Matmul", {}, *ends),
        ("Reshape", {"target_shape": tuple(sizes[each] for each in straight)}),
        *ordered("".join(straight), result),
    ]


def attention(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """`dot_product_attention` of (query, heads, width), (key, heads, width) and the values."""
    query, key, value = shapes
    if not len(query) == len(key) == len(value) == 3 or key[1] != query[1] or value[:2] != key[:2]:
        raise ValueError("attends with other heads for keys than for queries")
    scale = arguments.get("scale") or 1 / math.sqrt(query[2])
    weights = product(Terms(("thd", "shd"), "hts"), (query, key), (0, 1), 3)
    weights += [
        ("Rescaling", {"scale": scale, "offset": 0.0}),
        ("Softmax", {"axis": -1}),
    ]
    of_weights = (query[1], query[0], key[0])
    end = 3 + len(weights)
    numbers = (end - 1, 2)
    return weights + product(Terms(("hts", "shd"), "thd"), (of_weights, value), numbers, end)


def luong_attention(arguments: Arguments, shapes: Sequence[Shape]) -> list[Made]:
    """Keras' Attention of (query, width), the values, and the keys if they are others."""
    (query, value, *_), key = shapes, shapes[2 if len(shapes) > 2 else 1]
    if not all(len(shape) == 2 for shape in shapes) or key[0] != value[0]:
        raise ValueError("attends to what are no rows of numbers")
    made, numbers = len(shapes), (0, len(shapes) - 1)
    weights = product(Terms(("qd", "kd"), "qk"), (query, key), numbers, made)
    weights += [("Softmax", {"axis": -1})]
    end = made + len(weights)
    taken = ((query[0], key[0]), value)
    return weights + product(Terms(("qk", "kd"), "qd"), taken, (end - 1, 1), end)


def _sizes(terms: Sequence[str], shapes: Sequence[Shape]) -> Mapping[str, int]:
    sizes = dict[str, int]()
    for letters, shape in zip(terms, shapes, strict=True):
        for letter, side in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, side) != side:
                raise ValueError(f"multiplies {sizes[letter]} places with {side}")
    return sizes


def ordered(letters: str, result: str) -> list[Made]:
    """The layer that brings axes into another order, if that is one."""
    if letters == result:
        return []
    return [("Permute", {"dims": tuple(letters.index(each) + 1 for each in result)})]
