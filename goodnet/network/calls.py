"""How the layers of a network are joined: tensors, calls, and their order.

Plain values: what a file says of its wiring, put into one form for Keras 2 and 3.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Ref(NamedTuple):
    """One tensor: output number `output` of call number `call` of the layer named `layer`."""

    layer: str
    call: int
    output: int


class Call(NamedTuple):
    """One use of a layer: positional arguments, each a Ref, a tuple of Refs, or a number."""

    layer: str
    arguments: tuple[Any, ...]


MadeBy = tuple[Ref, Call]


def refs_of(call: Call) -> Iterator[Ref]:
    """The tensors that a call takes."""
    return _refs(call.arguments)


def _refs(arguments: tuple[Any, ...]) -> Iterator[Ref]:
    for argument in arguments:
        if isinstance(argument, Ref):
            yield argument
        elif isinstance(argument, tuple):
            yield from _refs(argument)


def with_tensors(argument: Any, tensors: Mapping[Ref, Any]) -> Any:
    """An argument of a call with the tensors themselves; tuples become lists."""
    if isinstance(argument, Ref):
        return tensors[argument]
    if isinstance(argument, tuple):
        return [with_tensors(item, tensors) for item in argument]
    return argument


def in_order(calls: Sequence[MadeBy], known: Collection[Ref]) -> list[MadeBy]:
    """The calls, each behind those whose tensors it takes, else in the given order.

    Calls that wait for a tensor nobody makes are left out.
    """
    takers, missing = defaultdict[Ref, list[int]](list), list[int]()
    known = set(known)
    for place, (made, call) in enumerate(calls):
        needed = set(refs_of(call))
        if made.call:  # the calls of one layer keep their order
            needed.add(made._replace(call=made.call - 1))
        needed -= known
        missing.append(len(needed))
        for ref in needed:
            takers[ref].append(place)
    ready, ordered = [place for place, count in enumerate(missing) if not count], []
    while ready:
        made_by = calls[heapq.heappop(ready)]
        ordered.append(made_by)
        for place in takers[made_by[0]]:
            missing[place] -= 1
            if not missing[place]:
                heapq.heappush(ready, place)
    return ordered


def count_from_zero(
    nested: Mapping[str, str], calls: Sequence[MadeBy], outputs: Sequence[Ref], *, keras_2: bool
) -> tuple[list[MadeBy], tuple[Ref, ...]]:
    """Calls and outputs, with the calls of nested models numbered from 0.

    Keras 2 numbers them from 1; Keras 3 only where a Functional one is an output, and its first
    versions like Keras 2. As every call in a file is taken by another one or is an output, the
    right start is the one with which no number is left out.

    Args:
        nested: the nested models' names and kinds.
        calls: the calls of all layers.
        outputs: the model's outputs.
        keras_2: whether Keras 2 wrote them.

    Raises:
        ValueError: no start is right.
    """
    times = Counter(made.layer for made, _ in calls)
    taken, ended = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for _, call in calls:
        for ref in refs_of(call):
            taken[ref.layer].add(ref.call)
    for ref in outputs:
        ended[ref.layer].add(ref.call)
    starts = {}
    for name, kind in nested.items():
        for start in _possible_starts(kind, keras_2):
            numbers = {n - start[0] for n in taken[name]} | {n - start[1] for n in ended[name]}
            if numbers == set(range(times[name])):
                starts[name] = start
                break
        else:
            raise ValueError(f"the uses of the nested model {name!r} are misnumbered")

    def moved(place: int) -> Callable[[Ref], Ref]:
        return lambda ref: ref._replace(call=ref.call - starts.get(ref.layer, (0, 0))[place])

    renumbered = [
        (ref, call._replace(arguments=_each(call.arguments, moved(0)))) for ref, call in calls
    ]
    return renumbered, tuple(map(moved(1), outputs))


def _possible_starts(kind: str, keras_2: bool) -> Sequence[tuple[int, int]]:
    """Where numbers of calls may start, for other layers and for the model's outputs."""
    if keras_2:
        return (1, 1), (0, 0)
    return ((0, 1), (1, 1)) if kind == "Functional" else ((0, 0),)


def _each(arguments: tuple[Any, ...], change: Callable[[Ref], Ref]) -> tuple[Any, ...]:
    return tuple(
        change(argument)
        if isinstance(argument, Ref)
        else _each(argument, change)
        if isinstance(argument, tuple)
        else argument
        for argument in arguments
    )
