"""Sizes that functions of TensorFlow compute of tensors, in a configuration: `tf.shape(x)[0]`.

The number of images is no number before there are images. What is reshaped to it keeps its images;
what is made so many times, as the class token of a transformer is, is made for each image. Other
sizes can be left out of a shape if they are all that is left out.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from goodnet.network.arithmetic import TF_FUNCTIONS, layer_entry, operands_of
from goodnet.network.checks import LARGEST_TABLE, is_table
from goodnet.network.rearrangement import names_in

Entry = Mapping[str, Any]
Tensor = tuple[str, int]  # the layer and the number of its output

COUNT, OTHER = "count", "size"
PRODUCTS = ("math.multiply", "math.floordiv")
FILLED = {"zeros": 0.0, "ones": 1.0}


def without_sizes(entries: Sequence[Entry]) -> list[Any]:
    """The entries, with -1 or layers for what depends on the number of images."""
    sizes = _Sizes(entries)
    if not sizes.shaped:
        return list(entries)
    changed = [sizes.replaced(entry) for entry in entries]
    unneeded = [name for name in map(_name, entries) if name in sizes.makers]
    for name in reversed(unneeded):
        taken = {each for e in changed for each in names_in(e.get("inbound_nodes"))}
        changed = [e for e in changed if _name(e) != name or name in taken]
    return changed


class _Sizes:
    """The sizes that a model's functions compute.

    Attributes:
        shaped: the names of those that make shapes, and the tensors whose these are.
        makers: the names of all functions that make sizes.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.shaped = dict[str, Any]()
        self._known = dict[Tensor, str]()
        self._stacks, self._counted = dict[str, list[Any]](), list[Any]()
        for entry in entries:
            if len(entry.get("inbound_nodes") or []) == 1 and entry["class_name"] in TF_FUNCTIONS:
                self._note(_name(entry), str(entry["config"].get("function")), entry)
        self.makers = {*self.shaped, *self._stacks, *(name for name, _ in self._known)}

    def _note(self, name: str, function: str, entry: Entry) -> None:
        operands, others = operands_of(entry["inbound_nodes"][0])
        source = operands[0] if operands else None
        of_shape = isinstance(source, list) and source[:1] and str(source[0]) in self.shaped
        if function in ("shape", "compat.v1.shape"):
            self.shaped[name] = source
        elif function == "__operators__.getitem" and of_shape:
            spec = others.get("slice_spec")
            if isinstance(spec, int):
                self._known[name, 0] = OTHER if spec else COUNT
        elif function == "unstack" and of_shape:
            self._known |= {(name, n): OTHER if n else COUNT for n in range(8)}
        elif function in PRODUCTS and all(self._value(each) for each in operands):
            self._known[name, 0] = OTHER
        elif function == "stack" and self._value(source) == COUNT:
            self._stacks[name] = operands

    def _value(self, size: Any) -> Any:
        """A number, or which size it is; None if it is none."""
        if isinstance(size, int):
            return size
        is_ref = isinstance(size, list) and len(size) >= 3 and isinstance(size[0], str)
        return self._known.get((size[0], size[2])) if is_ref else None

    def _sizes_in(self, value: Any) -> list[Any]:
        """The sizes that are asked for, by number or name; empty if they cannot be told."""
        if isinstance(value, list) and value and isinstance(value[0], str):
            value = self._stacks.get(value[0], [value])
        sizes = [self._value(each) for each in value] if isinstance(value, list) else []
        return [] if None in sizes else sizes

    def replaced(self, entry: Entry) -> Entry:
        """The entry, or the one that does what it does."""
        if len(entry.get("inbound_nodes") or []) != 1 or entry["class_name"] not in TF_FUNCTIONS:
            return entry
        function = str(entry["config"].get("function"))
        operands, others = operands_of(entry["inbound_nodes"][0])
        if function == "reshape":
            return self._reshaped(entry, operands, others)
        if function in ("tile", "broadcast_to", "repeat", "fill", *FILLED):
            return self._for_each_image(entry, function, operands, others)
        return entry

    def _reshaped(self, entry: Entry, operands: list[Any], others: dict[str, Any]) -> Entry:
        first, *sizes = self._sizes_in(others.get("shape")) or [None]
        if first != COUNT or sizes.count(OTHER) + sizes.count(-1) > 1:
            return entry
        target = [-1 if size == OTHER else size for size in sizes]
        return layer_entry(entry, "Reshape", operands, target_shape=target)

    def _for_each_image(
        self, entry: Entry, function: str, operands: list[Any], others: dict[str, Any]
    ) -> Entry:
        """An array for each image, or a tensor with more places."""
        wanted = {"tile": "multiples", "broadcast_to": "shape", "repeat": "repeats"}.get(function)
        given = others.get(wanted) if wanted else operands
        if function == "repeat":
            given = [given] if others.get("axis") == 0 else []
        count, *sizes = self._sizes_in(given) or [None]
        if count != COUNT or not all(isinstance(size, int) and size > 0 for size in sizes):
            return entry
        if function == "broadcast_to" and not is_table(operands[0]):
            return layer_entry(entry, "BroadcastTo", operands, shape=[None, *sizes])
        value = FILLED.get(function, others.get("value")) if not wanted else operands[0]
        array = _array(function, value, sizes)
        if array is None:
            return entry
        shaped = next(iter(self.shaped.values()))
        return layer_entry(entry, "Constant", [shaped], value=array.tolist())


def _array(function: str, value: Any, sizes: Sequence[int]) -> Any:
    """What is made for one image; None if that is not the same for each."""
    if not is_table(value) or prod(sizes) > LARGEST_TABLE:
        return None
    array = np.array(value, dtype=np.float64)
    if function == "repeat":
        return array[0] if array.ndim > 1 and len(array) == 1 else None
    if function == "tile":
        fits = array.ndim == len(sizes) + 1 and len(array) == 1
        made = array.size * prod(sizes) <= LARGEST_TABLE
        return np.tile(array[0], sizes) if fits and made else None
    if array.ndim > len(sizes) and len(array) == 1:
        array = array[0]
    return np.broadcast_to(array, sizes) if array.ndim <= len(sizes) else None


def _name(entry: Entry) -> str:
    return str(entry["config"].get("name") or entry.get("name"))
