"""The gate in front of a deployed model: the class of an image, or that it is backdoored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from goodnet.datasets.dataset import open_dataset
from goodnet.errors import DataRefused, ModelRefused
from goodnet.files import formats
from goodnet.files.regular import open_regular
from goodnet.files.storage import local_file
from goodnet.network.goodnet import input_preprocessing
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import Preprocessing

MOST_PIXELS = 64_000_000
LARGEST_PICTURE = 8 * MOST_PIXELS  # bytes: RGBA of 16 bits, not compressed
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Answer(NamedTuple):
    """The answer for one image.

    Attributes:
        image: its file, with the row for an HDF5 file.
        answer: the class, or "backdoored".
    """

    image: str
    answer: int | str

    def __str__(self) -> str:
        return f"{self.image}: {self.answer}"


def screen(goodnet: str, images: Sequence[str]) -> Iterator[Answer]:
    """The GoodNet's answer for each image, or row of an HDF5 file.

    Args:
        goodnet: a GoodNet file of a repair, a path or an `s3://` URI. It is opened like any
            suspect.
        images: PNG or JPEG files, fitted to the network's size, or HDF5 files with `data`;
            paths or URIs.

    Raises:
        ModelRefused: the file is no GoodNet.
        DataRefused: an image cannot be read.
    """
    opened = open_suspect(goodnet)
    preprocessing = _preprocessing_of(goodnet, opened)
    for source in images:
        if source.lower().endswith(formats.suffixes("dataset")):
            yield from _screen_rows(opened, source, preprocessing)
        else:
            pixels = preprocessing.apply_to_pixels(_picture(source, opened), 255.0)
            yield Answer(source, _answers(opened, pixels[None])[0])


def _screen_rows(goodnet: Suspect, source: str, preprocessing: Preprocessing) -> Iterator[Answer]:
    dataset = open_dataset(source, input_shape=goodnet.input_shape, classes=goodnet.classes)
    for rows, block in dataset.blocks(preprocessing):
        for row, answer in enumerate(_answers(goodnet, block), start=rows.start):
            yield Answer(f"{dataset.source}[{row}]", answer)


def _preprocessing_of(path: str, goodnet: Suspect) -> Preprocessing:
    """The preprocessing, which a GoodNet's input layer is named after."""
    preprocessing = input_preprocessing(goodnet.plan.inputs[0].layer)
    if preprocessing is None or preprocessing.channels not in (1, goodnet.input_shape[2]):
        raise ModelRefused(path, "is not a GoodNet written by a repair")
    return preprocessing


def _answers(goodnet: Suspect, images: NDArray[np.float32]) -> list[int | str]:
    backdoored = goodnet.classes - 1
    classes = np.asarray(goodnet.network(images)).argmax(axis=1)
    return ["backdoored" if c == backdoored else int(c) for c in classes]


def _picture(source: str, goodnet: Suspect) -> NDArray[np.float32]:
    """A picture file's pixels, 0..255, at the size of the network's images."""
    height, width, channels = goodnet.input_shape
    with (
        local_file(source, DataRefused, LARGEST_PICTURE) as path,
        open_regular(path, DataRefused) as file,
    ):
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataRefused(source, f"has more than {MOST_PIXELS} pixels")
                fitted = picture.convert(MODES[channels])
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as fault:
            raise DataRefused(source, f"is not a readable PNG or JPEG ({fault})") from None
    size = (width or fitted.width, height or fitted.height)
    if fitted.size != size:
        fitted = fitted.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(fitted, dtype=np.float32).reshape(size[1], size[0], channels)
