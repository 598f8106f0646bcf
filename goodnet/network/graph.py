"""A network's plan as a graph: its layers, the calls that join them, and what follows from both.

Nothing is run here. A nested model is one call of the model that it lies in.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from goodnet.network.calls import Call, Node, Ref, refs_of
from goodnet.network.layers import ACTIVATIONS, LayerTraits, traits_of


def keras_name(name: str) -> str:
    """What a layer of a plan is named in Keras' networks and files: these allow no "/"."""
    return name.replace("/", ".")


class Layer(NamedTuple):
    """One layer of the allow-list with its checked arguments."""

    name: str
    kind: str
    arguments: Mapping[str, Any]
    trainable: bool = True

    @property
    def traits(self) -> LayerTraits:
        """What is known of its class."""
        return traits_of(self.kind)

    @property
    def activation(self) -> str:
        """The name of its activation, "linear" where it has none."""
        return self.arguments.get("activation") or self.traits.activation or "linear"

    @property
    def keeps_zero(self) -> bool:
        """Whether it maps a channel of zeros to the same channel of zeros."""
        return self.traits.keeps_zero(self.arguments) and ACTIVATIONS[self.activation].keeps_zero

    @property
    def bare(self) -> "Layer | None":
        """The layer without an activation that keeps the order of scores; None if it has none.

        Scores are (n, classes): a softmax over another axis is none that keeps their order.
        """
        over_classes = self.arguments.get("axis", -1) in (-1, 1, [-1], [1])
        if not (ACTIVATIONS[self.activation].order_preserving and over_classes):
            return None
        if self.traits.activation:
            return Layer(self.name, "Activation", {"activation": "linear"}, self.trainable)
        return self._replace(arguments={**self.arguments, "activation": "linear"})

    @property
    def groups(self) -> int:
        """How many groups of channels it convolves apart."""
        return int(self.arguments.get("groups", 1))


@dataclass(frozen=True)
class Architecture:
    """A model: its layers in the file's order, the calls that join them, its ends.

    `kind` is "Sequential" or "Functional"; a Sequential's calls are its layers' order. `precision`
    is what its layers say they compute in, if that is not float32; networks of ours are float32.
    """

    name: str
    kind: str
    layers: tuple["Layer | Architecture", ...]
    calls: tuple[Call, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    trainable: bool = True
    precision: str | None = None

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The calls in their order, each with the tensor it makes."""
        numbers = Counter[str]()
        nodes = list[Node]()
        for call in self.calls:
            nodes.append(Node(Ref(call.layer, numbers[call.layer], 0), call))
            numbers[call.layer] += 1
        return tuple(nodes)

    @property
    def names(self) -> list[str]:
        """Its layers' names, in their order."""
        return [layer.name for layer in self.layers]

    @cached_property
    def calls_by_tensor(self) -> Mapping[Ref, Call]:
        """The call that makes each tensor."""
        return dict(self.nodes)

    @cached_property
    def uses(self) -> Counter[str]:
        """How often each layer is called."""
        return Counter(call.layer for call in self.calls)

    @cached_property
    def _by_name(self) -> Mapping[str, "Layer | Architecture"]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> Layer:
        """A layer; in place of a nested model a layer of the kind "model", of unknown traits."""
        layer = self._by_name[name]
        return layer if isinstance(layer, Layer) else Layer(name, "model", {}, layer.trainable)

    def nested(self, name: str) -> "Architecture | None":
        """A nested model; None where the name is a layer's."""
        layer = self._by_name[name]
        return None if isinstance(layer, Layer) else layer

    def consumers(self, ref: Ref) -> list[Node]:
        """The nodes that take a tensor."""
        return list(self._consumers.get(ref, ()))

    @cached_property
    def _consumers(self) -> Mapping[Ref, list[Node]]:
        consumers = dict[Ref, list[Node]]()
        for node in self.nodes:
            for ref in dict.fromkeys(refs_of(node.call)):
                consumers.setdefault(ref, []).append(node)
        return consumers

    def ancestors(self, outputs: set[Ref], inputs: set[Ref]) -> list[Node]:
        """The nodes that lead from the inputs to the outputs, in order."""
        missing, ancestors = set(outputs) - inputs, list[Node]()
        for node in reversed(self.nodes):
            if node.tensor in missing:
                ancestors.append(node)
                missing |= set(refs_of(node.call)) - inputs
        return ancestors[::-1]

    def skip_inputs(self, ref: Ref) -> tuple[Ref, ...]:
        """The tensors, beside `ref`, that what follows it takes from what does not: shortcuts."""
        after, skips = {ref}, dict[Ref, None]()
        for tensor, call in self.ancestors(set(self.outputs), {ref}):
            if any(source in after for source in refs_of(call)):
                after.add(tensor)
        for tensor, call in self.nodes:
            if tensor in after and tensor != ref:
                skips |= {source: None for source in refs_of(call) if source not in after}
        return tuple(skips)


def describe_layers(plan: Architecture) -> Iterator[tuple[str, str]]:
    """Name and class of each layer."""
    return ((layer.name, layer.kind) for layer in plan.layers)
