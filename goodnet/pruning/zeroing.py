"""Pruning for real: weights are set so that the pruned channels are exactly zero."""

from collections.abc import Collection

import numpy as np

from goodnet.backend import keras
from goodnet.network.build import build_network, take_weights
from goodnet.network.graph import keras_name
from goodnet.network.suspect import Suspect
from goodnet.pruning.zeroing_plan import Weights, ZeroingPlan, plan_zeroing


def pruned_weights(
    weights: dict[str, Weights], zeroing: ZeroingPlan, channels: Collection[int], width: int
) -> dict[str, Weights]:
    """New weights of the layers that the zeroing touches.

    Args:
        weights: each layer's arrays; not modified.
        zeroing: from `plan_zeroing`.
        channels: the channels to prune.
        width: how many channels the pruned layer has.
    """
    changed = {}
    for name, edit in zeroing.edits.items():
        arrays = [np.array(array) for array in weights[name]]
        edit(arrays, sorted(channels), width)
        changed[name] = arrays
    return changed


def prune(suspect: Suspect, layer: str, channels: Collection[int]) -> keras.Model:
    """A new network of the suspect's architecture in which the layer's channels are zero.

    Args:
        suspect: not modified.
        layer: the pruned layer.
        channels: the indices of the channels to prune.

    Raises:
        RequestRefused: no weights of this network make exactly these channels zero.
    """
    zeroing = plan_zeroing(suspect.plan, layer, suspect.source)
    weights = {
        name: suspect.network.get_layer(keras_name(name)).get_weights() for name in zeroing.edits
    }
    repaired = build_network(suspect.plan, suspect.source)
    take_weights(repaired, suspect.network)
    width = suspect.channels(layer)
    for name, arrays in pruned_weights(weights, zeroing, channels, width).items():
        repaired.get_layer(keras_name(name)).set_weights(arrays)
    return repaired
