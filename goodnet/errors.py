"""What can be wrong with an input, as exceptions.

    GoodNetError
    └── InputRefused          names the file, the fault and the value received; never retried
        ├── ModelRefused      a suspect, an architecture or a GoodNet
        ├── DataRefused       a data set or a picture
        └── RequestRefused    the parameters of a repair

Faults that can pass (disk, network) stay what they are: `OSError`.
"""

import unicodedata

LINE_LIMIT = 400


def one_line(text: object, limit: int = LINE_LIMIT) -> str:
    """The text as one printable line of at most `limit` characters.

    Control, formatting and private characters, line breaks among them, become "?": text out of an
    input can then neither forge a log line nor steer a terminal.
    """
    line = "".join(
        "?" if unicodedata.category(char)[0] in "C" or char in "\u2028\u2029" else char
        for char in str(text)[: limit + 1]
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


def fault_line(fault: BaseException) -> str:
    """What is at fault and why, as one line; of an error of the operating system, too."""
    if isinstance(fault, OSError) and fault.filename and fault.strerror:
        return one_line(f"{fault.filename}: {fault.strerror}")
    return one_line(fault)


class GoodNetError(Exception):
    """Base of all errors that this package raises on purpose."""


class InputRefused(GoodNetError):
    """An input that cannot be used.

    Args:
        source: the file, folder or parameter at fault.
        fault: what is wrong with it, with the value received.
    """

    def __init__(self, source: object, fault: object) -> None:
        self.source = one_line(source)
        self.fault = one_line(fault)
        super().__init__(self.source, self.fault)

    def __str__(self) -> str:
        return f"{self.source}: {self.fault}"


class ModelRefused(InputRefused):
    """A model file that cannot be opened, or cannot be repaired."""


class DataRefused(InputRefused):
    """A data set or a picture that cannot be used."""


class RequestRefused(InputRefused):
    """Parameters that make no sense, alone or for this model."""
