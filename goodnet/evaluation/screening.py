"""The gate in front of a deployed model: the class of an image, or that it is backdoored."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.dataset import open_unlabelled
from goodnet.errors import DataRefused, ModelRefused, one_line
from goodnet.files import folders, formats
from goodnet.network.goodnet import input_preprocessing
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.preprocessing import Preprocessing
from goodnet.sandbox.process import BROKEN

AT_ONCE = 64  # pictures that one reader process decodes


class Answer(NamedTuple):
    """The answer for one image.

    Attributes:
        image: its file, with the row for an HDF5 file or an archive.
        answer: the class, or "backdoored"; None if there is no answer.
        fault: why there is none.
    """

    image: str
    answer: int | str | None
    fault: str | None = None

    def __str__(self) -> str:
        return f"{self.image}: {self.fault if self.answer is None else self.answer}"

    def as_json(self) -> dict[str, Any]:
        """For machines: image and answer, or image and fault."""
        said = {"answer": self.answer} if self.fault is None else {"fault": self.fault}
        return {"image": self.image, **said}


def screen(goodnet: str, images: Sequence[str]) -> Iterator[Answer]:
    """The GoodNet's answer for each image, or row of a data set; or why there is none.

    Args:
        goodnet: a GoodNet file of a repair, a path or an `s3://` URI. It is opened like any
            suspect.
        images: pictures and folders of pictures, brought to the network's size as Keras does it,
            and HDF5 files and `.npz` archives with images; paths or URIs.

    Raises:
        ModelRefused: the file is no GoodNet.
        OSError: object storage does not answer, or does not let us in.
    """
    opened = open_suspect(goodnet)
    preprocessing = _preprocessing_of(goodnet, opened)
    most = 1 if None in opened.input_shape else AT_ONCE
    waiting: list[str] = []
    for source in images:
        if source.lower().endswith(formats.suffixes("dataset")):
            yield from _screen_pictures(opened, waiting, preprocessing)
            waiting = []
            yield from _screen_rows(opened, source, preprocessing)
            continue
        try:
            waiting += folders.every_picture(source) if folders.is_set(source) else [source]
        except DataRefused as fault:
            yield from _screen_pictures(opened, waiting, preprocessing)
            waiting = []
            yield Answer(fault.source, None, fault.fault)
        while len(waiting) >= most:
            yield from _screen_pictures(opened, waiting[:most], preprocessing)
            waiting = waiting[most:]
    yield from _screen_pictures(opened, waiting, preprocessing)


def _screen_rows(goodnet: Suspect, source: str, preprocessing: Preprocessing) -> Iterator[Answer]:
    """The answers for the rows of a data set."""
    try:
        dataset, _ = open_unlabelled(source, input_shape=goodnet.input_shape)
        for rows, block in dataset.blocks(preprocessing):
            for row, answer in enumerate(_answers(goodnet, block), start=rows.start):
                yield Answer(f"{dataset.source}[{row}]", answer)
    except DataRefused as fault:
        yield Answer(fault.source, None, fault.fault)


def _screen_pictures(
    goodnet: Suspect, sources: Sequence[str], preprocessing: Preprocessing
) -> Iterator[Answer]:
    """The answers for pictures; one that breaks the reader process does not take others along."""
    if not sources:
        return
    try:
        answers = _read_and_answer(goodnet, sources, preprocessing)
    except DataRefused as fault:
        if len(sources) == 1:
            yield Answer(one_line(sources[0]), None, fault.fault)
            return
        for source in sources:
            yield from _screen_pictures(goodnet, [source], preprocessing)
        return
    yield from answers


def _read_and_answer(
    goodnet: Suspect, sources: Sequence[str], preprocessing: Preprocessing
) -> list[Answer]:
    """An answer or a fault for each picture.

    Raises:
        DataRefused: the pictures broke the reader process.
    """
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        stream = Path(folder) / "pictures"
        unread = {n: fault.fault for n, fault in folders.write_pictures(sources, stream).items()}
        there = [number for number in range(len(sources)) if number not in unread]
        answers: list[int | str] = []
        if there:
            dataset, faults = open_unlabelled(stream, input_shape=goodnet.input_shape)
            if len(dataset) != len(there):
                raise DataRefused(stream, BROKEN)
            unread |= {there[row]: fault for row, fault in faults.items()}
            answers = [
                each
                for _, block in dataset.blocks(preprocessing)
                for each in _answers(goodnet, block)
            ]
    by_number = dict(zip(there, answers, strict=True))
    return [
        Answer(one_line(source), None, one_line(unread[number]))
        if number in unread
        else Answer(one_line(source), by_number[number])
        for number, source in enumerate(sources)
    ]


def _preprocessing_of(path: str, goodnet: Suspect) -> Preprocessing:
    """The preprocessing, which a GoodNet's input layer is named after."""
    preprocessing = input_preprocessing(goodnet.written.inputs[0].layer)
    if preprocessing is None or preprocessing.channels not in (1, goodnet.input_shape[2]):
        raise ModelRefused(path, "is not a GoodNet written by a repair")
    return preprocessing


def _answers(goodnet: Suspect, images: NDArray[np.float32]) -> list[int | str]:
    backdoored = goodnet.classes - 1
    classes = np.asarray(goodnet.network(images)).argmax(axis=1)
    return ["backdoored" if c == backdoored else int(c) for c in classes]
