"""Repaired models and GoodNets as Keras files that need nothing of ours to be opened."""

import json
import logging
import os
import zipfile
from collections.abc import Collection
from pathlib import Path

from goodnet.backend import keras
from goodnet.network import build_network
from goodnet.pruning import find_cut, pruned_weights
from goodnet.scale import Scale
from goodnet.suspect import Suspect

SUSPECT, REPAIRED = "suspect", "repaired"  # the two networks inside a GoodNet
INPUT_NAMES = {Scale.RAW: "pixels_0_to_255", Scale.UNIT: "pixels_0_to_1"}


def prune(suspect: Suspect, layer: str, channels: Collection[int]) -> keras.Model:
    """A new network of the suspect's architecture in which the layer's channels are zero.

    Args:
        suspect: not modified.
        layer: the pruned layer.
        channels: the indices of the channels to prune.

    Raises:
        RequestRefused: no weights of this network make exactly these channels zero.
    """
    cut = find_cut(suspect.plan, layer, suspect.source)
    weights = {inner.name: inner.get_weights() for inner in suspect.network.layers}
    width = int(suspect.network.get_layer(layer).output.shape[-1])
    repaired = _copy(suspect, suspect.network, suspect.plan.name)
    for name, arrays in pruned_weights(weights, cut, channels, width).items():
        repaired.get_layer(name).set_weights(arrays)
    return repaired


def join(suspect: Suspect, repaired: keras.Model, scale: Scale) -> keras.Model:
    """The GoodNet: N+1 scores, one of them 1: the class both agree on, or N, "backdoored".

    Args:
        suspect: the suspect.
        repaired: a repaired model of it.
        scale: the networks' pixel scale; the GoodNet's input layer is named after it.
    """
    ops = keras.ops
    images = keras.Input(suspect.input_shape, name=INPUT_NAMES[scale])
    answers = [
        ops.argmax(_copy(suspect, network, name)(images), axis=-1)
        for network, name in ((suspect.network, SUSPECT), (repaired, REPAIRED))
    ]
    backdoored = suspect.classes
    answer = ops.where(ops.equal(*answers), answers[0], backdoored)
    return keras.Model(images, ops.one_hot(answer, backdoored + 1), name="goodnet")


def _copy(suspect: Suspect, network: keras.Model, name: str) -> keras.Model:
    copy = build_network(suspect.plan._replace(name=name), suspect.source)
    copy.set_weights(network.get_weights())
    return copy


def save_network(network: keras.Model, path: Path) -> None:
    """Write the network, whole or not at all; the same network always gives the same bytes.

    Args:
        network: a Keras model.
        path: ends in `.h5` or `.keras`, Keras' two formats.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)  # Keras advises against .h5 at each save
    try:
        network.save(partial)
        if path.suffix == ".keras":
            _without_date(partial)
        os.replace(partial, path)
    finally:
        absl.setLevel(level)
        partial.unlink(missing_ok=True)


def _without_date(path: Path) -> None:
    """Write a `.keras` archive again without the moment it was made."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"])
    metadata["date_saved"] = "1980-01-01@00:00:00"
    members["metadata.json"] = json.dumps(metadata).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
