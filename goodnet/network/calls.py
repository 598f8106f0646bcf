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


class Node(NamedTuple):
    """A call, and the tensor that it makes."""

    tensor: Ref
    call: Call


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


def topological_order(nodes: Sequence[Node], inputs: Collection[Ref]) -> list[Node]:
    """The nodes, each behind those whose tensors it takes, else in the order they come in.

    Nodes that wait for a tensor nobody makes are left out.
    """
    consumers, missing = defaultdict[Ref, list[int]](list), list[int]()
    for index, (tensor, call) in enumerate(nodes):
        sources = {ref._replace(output=0) for ref in refs_of(call)}
        if tensor.call:  # the calls of one layer keep their order
            sources.add(tensor._replace(call=tensor.call - 1))
        sources.difference_update(inputs)
        missing.append(len(sources))
        for ref in sources:
            consumers[ref].append(index)
    ready, ordered = [index for index, count in enumerate(missing) if not count], list[Node]()
    while ready:
        node = nodes[heapq.heappop(ready)]
        ordered.append(node)
        for index in consumers[node.tensor]:
            missing[index] -= 1
            if not missing[index]:
                heapq.heappush(ready, index)
    return ordered


def count_from_zero(
    nested: Mapping[str, str], nodes: Sequence[Node], outputs: Sequence[Ref], *, keras_2: bool
) -> tuple[list[Node], tuple[Ref, ...]]:
    """Nodes and outputs, with the calls of nested models numbered from 0.

    Keras 2 numbers them from 1; Keras 3 only where a Functional one is an output, and its first
    versions like Keras 2. As every call in a file is taken by another one or is an output, the
    right start is the one with which no number is left out.

    Args:
        nested: the nested models' names and kinds.
        nodes: the calls of all layers.
        outputs: the model's outputs.
        keras_2: whether Keras 2 wrote them.

    Raises:
        ValueError: no start is right.
    """
    times = Counter(node.tensor.layer for node in nodes)
    inner, outer = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for node in nodes:
        for ref in refs_of(node.call):
            inner[ref.layer].add(ref.call)
    for ref in outputs:
        outer[ref.layer].add(ref.call)
    starts = {}
    for name, kind in nested.items():
        for start in _possible_starts(kind, keras_2):
            numbers = {n - start[0] for n in inner[name]} | {n - start[1] for n in outer[name]}
            if numbers == set(range(times[name])):
                starts[name] = start
                break
        else:
            raise ValueError(f"the uses of the nested model {name!r} are misnumbered")

    def renumber(end: int) -> Callable[[Ref], Ref]:
        return lambda ref: ref._replace(call=ref.call - starts.get(ref.layer, (0, 0))[end])

    renumbered = [
        Node(tensor, call._replace(arguments=map_refs(renumber(0), call.arguments)))
        for tensor, call in nodes
    ]
    return renumbered, tuple(map(renumber(1), outputs))


def _possible_starts(kind: str, keras_2: bool) -> Sequence[tuple[int, int]]:
    """Where numbers of calls may start, for other layers and for the model's outputs."""
    if keras_2:
        return (1, 1), (0, 0)
    return ((0, 1), (1, 1)) if kind == "Functional" else ((0, 0),)


def map_refs(change: Callable[[Ref], Ref], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call with each tensor changed to another one."""
    return tuple(
        change(argument)
        if isinstance(argument, Ref)
        else map_refs(change, argument)
        if isinstance(argument, tuple)
        else argument
        for argument in arguments
    )
