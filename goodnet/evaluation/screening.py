"""The gate in front of a deployed model: the class of an image, or that it is backdoored."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.class_names import name_of
from goodnet.datasets.dataset import Dataset, open_unlabelled
from goodnet.errors import DataRefused, ModelRefused, RequestRefused, one_line
from goodnet.files import folders, formats, paths, storage
from goodnet.files.class_names import LONGEST_LIST, listed_names, read_class_names
from goodnet.files.reading import WHOLE, Reading
from goodnet.network.goodnet import input_preprocessing
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import Preprocessing
from goodnet.sandbox.process import BROKEN

AT_ONCE = 64  # pictures that one reader process decodes
DARK = 10  # of 255: no photograph is so dark, but pixels 0..1 taken for 0..255 are


class Answer(NamedTuple):
    """The answer for one image.

    Attributes:
        file: its file.
        answer: the class, or "backdoored"; None if there is no answer.
        fault: why there is none.
        row: its place in an HDF5 file or an archive.
        name: what the class is called, if that is known.
        dark: whether no pixel reaches DARK: then it may be at another scale.
    """

    file: str
    answer: int | str | None
    fault: str | None = None
    row: int | None = None
    name: str | None = None
    dark: bool = False

    @property
    def image(self) -> str:
        """The file, with the row if it has several."""
        return self.file if self.row is None else f"{self.file}[{self.row}]"

    def __str__(self) -> str:
        if self.answer is None:
            return f"{self.image}: {self.fault}"
        return f"{self.image}: {self.answer}" + (f", {self.name}" if self.name else "")

    def as_json(self) -> dict[str, Any]:
        """For machines: what it is, and the answer or the fault."""
        said: dict[str, Any] = {"image": self.image, "file": self.file, "row": self.row}
        if self.fault is not None:
            return {**said, "fault": self.fault}
        label = self.answer if isinstance(self.answer, int) else None
        return {
            **said,
            "answer": self.answer,
            "class": label,
            "class_name": self.name,
            "backdoored": label is None,
            "nearly_black": self.dark,
        }


def screen(
    goodnet: str,
    images: Iterable[str],
    *,
    names: str | None = None,
    reading: Reading = WHOLE,
) -> Iterator[Answer]:
    """The GoodNet's answer for each image, or row of a data set; or why there is none.

    Args:
        goodnet: a GoodNet file of a repair, a path or an `s3://` URI. It is opened like any
            suspect.
        images: pictures and folders of pictures, brought to the network's size as Keras does it,
            and HDF5 files and `.npz` archives with images; paths or URIs.
        names: a file with the name of each class in a line, like `class_names.txt`.
        reading: how images are read.

    Raises:
        ModelRefused: the file is no GoodNet.
        RequestRefused: there is not a name for each class.
        OSError: object storage does not answer, or does not let us in.
    """
    opened = open_suspect(goodnet)
    count = opened.classes - 1
    called = read_names(names, count) if names else names_beside(goodnet, count)
    preprocessing = _preprocessing_of(goodnet, opened)
    for answer in _answered(opened, images, preprocessing, reading):
        label = answer.answer
        name = name_of(label, called) if isinstance(label, int) else ""
        yield answer._replace(name=name or None)


def read_names(uri: str, classes: int) -> tuple[str, ...]:
    """The names of the classes, one in a line; Teachable Machine's begin with their numbers.

    Raises:
        RequestRefused: there are not as many.
        OSError: they could not be read.
    """
    content = b"".join(storage.blocks(uri, RequestRefused, LONGEST_LIST))
    names = tuple(listed_names(content))
    if len(names) != classes:
        raise RequestRefused(uri, f"has {len(names)} names and the GoodNet {classes} classes")
    return names


def names_beside(goodnet: str, classes: int) -> tuple[str, ...]:
    """What the classes are called, where a repair has left that beside the GoodNet.

    Args:
        goodnet: the GoodNet file: in a folder of a repair, or copied to one with the list.
        classes: how many names there have to be.
    """
    folder = storage.parent(goodnet)
    repair = storage.parent(folder)
    for place, needed in ((folder, paths.CLASS_NAMES), (repair, paths.MANIFEST)):
        uri = storage.join(place, paths.CLASS_NAMES)
        with suppress(OSError, DataRefused):  # it is of use, not needed
            if storage.exists(storage.join(place, needed)) and storage.exists(uri):
                names = read_class_names(b"".join(storage.blocks(uri, DataRefused, LONGEST_LIST)))
                if len(names) == classes:
                    return names
    return ()


def _answered(
    opened: Suspect, images: Iterable[str], preprocessing: Preprocessing, reading: Reading
) -> Iterator[Answer]:
    """The answers; pictures are read some at a time, and everything in order."""
    most = 1 if None in opened.input_shape else AT_ONCE
    waiting: list[str] = []
    for source in images:
        if source.lower().endswith(formats.suffixes("dataset")):
            yield from _screen_pictures(opened, waiting, preprocessing, reading)
            waiting = []
            yield from _screen_rows(opened, source, preprocessing, reading)
            continue
        try:
            waiting += folders.every_picture(source) if folders.is_set(source) else [source]
        except DataRefused as fault:
            yield from _screen_pictures(opened, waiting, preprocessing, reading)
            waiting = []
            yield Answer(fault.source, None, fault.fault)
        while len(waiting) >= most:
            yield from _screen_pictures(opened, waiting[:most], preprocessing, reading)
            waiting = waiting[most:]
    yield from _screen_pictures(opened, waiting, preprocessing, reading)


def _screen_rows(
    goodnet: Suspect, source: str, preprocessing: Preprocessing, reading: Reading
) -> Iterator[Answer]:
    """The answers for the rows of a data set."""
    try:
        dataset, _ = open_unlabelled(source, input_shape=goodnet.input_shape, reading=reading)
        for row, (answer, dark) in enumerate(_all_answers(goodnet, dataset, preprocessing)):
            yield Answer(dataset.source, answer, row=row, dark=dark)
    except DataRefused as fault:
        yield Answer(fault.source, None, fault.fault)


def _screen_pictures(
    goodnet: Suspect, sources: Sequence[str], preprocessing: Preprocessing, reading: Reading
) -> Iterator[Answer]:
    """The answers for pictures; one that breaks the reader process does not take others along."""
    if not sources:
        return
    try:
        answers = _read_and_answer(goodnet, sources, preprocessing, reading)
    except DataRefused as fault:
        if len(sources) == 1:
            yield Answer(one_line(sources[0]), None, fault.fault)
            return
        for source in sources:
            yield from _screen_pictures(goodnet, [source], preprocessing, reading)
        return
    yield from answers


def _read_and_answer(
    goodnet: Suspect, sources: Sequence[str], preprocessing: Preprocessing, reading: Reading
) -> list[Answer]:
    """An answer or a fault for each picture.

    Raises:
        DataRefused: the pictures broke the reader process.
    """
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        stream = Path(folder) / "pictures"
        unread = {n: fault.fault for n, fault in folders.write_pictures(sources, stream).items()}
        there = [number for number in range(len(sources)) if number not in unread]
        answers: list[tuple[int | str, bool]] = []
        if there:
            shape = goodnet.input_shape
            dataset, faults = open_unlabelled(stream, input_shape=shape, reading=reading)
            if len(dataset) != len(there):
                raise DataRefused(stream, BROKEN)
            unread |= {there[row]: fault for row, fault in faults.items()}
            answers = list(_all_answers(goodnet, dataset, preprocessing))
    by_number = dict(zip(there, answers, strict=True))
    return [
        Answer(one_line(source), None, one_line(unread[number]))
        if number in unread
        else Answer(one_line(source), by_number[number][0], dark=by_number[number][1])
        for number, source in enumerate(sources)
    ]


def _preprocessing_of(path: str, goodnet: Suspect) -> Preprocessing:
    """The preprocessing, which a GoodNet's input layer is named after."""
    preprocessing = input_preprocessing(goodnet.written.inputs[0].layer)
    if preprocessing is None or preprocessing.channels not in (1, goodnet.input_shape[2]):
        raise ModelRefused(path, "is not a GoodNet written by a repair")
    return preprocessing


def _all_answers(
    goodnet: Suspect, dataset: Dataset, preprocessing: Preprocessing
) -> Iterator[tuple[int | str, bool]]:
    """For each image the answer, and whether it is nearly black."""
    limit = dataset.black + DARK / 255 * (dataset.white - dataset.black)
    for rows, block in dataset.blocks(preprocessing):
        brightest = dataset.pixels[rows].max(axis=(1, 2, 3))
        yield from zip(_answers(goodnet, block), (brightest < limit).tolist(), strict=True)


def _answers(goodnet: Suspect, images: NDArray[np.float32]) -> list[int | str]:
    backdoored = goodnet.classes - 1
    classes = np.asarray(goodnet.network(images)).argmax(axis=1)
    return ["backdoored" if c == backdoored else int(c) for c in classes]
