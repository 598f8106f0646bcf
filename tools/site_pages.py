"""Lay out the pages of the documentation site: the repository's own, where they are, and the API.

    python -m tools.site_pages FOLDER

Pages stay as they are and keep their places, so their links lead where they lead in the repository.
What they link to beside pages, pictures and source, is copied with them. `zensical.toml` has the
pages in their order; each of them is taken, and of a folder that it does not name, nothing.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import goodnet

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "docs/reference.md"  # is made here
STYLE = "docs/site.css"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def main(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = set(pages_of(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    waiting, known = [*pages - {REFERENCE}, STYLE], set[str]()
    while waiting:
        if (name := waiting.pop()) not in known:
            known.add(name)
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            if name in pages:
                waiting += linked(ROOT / name)
    (folder / REFERENCE).write_text(reference())


def pages_of(nav: list[Any]) -> Iterator[str]:
    """The pages of a table of contents, in their order."""
    for entry in nav:
        for each in entry.values():
            yield from pages_of(each) if isinstance(each, list) else [each]


def linked(page: Path) -> Iterator[str]:
    """The files of the repository that a page links to; what is not there the build will name."""
    for address in LINK.findall(page.read_text()):
        target = (page.parent / address).resolve()
        if "://" not in address and target.is_file() and target.is_relative_to(ROOT):
            yield target.relative_to(ROOT).as_posix()


def reference() -> str:
    """The page of all names of `import goodnet`, from their docstrings."""
    kinds = {"Verbs": str.islower, "Things": lambda name: not name.islower()}
    parts = ["# Reference", "All names of `import goodnet`; [the API](api.md) has them in short."]
    for kind, belongs in kinds.items():
        names = sorted(filter(belongs, goodnet.__all__))
        parts += [f"## {kind}", *(f"::: goodnet.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
