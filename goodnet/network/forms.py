"""The form in which a suspect takes part, and that of its files.

Inside, every network takes images (n, H, W, C) and makes a score for each of two classes or more.
A file may take them in another form, see `image_input` and `channels_first`, and make one number of
two classes, see `two_scores`. What is written of it again keeps its form, but has layers that plain
Keras knows, see `standard_layers`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from goodnet.backend import keras
from goodnet.network.build import check_answers
from goodnet.network.channels_first import WeightEdit, has_channels_first, with_channels_last
from goodnet.network.flatten import flat_network, flatten_plan, tensor_shapes
from goodnet.network.graph import Architecture
from goodnet.network.image_input import with_images
from goodnet.network.standard_layers import with_standard_layers
from goodnet.network.two_scores import (
    IN_WORDS,
    Score,
    loss_of,
    score_kind,
    with_logit,
    with_two_scores,
)


class Forms(NamedTuple):
    """A network inside and outside.

    Attributes:
        plan: images -> scores, flat.
        network: of this plan.
        written: the plan of its files.
        score: what the one number is that these make; None if they make a score for each class.
        notes: what was changed, in words.
    """

    plan: Architecture
    network: keras.Model
    written: Architecture
    score: Score | None
    notes: tuple[str, ...]


def find_forms(plan: Architecture, network: keras.Model, training: Any, source: object) -> Forms:
    """The forms of a network as a file has it.

    Args:
        plan: the file's.
        network: of this plan; not modified.
        training: how it was trained, as the file has it; None if that is not known.
        source: the file, for error messages.

    Raises:
        ModelRefused: its one number is no score, or its answers are not finite.
    """
    flat, network, others = with_standard_layers(flatten_plan(plan), network, source)
    notes = list(others)
    edits: Mapping[str, WeightEdit] = {}
    if plan.precision:
        notes.append(f"computed in float32 in place of {plan.precision}")
    core, written, score = flat, flat, None
    if has_channels_first(flat, network.input_shape[1:]):
        network = flat_network(replace(flat, kind="Functional"), network, source)
        core, written, edits = with_channels_last(flat, tensor_shapes(flat, network))
        notes.append("rewritten from channels_first")
    if network.output_shape[-1] == 1:
        loss, logits = loss_of(training) or (None, False)
        if logits:
            core, written = with_logit(core), with_logit(written)
        core = with_two_scores(core, loss, source)
        score = score_kind(written)
        notes += [IN_WORDS[score]] if score else []
    core = with_images(core)
    if core is not plan:
        network = flat_network(core, network, source, edits)
    check_answers(network, source)
    return Forms(core, network, written, score, tuple(notes))
