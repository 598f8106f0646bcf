"""What tasks are given to find a network by: files and settings, never the network itself."""

from typing import NamedTuple

from goodnet.files.storage import StoredFile
from goodnet.preprocessing import Preprocessing


class SuspectFile(NamedTuple):
    """A suspect.

    Attributes:
        model: its file.
        architecture: "auto", "deepid", or the file that describes it.
    """

    model: StoredFile
    architecture: StoredFile | str


class SplitSuspect(NamedTuple):
    """A suspect with the preprocessing that it was trained with, split at the layer to prune."""

    suspect: SuspectFile
    preprocessing: Preprocessing
    layer: str
