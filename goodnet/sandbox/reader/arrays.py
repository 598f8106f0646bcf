"""What every reader needs: how it refuses a file, and how it leaves arrays behind."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

MIB = 1 << 20
FREE_EXPANSION = 256 * MIB  # so much may come out of the smallest file
MOST_EXPANSION = 200

Entry = dict[str, Any]  # an array's file, shape and dtype


class Refused(Exception):
    """What is wrong with the file, in one line."""


def allowance(size: int, most: int) -> int:
    """How many bytes may come out of a compressed file of this size."""
    return min(most, FREE_EXPANSION + MOST_EXPANSION * size)


class Arrays:
    """The `.npy` files written so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def save(self, values: Any) -> Entry:
        """The entry of an array, which is now a file."""
        return self.save_blocks(values.shape, values.dtype, [values])

    def save_blocks(self, shape: tuple[int, ...], dtype: Any, blocks: Iterable[Any]) -> Entry:
        """The entry of an array that comes in blocks; only one of them is in memory."""
        name, dtype = f"{self.count}.npy", np.dtype(dtype).newbyteorder("<")
        self.count += 1
        header = {"descr": dtype.str, "fortran_order": False, "shape": tuple(shape)}
        with (self.folder / name).open("xb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=dtype).tobytes())
        return {"file": name, "shape": list(shape), "dtype": dtype.name}

    def take_back(self, entry: Entry, rows: int) -> Iterator[Any]:
        """What has been written of an array, so many rows at a time; its file goes."""
        path, (_, *row) = self.folder / entry["file"], entry["shape"]
        with path.open("rb") as file:
            path.unlink()
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            size = rows * product(row) * np.dtype(entry["dtype"]).itemsize
            while content := file.read(size):
                yield np.frombuffer(content, entry["dtype"]).reshape(-1, *row)


def product(numbers: Iterable[int]) -> int:
    """The product of some sizes, as a whole number of any length."""
    result = 1
    for number in numbers:
        result *= int(number)
    return result
