"""A model that is a folder taken apart: a SavedModel of Keras 2, or an unpacked `.keras`.

Of a SavedModel two things are read: what Keras wrote of its layers, and the checkpoint. Its graph,
which TensorFlow would run, is passed over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from goodnet.files.formats import MODEL_FOLDER
from goodnet.sandbox.reader.arrays import Arrays, Refused, allowance
from goodnet.sandbox.reader.checkpoint import LARGEST_INDEX, Checkpoint
from goodnet.sandbox.reader.hdf5 import save_weight
from goodnet.sandbox.reader.models import (
    CONFIG,
    LARGEST_JSON,
    LARGEST_MODEL,
    UNPACKED,
    hdf5_content,
    parse_json,
    with_config,
)
from goodnet.sandbox.reader.protobuf import Message

GRAPH, METADATA, VARIABLES = "saved_model.pb", "keras_metadata.pb", "variables/variables."
LONGEST_NAME = 4096
DEEPEST_MODEL = 10
BLOCK = 1 << 20
KERAS = "_tf_keras_"  # how the identifiers of Keras' objects begin
WEIGHTED = "layer_with_weights-"
# The weights of a layer in Keras' order, for those that are not listed in order.
WEIGHT_NAMES = (
    "depthwise_kernel", "pointwise_kernel", "kernel", "bias", "gamma", "beta", "alpha",
    "moving_mean", "moving_variance", "mean", "variance", "count",
)  # fmt: skip
NOT_OF_KERAS = (
    "holds a graph, which is never run, and not the layers that it was made from: model.export() "
    "and tf.saved_model.save() leave such a folder; save the model with model.save('NAME.keras')"
)


class Piece(NamedTuple):
    """A file in the stream of a folder: see `goodnet.files.models`."""

    start: int
    size: int


class Stream:
    """The files of a folder by name."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size
        self.pieces = dict(self._find(size))

    def _find(self, size: int) -> Iterator[tuple[str, Piece]]:
        file = self._file
        file.seek(len(MODEL_FOLDER.signature))
        while head := file.read(4):
            length = int.from_bytes(head, "big")
            if not 0 < length <= LONGEST_NAME:
                raise Refused("is damaged: a name in it is too long")
            name = file.read(length).decode("utf-8", "backslashreplace")
            count, start = int.from_bytes(file.read(8), "big"), file.tell()
            if start + count > size:
                raise Refused("is damaged: it ends within a file")
            yield name, Piece(start, count)
            file.seek(start + count)

    def read(self, name: str, limit: int) -> bytes:
        """A file's content."""
        if self._piece(name).size > limit:
            raise Refused(f"{name} is larger than {limit >> 20} MiB")
        return self.part(name, 0, limit)

    def part(self, name: str, start: int, size: int) -> bytes:
        """A part of a file's content, shorter where the file ends."""
        piece = self._piece(name)
        self._file.seek(piece.start + min(start, piece.size))
        return self._file.read(max(0, min(size, piece.size - start)))

    def copy(self, name: str, target: Path) -> None:
        """Write a file's content to a new file."""
        size = self._piece(name).size
        with target.open("xb") as file:
            for start in range(0, size, BLOCK):
                file.write(self.part(name, start, BLOCK))

    def _piece(self, name: str) -> Piece:
        if name not in self.pieces:
            raise Refused(f"has no {name}")
        return self.pieces[name]


def read_folder(path: Path, folder: Path) -> dict[str, Any]:
    """Configuration and weights of a model that is a folder."""
    with path.open("rb") as file:
        stream = Stream(file, path.stat().st_size)
        if GRAPH in stream.pieces or METADATA in stream.pieces:
            return read_saved_model(stream, folder)
        config = parse_json(stream.read(CONFIG, LARGEST_JSON), CONFIG)
        stream.copy(UNPACKED, folder / UNPACKED)
    content = hdf5_content(folder / UNPACKED, folder, allowance(stream.size, LARGEST_MODEL))
    (folder / UNPACKED).unlink()
    return with_config(content, config)


def read_saved_model(stream: Stream, folder: Path) -> dict[str, Any]:
    """Configuration and weights of a SavedModel."""
    said = model_metadata(stream)
    config = said.get("model_config") or {
        "class_name": said.get("class_name"),
        "config": said.get("config"),
    }
    index = stream.read(f"{VARIABLES}index", LARGEST_INDEX)
    checkpoint = Checkpoint(
        index,
        lambda name, start, count: stream.part(f"{VARIABLES}{name}", start, count),
        stream.size,
    )
    layers = list(_layers(checkpoint, Arrays(folder), 0, "", set()))
    if not layers:
        raise Refused("holds no weights of layers")
    return {
        "config": config,
        "training": said.get("training_config"),
        "layout": "tree",
        "layers": layers,
    }


def model_metadata(stream: Stream) -> dict[str, Any]:
    """What Keras wrote of the model, in a file of its own or, before TensorFlow 2.5, in the graph.

    Raises:
        Refused: Keras did not write it.
    """
    text = ""
    if METADATA in stream.pieces:
        content = Message(stream.read(METADATA, 8 * LARGEST_JSON))
        roots = (each for each in content.all_of(1) if each.text(3) == "root")
        text = next(roots, Message(b"")).text(5)
    elif GRAPH in stream.pieces:
        content = Message(stream.read(GRAPH, LARGEST_MODEL))
        root = content.first(2).first(7).first(1).first(4)  # graph, objects, root, user object
        text = root.text(3) if root.text(1).startswith(KERAS) else ""
    said = _plain(parse_json(text, METADATA)) if text else None
    if not isinstance(said, dict):
        raise Refused(NOT_OF_KERAS)
    return said


def _plain(value: Any) -> Any:
    """JSON without the marks that Keras puts on tuples and shapes."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
        return _plain(value["items"])
    return {key: _plain(item) for key, item in value.items()}


def _layers(
    checkpoint: Checkpoint, arrays: Arrays, node: int, path: str, seen: set[int]
) -> Iterator[dict[str, Any]]:
    """The layers with weights, those of nested models where these are; each once."""
    children = checkpoint.objects[node].children
    if path.count("/") > DEEPEST_MODEL:
        raise Refused(f"models nested more than {DEEPEST_MODEL} deep")
    number = -1
    while (layer := children.get(f"{WEIGHTED}{(number := number + 1)}")) is not None:
        name = f"{path}{WEIGHTED}{number}"
        if layer in seen:
            continue
        seen.add(layer)
        if f"{WEIGHTED}0" in checkpoint.objects[layer].children:
            yield from _layers(checkpoint, arrays, layer, f"{name}/", seen)
            continue
        keys = _weight_keys(checkpoint, layer, name)
        weights = [save_weight(arrays, checkpoint.array(key), key) for key in keys]
        yield {"name": name, "weights": weights}


def _weight_keys(checkpoint: Checkpoint, layer: int, name: str) -> list[str]:
    """The keys of a layer's weights in Keras' order."""
    objects = checkpoint.objects
    children = objects[layer].children
    if "variables" in children:
        listed = objects[children["variables"]].children
        nodes = [listed[str(number)] for number in range(len(listed)) if str(number) in listed]
    else:
        nodes = [children[each] for each in WEIGHT_NAMES if each in children]
    keys = [objects[node].key for node in nodes]
    if not keys or "" in keys:
        raise Refused(f"does not say which are the weights of {name}")
    return keys
