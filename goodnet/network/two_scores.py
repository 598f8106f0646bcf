"""Networks of two classes whose output is one number take part as networks with two scores.

A sigmoid's p is the probability of class 1; a logit z, of a network that was trained from logits,
means sigmoid(z). The two scores are the softmax of (0, z), which is (1 - p, p); where p cannot be
taken apart they are (1 - p, p) at once. No weights are needed for it. Files keep the form of the
suspect: one number. That a number is a logit is told by the name of the layer that makes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from goodnet.errors import ModelRefused, one_line
from goodnet.network.calls import Call, Ref, refs_of
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import ACTIVATIONS

Score = Literal["probability", "logit"]

THRESHOLDS: Final[Mapping[Score, float]] = {"probability": 0.5, "logit": 0.0}  # above: class 1
IN_WORDS: Final[Mapping[Score, str]] = {
    "probability": "its one sigmoid output read as two classes",
    "logit": "its one output read as the logit of class 1",
}
LOGIT: Final = "logit_of_class_1"


def score_kind(plan: Architecture) -> Score | None:
    """What the one number is that a flat plan makes; None if it is neither."""
    return _kind(plan, plan.outputs[0])


def _kind(plan: Architecture, ref: Ref) -> Score | None:
    call = plan.calls_by_tensor.get(ref)
    if call is None:
        return None
    layer, sources = plan.layer(ref.layer), list(refs_of(call))
    if ACTIVATIONS[layer.activation].probability:
        return "probability"
    if layer.name.rpartition("/")[2] == LOGIT and layer.activation == "linear":
        return "logit"
    if layer.traits.chooses:
        kinds = {_kind(plan, source) for source in sources[1:]}
        return kinds.pop() if len(kinds) == 1 else None
    passes = layer.activation == "linear" and len(sources) == 1 and layer.traits.keeps_scale
    return _kind(plan, sources[0]) if passes else None


def loss_of(training: Any) -> tuple[str, bool] | None:
    """The loss that a network was trained with, and whether it took logits; None if unknown.

    Args:
        training: the compile configuration, as Keras 2 or 3 writes it, not checked.
    """
    loss = training.get("loss") if isinstance(training, dict) else None
    while isinstance(loss, list) and len(loss) == 1:
        loss = loss[0]
    if isinstance(loss, str):
        return one_line(loss, 60), False
    if not isinstance(loss, dict) or not isinstance(loss.get("class_name"), str):
        return None
    config = loss.get("config")
    logits = isinstance(config, dict) and config.get("from_logits") is True
    return one_line(loss["class_name"], 60), logits


def with_logit(plan: Architecture) -> Architecture:
    """The flat plan of a network trained from logits, with a last layer that is named so."""
    (score,) = plan.outputs
    if ACTIVATIONS[plan.layer(score.layer).activation].probability:
        return plan
    return _extended(plan, [(Layer(LOGIT, "Activation", {"activation": "linear"}), (score,))])


def with_two_scores(plan: Architecture, loss: str | None, source: object) -> Architecture:
    """The flat plan of a network whose output is one number, (n, 1), with two scores.

    Args:
        plan: the network's.
        loss: what it was trained with, if that is known.
        source: the file, for the error message.

    Raises:
        ModelRefused: the number is no score.
    """
    kind, (score,) = score_kind(plan), plan.outputs
    if kind is None:
        trained = "has no sigmoid" if loss is None else f"was trained with the loss {loss!r}"
        raise ModelRefused(source, f"makes 1 number and {trained}: that is no score of two classes")
    last = plan.layer(score.layer)
    alone = plan.uses[last.name] == 1 and not plan.consumers(score)
    if kind == "probability" and last.bare and alone:
        plan = replace(plan, layers=tuple(last.bare if x == last else x for x in plan.layers))
        kind = "logit"
    return _extended(plan, list(_steps(score, kind)))


def _steps(score: Ref, kind: Score) -> Iterator[tuple[Layer, tuple[Any, ...]]]:
    """The layers that make two scores of one, and what they take."""
    line = (0.0, 0.0) if kind == "logit" else (-1.0, 1.0)
    other = Layer("score_of_class_0", "Rescaling", {"scale": line[0], "offset": line[1]})
    yield other, (score,)
    yield Layer("two_scores", "Concatenate", {"axis": -1}), ((Ref(other.name, 0, 0), score),)
    if kind == "logit":
        softmax = Layer("two_probabilities", "Activation", {"activation": "softmax"})
        yield softmax, (Ref("two_scores", 0, 0),)


def _extended(plan: Architecture, steps: list[tuple[Layer, tuple[Any, ...]]]) -> Architecture:
    """The plan with calls of new layers behind it, the last of which makes its output."""
    layers, calls = plan.layers, plan.calls
    for layer, arguments in steps:
        layers, calls = (*layers, layer), (*calls, Call(layer.name, arguments))
    outputs = (Ref(steps[-1][0].name, 0, 0),)
    return replace(plan, kind="Functional", layers=layers, calls=calls, outputs=outputs)
