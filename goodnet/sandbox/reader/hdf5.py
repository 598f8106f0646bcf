"""HDF5 of which only what is asked for is looked at, and that before a byte of it is read.

Hard links, numbers or text, the four common filters, and sizes within budget. What else a file may
hold, in whatever form, is never touched.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from goodnet.sandbox.reader.arrays import MIB, Arrays, Entry, Refused, product

MOST_GROUPS = 30_000
MOST_OBJECTS = 30_000  # at the top
DEEPEST_GROUP = 100
LARGEST_CHUNK = 256 * MIB
LARGEST_TEXT = 32 * MIB
BFLOAT16 = np.dtype("V2")  # as Keras stores it, opaque to HDF5
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}


class Hdf5:
    """An HDF5 file; groups and data sets are checked as they are given out."""

    def __init__(self, path: Path, budget: int) -> None:
        self.file = h5py.File(path, "r", locking=False, rdcc_nbytes=LARGEST_CHUNK)
        self.budget = budget
        self.walked: set[Any] = set()
        self.given_out: set[Any] = set()

    def child(self, group: Any, name: str) -> Any:
        """The object at a path below a group; None where there is none.

        Raises:
            Refused: the path leads through a link that is none of HDF5's hard ones.
        """
        for part in name.split("/"):
            if part in ("", "."):
                continue
            link = os.fsencode(part)
            if not isinstance(group, h5py.Group) or not group.id.links.exists(link):
                return None
            if group.id.links.get_info(link).type != h5py.h5l.TYPE_HARD:
                inner = f"{path_of(group).rstrip('/')}/{part}"
                raise Refused(f"{inner} is a soft or external link; only plain objects are read")
            group = group[link]  # as bytes: a name need not be UTF-8
        return group

    def group(self, group: Any, name: str) -> Any:
        """The group at a path below a group; None where there is none."""
        child = self.child(group, name)
        return child if isinstance(child, h5py.Group) else None

    def groups(self, group: Any, names: Iterable[str], depth: int) -> Iterator[tuple[str, Any]]:
        """Those of some objects in a group that are groups; none is walked through twice."""
        if depth > DEEPEST_GROUP:
            raise Refused(f"groups nested more than {DEEPEST_GROUP} deep")
        for name in names:
            child = self.group(group, name)
            if child is None:
                continue
            if identity(child) in self.walked:
                raise Refused(f"{path_of(group).rstrip('/')}/{name} is reached by two paths")
            self.walked.add(identity(child))
            if len(self.walked) > MOST_GROUPS:
                raise Refused(f"more than {MOST_GROUPS} groups")
            yield name, child

    def top_level(self, groups: Iterable[str] = ()) -> dict[str, Any]:
        """What is at the top, by name: data sets of numbers or texts, and None for all else.

        Args:
            groups: names, in lower case, of groups of which the same is said, as "group/name".
        """
        names = names_in(self.file)
        for name in names[:MOST_OBJECTS]:
            inner = self._group_at_top(name) if name.lower() in groups else None
            names += [f"{name}/{each}" for each in names_in(inner or ())]
        if len(names) > MOST_OBJECTS:
            raise Refused(f"more than {MOST_OBJECTS} objects")
        return {name: self._plain_array(name) for name in names}

    def _group_at_top(self, name: str) -> Any:
        try:
            return self.group(self.file, name)
        except (Refused, KeyError):
            return None

    def _plain_array(self, name: str) -> Any:
        """The data set of this name at the top; None if it is another thing, or behind a link."""
        try:
            item = self.child(self.file, name)
            known = isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype
        except (Refused, TypeError, ValueError, KeyError):  # a type that NumPy has not
            return None
        if not known or (known.hasobject and h5py.check_string_dtype(known) is None):
            return None
        return item

    def check_dataset(self, data: Any, path: str) -> None:
        """Refuse storage that reaches outside the file, unusual filters and bombs."""
        plan = data.id.get_create_plist()
        if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
            raise Refused(f"{path} keeps its values in another file")
        for number in range(plan.get_nfilters()):
            if plan.get_filter(number)[0] not in FILTERS:
                allowed = ", ".join(FILTERS.values())
                raise Refused(
                    f"{path} uses filter {plan.get_filter(number)[0]} (allowed: {allowed})"
                )
        if data.shape is None:
            raise Refused(f"{path} is empty")
        size = product(data.shape) * data.dtype.itemsize
        self.budget -= size
        if self.budget < 0:
            raise Refused(
                f"{path} declares {size} bytes, which is more than can be in a file of this size"
            )
        if data.chunks and data.dtype.itemsize * product(data.chunks) > LARGEST_CHUNK:
            raise Refused(f"{path} has chunks of more than {LARGEST_CHUNK // MIB} MiB")
        if size and not data.id.get_storage_size():
            raise Refused(f"{path} declares {size} bytes and holds none")

    def numbers(self, path: str, *, text: bool = False, bfloat16: bool = False) -> Any:
        """The data set of numbers at the path, given out once lest it fill the disk.

        Args:
            path: from the root group.
            text: whether it may hold texts instead.
            bfloat16: whether it may hold these.
        """
        data = self.child(self.file, path)
        if data is None:
            raise Refused(f"has no data set {path!r}")
        if not isinstance(data, h5py.Dataset):
            raise Refused(f"{path!r} is a group, not a data set")
        if text and (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype)):
            largest = max(product(data.shape), product(data.chunks or ()))
            if data.dtype.itemsize * largest > LARGEST_TEXT:
                raise Refused(f"{path!r} holds more than {LARGEST_TEXT // MIB} MiB of text")
        elif not (are_numbers(data) or (bfloat16 and data.dtype == BFLOAT16)):
            raise Refused(f"{path!r} holds {data.dtype}, not float, int or uint")
        if identity(data) in self.given_out:
            raise Refused(f"{path!r} is used twice")
        self.given_out.add(identity(data))
        self.check_dataset(data, path)
        return data

    def attribute_shape(self, group: Any, name: str) -> tuple[int, ...]:
        """The shape of an attribute that is not too large to be read."""
        attribute = group.attrs.get_id(name)
        if attribute.shape is None:
            raise Refused(f"attribute {name!r} is empty")
        if product(attribute.shape) * attribute.dtype.itemsize > LARGEST_TEXT:
            raise Refused(f"attribute {name!r} is larger than {LARGEST_TEXT // MIB} MiB")
        return tuple(attribute.shape)

    def text(self, group: Any, name: str) -> str | None:
        """The text of an attribute, None where there is none."""
        if name not in group.attrs:
            return None
        shape = self.attribute_shape(group, name)
        if shape not in ((), (1,)):
            raise Refused(f"attribute {name!r} is not one text")
        value = group.attrs[name]
        value = value[0] if shape == (1,) else value
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if not isinstance(value, str):
            raise Refused(f"attribute {name!r} is not text")
        return value

    def texts(self, group: Any, name: str) -> list[str] | None:
        """The list of texts in an attribute; Keras splits long ones over name0, name1, ..."""
        parts, number = [name], 0
        while name not in group.attrs and f"{name}{number}" in group.attrs:
            parts.append(f"{name}{number}")
            number += 1
        if parts == [name] and name not in group.attrs:
            return None
        texts: list[str] = []
        for part in parts if name in group.attrs else parts[1:]:
            if len(self.attribute_shape(group, part)) != 1:
                raise Refused(f"attribute {part!r} is not a list")
            for value in group.attrs[part]:
                if not isinstance(value, str | bytes):
                    raise Refused(f"attribute {part!r} is not a list of texts")
                texts.append(
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                )
        return texts


def names_in(group: Any) -> list[str]:
    """What the objects in a group are called; bytes that are no UTF-8 as surrogates."""
    return [os.fsdecode(name) for name in group]


def path_of(item: Any) -> str:
    """The object's path from the root group, likewise."""
    return os.fsdecode(item.name)


def identity(item: Any) -> tuple[int, int]:
    """What is the same for one object, by whatever path it was reached."""
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def are_numbers(item: Any) -> bool:
    """Whether it is a data set of plain numbers."""
    try:
        dtype = item.dtype
    except (AttributeError, TypeError):  # no data set; or of a type that NumPy has not
        return False
    return bool(dtype.kind in "fiu" and dtype.itemsize <= 8)


def save_weight(arrays: Arrays, data: Any, path: str) -> Entry:
    """The entry of one array of weights, stored as float32 (integers in their own dtype)."""
    values = data[()]
    if values.dtype == BFLOAT16:
        values = widened(values.view("<u2"))
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise Refused(f"{path} holds NaN or infinite values")
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise Refused(f"{path} holds values beyond float32")
    return arrays.save(np.asarray(values))


def widened(values: Any) -> Any:
    """The float32 numbers of which these uint16 are the upper halves: of bfloat16."""
    return (values.astype("<u4") << 16).view("<f4")
