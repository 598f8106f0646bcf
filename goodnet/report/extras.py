"""The files of a repair that are made with packages which only an extra brings."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final, NamedTuple

from goodnet.files import paths


class Extra(NamedTuple):
    """A file, the package that makes it, and what `pip install 'goodnet[NAME]'` calls it."""

    file: str
    package: str
    name: str


EXTRAS: Final = (Extra(paths.REPORT_PDF, "typst", "pdf"), Extra(paths.BOM, "cyclonedx", "bom"))


def extra_files() -> tuple[str, ...]:
    """The files that can be made here."""
    return tuple(extra.file for extra in EXTRAS if find_spec(extra.package))


def missing_files() -> Iterator[str]:
    """A line for each file that cannot be made here, with what to install for it."""
    for extra in EXTRAS:
        if extra.file not in extra_files():
            yield f"no {extra.file}: it needs {extra.package}, pip install 'goodnet[{extra.name}]'"
