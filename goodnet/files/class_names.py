"""Lists of class names: one in a line, or after its number, as Teachable Machine writes it."""

import re
from collections.abc import Collection, Sequence

from goodnet.errors import one_line

LONGEST_LIST = 1 << 20  # bytes
LONGEST = 100  # characters of a name


def listed_names(text: bytes, folders: Collection[str] = ()) -> list[str]:
    """The names in a list's order; "0 cat", "1 dog" are numbered, unless folders are called so.

    Args:
        text: the list.
        folders: names that have to be in it.
    """
    lines = text.decode("utf-8-sig", "replace").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if folders and set(folders) <= set(names):
        return names
    numbered = [re.fullmatch(rf"{number}\s+(.+)", name) for number, name in enumerate(names)]
    return [match[1] for match in numbered if match] if all(numbered) else names


def class_names_text(names: Sequence[str]) -> bytes:
    """The text of a list of names, one a line."""
    return "".join(f"{one_line(name, LONGEST)}\n" for name in names).encode()


def read_class_names(text: bytes) -> tuple[str, ...]:
    """The names in such a text, whatever is in it."""
    lines = text.decode("utf-8-sig", "replace").removesuffix("\n").split("\n")
    return tuple(one_line(line.strip("\r"), LONGEST) for line in lines)
