"""HDF5 read only where it is plain.

Hard links, each object reached once, numbers or text, the four common filters, and sizes within
budget *before* a byte of them is read.
"""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from goodnet.sandbox.reader.arrays import MIB, Arrays, Entry, Refused, product

MOST_OBJECTS = 30_000
DEEPEST_GROUP = 100
LARGEST_CHUNK = 256 * MIB
LARGEST_TEXT = 32 * MIB
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}


class Hdf5:
    """An HDF5 file of which nothing is read before it has been looked at.

    Args:
        path: the file.
        budget: bytes that may come out of it.
        whole: whether every object in it has to be plain, or only those that are read.
    """

    def __init__(self, path: Path, budget: int, *, whole: bool = True) -> None:
        self.file = h5py.File(path, "r", locking=False, rdcc_nbytes=LARGEST_CHUNK)
        self.budget = budget
        self.addresses: set[Any] = set()
        self.names_read: set[Any] = set()
        self.whole = whole
        if whole:
            self.visit(self.file, "/")

    def visit(self, group: Any, path: str, depth: int = 0) -> None:
        """Check everything below a group; `path` is for messages."""
        self.once(group, path)
        if depth > DEEPEST_GROUP:
            raise Refused(f"groups nested more than {DEEPEST_GROUP} deep")
        for name in group:
            inner = f"{path.rstrip('/')}/{name}"
            kind = group.id.links.get_info(os.fsencode(name)).type
            if kind != h5py.h5l.TYPE_HARD:
                raise Refused(f"{inner} is a soft or external link; only plain objects are read")
            child = group[name]
            if isinstance(child, h5py.Group):
                self.visit(child, inner, depth + 1)
            elif isinstance(child, h5py.Dataset):
                self.once(child, inner)
                self.check_dataset(child, inner)
            else:
                raise Refused(f"{inner} is neither a group nor a data set")

    def once(self, item: Any, path: str) -> None:
        info = h5py.h5o.get_info(item.id)
        if (info.fileno, info.addr) in self.addresses:
            raise Refused(f"{path} is reached by two paths")
        self.addresses.add((info.fileno, info.addr))
        if len(self.addresses) > MOST_OBJECTS:
            raise Refused(f"more than {MOST_OBJECTS} objects")

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
        if data.dtype.hasobject or data.dtype.kind not in "fiu":
            return  # never read, so never a danger; see `numbers`
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

    def top_level(self) -> dict[str, Any]:
        """What is in the root group, by name: data sets, and None for all else."""
        if len(self.file) > MOST_OBJECTS:
            raise Refused(f"more than {MOST_OBJECTS} objects")
        return {name: self.plain_array(name) for name in self.file}

    def plain_array(self, name: str) -> Any:
        """The data set of this name in the root group; None if it is another thing, or behind a
        link."""
        if self.file.id.links.get_info(os.fsencode(name)).type != h5py.h5l.TYPE_HARD:
            return None
        try:
            item = self.file[name]
            known = isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype
        except (TypeError, ValueError, KeyError):  # a type that NumPy has not
            return None
        if not known or (known.hasobject and h5py.check_string_dtype(known) is None):
            return None
        return item

    def reach(self, path: str) -> Any:
        """What is at the path, with no link on the way that leads elsewhere."""
        item, way = self.file, ""
        for part in filter(None, path.split("/")):
            way, name = f"{way}/{part}", os.fsencode(part)
            if not isinstance(item, h5py.Group) or not item.id.links.exists(name):
                raise Refused(f"has no data set {path!r}")
            if item.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise Refused(f"{way} is a soft or external link; only plain objects are read")
            item = item[part]
        if isinstance(item, h5py.Dataset):
            self.check_dataset(item, way)
        return item

    def numbers(self, path: str, *, text: bool = False) -> Any:
        """The data set of numbers at the path, given out once lest it fill the disk.

        Args:
            path: from the root group.
            text: whether it may hold texts instead.
        """
        try:
            data = self.file[path] if self.whole else self.reach(path)
        except KeyError:
            raise Refused(f"has no data set {path!r}") from None
        if not isinstance(data, h5py.Dataset):
            raise Refused(f"{path!r} is a group, not a data set")
        if text and (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype)):
            largest = max(product(data.shape), product(data.chunks or ()))
            if data.dtype.itemsize * largest > LARGEST_TEXT:
                raise Refused(f"{path!r} holds more than {LARGEST_TEXT // MIB} MiB of text")
        elif data.dtype.hasobject or data.dtype.kind not in "fiu" or data.dtype.itemsize > 8:
            raise Refused(f"{path!r} holds {data.dtype}, not float, int or uint")
        if data.name in self.names_read:
            raise Refused(f"{path!r} is used twice")
        self.names_read.add(data.name)
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
                texts.append(value.decode() if isinstance(value, bytes) else str(value))
        return texts


def save_weight(arrays: Arrays, data: Any, path: str) -> Entry:
    """The entry of one array of weights, stored as float32 (integers in their own dtype)."""
    values = data[()]
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise Refused(f"{path} holds NaN or infinite values")
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise Refused(f"{path} holds values beyond float32")
    return arrays.save(np.asarray(values))
