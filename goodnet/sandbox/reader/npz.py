"""NumPy's archives, `.npz`, read without NumPy's loader: plain numbers alone, nothing pickled.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.sandbox.reader.arrays import MIB, Refused, product
from goodnet.sandbox.reader.models import unpacked

MOST_MEMBERS = 1000
LONGEST_HEADER = 4096
MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # by version: how long the header's length is
HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^']{1,40})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,18}L?, ?)*(?:\d{1,18}L?)?)\),? ?\} *\n?"
)
NUMBERS = re.compile(r"[<>|=]?[fiu][1248]")
TEXT = re.compile(r"[<>|=]?[SU][1-9][0-9]{0,3}")


class Member:
    """An array of an archive: its form is known, its values are not unpacked yet.

    Attributes:
        name: without ".npy".
        shape, dtype, ndim: as the header says.
        fortran: whether the first index changes fastest.
        start: where in the member the values begin.
    """

    def __init__(self, name: str, dtype: Any, shape: tuple[int, ...], fortran: bool, start: int):
        self.name, self.dtype, self.shape, self.ndim = name, dtype, shape, len(shape)
        self.fortran, self.start = fortran, start
        self.size = product(shape) * dtype.itemsize
        self.path = Path()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Any:
        if rows == ():
            return self._mapped(self.start, self.shape)
        first, last, _ = rows.indices(len(self))
        if self.fortran:
            return self._mapped(self.start, self.shape)[first:last]
        row = self.size // len(self)
        return self._mapped(self.start + first * row, (last - first, *self.shape[1:]))

    def _mapped(self, start: int, shape: tuple[int, ...]) -> Any:
        order: Any = "F" if self.fortran else "C"
        return np.memmap(self.path, self.dtype, "r", start, shape, order)


class Npz:
    """An archive whose members' headers have been read, and checked where one is asked for."""

    def __init__(self, path: Path, folder: Path, budget: int) -> None:
        self.archive, self.folder, self.budget = zipfile.ZipFile(path), folder, budget
        every = self.archive.infolist()
        if len(every) > MOST_MEMBERS:
            raise Refused(f"holds more than {MOST_MEMBERS} arrays")
        names = [each.filename for each in every if each.filename.endswith(".npy")]
        if len(names) != len(set(names)):
            raise Refused(f"holds {max(names, key=names.count)!r} twice")
        self.members = {name.removesuffix(".npy"): self.member(name) for name in names}

    def member(self, name: str) -> Member | str:
        """What the header says; or why the array is not read, should one ask for it."""
        if self.archive.getinfo(name).flag_bits & 1:
            return "is encrypted"
        start = next(unpacked(self.archive, name, self.budget), b"")
        if not start.startswith(MAGIC) or len(start) < 12 or start[6] not in LENGTH_BYTES:
            return "is not an array in NumPy's format"
        begin = 8 + LENGTH_BYTES[start[6]]
        length = int.from_bytes(start[8:begin], "little")
        text = start[begin : begin + min(length, LONGEST_HEADER)].decode("latin-1")
        header = HEADER.fullmatch(text) if length <= LONGEST_HEADER else None
        if header is None:
            return "has a header that is not one of a plain array"
        if not NUMBERS.fullmatch(header["descr"]) and not TEXT.fullmatch(header["descr"]):
            return f"holds {header['descr']}, not float, int or uint"
        try:
            dtype = np.dtype(header["descr"])
        except TypeError:
            return f"holds {header['descr']}, not float, int or uint"
        shape = tuple(int(side) for side in re.findall(r"\d+", header["shape"]))
        if len(shape) > 32:
            return f"has {len(shape)} axes"
        fortran = header["fortran"] == "True"
        return Member(name.removesuffix(".npy"), dtype, shape, fortran, begin + length)

    def plain(self) -> dict[str, Member]:
        """The arrays that can be read, by name."""
        return {name: each for name, each in self.members.items() if isinstance(each, Member)}

    def numbers(self, name: str, *, text: bool = False) -> Member:
        """The array of this name, unpacked into a file of its own.

        Args:
            name: without ".npy".
            text: whether it may hold texts instead of numbers.

        Raises:
            Refused: it is not there, not of plain numbers, or not as large as it says.
        """
        if name not in self.members:
            present = ", ".join(list(self.members)[:8]) or "nothing"
            raise Refused(f"has no array {name!r}; it holds {present}")
        member = self.members[name]
        if isinstance(member, str):
            raise Refused(f"{name!r} {member}")
        if member.dtype.kind in "SU" and not text:
            raise Refused(f"{name!r} holds {member.dtype.str}, not float, int or uint")
        self.budget -= member.size
        if self.budget < 0:
            raise Refused(
                f"{name!r} declares {member.size} bytes, which is more than can be in a file of "
                f"this size"
            )
        member.path = self.folder / f"unpacked.{len(list(self.folder.iterdir()))}"
        whole, count = member.start + member.size, 0
        with member.path.open("xb") as target:
            for block in unpacked(self.archive, f"{name}.npy", whole + MIB):
                count += target.write(block)
                if count > whole:
                    break
        if count != whole:
            held = "more" if count > whole else "fewer"
            raise Refused(f"{name!r} holds {held} bytes than its header says")
        return member

    def close(self) -> None:
        """Remove what was unpacked."""
        for member in self.plain().values():
            if member.path.name:
                member.path.unlink()
