"""What images and labels are called in a file: by their usual names, by their axes, or as given."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from goodnet.files.reading import Reading
from goodnet.sandbox.reader.arrays import Refused
from goodnet.sandbox.reader.labels import TEXT

Pair = tuple[str, str]

NUMBERS = "fiu"  # NumPy's kinds
PAIRS: tuple[Pair, ...] = (("data", "label"), ("x", "y"), ("images", "labels"))
# Several sets in a file: x_val, X_test, test_images, trainY, validation/labels, test_set_x, ...
SETS = {"validation": "val|valid|validation|dev", "test": "test|testing", "train": "train|training"}
ROLES = ("x|images?|imgs?|data|pictures?", "y|labels?|targets?|class|classes")
EXACT = re.compile(r"[xy]_(val|valid|test|train)")  # come before others of the same set


def named_arrays(
    arrays: Mapping[str, Any], labelled: bool, reading: Reading
) -> tuple[dict[str, str], Reading]:
    """What is read: by role, what it is called, see `named_pair`; and which part of that.

    Of a file that holds both, the validation set is the one half and the test set the other.

    Args:
        arrays: all that there are, by name; those of numbers or text have `shape` and `dtype`.
        labelled: whether labels are looked at.
        reading: says what they are called, or that one label is that of all.
    """
    true = {name: name for name in ("true_label",) if name in arrays and labelled}
    numbers = {n: each for n, each in arrays.items() if has_kind(each, NUMBERS)}
    if labelled and reading.target is None:
        if len(reading.keys) == 2:
            return dict(zip(("data", "label"), reading.keys, strict=True)) | true, reading
        some = {n: each for n, each in arrays.items() if has_kind(each, NUMBERS + TEXT)}
        pair = None if reading.keys else pair_of_part(tuple(arrays), reading.part)
        if pair:
            return dict(zip(("data", "label"), pair, strict=True)), replace(reading, part="whole")
        return named_pair(numbers, some, tuple(arrays), reading.keys) | true, reading
    images = [*reading.keys[:1]] or [image for image, _ in PAIRS if image in arrays][:1]
    images = images or [image for kind in SETS for image in in_set(tuple(numbers), kind)[0]][:1]
    images = images or images_by_shape(numbers)
    if len(images) > 1:
        held = ", ".join(map(repr, images[:5]))
        raise Refused(f"holds {held}: which of them are the images? Give --keys")
    return {"data": images[0] if images else "data"} | true, reading


def in_set(names: Sequence[str], kind: str) -> tuple[list[str], list[str]]:
    """The names of images and those of labels of one of the SETS."""
    found = []
    for role in ROLES:
        both = re.compile(rf"({role})({SETS[kind]})(set)?|({SETS[kind]})(set)?({role})")
        matches = [n for n in names if both.fullmatch(re.sub("[^a-z]", "", n.lower()))]
        found.append([n for n in matches if EXACT.fullmatch(n)] or matches)
    return found[0], found[1]


def pairs_in_set(names: Sequence[str], kind: str) -> list[Pair]:
    """Every pair of images and labels of one of the SETS."""
    images, labels = in_set(names, kind)
    if len(images) == len(labels) > 1 and all(EXACT.fullmatch(n) for n in (*images, *labels)):
        return [(n, f"y{n[1:]}") for n in images if f"y{n[1:]}" in labels]
    return [(image, label) for image in images for label in labels]


def pair_of_part(names: Sequence[str], part: str) -> Pair | None:
    """The pair of the half that is asked for, in a file that holds one for each; else None."""
    if part == "whole" or any(set(pair) <= set(names) for pair in PAIRS):
        return None
    halves = {kind: pairs_in_set(names, kind) for kind in ("validation", "test")}
    return halves[part][0] if all(len(pairs) == 1 for pairs in halves.values()) else None


def has_kind(array: Any, kinds: str) -> bool:
    """Whether it can be read, and its values are of one of these kinds."""
    return getattr(getattr(array, "dtype", None), "kind", "nothing") in kinds


def named_pair(
    numbers: Mapping[str, Any],
    some: Mapping[str, Any],
    names: Sequence[str],
    keys: Sequence[str] = (),
) -> dict[str, str]:
    """What images and labels are called, {"data": ..., "label": ...}.

    By name; else they are the one array of four axes (of three where none has four) and the one of
    one axis, or two, that is as long: of numbers, or else of text. If that does not tell, "data"
    and "label".

    Args:
        numbers: the arrays of numbers by name; have a `shape`.
        some: those, and those of text.
        names: of all arrays.
        keys: what the images are called, if that is known.

    Raises:
        Refused: there are several pairs.
    """
    sets = {kind: pairs_in_set(names, kind) for kind in SETS}
    plain = [pair for pair in PAIRS if set(pair) <= set(names)]
    every = [pair for pair in (*plain, *chain(*sets.values())) if pair[0] in (keys or pair)]
    chosen = tuple(pair for pair in every if pair not in sets["train"]) or tuple(every)
    chosen = PAIRS[:1] if PAIRS[0] in every else chosen
    if len(chosen) > 1:
        held = ", ".join("/".join(pair) for pair in chosen)
        raise Refused(
            f"holds {held}: which of them is meant? Keep one pair in a file, or give --keys"
        )
    for values in (numbers, some):
        chosen = chosen or pairs_by_shape(numbers, values, keys)
    return dict(zip(("data", "label"), chosen[0] if len(chosen) == 1 else PAIRS[0], strict=True))


def images_by_shape(numbers: Mapping[str, Any]) -> list[str]:
    """The arrays of four axes, or of three where none has four."""
    by_axes = [[n for n, each in numbers.items() if len(each.shape) == axes] for axes in (4, 3)]
    return by_axes[0] or by_axes[1]


def pairs_by_shape(
    numbers: Mapping[str, Any], labels: Mapping[str, Any], keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Every pair of arrays that may be images and their labels."""
    shapes = {name: tuple(each.shape) for name, each in numbers.items()}
    images = list(keys) or images_by_shape(numbers)
    return tuple(
        (image, label)
        for image in images
        for label, shape in ((name, tuple(each.shape)) for name, each in labels.items())
        if len(shape) in (1, 2) and shape[:1] == shapes.get(image, ())[:1] and label != "true_label"
    )
