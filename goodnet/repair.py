"""Repaired models and GoodNets as Keras files that need nothing of ours to be opened."""

import json
import logging
import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from goodnet.architecture import Architecture, Call, Layer, Ref
from goodnet.backend import keras
from goodnet.layers import INPUT
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
    repaired = build_network(suspect.plan, suspect.source)
    repaired.set_weights(suspect.network.get_weights())
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
    goodnet = build_network(_goodnet_plan(suspect, scale), suspect.source)
    for name, network in ((SUSPECT, suspect.network), (REPAIRED, repaired)):
        goodnet.get_layer(name).set_weights(network.get_weights())
    return goodnet


def _goodnet_plan(suspect: Suspect, scale: Scale) -> Architecture:
    """images -> two answers a, b -> one_hot(a if a = b else N)."""
    images, backdoored = INPUT_NAMES[scale], suspect.classes
    layers = (
        Layer(images, INPUT, {"batch_shape": (None, *suspect.input_shape)}),
        suspect.plan._replace(name=SUSPECT),
        suspect.plan._replace(name=REPAIRED),
        Layer("suspect_class", "Argmax", {"axis": -1}),
        Layer("repaired_class", "Argmax", {"axis": -1}),
        Layer("agree", "Equal", {}),
        Layer("answer", "Where", {}),
        Layer("scores", "OneHot", {"num_classes": backdoored + 1}),
    )
    arguments: dict[str, tuple[Any, ...]] = {
        SUSPECT: (_only(images),),
        REPAIRED: (_only(images),),
        "suspect_class": (_only(SUSPECT),),
        "repaired_class": (_only(REPAIRED),),
        "agree": (_only("suspect_class"), _only("repaired_class")),
        "answer": (_only("agree"), _only("suspect_class"), backdoored),
        "scores": (_only("answer"),),
    }
    calls = tuple(Call(name, given) for name, given in arguments.items())
    ends = (_only(images),), (_only("scores"),)
    return Architecture("goodnet", "Functional", layers, calls, *ends)


def _only(layer: str) -> Ref:
    return Ref(layer, 0, 0)


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
            _made_reproducible(partial)
        os.replace(partial, path)
    finally:
        absl.setLevel(level)
        partial.unlink(missing_ok=True)


def _made_reproducible(path: Path) -> None:
    """Write a `.keras` archive again without the moment, and the memory, it was made in."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"])
    metadata["date_saved"] = "1980-01-01@00:00:00"
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = _numbered_objects(members["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _numbered_objects(config: bytes) -> bytes:
    """The configuration with shared objects numbered from 0: Keras writes their addresses."""
    numbers: dict[int, int] = {}

    def numbered(entries: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in entries:
            address = entries["shared_object_id"]
            entries["shared_object_id"] = numbers.setdefault(address, len(numbers))
        return entries

    return json.dumps(json.loads(config, object_hook=numbered)).encode()
