"""SavedModel folders composed by hand: what Keras 2 writes, and what it never would."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from goodnet.backend import keras
from goodnet.sandbox.reader.checkpoint import masked_crc32c

INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
METADATA, GRAPH = "keras_metadata.pb", "saved_model.pb"
OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
MAGIC = bytes.fromhex("57fb808b247547db")
DTYPES = {"float32": 1, "float64": 2, "int64": 9, "float16": 19}
Files = dict[str, bytes]


def varint(number: int) -> bytes:
    """A number as protocol buffers and tables write it."""
    content = b""
    while number > 0x7F:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def block(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block of a table, with keys written whole."""
    content = b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries
    )
    return content + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def table(entries: Iterable[tuple[bytes, bytes]], packing: int = 0) -> bytes:
    """A table of one block."""
    first = block(entries)
    second = block([(b"\xff", varint(0) + varint(len(first)))])
    place = len(first) + 5
    footer = varint(0) + varint(0) + varint(place) + varint(len(second))
    return sealed(first, packing) + sealed(second, packing) + footer.ljust(40, b"\0") + MAGIC


def sealed(content: bytes, packing: int = 0) -> bytes:
    """A block with its trailer."""
    whole = content + bytes([packing])
    return whole + masked_crc32c(whole).to_bytes(4, "little")


def record(offset: int, size: int, shape: Sequence[int] = (), dtype: int = 1, **more: Any) -> bytes:
    """What an index says of an array."""
    sides = b"".join(field(2, field(1, side)) for side in shape)
    said = field(1, dtype) + field(2, sides) + field(4, offset) + field(5, size)
    return said + b"".join(field(int(number[1:]), value) for number, value in more.items())


class Node(NamedTuple):
    """An object: those in it by name, and its array's key."""

    children: Mapping[str, int]
    key: str = ""


def object_graph(nodes: Sequence[Node]) -> bytes:
    """The text of an object graph, as a checkpoint holds it."""
    content = b""
    for node in nodes:
        said = b"".join(field(1, field(1, n) + field(2, name)) for name, n in node.children.items())
        if node.key:
            said += field(2, field(1, "VARIABLE_VALUE") + field(3, node.key))
        content += field(1, said)
    return varint(len(content)) + bytes(4) + content


def index_of(records: Mapping[bytes, bytes], header: bytes | None = None) -> bytes:
    """An index of one shard."""
    first = (b"", field(1, 1) if header is None else header)
    return table([first, *sorted(records.items())])


def metadata(config: Any, identifier: str = "_tf_keras_network", path: str = "root") -> bytes:
    """What Keras says of a model; a config that is a text is taken as it is."""
    text = config if isinstance(config, str) else json.dumps({"model_config": config})
    return field(1, field(3, path) + field(4, identifier) + field(5, text))


def checkpoint(nodes: Sequence[Node], arrays: Mapping[str, Any]) -> Files:
    """Index and data of these objects and arrays."""
    records, data = dict[bytes, bytes](), b""
    for key, array in arrays.items():
        size = array.nbytes
        kind = DTYPES[array.dtype.name]
        records[key.encode()] = record(len(data), size, array.shape, kind)
        data += array.tobytes()
    graph = object_graph(nodes)
    records[OBJECT_GRAPH] = record(len(data), len(graph), (), 7)
    return {INDEX: index_of(records), DATA: data + graph}


def objects_of(network: keras.Model, *, listed: bool = True) -> tuple[list[Node], dict[str, Any]]:
    """The objects of a network without models in it, as Keras 2 names them, and its arrays."""
    nodes, arrays, root = [Node({})], dict[str, Any](), dict[str, int]()
    for number, layer in enumerate(each for each in network.layers if each.weights):
        children = dict[str, int]()
        for weight in layer.weights:
            key = f"layer_with_weights-{number}/{weight.name}/.ATTRIBUTES/VARIABLE_VALUE"
            arrays[key] = np.asarray(weight)
            children[weight.name] = len(nodes)
            nodes.append(Node({}, key))
        if listed:
            order = {str(place): node for place, node in enumerate(children.values())}
            children["variables"] = len(nodes)
            nodes.append(Node(order))
        root[f"layer_with_weights-{number}"] = len(nodes)
        nodes.append(Node(children))
    nodes[0] = Node(root)
    return nodes, arrays


def files_of(network: keras.Model, *, listed: bool = True) -> Files:
    """The files of a SavedModel of a network without models in it."""
    return {
        GRAPH: b"\x08\x01\x12\x00",
        METADATA: metadata(json.loads(network.to_json())),
        **checkpoint(*objects_of(network, listed=listed)),
    }


def write(files: Files, folder: Path) -> Path:
    """The folder, with these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
