"""A suspect: a classifier out of a file nobody trusts, opened without running any of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet.errors import ModelRefused, RequestRefused, one_line
from goodnet.files.regular import open_regular
from goodnet.files.storage import local_file
from goodnet.network.architecture import parse_architecture
from goodnet.network.deepid import deepid_classes, deepid_config
from goodnet.network.graph import Architecture, keras_name
from goodnet.network.two_scores import Score
from goodnet.sandbox.process import Content, read_untrusted

if TYPE_CHECKING:
    from goodnet.backend import keras

LARGEST_ARCHITECTURE = 8 << 20


@dataclass(frozen=True)
class Suspect:
    """An opened classifier.

    Attributes:
        source: where it came from, for messages.
        sha256: the digest of the file's content: the model's identity.
        format: ".h5" or ".keras", the format its repaired models are written in.
        described_by: "its own configuration", "the built-in DeepID" or the architecture file, and
            what of it was read otherwise than it stands there.
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
    """The classifier in a Keras model file, `.h5`, `.hdf5` or `.keras`.

    The file is read by a process of its own and never given to Keras; see SECURITY.md.

    Args:
        path: a whole model, or weights only; a local path or an `s3://` URI.
        architecture: for weights only: "auto" (DeepID where names and shapes fit), "deepid", or
            the path or URI of a Keras JSON configuration. A whole model brings its own.

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
        format=content.format.saved_as,
        described_by=", ".join((described_by, *forms.notes)),
        plan=forms.plan,
        network=forms.network,
        written=forms.written,
        score=forms.score,
    )


def as_written(suspect: Suspect, network: "keras.Model") -> "keras.Model":
    """A network of the suspect's plan in the form of the suspect's file; itself if it has it."""
    if suspect.written is suspect.plan:
        return network
    from goodnet.network.flatten import flat_network

    return flat_network(suspect.written, network, suspect.source)


def _plan(uri: str, content: Content, architecture: str) -> tuple[Architecture, str]:
    """The architecture, and where it was found."""
    config = content.description["config"]
    if config is not None:
        return parse_architecture(config, uri), "its own configuration"
    if architecture not in ("auto", "deepid"):
        return parse_architecture(_read_json(architecture), architecture), architecture
    shapes = _shapes(content.description)
    classes = deepid_classes(shapes)
    if classes is None:
        raise ModelRefused(
            uri,
            "holds weights only, and they are not DeepID's; give the text that the model's "
            "to_json() returns, with --architecture FILE.json",
        )
    return parse_architecture(deepid_config(classes), uri), "the built-in DeepID"


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
    with (
        local_file(uri, RequestRefused, LARGEST_ARCHITECTURE) as path,
        open_regular(path, RequestRefused) as file,
    ):
        text = file.read(LARGEST_ARCHITECTURE)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise RequestRefused(uri, f"is not a Keras JSON configuration: {fault}") from None
