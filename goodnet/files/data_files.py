"""Data sets by where they are and how they are read."""

from typing import NamedTuple

from goodnet.files.reading import WHOLE, Reading
from goodnet.files.storage import StoredFile


class DataSource(NamedTuple):
    """A data set that has not been read."""

    uri: str
    reading: Reading = WHOLE


class DataFile(NamedTuple):
    """A data set that has been read for its digest."""

    stored: StoredFile
    reading: Reading = WHOLE

    @property
    def uri(self) -> str:
        """Where it is."""
        return self.stored.uri

    @property
    def sha256(self) -> str:
        """The digest of its content."""
        return self.stored.sha256
