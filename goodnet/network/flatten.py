"""A plan without models inside it: their layers are layers of the one network.

Transfer learning puts a network whole into another one, where nothing could be cut, pruned or
shown. So a suspect is one network from here on. The layer `inner` of the model `outer` is named
"outer/inner", wherever names are shown or asked for. Keras allows no "/" in names: in networks, and
in the files of repaired models, it is "outer.inner". Such a file is one flat Functional model.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from goodnet.backend import keras
from goodnet.network.build import build_network, finalise
from goodnet.network.calls import Call, Ref, map_refs, refs_of
from goodnet.network.channels_first import WeightEdit
from goodnet.network.graph import Architecture, Layer, keras_name
from goodnet.network.layers import INPUT


def flatten_plan(plan: Architecture) -> Architecture:
    """The plan with the layers of nested models in their place; itself if there are none.

    A model that is used at two places has its layers used twice. What only makes outputs of a model
    that are not used is left out. A layer is trainable if it was, and all models around it.
    """
    if all(isinstance(layer, Layer) for layer in plan.layers):
        return plan
    flat = _Flat()
    flat.add_layers(plan)
    outputs = flat.add_calls(plan, plan.inputs)
    layers, calls = tuple(flat.layers), tuple(flat.calls)
    whole = replace(plan, kind="Functional", layers=layers, calls=calls, outputs=outputs)
    return used_part(whole)


def used_part(plan: Architecture) -> Architecture:
    """The flat plan without the calls that lead to no output of it, and with the others counted."""
    nodes = plan.ancestors(set(plan.outputs), set())
    if len(nodes) == len(plan.calls):
        return plan
    numbers, tensors = Counter[str](), {ref: ref for ref in plan.inputs}
    for tensor, _ in nodes:
        tensors[tensor] = tensor._replace(call=numbers[tensor.layer])
        numbers[tensor.layer] += 1
    used = {ref.layer for ref in tensors}

    def renumbered(refs: tuple[Any, ...]) -> tuple[Any, ...]:
        return map_refs(tensors.__getitem__, refs)

    return replace(
        plan,
        layers=tuple(layer for layer in plan.layers if layer.name in used),
        calls=tuple(Call(name, renumbered(arguments)) for _, (name, arguments) in nodes),
        outputs=renumbered(plan.outputs),
    )


class _Flat:
    """The layers and calls that were met so far."""

    def __init__(self) -> None:
        self.layers, self.calls = list[Layer](), list[Call]()
        self._uses = Counter[str]()

    def add_layers(self, plan: Architecture, prefix: str = "", trainable: bool = True) -> None:
        for layer in plan.layers:
            learns = trainable and layer.trainable
            if isinstance(layer, Architecture):
                self.add_layers(layer, f"{prefix}{layer.name}/", learns)
            elif layer.kind != INPUT or not prefix:
                self.layers.append(layer._replace(name=prefix + layer.name, trainable=learns))

    def add_calls(
        self, plan: Architecture, inputs: Sequence[Ref], prefix: str = ""
    ) -> tuple[Ref, ...]:
        """The plan's outputs for these inputs."""
        tensors = dict(zip(plan.inputs, inputs, strict=True))
        for ref, call in plan.nodes:
            call = Call(prefix + call.layer, map_refs(tensors.__getitem__, call.arguments))
            if inner := plan.nested(ref.layer):
                made = self.add_calls(inner, tuple(refs_of(call)), f"{call.layer}/")
                tensors |= {ref._replace(output=number): each for number, each in enumerate(made)}
                continue
            tensors[ref] = Ref(call.layer, self._uses[call.layer], 0)
            self._uses[call.layer] += 1
            self.calls.append(call)
        return tuple(tensors[ref] for ref in plan.outputs)


def flat_network(
    plan: Architecture,
    network: keras.Model,
    source: object,
    edits: Mapping[str, WeightEdit] = {},
) -> keras.Model:
    """The network of a flat plan, with the weights of another one, nested or flat.

    Args:
        plan: has no other layers with weights than the network, and those that are edited.
        network: not modified.
        source: the file, for the error message.
        edits: of some layers, what becomes of their weights.
    """
    flat = build_network(plan, source)
    changes = {keras_name(name): edit for name, edit in edits.items()}
    unset = {layer.name for layer in flat.layers if layer.weights}
    for name, layer in _layers(network):
        name = keras_name(name)
        if name in unset or name in changes:
            weights = layer.get_weights()
            weights = changes.pop(name)(weights) if name in changes else weights
            flat.get_layer(name).set_weights(weights)
            unset.discard(name)
    for name, edit in changes.items():  # of operations, which have none
        flat.get_layer(name).set_weights(edit([]))
        unset.discard(name)
    if unset:
        raise KeyError(f"weights of {', '.join(sorted(unset))}")
    finalise(flat)
    return flat


def tensor_shapes(plan: Architecture, network: keras.Model) -> Mapping[Ref, Any]:
    """The shape of every tensor of a flat, functional network."""
    operations = {operation.name: operation for operation in network.operations}
    shapes = {ref: network.input_shape for ref in plan.inputs}
    for ref, call in plan.nodes:
        node = operations[keras_name(call.layer)]._inbound_nodes[ref.call]
        shapes[ref] = node.output_tensors[0].shape
    return shapes


def _layers(network: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer of a network by its flat name."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer
