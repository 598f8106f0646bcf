"""Labels as class indices, whether they are numbers, one-hot or texts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from goodnet.errors import one_line
from goodnet.sandbox.reader.arrays import Refused

LABELS = ("label", "true_label")
TEXT = "SUO"  # NumPy's kinds; of objects only HDF5's texts are let through
MOST_NAMES = 10_000  # different texts among labels


def class_indices(
    stored: Mapping[str, Any], names: Mapping[str, str], count: int, known: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """By role the class indices of `count` images; and the classes' names, if labels are texts.

    Args:
        stored: "label" and maybe "true_label": each has `shape`, `dtype`, `ndim`, and values.
        names: what they are called in the file, if not so.
        count: of images.
        known: the names of all classes, by number; empty where the texts say it.

    Raises:
        Refused: they are no labels of so many images.
    """
    called = {role: names.get(role, role) for role in stored}
    texts = {
        role: text_labels(each, called[role])
        for role, each in stored.items()
        if each.dtype.kind in TEXT
    }
    classes = sorted(set(texts.get("label", ())))
    if classes and known and not all_digits(classes):
        classes = list(known)
    values = {
        role: labels(
            numbered(texts[role], classes, called[role]) if role in texts else each,
            called[role],
            count,
        )
        for role, each in stored.items()
    }
    return values, [] if all_digits(classes) else classes


def labels(data: Any, name: str, count: int) -> Any:
    """As many class indices as there are images; the rows of a matrix are one-hot."""
    if data.ndim == 2 and data.shape[0] == count and data.shape[1] > 1:
        return one_hot(data[()], name)
    if data.shape not in ((count,), (count, 1)):
        raise Refused(f"{name!r} has the shape {data.shape} for {count} images")
    values = data[()].reshape(-1)
    whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) < 2**31)
    if not whole.all():
        raise Refused(f"{name!r} holds {values[~whole][0]}, which is no class index")
    return values.astype(np.int64)


def text_labels(data: Any, name: str) -> list[str]:
    """Labels that are texts, (N,) or (N, 1)."""
    if data.ndim not in (1, 2) or data.shape[1:] not in ((), (1,)):
        raise Refused(f"{name!r} has the shape {data.shape}; texts are labels in a row")
    values = [
        each.decode("utf-8", "backslashreplace") if isinstance(each, bytes) else str(each)
        for each in data[()].reshape(-1)
    ]
    if len(set(values)) > MOST_NAMES:
        raise Refused(
            f"{name!r} holds more than {MOST_NAMES} different texts, which are no classes"
        )
    return values


def all_digits(names: Sequence[str]) -> bool:
    """Whether all texts are whole numbers."""
    return all(re.fullmatch(r"[0-9]{1,9}", name) for name in names)


def numbered(texts: Sequence[str], classes: Sequence[str], name: str) -> Any:
    """The class of each text: its place among all in order, or the number that it is."""
    if all_digits(classes):
        places = {text: int(text) for text in classes}
    else:
        places = {text: place for place, text in enumerate(classes)}
    strange = next((text for text in texts if text not in places), None)
    if strange is not None:
        raise Refused(f"{name!r} holds {one_line(strange, 40)!r}, which is no label")
    return np.array([places[text] for text in texts])


def one_hot(rows: Any, name: str) -> Any:
    """The class of each row, which is 1 there and else 0."""
    odd = ((rows != 0) & (rows != 1)).any(axis=1) | ((rows == 1).sum(axis=1) != 1)
    if odd.any():
        raise Refused(
            f"{name!r} has {rows.shape[1]} columns, and row {odd.argmax()} is not one-hot"
        )
    return rows.argmax(axis=1).astype(np.int64)
