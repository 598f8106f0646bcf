"""A network cut in two: a front that is left as it is, and a rest that reads what the front makes.

Where only the rest is trained, the front's output for an image is computed once, however often the
image is trained with, and no gradient goes through it.
"""

from dataclasses import replace
from typing import Any, Final

from goodnet.network.build import multiplications
from goodnet.network.calls import Ref
from goodnet.network.classifier import LogitModel
from goodnet.network.execution import Execution
from goodnet.network.graph import Architecture

Tensor = Any

LAYERS: Final = 2  # kernels that a rest has at least


class Cut:
    """A network in two parts.

    Args:
        model: the network.
        place: the tensor between them; None to leave nothing to the front.

    Attributes:
        place: as above.
        variables: the trainable weights of the rest.
    """

    def __init__(self, model: LogitModel, place: Ref | None) -> None:
        self.variables = model.network.trainable_variables
        self._model, self.place = model, place
        if place is None:
            return
        self._execution = execution = Execution(model)
        self._head = model.plan.ancestors({place}, {execution.input})
        self._tail = model.plan.ancestors({execution.output}, {place})
        layers = {node.call.layer for node in self._tail} - {node.call.layer for node in self._head}
        operations = (execution.operations[name] for name in layers)
        weights = (
            getattr(each, "trainable_variables", ()) for each in operations
        )  # x + 3 has none
        ids = {id(variable) for some in weights for variable in some}
        self.variables = [v for v in self.variables if id(v) in ids]

    def gradients_at_once(self, shape: tuple[int, ...]) -> int:
        """How many images (H, W, C) a worker takes the gradients of at once, through the rest."""
        nodes = None if self.place is None else self._tail
        return self._model.gradients_at_once(shape, nodes)

    def front(self, images: Tensor) -> Tensor:
        """What the rest reads, for images 0..1; differentiable."""
        if self.place is None:
            return images
        pixels = self._model.preprocessing.apply(images)
        tensors = self._execution.run(self._head, {self._execution.input: pixels})
        return tensors[self.place]

    def rest(self, features: Tensor) -> Tensor:
        """The logits (n, classes) for what the front made; differentiable."""
        if self.place is None:
            return self._model.logits(features)
        tensors = self._execution.run(self._tail, {self.place: features})
        return tensors[self._execution.output]


def find_cut(model: LogitModel, share: float) -> Cut:
    """The first cut that leaves the rest no more than a share of the network's multiplications.

    Or the last before it that leaves LAYERS kernels to train; one alone can unlearn little. All
    that follows goes through the place of a cut: no shortcut leads around it. Where there is no
    such place, nothing is left to the front, nor where the share is all of it.
    """
    if share >= 1:
        return Cut(model, None)
    plan = model.plan
    places = _places(plan)
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        rest = model.work - multiplications(_front(plan, places[middle]))
        low, high = (low, middle) if rest <= share * model.work else (middle + 1, high)
    cuts = (Cut(model, place) for place in places[low::-1] if low < len(places))
    return next(filter(_has_layers, cuts), Cut(model, None))


def _has_layers(cut: Cut) -> bool:
    return sum(len(variable.shape) > 1 for variable in cut.variables) >= LAYERS


def _places(plan: Architecture) -> list[Ref]:
    """The tensors that everything goes through, from the input on, without both ends."""
    if plan.layer(plan.outputs[0].layer).bare:  # whose activation an execution may leave out
        return []
    nodes = plan.ancestors({plan.outputs[0]}, set(plan.inputs))
    return [tensor for tensor, _ in nodes[:-1] if not plan.skip_inputs(tensor)]


def _front(plan: Architecture, place: Ref) -> Architecture:
    nodes = plan.ancestors({place}, set(plan.inputs))
    used = {node.call.layer for node in nodes} | {ref.layer for ref in plan.inputs}
    layers = tuple(layer for layer in plan.layers if layer.name in used)
    calls = tuple(node.call for node in nodes)
    return replace(plan, kind="Functional", layers=layers, calls=calls, outputs=(place,))
