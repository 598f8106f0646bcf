"""A Keras network built from an architecture and plain arrays, by our own code.

No value of the file reaches Keras but checked numbers: layers are made by class from the
allow-list, calls are made in the plan's order, and memory is taken for weights only after their
shapes were compared with those in the file. The result is an ordinary, uncompiled Keras model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from goodnet.backend import keras
from goodnet.errors import InputRefused, ModelRefused, one_line
from goodnet.network import example_layers
from goodnet.network.calls import Ref, with_tensors
from goodnet.network.cost import SIDE, Layers, check_cost
from goodnet.network.graph import Architecture, Layer, keras_name
from goodnet.network.image_input import image_shape
from goodnet.network.layers import INPUT
from goodnet.network.operation_shapes import Unrun
from goodnet.network.weights import StoredFile, paired_weights


def build_network(architecture: Architecture, source: object) -> keras.Model:
    """The network with this architecture and random weights.

    Args:
        architecture: a plan of ours, or one whose network was loaded before: of any size.
        source: the file, for the error message.

    Raises:
        ModelRefused: the layers do not fit together.
    """
    with _refusing(source):
        return _model(architecture, _layers(architecture))


def multiplications(architecture: Architecture, source: object = "") -> int:
    """How many multiplications one image takes in a network that was loaded before."""
    with _unallocated():
        return check_cost(architecture, _layers(architecture), source or architecture.name)


def load_network(
    architecture: Architecture, layout: str, stored: StoredFile, source: object
) -> keras.Model:
    """The network with this architecture and the weights of its file.

    Args:
        architecture: the checked plan.
        layout: how the file orders its weights, see `paired_weights`.
        stored: a layer's name or path, and its arrays.
        source: the file, for the error message.

    Raises:
        ModelRefused: the layers do not fit together or ask for too much, they are no image
            classifier, or the weights do not fit the layers.
    """
    with _unallocated():
        with _refusing(source):
            layers = _layers(architecture)
            check_cost(architecture, layers, source)
            network = _model(architecture, layers)
        _check_classifier(network, source)
        pairs = paired_weights(network, layout, stored, source)
    for variable, array in pairs:
        variable.assign(array)
    finalise(network)
    return network


def _check_classifier(network: keras.Model, source: object) -> None:
    """Refuse what does not map one image to one row of scores."""
    inputs, outputs = len(network.inputs), len(network.outputs)
    if (inputs, outputs) != (1, 1):
        raise ModelRefused(source, f"has {inputs} inputs and {outputs} outputs, not one and one")
    images, scores = network.input_shape, network.output_shape
    if not (image_shape(images[1:]) or image_shape((*images[2:], images[1]))):
        raise ModelRefused(
            source, f"takes {_sides(images)}, no images: these are height x width x 1, 3 or 4"
        )
    if len(scores) != 2:
        raise ModelRefused(source, f"makes an image or map of {_sides(scores)}, no class scores")


def _sides(shape: Sequence[int | None]) -> str:
    """A shape in words: "28 x 28 x 1", "1 number"."""
    sides = ["any" if side is None else str(side) for side in shape[1:]]
    return f"{sides[0]} number{'s' * (sides != ['1'])}" if len(sides) == 1 else " x ".join(sides)


def check_answers(network: keras.Model, source: object) -> None:
    """Refuse finite weights that make no finite scores: a negative variance, an overflow.

    Raises:
        ModelRefused: its answers are not finite.
    """
    sides = (side or SIDE for side in network.input_shape[1:])
    noise = np.random.default_rng(0).random((1, *sides), dtype=np.float32)
    with _refusing(source):
        scores = [network(white * noise, training=False).numpy() for white in (1, 255)]
    if not any(np.isfinite(answer).all() for answer in scores):
        raise ModelRefused(source, "answers NaN or infinite scores, whatever the pixel scale")


@contextmanager
def _refusing(source: object) -> Iterator[None]:
    """Whatever Keras and TensorFlow raise on layers that do not fit, as a refusal."""
    try:
        yield
    except InputRefused:
        raise
    except Exception as fault:
        reason = next(iter(str(fault).strip().splitlines()), "") or repr(fault)
        message = f"the layers do not fit together: {one_line(reason)}"
        raise ModelRefused(source, message) from None


@contextmanager
def _unallocated() -> Iterator[None]:
    """Variables made in this context get their memory when it ends without a fault."""
    common = keras.src.backend.common
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    except BaseException:
        common.global_state.set_global_attribute("uninitialized_variables", [])
        raise
    common.variables.initialize_all_variables()


def take_weights(network: keras.Model, other: keras.Model) -> None:
    """Give a network the weights of another one of the same plan, and what follows from them."""
    network.set_weights(other.get_weights())
    finalise(network)


def take_preprocessing(network: keras.Model, other: keras.Model) -> None:
    """Give a flat network the means and variances of images that another one of its plan has."""
    for layer in network.layers:
        if hasattr(layer, "finalize_state"):
            layer.set_weights(other.get_layer(layer.name).get_weights())
    finalise(network)


def finalise(model: keras.Model) -> None:
    """Let layers that derive values from their weights do so again: Normalization."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            finalise(layer)
        elif hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _layers(plan: Architecture) -> Layers:
    """The plan's layers by name, not joined yet."""
    return {
        inner.name: _layer(inner) if isinstance(inner, Layer) else _layers(inner)
        for inner in plan.layers
    }


def _layer(plan: Layer) -> Any:
    name = keras_name(plan.name)
    if plan.kind == INPUT:
        return keras.layers.InputLayer(batch_shape=plan.arguments["batch_shape"], name=name)
    if plan.traits.home == "operation":
        return Unrun(plan.kind, plan.arguments, name)
    arguments = {
        key: _layer(value) if isinstance(value, Layer) else value
        for key, value in plan.arguments.items()
    }
    layer = getattr(_home(plan.traits.home), plan.kind)(**arguments, name=name)
    if not plan.trainable:
        layer.trainable = False
    return layer


def _home(name: str) -> Any:
    """The module that has a class of layers."""
    if name == "layers":
        return keras.layers
    if name == "ours":
        return example_layers
    room = keras.src.applications if name == "convnext" else keras.src.ops
    return getattr(room, name)


def _model(plan: Architecture, layers: Layers) -> keras.Model:
    joined = {
        inner.name: layers[inner.name]
        if isinstance(inner, Layer)
        else _model(inner, layers[inner.name])
        for inner in plan.layers
    }
    if plan.kind == "Sequential":
        ordered = [joined[inner.name] for inner in plan.layers]
        return keras.Sequential(ordered, name=plan.name, trainable=plan.trainable)
    tensors = _call_all(plan, joined)
    ends = ([tensors[ref] for ref in refs] for refs in (plan.inputs, plan.outputs))
    inputs, outputs = (end[0] if len(end) == 1 else end for end in ends)
    return keras.Model(inputs, outputs, name=plan.name, trainable=plan.trainable)


def _call_all(plan: Architecture, layers: Mapping[str, Any]) -> dict[Ref, Any]:
    """Every tensor of a functional model by its reference."""
    tensors = {
        Ref(inner.name, 0, 0): layers[inner.name].output
        for inner in plan.layers
        if isinstance(inner, Layer) and inner.kind == INPUT
    }
    for ref, call in plan.nodes:
        arguments = [with_tensors(argument, tensors) for argument in call.arguments]
        made = layers[call.layer](*arguments)
        for number, tensor in enumerate(made if isinstance(made, list) else [made]):
            tensors[ref._replace(output=number)] = tensor
    return tensors
