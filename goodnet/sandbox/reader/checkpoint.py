"""TensorFlow's checkpoints, parsed here and not by TensorFlow: arrays by key, and which is whose.

An index, `NAME.index`, is a table as LevelDB's, of keys in order and one record for each; a record
says where in `NAME.data-00000-of-00001` the array lies. One key holds the graph of the objects that
were saved, with the keys of their arrays.

Table: https://github.com/google/leveldb/blob/main/doc/table_format.md; records:
tensorflow/core/protobuf/tensor_bundle.proto; objects: trackable_object_graph.proto.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from goodnet.sandbox.reader.arrays import MIB, Refused, product
from goodnet.sandbox.reader.hdf5 import widened
from goodnet.sandbox.reader.protobuf import Message, varint

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48  # bytes
BLOCK_TRAILER = 5  # bytes: how it is packed, and a checksum
LARGEST_INDEX = 16 * MIB
LARGEST_GRAPH = 64 * MIB
LONGEST_KEY = 4096
MOST_KEYS = 100_000
MOST_OBJECTS = 100_000
MOST_AXES = 16
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

TEXT, BFLOAT16 = 7, 14
DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    9: "<i8",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
Read = Callable[[str, int, int], bytes]  # name of a file, start, size: what is there


class Record(NamedTuple):
    """What the index says of an array."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    in_slices: bool


class Object(NamedTuple):
    """A node of the object graph: the objects in it by name, and its array's key, "" if none."""

    children: dict[str, int]
    key: str


class Checkpoint:
    """A checkpoint whose index has been read.

    Attributes:
        budget: bytes of arrays that may still be read.
        objects: the object graph; the first is the root.
    """

    def __init__(self, index: bytes, read: Read, budget: int) -> None:
        self._read, self.budget = read, budget
        entries = dict(_table(memoryview(index)))
        header = Message(entries.pop(b"", b"")).numbers()
        self._shards = header.get(1, 0)
        if self._shards < 1 or header.get(2):
            raise Refused("is damaged: its index has no header that can be read")
        self._records = {str(key, "utf-8", "replace"): value for key, value in entries.items()}
        self.objects = self._object_graph()

    def array(self, key: str) -> Any:
        """The array of a key.

        Raises:
            Refused: there is none, it is not of plain numbers, or not where it should be.
        """
        record = self._record(key)
        dtype = "<u2" if record.dtype == BFLOAT16 else DTYPES.get(record.dtype)
        if dtype is None:
            raise Refused(f"{key!r} is of TensorFlow's type {record.dtype}, not float, int or uint")
        if product(record.shape) * np.dtype(dtype).itemsize != record.size:
            raise Refused(f"{key!r} has the shape {record.shape} and {record.size} bytes")
        values = np.frombuffer(self._content(key, record), dtype).reshape(record.shape)
        if record.dtype == BFLOAT16:
            values = widened(values)
        return values

    def _record(self, key: str) -> Record:
        if key not in self._records:
            raise Refused(f"holds no {key!r}")
        message = Message(self._records[key])
        numbers = message.numbers()
        sides = tuple(side.number(1) for side in message.first(2).all_of(2))
        if len(sides) > MOST_AXES or any(side >= 1 << 40 for side in sides):
            raise Refused(f"{key!r} has {len(sides)} axes, one of them of {max(sides)}")
        dtype, shard, offset, size = (numbers.get(number, 0) for number in (1, 3, 4, 5))
        return Record(dtype, sides, shard, offset, size, any(True for _ in message.all_of(7)))

    def _content(self, key: str, record: Record) -> bytes:
        if record.in_slices:
            raise Refused(f"{key!r} is split into slices, which no Keras model is")
        self.budget -= record.size
        if self.budget < 0:
            raise Refused(f"{key!r} declares {record.size} bytes, which is more than there are")
        name = f"data-{record.shard:05d}-of-{self._shards:05d}"
        content = self._read(name, record.offset, record.size)
        if len(content) != record.size:
            raise Refused(f"is damaged: {key!r} lies beyond the end of {name}")
        return content

    def _object_graph(self) -> list[Object]:
        record = self._record(OBJECT_GRAPH)
        if record.dtype != TEXT or record.size > LARGEST_GRAPH:
            raise Refused(f"is damaged: {OBJECT_GRAPH} is no text")
        content = memoryview(self._content(OBJECT_GRAPH, record))
        size, start = varint(content, 0)
        graph = Message(content[start + 4 : start + 4 + size])  # behind a checksum of the length
        objects = []
        for node in graph.all_of(1):
            children = {child.text(2): child.number(1) for child in node.all_of(1)}
            keys = [each.text(3) for each in node.all_of(2) if each.text(1) == "VARIABLE_VALUE"]
            objects.append(Object(children, keys[0] if keys else ""))
            if len(objects) > MOST_OBJECTS:
                raise Refused(f"has more than {MOST_OBJECTS} objects")
        if not objects or any(
            i >= len(objects) for each in objects for i in each.children.values()
        ):
            raise Refused("is damaged: its object graph names an object that is not there")
        return objects


def _table(index: memoryview) -> Iterator[tuple[bytes, bytes]]:
    """The keys and records of an index."""
    if len(index) < FOOTER or bytes(index[-8:]) != MAGIC:
        raise Refused("is damaged: its index does not end as a table of TensorFlow does")
    place = len(index) - FOOTER
    for _ in range(2):  # the place and size of a block that is not needed
        _, place = varint(index, place)
    count, unread = 0, len(index)
    for _, handle in _entries(_block(index, index[place:])):
        block = _block(index, handle)
        unread -= len(block) + BLOCK_TRAILER
        if unread < 0:
            raise Refused("is damaged: the blocks of its index overlap")
        for key, record in _entries(block):
            count += 1
            if count > MOST_KEYS:
                raise Refused(f"has more than {MOST_KEYS} keys")
            yield key, bytes(record)


def _block(index: memoryview, handle: memoryview) -> memoryview:
    """A block, of which the handle says where it is; its checksum is right."""
    start, place = varint(handle, 0)
    size, _ = varint(handle, place)
    if size < 4 or start + size + BLOCK_TRAILER > len(index):
        raise Refused("is damaged: a block of its index lies beyond the end")
    block, packing = index[start : start + size], index[start + size]
    if packing:
        raise Refused(f"its index is packed with method {packing}, which TensorFlow does not use")
    checksum = index[start + size + 1 : start + size + BLOCK_TRAILER]
    if masked_crc32c(index[start : start + size + 1]) != int.from_bytes(checksum, "little"):
        raise Refused("is damaged: a checksum in its index is wrong")
    return block


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a block."""
    restarts = int.from_bytes(block[-4:], "little")
    end, place, key = len(block) - 4 - 4 * restarts, 0, b""
    while place < end:
        shared, place = varint(block, place)
        more, place = varint(block, place)
        length, place = varint(block, place)
        if shared > len(key) or more + length > end - place or shared + more > LONGEST_KEY:
            raise Refused("is damaged: a key of its index is cut off")
        key = key[:shared] + bytes(block[place : place + more])
        place += more
        yield key, block[place : place + length]
        place += length


def _crc_table() -> list[int]:
    """What each byte does to a CRC-32C."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def masked_crc32c(content: memoryview | bytes) -> int:
    """The checksum of a block: its CRC-32C, turned and shifted as LevelDB does."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
