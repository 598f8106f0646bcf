"""A network's plan, read from a Keras model configuration: layers, and how they are joined.

The configuration comes out of a file nobody trusts, so nothing in it is ever given to Keras'
deserialisation. It is parsed here, in plain Python, against the allow-list of `layers.py`; what
comes out holds names, numbers and references only, and `build.py` builds the network from it.
Of the compile configuration nothing but the name of the loss is looked at, see `two_scores`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from goodnet.errors import ModelRefused, one_line
from goodnet.network.arithmetic import as_layer, with_nodes_in_lists, without_training
from goodnet.network.call_reading import MOST_LAYERS, CallReader
from goodnet.network.calls import Call, Node, Ref, count_from_zero, refs_of, topological_order
from goodnet.network.checks import is_size
from goodnet.network.function_calls import as_operation
from goodnet.network.graph import Architecture, Layer
from goodnet.network.inner_activation import is_of_keras_2, with_activations_apart
from goodnet.network.layers import (
    EVERY_LAYER,
    EXAMPLES,
    INPUT,
    LAYERS,
    MODELS,
    OPERATIONS,
    RANDOM,
    REWRITTEN,
    TRAINING_ONLY,
    current_name,
    traits_of,
)
from goodnet.network.rearrangement import as_layers
from goodnet.network.refusal import (
    as_text,
    claimed_class,
    is_of_example,
    is_of_keras,
    reason_of_refusal,
)
from goodnet.network.scaled_sum import with_sums_apart
from goodnet.network.sizes import without_sizes
from goodnet.network.tensor_parts import with_parts_apart

MOST_CALLS = 5_000  # of layers, those in nested models counted at each use of the model
DEEPEST_NESTING = 8
PRECISIONS = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


def parse_architecture(config: Any, source: object) -> Architecture:
    """The architecture that a Keras model configuration describes.

    Args:
        config: the parsed JSON: `{"class_name": ..., "config": ...}` as Keras 2 and 3 write it.
        source: the file, for the error message.

    Raises:
        ModelRefused: a layer or an argument is not on the allow-list, or the plan is broken.
    """
    try:
        parser = _Parser(source, keras_2=is_of_keras_2(config))
        plan = parser.model(config, depth=0)
        calls = _count_calls(plan)
    except (
        KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError,
    ) as fault:  # fmt: skip
        raise ModelRefused(source, f"damaged model configuration ({fault!r})") from None
    if calls > MOST_CALLS:
        raise ModelRefused(source, f"uses layers {calls} times in all, more than {MOST_CALLS}")
    precision = next(iter(parser.precisions), None)
    return replace(plan, precision=precision) if precision else plan


class _Parser:
    """Reads one configuration; counts layers, and notes precisions, over all nesting levels."""

    def __init__(self, source: object, *, keras_2: bool) -> None:
        self.source, self.keras_2, self.calls = source, keras_2, CallReader(source)
        self.count = 0
        self.precisions: dict[str, None] = {}

    def refuse(self, fault: str) -> ModelRefused:
        return ModelRefused(self.source, fault)

    def model(self, data: Any, depth: int) -> Architecture:
        kind = as_text(data["class_name"])
        if kind not in MODELS or not is_of_keras(data):
            raise self.refuse(
                f"the model is of class {claimed_class(data)!r}, whose code is not in the file; "
                "only Sequential and Functional models can be opened: rebuild it as one of these "
                "and save it again"
            )
        if depth > DEEPEST_NESTING:
            raise self.refuse(f"models nested more than {DEEPEST_NESTING} deep")
        config = data["config"]
        if isinstance(config, list):  # Keras 2.1 and older: a Sequential is its list of layers
            config = {"name": "sequential", "layers": config}
        if not isinstance(config["layers"], list) or not config["layers"]:
            raise self.refuse("the model has no layers")
        config = {
            **config,
            "layers": with_activations_apart(config["layers"], keras_2=self.keras_2),
        }
        name = self.calls.name(config.get("name") or kind.lower())
        trainable = config.get("trainable", True) is not False
        read = self.sequential if kind == "Sequential" else self.functional
        return replace(read(name, config, depth), trainable=trainable)

    def sequential(self, name: str, config: Mapping[str, Any], depth: int) -> Architecture:
        layers = [self.layer(data, depth) for data in config["layers"]]
        if not isinstance(layers[0], Layer) or layers[0].kind != INPUT:
            shape = _declared_input(config)
            if shape is None and isinstance(layers[0], Architecture):
                shape = _input_layer(layers[0]).arguments["batch_shape"]
            layers.insert(0, self.input_layer(f"{name}_input", shape))
        self.check_names(layers)
        calls, previous = [], Ref(layers[0].name, 0, 0)
        for layer in layers[1:]:
            calls.append(Call(layer.name, (previous,)))
            previous = Ref(layer.name, 0, 0)
        first = Ref(layers[0].name, 0, 0)
        return Architecture(name, "Sequential", tuple(layers), tuple(calls), (first,), (previous,))

    def functional(self, name: str, config: Mapping[str, Any], depth: int) -> Architecture:
        written = with_sums_apart([with_nodes_in_lists(entry) for entry in config["layers"]])
        written = without_sizes(written)
        written, ends = with_parts_apart(written, config["output_layers"], is_of_keras)
        moved = as_layers(written, ends, is_of_keras)
        entries = [
            as_operation(as_layer(without_training(entry))) if is_of_keras(entry) else entry
            for entry in moved
        ]
        layers = [self.layer(data, depth) for data in entries]
        self.check_names(layers)
        inbound = [
            (layer, number, data)
            for layer, entry in zip(layers, entries, strict=True)
            for number, data in enumerate(entry.get("inbound_nodes") or [])
        ]
        nodes = [
            Node(Ref(layer.name, number, 0), Call(layer.name, self.calls.arguments(layer, data)))
            for layer, number, data in inbound
        ]
        nested = {layer.name: layer for layer in layers if isinstance(layer, Architecture)}
        kinds = {name: model.kind for name, model in nested.items()}
        inputs, outputs = self.calls.ends(config["input_layers"]), self.calls.ends(ends)
        keras_2 = any(isinstance(data, list) for *_, data in inbound)
        nodes, outputs = count_from_zero(kinds, nodes, outputs, keras_2=keras_2)
        taken = (ref for node in nodes for ref in refs_of(node.call))
        self.calls.check_outputs(nested, [*outputs, *taken])
        sources = {Ref(layer.name, 0, 0) for layer in layers if _is_input(layer)}
        made = sources | {node.tensor for node in nodes}
        if not (set(inputs) <= sources and {o._replace(output=0) for o in outputs} <= made):
            raise self.refuse("the model's inputs or outputs name no tensor of it")
        ordered = self.ordered_calls(nodes, sources)
        return Architecture(name, "Functional", tuple(layers), ordered, inputs, outputs)

    def ordered_calls(self, nodes: Sequence[Node], sources: set[Ref]) -> tuple[Call, ...]:
        """The calls, each behind those whose outputs it takes."""
        ordered = topological_order(nodes, sources)
        if len(ordered) < len(nodes):
            reached = {node.tensor for node in ordered}
            stuck = next(n.tensor.layer for n in nodes if n.tensor not in reached)
            raise self.refuse(
                f"the layers do not form a network: {stuck!r} waits for a tensor that is never made"
            )
        return tuple(node.call for node in ordered)

    def layer(self, data: Any, depth: int) -> "Layer | Architecture":
        self.count += 1
        if self.count > MOST_LAYERS:
            raise self.refuse(f"more than {MOST_LAYERS} layers")
        written = as_text(data["class_name"])
        kind = current_name(written)
        if kind in MODELS:
            model = self.model(data, depth + 1)
            return replace(model, name=self.calls.name(data.get("name") or model.name))
        config = data["config"]
        name = self.calls.name(config.get("name") or data.get("name") or kind.lower())
        if kind == INPUT:
            shape = config.get("batch_shape", config.get("batch_input_shape"))
            return self.input_layer(name, shape)
        known = kind in LAYERS or kind in OPERATIONS or kind in REWRITTEN
        ours = is_of_example(data) if kind in EXAMPLES else is_of_keras(data)
        if not (known and ours):
            raise self.refuse(f"layer {name!r} is {reason_of_refusal(data)}")
        self.note_precision(name, config.get("dtype"))
        if written in RANDOM:
            return Layer(name, kind, {})
        arguments = self.arguments(name, kind, config)
        if "layer" in arguments:
            arguments["layer"] = self.wrapped(name, kind, arguments["layer"], depth)
        return Layer(name, kind, arguments, config.get("trainable", True) is not False)

    def wrapped(self, name: str, kind: str, data: Any, depth: int) -> Layer:
        """The layer inside another one."""
        inner = self.layer(data, depth)
        if not isinstance(inner, Layer) or inner.traits.kernel != "kernel":
            raise self.refuse(f"layer {name!r} ({kind}) wraps {inner.name!r} ({inner.kind})")
        return inner

    def arguments(self, name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
        traits, arguments = traits_of(kind), {}
        for written, value in config.items():
            key = traits.renamed.get(written, written)
            if key in traits.arguments:
                if not traits.arguments[key](value):
                    raise self.refuse(
                        f"layer {name!r} ({kind}): argument {key} = {one_line(value, 60)} "
                        "is not allowed"
                    )
                convert = traits.converted.get(key)
                arguments[key] = convert(value) if convert else value
            elif key in traits.neutral and traits.neutral[key] == value:
                continue
            elif key not in TRAINING_ONLY and key not in EVERY_LAYER:
                raise self.refuse(
                    f"layer {name!r} ({kind}): argument {one_line(key, 60)!r} is not known"
                )
        return arguments

    def input_layer(self, name: str, shape: Any) -> Layer:
        fits = isinstance(shape, list | tuple) and 2 <= len(shape) <= 5
        if not fits or not all(side is None or is_size(side) for side in shape[1:]):
            raise self.refuse(f"input {name!r} has the shape {one_line(shape, 60)}")
        return Layer(name, INPUT, {"batch_shape": (None, *shape[1:])})

    def note_precision(self, name: str, dtype: Any) -> None:
        policy = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
        if policy in PRECISIONS:
            self.precisions[policy] = None
        elif policy not in (None, "float32"):
            raise self.refuse(
                f"layer {name!r} computes in {one_line(policy, 40)!r}, which is no floating-point "
                "precision: rebuild the model with the float32 policy and save it again"
            )

    def check_names(self, layers: list["Layer | Architecture"]) -> None:
        name, times = Counter(layer.name for layer in layers).most_common(1)[0]
        if times > 1:
            raise self.refuse(f"two layers are named {name!r}")


def _is_input(layer: "Layer | Architecture") -> bool:
    return isinstance(layer, Layer) and layer.kind == INPUT


def _count_calls(plan: Architecture) -> int:
    """How often layers are used, with those of nested models at each use of the model."""
    nested = {
        inner.name: _count_calls(inner) for inner in plan.layers if not isinstance(inner, Layer)
    }
    return sum(1 + nested.get(call.layer, 0) for call in plan.calls)


def _input_layer(model: Architecture) -> Layer:
    first = next(layer for layer in model.layers if layer.name == model.inputs[0].layer)
    return first if isinstance(first, Layer) else _input_layer(first)


def _declared_input(config: Mapping[str, Any]) -> Any:
    """The input shape of a Sequential without an input layer."""
    first = config["layers"][0]["config"]
    declared = first.get("batch_input_shape") if isinstance(first, dict) else None
    return declared or config.get("build_input_shape")
