"""A list of class names: one in a line, or after its number, as Teachable Machine writes it."""

import re
from collections.abc import Collection

LONGEST_LIST = 1 << 20  # bytes


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
