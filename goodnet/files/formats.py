"""The files that can be opened: one table, from which all else about their formats follows.

Endings, first bytes, the reader and its texts of refusal all come out of `FORMATS`. Both sides of
the sandbox may import this module: it names the readers and imports none.
"""

from typing import Literal, NamedTuple

from goodnet.errors import DataRefused, InputRefused, ModelRefused, RequestRefused

Kind = Literal["model", "dataset", "settings", "architecture"]

MIB = 1 << 20
REFUSAL: dict[Kind, type[InputRefused]] = {
    "model": ModelRefused,
    "dataset": DataRefused,
    "settings": RequestRefused,
    "architecture": RequestRefused,
}


class Container(NamedTuple):
    """What a file is by its first bytes.

    Attributes:
        name: for messages: "HDF5".
        noun: the same with its article: "an HDF5 file".
        signature: how such a file begins.
        places: where in the file it may begin: behind a user block, for example.
    """

    name: str
    noun: str
    signature: bytes
    places: tuple[int, ...] = (0,)


class Format(NamedTuple):
    """A format that can be opened.

    Attributes:
        kind: what is in the file.
        container: how it begins.
        suffixes: endings by which its files are found in a folder, the usual one first. What a
            file is, its first bytes say.
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


USER_BLOCKS = tuple(512 << power for power in range(11))  # bytes, up to 512 KiB

HDF5 = Container("HDF5", "an HDF5 file", b"\x89HDF\r\n\x1a\n", (0, *USER_BLOCKS))
ZIP = Container("zip", "a zip archive", b"PK\x03\x04")
TOML = Container("TOML", "a TOML file", b"")
FOLDER = Container("folder", "a folder of class folders", b"GoodNet folder of pictures\n")
MODEL_FOLDER = Container("SavedModel", "a SavedModel folder", b"GoodNet folder of a model\n")

JSON = Container("JSON", "a JSON file", b"")  # however it begins

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")  # endings, within a folder
CLASS_NAMES = ("class_names.txt", "labels.txt")  # the order of a folder's classes

FORMATS: tuple[Format, ...] = (
    Format("model", HDF5, (".h5", ".hdf5", ".model"), "models.read_hdf5", 4096 * MIB, ".h5"),
    Format("model", ZIP, (".keras",), "models.read_keras", 4096 * MIB),
    Format("model", MODEL_FOLDER, (), "saved_model.read_folder", 4096 * MIB),
    Format("dataset", HDF5, (".h5", ".hdf5"), "datasets.read_hdf5", 65536 * MIB),
    Format("dataset", ZIP, (".npz",), "datasets.read_npz", 65536 * MIB),
    Format("dataset", FOLDER, (), "images.read_folder", 65536 * MIB, speed=MIB),
    Format("settings", TOML, (".toml",), "settings.read_toml", MIB),
    Format("architecture", JSON, (".json",), "models.read_json", 8 * MIB),
)

# What is often taken for one of these: where it has which bytes, and in words what to do.
OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a pointer to a file in Git LFS; fetch it with `git lfs pull`"),
    (0, b"<!DOCTYPE", "a web page; download the file itself"),
    (0, b"<html", "a web page; download the file itself"),
    (0, b"\xef\xbf\xbdHDF", "an HDF5 file that was saved as text, which destroyed it"),
    (0, b"\x1f\x8b", "packed with gzip; unpack it"),
    (0, b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"{", "JSON, without weights"),
    (0, b"\x80\x02", "a pickle (PyTorch's old files are), and opening one would run it"),
    (0, b"\x80\x03", "a pickle, and opening one would run it"),
    (0, b"\x80\x04", "a pickle, and opening one would run it"),
    (0, b"\x80\x05", "a pickle, and opening one would run it"),
    (4, b"TFL3", "a TensorFlow Lite model; give the Keras model that it was made from"),
    (0, b"\x08\x01\x12", "the graph of a SavedModel; give the folder that it is in"),
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


def telling_bytes() -> int:
    """How many first bytes tell all formats from each other."""
    return max(each.container.places[-1] + len(each.container.signature) for each in FORMATS)


def recognise(uri: str, start: bytes, kind: Kind) -> Format:
    """The format of a file, by its first bytes; whatever its name.

    Args:
        uri: the file's path or URI, for messages.
        start: its first bytes, at least `telling_bytes()` of them if there are as many.
        kind: what it is to be.

    Raises:
        InputRefused: it has no format of the kind.
    """
    if not start:
        raise REFUSAL[kind](uri, "is empty")
    for place in (0, *USER_BLOCKS):
        for form in formats_of(kind):
            container = form.container
            if place in container.places and start.startswith(container.signature, place):
                return form
    *nouns, last = dict.fromkeys(each.container.noun for each in formats_of(kind))
    fault = f"is not {', '.join(nouns)} or {last}"
    guess = next((words for place, held, words in OTHERS if start.startswith(held, place)), "")
    raise REFUSAL[kind](uri, f"{fault}: it is {guess}" if guess else fault)
