"""What the plan of a network says about one of its layers, without running anything."""

from collections.abc import Iterator
from typing import Any

from goodnet.errors import RequestRefused, one_line
from goodnet.network.architecture import Architecture, Call, Layer, Ref, refs_of

POOLING = frozenset(
    {"MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"}
)
CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"})
ACTIVATION_LAYERS = frozenset({"Activation", "ReLU", "LeakyReLU", "PReLU", "ELU"})
PRUNABLE = POOLING | CONVOLUTIONS | ACTIVATION_LAYERS | {"BatchNormalization", "Add", "Concatenate"}


class Graph:
    """The calls of an architecture, numbered, with who makes and who takes each tensor.

    A nested model is one call here.
    """

    def __init__(self, plan: Architecture) -> None:
        self.plan = plan
        self.layers: dict[str, Layer | Architecture] = {layer.name: layer for layer in plan.layers}
        counts: dict[str, int] = {}
        self.calls: list[tuple[Ref, Call]] = []
        for call in plan.calls:
            number = counts.setdefault(call.layer, 0)
            self.calls.append((Ref(call.layer, number, 0), call))
            counts[call.layer] += 1
        self.times = counts
        self.made_by = dict(self.calls)

    def takers(self, ref: Ref) -> list[tuple[Ref, Call]]:
        """The calls that take a tensor, each with the tensor it makes."""
        return [(made, call) for made, call in self.calls if ref in refs_of(call)]

    def needed(self, outputs: set[Ref], given: set[Ref]) -> list[tuple[Ref, Call]]:
        """The calls that lead from the given tensors to the outputs, in order."""
        wanted, found = set(outputs) - given, []
        for made, call in reversed(self.calls):
            if made in wanted:
                found.append((made, call))
                wanted |= set(refs_of(call)) - given
        return found[::-1]

    def crossing(self, ref: Ref) -> tuple[Ref, ...]:
        """The tensors, beside `ref`, that what follows it takes from what does not: shortcuts."""
        after, crossing = {ref}, dict[Ref, None]()
        for made, call in self.needed(set(self.plan.outputs), {ref}):
            if any(taken in after for taken in refs_of(call)):
                after.add(made)
        for made, call in self.calls:
            if made in after and made != ref:
                crossing |= {taken: None for taken in refs_of(call) if taken not in after}
        return tuple(crossing)

    def kind(self, name: str) -> str:
        """The class of a layer; "model" for a nested one."""
        layer = self.layers[name]
        return layer.kind if isinstance(layer, Layer) else "model"

    def arguments(self, name: str) -> dict[str, Any]:
        """The checked arguments of a layer; none of a nested model."""
        layer = self.layers[name]
        return dict(layer.arguments) if isinstance(layer, Layer) else {}


def choose_layer(plan: Architecture, wanted: str, source: object) -> str:
    """The name of the layer to prune.

    Args:
        plan: the suspect's architecture.
        wanted: a layer's name, or "auto": the last pooling layer before the dense part; if there
            is none, the last convolution.
        source: the model, for the error message.

    Raises:
        RequestRefused: there is no such layer, or its channels cannot be pruned.
    """
    graph = Graph(plan)
    used = [made.layer for made, _ in graph.needed(set(plan.outputs), set())]
    if wanted == "auto":
        for kinds in (POOLING, CONVOLUTIONS):
            found = [name for name in used if graph.kind(name) in kinds and graph.times[name] == 1]
            if found:
                return found[-1]
        raise RequestRefused(
            source, "has no pooling layer and no convolution of its own; name one with --layer"
        )
    candidates = ", ".join(name for name in used if graph.kind(name) in PRUNABLE)
    if wanted not in used:
        raise RequestRefused(
            source,
            f"has no layer {one_line(wanted, 60)!r}; layers that can be pruned: {candidates}",
        )
    if graph.kind(wanted) not in PRUNABLE or graph.times[wanted] != 1:
        raise RequestRefused(
            source,
            f"layer {wanted!r} ({graph.kind(wanted)}) has no channels that can be pruned; layers "
            f"that can be: {candidates}",
        )
    return wanted


def describe_layers(plan: Architecture) -> Iterator[tuple[str, str]]:
    """Name and class of each layer, nested ones as "model/layer"."""
    for layer in plan.layers:
        if isinstance(layer, Architecture):
            yield layer.name, f"{layer.kind} model"
            for name, kind in describe_layers(layer):
                yield f"{layer.name}/{name}", kind
        else:
            yield layer.name, layer.kind
