"""What one image costs in a network, known before any of it is allocated.

A few bytes of configuration can ask for more memory than any machine has. Here the plan is gone
through with the shapes of one image only: no weight is made, no tensor computed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from goodnet.backend import keras
from goodnet.errors import ModelRefused
from goodnet.network.calls import Ref, with_tensors
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import INPUT

LARGEST_TENSOR = 1 << 25  # values; VGG16 has 3 million in its largest, EfficientNetB7 17
MOST_WORK = 1 << 37  # multiplications; VGG16 has 15 billion, EfficientNetB7 37
SIDE = 224  # assumed where a network takes images of any size

Layers = Mapping[str, Any]  # by name: a Keras layer or operation; of a nested model its Layers


def check_cost(plan: Architecture, layers: Layers, source: object) -> int:
    """Build the layers (under `keras.StatelessScope`) and refuse a network that costs too much.

    Args:
        plan: the checked architecture.
        layers: its layers, not built yet.
        source: the file, for the error message.

    Returns:
        The multiplications for one image, and one for each value that a layer makes.

    Raises:
        ModelRefused: a tensor or the work for one image is beyond the limits.
    """
    meter = _Meter(source)
    meter.outputs(plan, layers, [_image(plan, ref) for ref in plan.inputs])
    return meter.work


def costs_of_calls(
    plan: Architecture, layers: Layers, shape: Sequence[int]
) -> dict[Ref, tuple[int, tuple[int, ...]]]:
    """What each tensor of a flat plan costs, and its shape, for an image of this shape.

    Args:
        plan: of a network that was loaded before.
        layers: the layers of the network, built.
        shape: height, width and channels.

    Returns:
        For each tensor, the input too, the multiplications that make it, and its shape without the
        axis of images.
    """
    meter = _Meter(plan.name)
    tensors = meter.tensors(plan, layers, [keras.KerasTensor((None, *shape))])
    return {ref: (meter.costs.get(ref, 0), tuple(each.shape[1:])) for ref, each in tensors.items()}


def _image(plan: Architecture, ref: Ref) -> Any:
    """A symbolic tensor of the input's shape, with no side left open."""
    layer = next(layer for layer in plan.layers if layer.name == ref.layer)
    if not (isinstance(layer, Layer) and layer.kind == INPUT):
        raise ValueError(f"{ref.layer!r} is no input")
    _, *sides = layer.arguments["batch_shape"]
    return keras.KerasTensor((None, *(side or SIDE for side in sides)), name=layer.name)


class _Meter:
    """Adds up the work, over all nesting levels."""

    def __init__(self, source: object) -> None:
        self.source = source
        self.work = 0
        self.costs = dict[Ref, int]()

    def outputs(self, plan: Architecture, layers: Layers, inputs: Sequence[Any]) -> list[Any]:
        """The symbolic outputs of a model for these inputs."""
        tensors = self.tensors(plan, layers, inputs)
        return [tensors[ref] for ref in plan.outputs]

    def tensors(self, plan: Architecture, layers: Layers, inputs: Sequence[Any]) -> dict[Ref, Any]:
        """All symbolic tensors of a model for these inputs."""
        for tensor in inputs:
            self.check(plan.name, tensor.shape)
        tensors = dict(zip(plan.inputs, inputs, strict=True))
        for ref, call in plan.nodes:
            arguments = [with_tensors(argument, tensors) for argument in call.arguments]
            layer, before = layers[call.layer], self.work
            if inner := plan.nested(call.layer):
                made = self.outputs(inner, layer, keras.tree.flatten(arguments))
            else:
                contracts = plan.layer(call.layer).traits.contracts
                made = [self.output(layer, arguments, contracts=contracts)]
            tensors |= {ref._replace(output=number): each for number, each in enumerate(made)}
            self.costs[ref] = self.work - before
        return tensors

    def output(self, layer: Any, arguments: Sequence[Any], *, contracts: bool = False) -> Any:
        """The symbolic output of a layer."""
        if isinstance(layer, keras.Layer) and not layer.built:
            taken = arguments[:1] if len(arguments) == 1 else arguments
            layer.build(*(keras.tree.map_structure(lambda tensor: tensor.shape, t) for t in taken))
        output = layer.compute_output_spec(*arguments)
        size = self.check(layer.name, output.shape)
        weights = sum(math.prod(w.shape) for w in getattr(layer, "weights", ()))
        pooled = math.prod(getattr(layer, "pool_size", ()))
        channels = output.shape[1 if getattr(layer, "data_format", "") == "channels_first" else -1]
        self.work += weights * size // (channels or 1) + pooled * size
        self.work += self.attention(layer, arguments) * size
        if contracts:
            first, *_ = keras.tree.flatten(arguments)
            self.work += max(side or SIDE for side in first.shape[1:]) * size
        if self.work > MOST_WORK:
            raise ModelRefused(
                self.source, f"needs more than {MOST_WORK} multiplications for one image"
            )
        return output

    def attention(self, layer: Any, arguments: Sequence[Any]) -> int:
        """How many places each place of the first tensor is weighed against; 0 for most layers."""
        heads = getattr(layer, "num_heads", 0)
        if not heads:
            return 0
        places = [math.prod(tensor.shape[1:-1]) for tensor in arguments[:2]]
        self.check(layer.name, (None, heads, *places))
        return 2 * int(places[1])

    def check(self, name: str, shape: Sequence[int | None]) -> int:
        """The number of values of one image in a tensor, which is not beyond the limit."""
        size = math.prod(SIDE if side is None else side for side in shape[1:])
        if size > LARGEST_TENSOR:
            sides = " x ".join(map(str, shape[1:]))
            raise ModelRefused(
                self.source,
                f"layer {name!r} makes {sides} values of one image, more than {LARGEST_TENSOR}",
            )
        return size
