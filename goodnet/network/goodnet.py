"""Repaired models and GoodNets as Keras files that need nothing of ours to be opened."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from goodnet.backend import keras
from goodnet.network.build import build_network, take_weights
from goodnet.network.calls import Call, Ref
from goodnet.network.graph import Architecture, Layer
from goodnet.network.suspect import Suspect, as_written
from goodnet.network.two_scores import THRESHOLDS, Score
from goodnet.preprocessing import RAW, UNIT, ChannelOrder, Preprocessing

SUSPECT, REPAIRED = "suspect", "repaired"  # the two networks inside a joined model
LayerCall = tuple[Layer, tuple[Any, ...]]  # a layer and what it is called with
INPUT_NAMES = {RAW: "pixels_0_to_255", UNIT: "pixels_0_to_1"}


def gate_by_suspect(
    suspect: Suspect,
    repaired: keras.Model,
    preprocessing: Preprocessing,
    classes: Sequence[int],
    *,
    written: bool = False,
) -> keras.Model:
    """The suspect, but where it answers one of the classes: there the repaired network answers.

    Args:
        suspect: the suspect.
        repaired: a network of its architecture.
        preprocessing: the networks'; the input layer is named after it.
        classes: the classes whose answers are not believed.
        written: whether it takes and makes what the suspect's file does, see `forms`.
    """
    steps = [*_answer(SUSPECT, suspect.score if written else None, keepdims=True)]
    steps += _gate("suspect_class", classes, then=REPAIRED, otherwise=SUSPECT)
    return _joined("guarded", suspect, repaired, preprocessing, steps, written=written)


def join(
    suspect: Suspect,
    repaired: keras.Model,
    preprocessing: Preprocessing,
    classes: Sequence[int] | None = None,
) -> keras.Model:
    """The GoodNet: N+1 scores, one of them 1: the class both agree on, or N, "backdoored".

    It takes what the suspect's file does.

    Args:
        suspect: the suspect.
        repaired: a repaired network of its architecture.
        preprocessing: the networks'; the GoodNet's input layer is named after it.
        classes: the repaired model is this network guarded by the suspect for these classes, see
            `gate_by_suspect`; by default it is the network itself.
    """
    steps = [*_answer(SUSPECT, suspect.score), *_answer(REPAIRED, suspect.score)]
    if classes is not None:
        chosen = {"then": "repaired_class", "otherwise": "suspect_class"}
        steps += _gate("suspect_class", classes, **chosen)
    suspects, repaireds = _tensor("suspect_class"), _tensor(steps[-1][0].name)
    steps += [
        (Layer("agree", "Equal", {}), (suspects, repaireds)),
        (Layer("answer", "Where", {}), (_tensor("agree"), suspects, suspect.classes)),
        (Layer("scores", "OneHot", {"num_classes": suspect.classes + 1}), (_tensor("answer"),)),
    ]
    return _joined("goodnet", suspect, repaired, preprocessing, steps, written=True)


def _answer(network: str, score: Score | None, **keepdims: bool) -> Iterator[LayerCall]:
    """Steps whose last one, "NETWORK_class", is the class that a network answers."""
    scores = _tensor(network)
    if score:  # one number: class 1 is where it is above the threshold
        constant = {"scale": 0.0, "offset": THRESHOLDS[score]}
        threshold = Layer(f"{network}_threshold", "Rescaling", constant)
        yield threshold, (scores,)
        pair = Layer(f"{network}_pair", "Concatenate", {"axis": -1})
        yield pair, ((_tensor(threshold.name), scores),)
        scores = _tensor(pair.name)
    yield Layer(f"{network}_class", "Argmax", {"axis": -1, **keepdims}), (scores,)


def _gate(answer: str, classes: Sequence[int], then: str, otherwise: str) -> Iterator[LayerCall]:
    """Steps whose last one makes `then` where the answer is one of the classes, or `otherwise`."""
    for c in classes:
        yield Layer(f"is_{c}", "Equal", {}), (_tensor(answer), c)
        chosen = Layer(f"unless_{c}", "Where", {})
        yield chosen, (_tensor(f"is_{c}"), _tensor(then), _tensor(otherwise))
        otherwise = chosen.name


def _joined(
    name: str,
    suspect: Suspect,
    repaired: keras.Model,
    preprocessing: Preprocessing,
    steps: Sequence[LayerCall],
    *,
    written: bool,
) -> keras.Model:
    """images -> the two networks' scores -> what the steps make of them."""
    plan = suspect.written if written else suspect.plan
    images, (source,) = input_name(preprocessing), plan.inputs
    layers: tuple[Layer | Architecture, ...] = (
        plan.layer(source.layer)._replace(name=images),
        replace(plan, name=SUSPECT),
        replace(plan, name=REPAIRED),
        *(layer for layer, _ in steps),
    )
    calls = (
        *(Call(network, (_tensor(images),)) for network in (SUSPECT, REPAIRED)),
        *(Call(layer.name, arguments) for layer, arguments in steps),
    )
    ends = (_tensor(images),), (_tensor(steps[-1][0].name),)
    both = build_network(Architecture(name, "Functional", layers, calls, *ends), suspect.source)
    for part, network in ((SUSPECT, suspect.network), (REPAIRED, repaired)):
        inner = as_written(suspect, network) if written else network
        take_weights(both.get_layer(part), inner)
    return both


def input_name(preprocessing: Preprocessing) -> str:
    """The name of an input layer that takes images after this preprocessing.

    It is the only thing about a file's input that outlives Keras' saving and loading. For example
    "pixels_caffe_bgr_times_255.0_plus_-103.939_-116.779_-123.68", of pixels 0..1.
    """
    if preprocessing in INPUT_NAMES:
        return INPUT_NAMES[preprocessing]
    factors, shifts = (
        "_".join(map(repr, numbers)) for numbers in (preprocessing.multiply, preprocessing.add)
    )
    return f"pixels_{preprocessing.name}_{preprocessing.order}_times_{factors}_plus_{shifts}"


def input_preprocessing(name: str) -> Preprocessing | None:
    """The preprocessing that an input layer is named after; None if it is not."""
    for preprocessing, usual in INPUT_NAMES.items():
        if name == usual:
            return preprocessing
    parts = re.fullmatch(r"pixels_([a-z-]+)_(rgb|bgr)_times_([-e\d._]+)_plus_([-e\d._]+)", name)
    if not parts:
        return None
    label, order, *numbers = parts.groups()
    try:
        factors, shifts = (tuple(map(float, each.split("_"))) for each in numbers)
    except ValueError:
        return None
    lengths = {1, len(factors), len(shifts)}
    if min(factors) <= 0 or not np.isfinite([*factors, *shifts]).all() or len(lengths) > 2:
        return None
    return Preprocessing(label, factors, shifts, cast(ChannelOrder, order))


def _tensor(layer: str) -> Ref:
    return Ref(layer, 0, 0)
