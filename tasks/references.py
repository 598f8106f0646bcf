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
    """A suspect at the pixel scale that it was trained at, split at the layer that is pruned."""

    suspect: SuspectFile
    scale: Preprocessing
    layer: str
