"""A suspect as the detection sees it: differentiable, its logits bare, its clean margin known.

A softmax saturates, and its gradients vanish where a network is sure; so the last activation is
taken off by rebuilding the network from its plan without it. How far apart a network's logits lie
differs by orders of magnitude between networks, so every margin is read in the network's clean
margin: the median margin of the clean images that it answers right.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import WORKERS, in_workers, keras, tf
from goodnet.datasets.images import CleanImages, Labels, Pixels
from goodnet.errors import RequestRefused
from goodnet.metrics import Proportion
from goodnet.network.build import build_network, multiplications, take_weights
from goodnet.network.calls import Node, refs_of
from goodnet.network.graph import Architecture, Layer
from goodnet.network.suspect import Suspect
from goodnet.network.windowed import WindowedNetwork
from goodnet.preprocessing import Preprocessing

Tensor = Any

BLOCK = 64  # images through the network at once
MOST_VALUES = BLOCK * 64 * 64 * 3  # of larger images fewer: what layers make of them takes memory


GRADIENT_VALUES: Final = 40_000_000  # of layers, of images whose gradients a worker takes


def at_once(shape: Sequence[int]) -> int:
    """How many images, or what layers made of them, of this shape a worker takes at once."""
    return max(1, MOST_VALUES // math.prod(shape))


class Classifier:
    """A network that is asked about images 0..1, whatever its preprocessing.

    Attributes:
        network: its input (n, H, W, C) -> scores (n, classes).
        preprocessing: what is done to pixels before; images given to the methods are 0..1.
        classes: N; the answers are 0 .. N-1.
    """

    def __init__(self, network: keras.Model, preprocessing: Preprocessing) -> None:
        self.network, self.preprocessing = network, preprocessing
        self.classes = int(network.output_shape[-1])

    def logits(self, images: Tensor) -> Tensor:
        """The scores (n, classes) of images (n, H, W, C) 0..1; differentiable."""
        return self.network(self.preprocessing.apply(images), training=False)

    @cached_property
    def _run(self) -> Any:
        images = tf.TensorSpec((None, *self.network.input_shape[1:]), tf.float32)
        return tf.function(self.logits, input_signature=[images])

    def predict(self, pixels: Pixels) -> Labels:
        """The class of each image, (n,)."""
        return np.asarray(self.all_logits(pixels).argmax(axis=-1))

    def accuracy(self, clean: CleanImages) -> Proportion:
        """The share of images that are answered with their label."""
        return Proportion(int((self.predict(clean.pixels) == clean.labels).sum()), len(clean))

    def some_logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """The scores of some images, (n, classes), computed here."""
        blocks = np.array_split(pixels, -(-len(pixels) // block_of(pixels)))
        return np.concatenate([np.asarray(self._run(block)) for block in blocks])

    def all_logits(
        self, pixels: Pixels, change: Callable[[Pixels], Pixels] | None = None
    ) -> NDArray[np.float32]:
        """The same of many images, computed in workers.

        Args:
            pixels: the images.
            change: is done to some of them before, so that never all are there twice.
        """

        def logits(some: Pixels) -> NDArray[np.float32]:
            return self.some_logits(change(some) if change else some)

        count = max(-(-len(pixels) // block_of(pixels)), min(WORKERS, len(pixels)))
        return np.concatenate(list(in_workers(logits, np.array_split(pixels, count))))


def block_of(pixels: Pixels) -> int:
    """How many of these images go through a network at once."""
    return min(BLOCK, at_once(pixels.shape[1:]))


class LogitModel(Classifier):
    """A network whose scores are its logits; differentiable.

    Attributes:
        plan: the architecture of the logits network.
        network: the network without its last activation. Its weights change by `load`, and within
            `training`, and every function that was compiled for the model stays.
    """

    def __init__(
        self, plan: Architecture, network: keras.Model, preprocessing: Preprocessing
    ) -> None:
        super().__init__(network, preprocessing)
        self.plan = plan
        self._clean_margins: dict[int, tuple[CleanImages, float]] = {}
        self._windowed: dict[tuple[int, ...], WindowedNetwork] = {}
        self._lock = Lock()

    @classmethod
    def from_suspect(cls, suspect: Suspect, preprocessing: Preprocessing) -> "LogitModel":
        """The logits of a copy of a suspect's network, with its preprocessing."""
        plan = logits_plan(suspect.plan)
        bare = build_network(plan, suspect.source)
        take_weights(bare, suspect.network)
        return cls(plan, bare, preprocessing)

    @cached_property
    def work(self) -> int:
        """The multiplications for one image."""
        return multiplications(self.plan)

    def windowed(self, shape: tuple[int, ...]) -> WindowedNetwork:
        """How it is run on small changes of images (H, W, C)."""
        with self._lock:
            if shape not in self._windowed:
                self._windowed[shape] = WindowedNetwork(self, shape)
            return self._windowed[shape]

    def gradients_at_once(self, shape: tuple[int, ...], nodes: Iterable[Node] | None = None) -> int:
        """How many images (H, W, C) a worker takes the gradients of at once.

        All that layers make of them is kept until the gradient has come back through it.

        Args:
            shape: of an image.
            nodes: the calls that the gradient goes back through; None: all.
        """
        return max(1, int(GRADIENT_VALUES // max(1, self.windowed(shape).values(nodes))))

    def copy(self) -> "LogitModel":
        """The same of a copy of the network, which can be trained further."""
        network = build_network(self.plan, "a copy")
        take_weights(network, self.network)
        return LogitModel(self.plan, network, self.preprocessing)

    def load(self, network: keras.Model) -> None:
        """Take the weights of another network of the same plan."""
        take_weights(self.network, network)
        self._clean_margins.clear()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within it the network's weights may change."""
        self.network.trainable = True
        try:
            yield
        finally:
            self._clean_margins.clear()

    def clean_margin(self, clean: CleanImages) -> float:
        """The median margin of label over best other class, of images answered right.

        Every margin is read in it. It is measured once for these images, until the weights change.

        Raises:
            RequestRefused: no image is answered right.
        """
        if id(clean) not in self._clean_margins:
            self._clean_margins[id(clean)] = clean, self._measured_clean_margin(clean)
        return self._clean_margins[id(clean)][1]

    def _measured_clean_margin(self, clean: CleanImages) -> float:
        logits = self.all_logits(clean.pixels)
        rows = np.arange(len(clean))
        own = logits[rows, clean.labels]
        others = logits.copy()
        others[rows, clean.labels] = -np.inf
        margins = own - others.max(axis=1)
        if not (margins > 0).any():
            raise RequestRefused("the network", "answers no clean validation image right")
        return float(np.median(margins[margins > 0]))


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """The logit of the target less the largest other one.

    Args:
        logits: (..., classes).
        targets: one-hot, of a shape that broadcasts to it.
    """
    own = tf.reduce_sum(logits * targets, axis=-1)
    return own - tf.reduce_max(logits - 1e9 * targets, axis=-1)


def every_margin(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each class's logit less the largest other one, (n, classes)."""
    ordered = np.partition(logits, -2, axis=1)
    first, second = ordered[:, -1:], ordered[:, -2:-1]
    return np.asarray(logits - np.where(logits == first, second, first), dtype=np.float64)


def logits_plan(plan: Architecture) -> Architecture:
    """The plan without the activation at its end, however it is written.

    It may be an argument of the last layer or a layer of its own. What is no activation that keeps
    the order of the scores stays.
    """
    end = plan.outputs[0]
    while end in plan.calls_by_tensor and plan.uses[end.layer] == 1:
        last = plan.layer(end.layer)
        if last.bare:
            plan = _replaced(plan, end.layer, last.bare)
        if not last.traits.activation or not (last.bare or last.activation == "linear"):
            break  # below it are no scores, or not in the same order
        end = next(refs_of(plan.calls_by_tensor[end]))
    return plan


def _replaced(plan: Architecture, name: str, by: Layer) -> Architecture:
    return replace(plan, layers=tuple(by if old.name == name else old for old in plan.layers))
