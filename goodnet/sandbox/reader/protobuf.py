"""Protocol buffers, taken apart without their classes: fields by their numbers, within limits.

The encoding: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator

from goodnet.sandbox.reader.arrays import Refused

LONGEST_VARINT = 10  # bytes
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5

Field = int | memoryview


class Message:
    """A message; nothing of it is looked at before it is asked for."""

    def __init__(self, content: memoryview | bytes) -> None:
        self.content = memoryview(content)

    def fields(self) -> Iterator[tuple[int, Field]]:
        """Number and value of each field, in order; messages, texts and bytes are not copied."""
        place, end = 0, len(self.content)
        while place < end:
            key, place = varint(self.content, place)
            number, kind = key >> 3, key & 7
            if not number:
                raise Refused("is damaged: it is no protocol buffer")
            if kind == VARINT:
                value, place = varint(self.content, place)
                yield number, value
                continue
            size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind)
            if kind == BYTES:
                size, place = varint(self.content, place)
            if size is None:
                raise Refused("is damaged: it is no protocol buffer")
            if size > end - place:
                raise Refused("is damaged: a protocol buffer in it is cut off")
            held = self.content[place : place + size]
            yield number, held if kind == BYTES else int.from_bytes(held, "little")
            place += size

    def all_of(self, number: int) -> Iterator["Message"]:
        """The messages in a repeated field."""
        for each, value in self.fields():
            if each == number and isinstance(value, memoryview):
                yield Message(value)

    def first(self, number: int) -> "Message":
        """The first message in a field; an empty one where there is none."""
        return next(self.all_of(number), Message(b""))

    def number(self, number: int) -> int:
        """The last whole number in a field, 0 where there is none."""
        numbers = [v for each, v in self.fields() if each == number and isinstance(v, int)]
        return numbers[-1] if numbers else 0

    def numbers(self) -> dict[int, int]:
        """The fields that are whole numbers, by number; the last one counts."""
        return {each: value for each, value in self.fields() if isinstance(value, int)}

    def text(self, number: int) -> str:
        """The text in a field, "" where there is none."""
        return str(self.first(number).content, "utf-8", "replace")


def varint(content: memoryview, place: int) -> tuple[int, int]:
    """The number that is encoded at a place, and the place behind it."""
    value = 0
    for shift, byte in enumerate(content[place : place + LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, place + shift + 1
    raise Refused("is damaged: a number in it does not end")
