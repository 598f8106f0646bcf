"""Inputs opened once in a process, however many of its tasks need them."""

from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

from goodnet.errors import DataRefused, InputRefused, ModelRefused
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_VALID
from tasks.references import SuspectFile

if TYPE_CHECKING:  # these import TensorFlow, which a cached run never pays for
    from goodnet.datasets.dataset import CleanDataset, Dataset
    from goodnet.network.suspect import Suspect
    from goodnet.pruning.split import Split

_ONE_AT_A_TIME = RLock()


def suspect(file: SuspectFile) -> "Suspect":
    """The opened suspect; the same object for the same file.

    Raises:
        ModelRefused: it cannot be opened, or is not the file it was.
    """
    with _ONE_AT_A_TIME:
        return _suspect(file)


def split(file: SuspectFile, layer: str) -> "Split":
    """The suspect, split at the layer."""
    with _ONE_AT_A_TIME:
        return _split(file, layer)


def clean_valid(data: DataFile, network: "Suspect") -> "CleanDataset":
    """The clean validation set, opened for a suspect: what chooses or trains may take it.

    Raises:
        DataRefused: it cannot be opened, does not fit, or is not the file it was.
    """
    with _ONE_AT_A_TIME:
        return _clean_valid(data, network.input_shape, network.classes)


def dataset(data: DataFile, network: "Suspect", role: str) -> "Dataset":
    """The data set of any role, to be measured on; the clean validation set is the same object.

    Raises:
        DataRefused: as above.
    """
    if role == CLEAN_VALID:
        return clean_valid(data, network)
    with _ONE_AT_A_TIME:
        return _dataset(data, network.input_shape, network.classes)


@lru_cache(maxsize=2)
def _suspect(file: SuspectFile) -> "Suspect":
    from goodnet.network.suspect import open_suspect

    described = file.architecture
    architecture = described if isinstance(described, str) else described.uri
    opened = open_suspect(file.model.uri, architecture=architecture)
    _check(opened.sha256, file.model, ModelRefused)
    return opened


@lru_cache(maxsize=2)
def _split(file: SuspectFile, layer: str) -> "Split":
    from goodnet.pruning.split import Split

    return Split(_suspect(file), layer)


@lru_cache(maxsize=8)
def _dataset(data: DataFile, input_shape: Any, classes: int) -> "Dataset":
    from goodnet.datasets.dataset import open_dataset

    images = open_dataset(data.uri, input_shape=input_shape, classes=classes, reading=data.reading)
    _check(images.sha256, data.stored, DataRefused)
    return images


@lru_cache(maxsize=2)
def _clean_valid(data: DataFile, input_shape: Any, classes: int) -> "CleanDataset":
    from goodnet.datasets.dataset import open_clean_dataset

    images = open_clean_dataset(
        data.uri, input_shape=input_shape, classes=classes, reading=data.reading
    )
    _check(images.sha256, data.stored, DataRefused)
    return images


def _check(sha256: str, stored: StoredFile, refused: type[InputRefused]) -> None:
    """Refuse what is not the file it was: `sha256` is that of the copy that was opened."""
    if sha256 != stored.sha256:
        raise refused(stored.uri, "changed while it was being worked on; start the repair again")
