"""A suspect: a classifier out of a file nobody trusts, opened without running any of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet.errors import ModelRefused, one_line
from goodnet.files.models import architecture_beside, json_name
from goodnet.network.applications import Recognised, recognise, with_imagenet_rescaling
from goodnet.network.architecture import parse_architecture
from goodnet.network.deepid import deepid_classes, deepid_config
from goodnet.network.graph import Architecture, keras_name
from goodnet.network.layers import OPERATIONS
from goodnet.network.patch_encoder import with_widths
from goodnet.network.two_scores import Score
from goodnet.sandbox.process import Content, read_untrusted

if TYPE_CHECKING:
    from goodnet.backend import keras


@dataclass(frozen=True)
class Suspect:
    """An opened classifier.

    Attributes:
        source: where it came from, for messages.
        sha256: the digest of the file's content: the model's identity.
        format: ".h5" or ".keras", the format its repaired models are written in.
        described_by: "its own configuration", "the built-in DeepID", a network of
            `keras.applications` or the architecture file, and what of it was read otherwise than it
            stands there.
        plan: the architecture that the network was built from: one flat network.
        network: the uncompiled Keras model: images (N, H, W, C) float32 -> scores (N, classes).
        written: the architecture in the form of the file, see `forms`: what is written takes and
            makes what the file's network does. The same object where the form is the same.
        score: what the one number is that the file's network makes of an image; None where it makes
            a score for each class.
    """

    source: str
    sha256: str
    format: str
    described_by: str
    plan: Architecture
    network: "keras.Model"
    written: Architecture
    score: Score | None = None

    @property
    def input_shape(self) -> tuple[int | None, int | None, int]:
        """Height, width and channels of its images; None where any size will do."""
        height, width, channels = self.network.input_shape[1:]
        return height, width, channels

    @property
    def classes(self) -> int:
        """The number of classes, N: the answers are 0 .. N-1."""
        return int(self.network.output_shape[-1])

    def channels(self, layer: str) -> int:
        """How many channels a layer's output has."""
        return int(self.network.get_layer(keras_name(layer)).output.shape[-1])


def open_suspect(path: str | Path, *, architecture: str = "auto") -> Suspect:
    """The classifier in a Keras model file, HDF5 or `.keras`, or in a SavedModel folder.

    It is read by a process of its own and never given to Keras; see SECURITY.md.

    Args:
        path: a whole model, or weights only; a local path or an `s3://` URI.
        architecture: for weights only: the path or URI of a Keras JSON configuration, "deepid", or
            "auto": a JSON beside the file, or DeepID or a network of `keras.applications` where
            names and shapes fit. A whole model brings its own.

    Raises:
        ModelRefused: the file is no model that can be opened safely, or no image classifier.
        OSError: it could not be read.
    """
    uri = str(path)
    with read_untrusted(uri, "model") as content:
        plan, described_by = _plan(uri, content, architecture)
        from goodnet.network.build import load_network  # TensorFlow, when there is a plan to build
        from goodnet.network.forms import find_forms

        stored = [
            (entry["name"], [content.array(weight) for weight in entry["weights"]])
            for entry in content.description["layers"]
        ]
        network = load_network(plan, content.description["layout"], stored, uri)
    forms = find_forms(plan, network, content.description.get("training"), uri)
    return Suspect(
        source=one_line(uri),
        sha256=content.sha256,
        format=".keras" if _needs_own_format(forms.written) else content.format.saved_as,
        described_by=", ".join((described_by, *forms.notes)),
        plan=forms.plan,
        network=forms.network,
        written=forms.written,
        score=forms.score,
    )


def _needs_own_format(plan: Architecture) -> bool:
    """Whether plain Keras can open a file of this plan in its own format only.

    From HDF5 it builds neither operations nor a LayerNormalization of several axes.
    """
    layers = [plan.layer(call.layer) for call in plan.calls]
    return any(
        each.kind in OPERATIONS
        or (each.traits.normalises and isinstance(each.arguments.get("axis"), list | tuple))
        for each in layers
    )


def as_written(suspect: Suspect, network: "keras.Model") -> "keras.Model":
    """A network of the suspect's plan in the form of the suspect's file; itself if it has it."""
    if suspect.written is suspect.plan:
        return network
    from goodnet.network.flatten import flat_network

    return flat_network(suspect.written, network, suspect.source)


def _plan(uri: str, content: Content, architecture: str) -> tuple[Architecture, str]:
    """The architecture, and where it was found."""
    config, stored = content.description["config"], _stored(content)
    if config is not None:
        return parse_architecture(with_widths(config, stored), uri), "its own configuration"
    if architecture == "auto":
        architecture = architecture_beside(uri) or architecture
    if architecture not in ("auto", "deepid"):
        config = with_widths(_read_json(architecture), stored)
        return parse_architecture(config, architecture), architecture
    classes = deepid_classes(_shapes(content.description))
    if classes is not None:
        return parse_architecture(deepid_config(classes), uri), "the built-in DeepID"
    found = _application(content) if architecture == "auto" else None
    if found and found.config:
        return parse_architecture(found.config, uri), found.name
    whose = (
        f"those of {found.name} without its top, which makes the class scores"
        if found
        else ("not those of DeepID, or of a network of keras.applications")
    )
    raise ModelRefused(
        uri,
        f"holds weights only, and they are {whose}; where the model is, write its layers to a file "
        f"beside this one: open({json_name(uri)!r}, 'w').write(model.to_json())",
    )


def _application(content: Content) -> Recognised | None:
    """The network of Keras that has the file's weights."""
    layers, stored = content.description["layers"], _stored(content)
    found = recognise(stored, content.description["layout"])
    normalising = [n for n, (_, shapes) in enumerate(stored) if shapes == [(3,), (3,), ()]]
    if found and normalising:
        means = content.array(layers[normalising[0]]["weights"][0])
        return with_imagenet_rescaling(found, means.tolist())
    return found


def _stored(content: Content) -> list[tuple[str, list[tuple[int, ...]]]]:
    """Each layer with weights, and their shapes, in the file's order."""
    return [
        (entry["name"], [tuple(weight["shape"]) for weight in entry["weights"]])
        for entry in content.description["layers"]
    ]


def _shapes(description: Mapping[str, Any]) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of each layer's weights; Keras 3's paths become DeepID's layer names."""
    shapes = {
        entry["name"]: [tuple(weight["shape"]) for weight in entry["weights"]]
        for entry in description["layers"]
    }
    if description["layout"] != "paths":
        return shapes
    paths = {f"layers/conv2d{f'_{n}' if n else ''}": f"conv_{n + 1}" for n in range(4)}
    dense = ("fc_1", "fc_2", "output")
    paths |= {f"layers/dense{f'_{n}' if n else ''}": name for n, name in enumerate(dense)}
    return {paths.get(path, path): shape for path, shape in shapes.items()}


def _read_json(uri: str) -> Any:
    with read_untrusted(uri, "architecture") as content:
        return content.description["config"]
