"""The files that can be opened: one table, from which all else about their formats follows.

Endings, first bytes, the reader and its texts of refusal all come out of `FORMATS`. Both sides of
the sandbox may import this module: it names the readers and imports none.
"""

from typing import Literal, NamedTuple

from goodnet.errors import DataRefused, InputRefused, ModelRefused

Kind = Literal["model", "dataset"]

MIB = 1 << 20
REFUSAL: dict[Kind, type[InputRefused]] = {"model": ModelRefused, "dataset": DataRefused}


class Container(NamedTuple):
    """What a file is by its first bytes.

    Attributes:
        name: for messages: "HDF5".
        noun: the same with its article: "an HDF5 file".
        signature: how such a file begins.
    """

    name: str
    noun: str
    signature: bytes


class Format(NamedTuple):
    """A format that can be opened.

    Attributes:
        kind: what is in the file.
        container: how it begins.
        suffixes: endings of its files, the usual one first. A model must have one of them; a data
            set is known by its first bytes alone.
        reader: "module.function" of `goodnet.sandbox.reader`, which takes the file apart.
        largest: bytes of a file that is opened.
        saved_as: the ending, ".h5" or ".keras", of the models that are made from such a one.
        speed: bytes a second that are read of it at the least.
    """

    kind: Kind
    container: Container
    suffixes: tuple[str, ...]
    reader: str
    largest: int
    saved_as: str = ".keras"
    speed: int = 10 * MIB


HDF5 = Container("HDF5", "an HDF5 file", b"\x89HDF\r\n\x1a\n")
ZIP = Container("zip", "a zip archive", b"PK\x03\x04")
FOLDER = Container("folder", "a folder of class folders", b"GoodNet folder of pictures\n")

MOST_BLOCKS = 1024  # of 512 bytes before an HDF5 file's own content

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")  # endings, within a folder
CLASS_NAMES = ("class_names.txt", "labels.txt")  # the order of a folder's classes

FORMATS: tuple[Format, ...] = (
    Format("model", HDF5, (".h5", ".hdf5"), "models.read_hdf5", 4096 * MIB, ".h5"),
    Format("model", ZIP, (".keras",), "models.read_keras", 4096 * MIB),
    Format("dataset", HDF5, (".h5", ".hdf5"), "datasets.read_hdf5", 65536 * MIB),
    Format("dataset", ZIP, (".npz",), "datasets.read_npz", 65536 * MIB),
    Format("dataset", FOLDER, (), "images.read_folder", 65536 * MIB, speed=MIB),
)


def formats_of(kind: Kind) -> list[Format]:
    """The formats of a kind, in the table's order."""
    return [each for each in FORMATS if each.kind == kind]


def suffixes(kind: Kind) -> tuple[str, ...]:
    """The endings of all files of a kind, in lower case."""
    return tuple(suffix for each in formats_of(kind) for suffix in each.suffixes)


def largest(kind: Kind) -> int:
    """The size in bytes beyond which no file of a kind is opened."""
    return max(each.largest for each in formats_of(kind))


def longest_start(kind: Kind) -> int:
    """How many first bytes tell all formats of a kind from each other."""
    user_block = 512 * MOST_BLOCKS if kind == "dataset" else 0
    return user_block + max(len(each.container.signature) for each in FORMATS)


def recognise(uri: str, start: bytes, kind: Kind) -> Format:
    """The format of a file: by its first bytes, and of a model by its ending, too.

    Args:
        uri: the file's path or URI.
        start: its first bytes, at least `longest_start` of them if there are as many.
        kind: what it is to be.

    Raises:
        ModelRefused, DataRefused: it has no format of the kind.
    """
    if not start:
        raise REFUSAL[kind](uri, "is empty")
    same = [each for each in formats_of(kind) if start.startswith(each.container.signature)]
    if kind == "dataset":
        same += [
            each for each in formats_of(kind) if each.container == HDF5 and _after_block(start)
        ]
        if not same:
            *nouns, last = dict.fromkeys(each.container.noun for each in formats_of(kind))
            raise DataRefused(uri, f"is not {', '.join(nouns)} or {last}")
        return same[0]
    for each in same:
        if uri.lower().endswith(each.suffixes):
            return each
    *others, last = dict.fromkeys(each.container.name for each in formats_of(kind))
    noun = same[0].container.noun if same else f"neither {', '.join(others)} nor {last}"
    raise ModelRefused(uri, f"is {noun}, which does not fit the ending {_suffix(uri)!r}")


def _after_block(start: bytes) -> bool:
    """Whether HDF5 begins after a user block, whose length is 512 bytes times a power of two."""
    places = (512 << power for power in range(MOST_BLOCKS.bit_length()))
    return any(start.startswith(HDF5.signature, place) for place in places)


def _suffix(uri: str) -> str:
    name = uri.rpartition("/")[2]
    return f".{name.rpartition('.')[2]}".lower() if "." in name else ""
