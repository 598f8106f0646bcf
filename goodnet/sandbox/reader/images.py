"""Pictures decoded, and a folder of class folders taken apart as Keras' loader would.

Keras: `keras.utils.image_dataset_from_directory` for order, labels and size, `load_img` for modes.
"""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import (
    BmpImagePlugin,  # noqa: F401  imported now: later no other file can be read
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from goodnet.errors import one_line
from goodnet.files.class_names import LONGEST_LIST, listed_names
from goodnet.files.formats import CLASS_NAMES, FOLDER, PICTURES
from goodnet.files.reading import AUTO, METHODS, Reading
from goodnet.sandbox.reader.arrays import MIB, Refused
from goodnet.sandbox.reader.datasets import content
from goodnet.sandbox.reader.halves import SIDE, thumbnails
from goodnet.sandbox.reader.resizing import resized

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
MOST_PIXELS = 64_000_000
LONGEST_NAME = 4096
MOST_SAID = 8  # names of classes in a message
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Image.MAX_IMAGE_PIXELS = None  # `decoded` refuses more than MOST_PIXELS


class Piece(NamedTuple):
    """A file in the stream of a folder: see `goodnet.files.folders`."""

    name: str
    start: int
    size: int


def read_folder(
    path: Path,
    folder: Path,
    input_shape: Sequence[int | None],
    labelled: bool = True,
    reading: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The pictures in the stream of a folder, with the class that each one's folder stands for."""
    how = Reading.of(reading)
    if not labelled:
        return read_pictures(path, folder, input_shape, how)
    with path.open("rb") as file:
        found = list(pieces(file, path.stat().st_size))
        if how.target is not None:
            chosen = [each for each in found if each.name.lower().endswith(PICTURES)]
            if not chosen:
                raise Refused("has no pictures in it")
            pictures = Pictures(file, chosen, input_shape, how.resize)
            return content(pictures, {}, folder, input_shape, reading=how)
        if not any("/" in each.name for each in found):
            raise Refused("has no pictures in class folders, one folder for each class")
        lists = [each for each in found if each.name in CLASS_NAMES]
        folders = [each.name.rstrip("/") for each in found if each.name.endswith("/")]
        names = folders
        if how.classes:
            names = list(how.classes)
            check_folders(folders, names)
        for each in lists:
            names = class_names(piece_content(file, each), folders, each.name)
        numbers = {name: number for number, name in enumerate(names)}
        chosen = [each for each in found if each not in lists and not each.name.endswith("/")]
        labels = [numbers.get(each.name.partition("/")[0], -1) for each in chosen]
        if -1 in labels:
            raise Refused("is damaged: a picture in it lies in no class folder")
        pictures = Pictures(file, chosen, input_shape, how.resize)
        said = content(pictures, {"label": np.array(labels)}, folder, input_shape, reading=how)
    listed = bool(lists or how.classes)
    return {**said, "class_names": names, "names_from": "list" if listed else "folders"}


def read_pictures(
    path: Path, folder: Path, input_shape: Sequence[int | None], reading: Reading
) -> dict[str, Any]:
    """The pictures in a stream, each for itself: what is wrong with one is said beside the others.

    A picture that cannot be read is black here, and its row is in "faults", with the reason.
    """
    with path.open("rb") as file:
        found = list(pieces(file, path.stat().st_size))
        pictures = Pictures(file, found, input_shape, reading.resize, tolerant=True)
        said = content(pictures, {}, folder, input_shape)
    return {**said, "faults": list(pictures.faults.items())}


def pieces(file: Any, size: int) -> Iterator[Piece]:
    """What is in the stream."""
    if file.read(len(FOLDER.signature)) != FOLDER.signature:
        raise Refused("is not the stream of a folder")
    while head := file.read(4):
        length = int.from_bytes(head, "big")
        if not 0 < length <= LONGEST_NAME:
            raise Refused("is damaged: a name in it is too long")
        name = file.read(length).decode("utf-8", "backslashreplace")
        count = int.from_bytes(file.read(8), "big")
        start = file.tell()
        if start + count > size:
            raise Refused("is damaged: it ends within a file")
        yield Piece(name, start, count)
        file.seek(start + count)


def piece_content(file: Any, piece: Piece) -> bytes:
    """A file's bytes."""
    file.seek(piece.start)
    return bytes(file.read(piece.size))


def check_folders(folders: Sequence[str], names: Sequence[str]) -> None:
    """Nothing: each class folder is a class, by the clean images or as the suspect came with them.

    Raises:
        Refused: one is none.
    """
    strange = next((name for name in folders if name not in set(names)), None)
    if strange is not None:
        known = f"{', '.join(names[:MOST_SAID])}{', …' if len(names) > MOST_SAID else ''}"
        raise Refused(
            f"class folder {one_line(strange, 60)!r} is no class of the clean images or of "
            f"class_names, which are {one_line(known, 200)}"
        )


def class_names(text: bytes, folders: Sequence[str], source: str) -> list[str]:
    """The classes in a list's order, one a line; "0 cat", "1 dog" is Teachable Machine's way.

    Raises:
        Refused: a class folder is not in the list, or a name is in it twice.
    """
    if len(text) > LONGEST_LIST:
        raise Refused(f"{source} is larger than {LONGEST_LIST // MIB} MiB")
    names = listed_names(text, folders)
    if len(names) != len(set(names)):
        raise Refused(f"{source} lists {max(names, key=names.count)!r} twice")
    strange = [name for name in folders if name not in set(names)]
    if strange:
        raise Refused(f"class folder {strange[0]!r} is not in {source}")
    return names


class Pictures:
    """Pictures as images of one size, decoded when they are asked for."""

    dtype, ndim = np.dtype(np.uint8), 4  # what is in the files, whatever resizing makes of it

    def __init__(
        self,
        file: Any,
        chosen: Sequence[Piece],
        input_shape: Sequence[int | None],
        resize: str,
        tolerant: bool = False,
    ) -> None:
        self.file, self.pieces, self.tolerant = file, chosen, tolerant
        self.resize = METHODS[0] if resize == AUTO else resize
        self.faults: dict[int, str] = {}
        height, width, channels = input_shape
        self.mode, self.any_size = MODES.get(channels or 3, ""), None in (height, width)
        if not self.mode:
            raise Refused(f"pictures have no {channels} channels, which the model takes")
        self.size = height or 0, width or 0
        if self.any_size:
            first = self.picture(chosen[0])
            self.size = height or first.shape[0], width or first.shape[1]
        self.shape = len(chosen), *self.size, channels or 3

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, rows: slice) -> Any:
        return self.take(range(*rows.indices(len(self))))

    def take(self, rows: Iterable[int]) -> Any:
        """The images of these rows."""
        return np.stack([self.image(row) for row in rows])

    @property
    def names(self) -> list[str]:
        """What the pictures are called below their class folders."""
        return [piece.name.partition("/")[2] for piece in self.pieces]

    def thumbnails(self) -> Any:
        """Thumbnails of all pictures."""
        return np.concatenate(
            [thumbnails(self.picture(each, small=True)[None]) for each in self.pieces]
        )

    def image(self, row: int) -> Any:
        """The image of a row; if one may be, a broken one is black."""
        try:
            return self.fitted(self.pieces[row])
        except Refused as fault:
            if not self.tolerant:
                raise
            self.faults[row] = str(fault)
            return np.zeros(self.shape[1:], np.uint8)

    def picture(self, piece: Piece, *, small: bool = False) -> Any:
        """A picture's pixels, at least SIDE wide and high if it is to be small."""
        try:
            return decoded(piece_content(self.file, piece), self.mode, small=small)
        except Refused as fault:
            if self.tolerant:
                raise
            raise Refused(f"{one_line(piece.name, 150)} {fault}") from None

    def fitted(self, piece: Piece) -> Any:
        """The image of a picture; a network that takes any size takes the first one's."""
        picture = self.picture(piece)
        sides = picture.shape[:2]
        if self.any_size and sides != self.size:
            expected, held = (f"{width} x {height}" for height, width in (self.size, sides))
            raise Refused(
                f"{one_line(piece.name, 150)} has {held} pixels and the first picture {expected}; "
                f"the model takes any size, so give it pictures of one"
            )
        return resized(picture, *self.size, self.resize)


def decoded(content: bytes, mode: str, *, small: bool = False) -> Any:
    """A picture's pixels, uint8 (H, W, C), upright as its EXIF data say.

    Of 16 bits the upper 8 are taken; a palette and CMYK become RGB, alpha is dropped, colours
    become gray if the network takes gray images; of an animation it is the first frame. This is
    what Keras' `load_img` does, but for the turning and for 16 bits, which that clips.

    Args:
        content: the file's bytes.
        mode: Pillow's, "L", "RGB" or "RGBA".
        small: whether a JPEG may be decoded at an eighth of its size, as long as 4 * SIDE are left.

    Raises:
        Refused: it cannot be decoded, or is too large.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Refused(f"has more than {MOST_PIXELS} pixels")
            if small:
                picture.draft(None, (4 * SIDE, 4 * SIDE))
            picture.load()  # before its EXIF data are asked for, which hides a fault
            turn = TURNS.get(orientation(picture))
            upper: Image.Image = picture
            if picture.mode.startswith("I;16"):
                upper = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            elif picture.mode in ("I", "F"):
                raise Refused(f"holds pixels of Pillow's mode {picture.mode}")
            upright = upper.convert(mode)
        upright = upright.transpose(turn) if turn is not None else upright
        return np.asarray(upright).reshape(upright.height, upright.width, -1)
    except Refused:
        raise
    except MemoryError:
        raise Refused("needs more memory than decoding a picture may take") from None
    except Exception as fault:  # Pillow raises anything on a damaged file
        reason = one_line(fault, 100).replace("_io.BytesIO object", "picture")
        raise Refused(f"is not a readable picture ({type(fault).__name__}: {reason})") from None


def orientation(picture: Any) -> int:
    """The EXIF orientation, 1 where there is none that can be read."""
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data are none
        return 1
    return value if isinstance(value, int) else 1
