"""A network's first layers on windows: the rectangles of their tensors that a change reaches.

A change of a small rectangle of an image changes a window of each tensor of the first layers. These
windows are computed from the windows before them and, around those, from what the layers make of
the clean image, which is computed once. Where a layer looks at all places, or a window is no longer
small, the whole tensor is put together, and the rest of the network is run as ever.

Where that is, is arithmetic: up to LEVELS places in the network at which the windows may end are
compared by their cost for each size and place of a change. For each that is taken one function is
compiled, whatever the windows' sizes are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, prod
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.errors import ModelRefused
from goodnet.network.calls import Node, Ref, refs_of
from goodnet.network.cost import costs_of_calls
from goodnet.network.execution import Execution, Planned, Tensor
from goodnet.network.windows import Frame, Frames, Level, Pair, Paste, Slide, Step

VALUE: Final = 8  # multiplications that it costs to move a number in memory, about
LEVELS: Final = 4  # each is a function to compile, for every network


class WindowedNetwork:
    """The plan of a network on windows, for images of one shape.

    Args:
        planned: the network; its weights may change.
        shape: height, width and channels of the images.

    Attributes:
        input: the tensor of images, preprocessed.
        cost: of the whole network, for one image.
        steps: the calls that can be made on windows, in order.
        levels: where the windows may end.
    """

    def __init__(self, planned: Planned, shape: Sequence[int]) -> None:
        self._execution = execution = Execution(planned)
        self.input, plan = execution.input, execution.plan
        self._nodes = plan.ancestors({execution.output}, {self.input})
        try:
            costs = costs_of_calls(plan, execution.operations, shape)
        except ModelRefused:  # it takes images of any size, and these are huge
            costs = {}
        self._shapes = {ref: shape for ref, (_, shape) in costs.items()}
        self._costs = {ref: work + VALUE * prod(shape) for ref, (work, shape) in costs.items()}
        self.cost = sum(self._costs.values())
        self.steps = tuple(self._steps()) if costs and not execution.monotone else ()
        self.levels = tuple(self._levels())
        self._lock = Lock()
        self._functions = dict[int, dict[tuple[bool, ...], Callable[..., Tensor]]]()

    def _steps(self) -> Iterator[Step]:
        """The calls that depend on the image through such calls alone."""
        known = {self.input}
        for node in self._nodes:
            layer, sources = self._execution.plan.layer(node.call.layer), tuple(refs_of(node.call))
            shapes = [self._shapes[ref] for ref in (*sources, node.tensor)]
            if not (known.issuperset(sources) and all(len(shape) == 3 for shape in shapes)):
                continue
            operation, sides = self._execution.operations[layer.name], _sides(shapes[-1])
            slide, shift = None, (0, 0)
            if layer.traits.slides and layer.groups == 1:
                slide = Slide.of(operation, _sides(shapes[0]), sides)
            elif layer.traits.pads:
                (top, _), (left, _) = operation.padding
                shift = top, left
            elif not layer.traits.pointwise(layer.arguments) or len({s[:2] for s in shapes}) > 1:
                continue
            known.add(node.tensor)
            slide = None if slide and slide.stays else slide
            yield Step(node, sources, sides, slide, shift, self._costs[node.tensor])

    def _levels(self) -> Iterator[Level]:
        """Before calls that slide, and behind the last; of about the same cost each."""
        done, spent, share = 0, 0, max(1, sum(step.cost for step in self.steps) // LEVELS)
        for count, step in enumerate(self.steps, start=1):
            spent += step.cost
            last = count == len(self.steps)
            if last or (self.steps[count].slide and spent // share > done):
                done = spent // share
                yield self._level(self.steps[:count])

    def _level(self, steps: tuple[Step, ...]) -> Level:
        made = {self.input, *(step.node.tensor for step in steps)}
        rest = tuple(node for node in self._nodes if node.tensor not in made)
        ends = tuple(dict.fromkeys(r for n in rest for r in refs_of(n.call) if r in made))
        known = tuple(dict.fromkeys((*(ref for step in steps for ref in step.pastes), *ends)))
        sizes = {ref: prod(self._shapes[ref]) for ref in known}
        cost = sum(self._costs[n.tensor] for n in rest) + VALUE * sum(sizes[ref] for ref in ends)
        return Level(steps, ends, rest, known, cost, sum(sizes.values()))

    def values(self, nodes: Iterable[Node] | None = None) -> float:
        """The values that calls, or all of them, make of one image; infinite if that is unknown."""
        if not self._shapes:
            return inf
        return sum(prod(self._shapes[n.tensor]) for n in (self._nodes if nodes is None else nodes))

    def frames(self, frame: Frame) -> dict[Ref, Frame]:
        """What changes of every tensor with a frame of the images."""
        frames = {self.input: frame}
        for step in self.steps:
            frames[step.node.tensor] = step.frame(frames)
        return frames

    def cheapest(self, frames: Frames, values: float) -> tuple[Level | None, float]:
        """Where the windows had best end, and what an image costs then; None: nowhere.

        Args:
            frames: what changes of every tensor.
            values: so many of each clean image may be known.
        """
        spent, costs = 0.0, list[float]()
        for step in self.steps:
            frame = frames[step.node.tensor]
            spent += step.cost * frame.area / prod(step.sides)
            pasted = sum(self._shapes[ref][-1] for ref in step.pastes)
            spent += VALUE * pasted * step.region(frame).area
            costs.append(spent)
        best, least = None, float(self.cost)
        for level in self.levels:
            cost = costs[len(level.steps) - 1] + level.cost
            if cost < least and level.values <= values:
                best, least = level, cost
        return best, least

    def largest(self, level: Level, frames: Frames) -> int:
        """The values of an image in the largest tensor on the way."""
        regions = ((ref, region.area) for ref, region in self._regions(level, frames))
        behind = (prod(self._shapes[node.tensor]) for node in level.rest)
        return max(*(self._shapes[ref][-1] * area for ref, area in regions), *behind)

    def clean(self, images: Tensor, level: Level) -> dict[Ref, Tensor]:
        """What windows need of clean images, preprocessed (n, H, W, C): (n, places, channels)."""
        nodes = [step.node for step in level.steps]
        last = {ref: number for number, node in enumerate(nodes) for ref in refs_of(node.call)}
        tensors, made = {self.input: tf.constant(images, tf.float32)}, dict[Ref, Tensor]()
        for number, node in enumerate([None, *nodes]):
            tensors = self._execution.run([node], tensors) if node else tensors
            made |= {ref: each for ref, each in tensors.items() if ref in level.known}
            tensors = {ref: each for ref, each in tensors.items() if last.get(ref, -1) >= number}
        return {ref: tf.reshape(t, [len(images), -1, t.shape[-1]]) for ref, t in made.items()}

    def _regions(self, level: Level, frames: Frames) -> Iterator[tuple[Ref, Frame]]:
        """What is put together of windows and the clean values around them."""
        for step in level.steps:
            for ref in step.pastes:
                yield ref, step.region(frames[step.node.tensor])
        nowhere = np.zeros_like(frames[self.input].starts)
        for ref in level.ends:
            yield ref, Frame(nowhere, _sides(self._shapes[ref]))

    def logits(
        self, level: Level, clean: Mapping[Ref, Tensor], frames: Frames, images: Tensor
    ) -> NDArray[np.float32]:
        """The scores of images that are clean but for a window, (images x patterns, classes).

        Args:
            level: where windows end.
            clean: what `clean` gave.
            frames: of every tensor, one for each pattern.
            images: the windows, preprocessed, (images, patterns, height, width, channels).
        """
        regions = [(ref, frames[ref], region) for ref, region in self._regions(level, frames)]
        merged = [not step.slide for step in level.steps for _ in step.pastes]
        differs = [own.differs(region) for _, own, region in regions]
        needed, function = self._function(level, merged, differs)
        pastes = [
            Paste.of(own, region, _sides(self._shapes[ref]))
            for use, (ref, own, region) in zip(needed, regions, strict=True)
            if use
        ]
        shares = (
            slide.correction(frames[step.node.tensor])
            for step in level.steps
            if (slide := step.slide) and slide.averages
        )
        bounds = np.array([paste.bounds for paste in pastes], np.int32).reshape(-1, 2)
        arrays = images, bounds, *(paste.places for paste in pastes), *shares
        return np.asarray(function(*(clean[ref] for ref in level.known), *map(tf.constant, arrays)))

    def _function(
        self, level: Level, merged: Sequence[bool], differs: Sequence[bool]
    ) -> tuple[tuple[bool, ...], Callable[..., Tensor]]:
        """The pastes that are made, and what makes the scores; compiled once or twice for a level.

        The first time without those of tensors that are merged and need none; then with all, if
        others are needed.

        Args:
            level: where windows end.
            merged: for each paste, whether it is of such a tensor; without those of the ends.
            differs: whether it is needed.
        """
        ends = [False] * len(level.ends)
        needed = tuple(d or not m for d, m in zip(differs, [*merged, *ends], strict=True))
        with self._lock:
            known = self._functions.setdefault(len(level.steps), {})
            for made, function in known.items():
                if all(use or not need for use, need in zip(made, needed, strict=True)):
                    return made, function
            made = (True,) * len(needed) if known else needed
            known[made] = self._compiled(level, made)
            return made, known[made]

    def _compiled(self, level: Level, made: tuple[bool, ...]) -> Callable[..., Tensor]:
        channels = [self._shapes[ref][-1] for ref in level.known]
        specs = [tf.TensorSpec((None, None, each)) for each in channels]
        specs += [tf.TensorSpec((*4 * [None], self._shapes[self.input][-1]))]
        specs += [tf.TensorSpec((None, 2), tf.int32)]
        specs += sum(made) * [tf.TensorSpec(3 * [None], tf.int32)]
        averages = sum(1 for step in level.steps if step.slide and step.slide.averages)
        specs += averages * [tf.TensorSpec((*3 * [None], 1))]

        def scores(*given: Tensor) -> Tensor:
            return self._scores(level, made, iter(given))

        compiled: Any = tf.function(scores, input_signature=specs, autograph=False)
        function: Callable[..., Tensor] = compiled.get_concrete_function()
        return function

    def _scores(self, level: Level, made: tuple[bool, ...], given: Iterator[Tensor]) -> Tensor:
        """The graph of `logits`, for what it gives."""
        clean = {ref: next(given) for ref in level.known}
        images, bounds = next(given), next(given)
        count, windows = tf.shape(images)[0], {self.input: _together(images)}
        pastes = iter([(bounds[n], next(given)) for n in range(sum(made))])
        uses = iter(made)

        def pasted(ref: Ref, padding: float = 0.0) -> Tensor:
            if not next(uses):
                return windows[ref]
            bound, places = next(pastes)
            known, channels = clean[ref][:, bound[0] : bound[1]], windows[ref].shape[-1]
            own = tf.reshape(windows[ref], [count, -1, channels])
            beyond = tf.fill([count, 1, channels], padding)
            return _together(tf.gather(tf.concat([known, own, beyond], axis=1), places, axis=1))

        for step in level.steps:
            ref, slide = step.node.tensor, step.slide
            taken = [pasted(each, slide.fill if slide else 0.0) for each in step.pastes]
            if slide:
                windows[ref] = self._unpadded(ref)(*taken)
                if slide.averages:
                    windows[ref] = windows[ref] * tf.tile(next(given), [count, 1, 1, 1])
            elif self._execution.plan.layer(ref.layer).traits.pads:
                windows[ref] = windows[step.sources[0]]
            else:
                inputs = {**windows, **dict(zip(step.pastes, taken, strict=True))}
                windows[ref] = self._execution.run([step.node], inputs)[ref]
        ends = {r: tf.reshape(pasted(r), (-1, *self._shapes[r])) for r in level.ends}
        return self._execution.run(level.rest, ends)[self._execution.output]

    def _unpadded(self, ref: Ref) -> Callable[[Tensor], Tensor]:
        """What a layer does to a tensor without padding it; with the layer's own weights."""
        layer = self._execution.operations[ref.layer]
        unpadded = object.__new__(type(layer))
        unpadded.__dict__.update(layer.__dict__)
        unpadded.__dict__["padding"] = "valid"
        call: Callable[[Tensor], Tensor] = unpadded.call
        return call


def _sides(shape: Sequence[int]) -> Pair:
    """Height and width."""
    return shape[0], shape[1]


def _together(tensors: Tensor) -> Tensor:
    """Tensors (n, p, ...) as (n p, ...)."""
    return tf.reshape(tensors, tf.concat([[-1], tf.shape(tensors)[2:]], axis=0))
