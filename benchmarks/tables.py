"""Make all tables of measured numbers in the documents from the files in `benchmarks/results/`.

In every Markdown file of the project, what stands between `<!-- table: NAME -->` and `<!-- end -->`
is replaced by the table of that name. Needs no TensorFlow.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import leaderboard_page, repair_tables, verdict_tables
from benchmarks.records import load
from benchmarks.selection import Networks

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("*.md", "docs/**/*.md", "benchmarks/*.md")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
TABLES: dict[str, Callable[[Networks], str]] = {
    **verdict_tables.TABLES,
    **repair_tables.TABLES,
    **leaderboard_page.TABLES,
}


def render(text: str, networks: Networks) -> str:
    """The text with its tables made anew.

    Raises:
        KeyError: it names a table that does not exist.
    """
    return MARKED.sub(lambda m: f"{m[1]}{TABLES[m[2]](networks)}\n{m[3]}", text)


def documents() -> list[Path]:
    """All Markdown files that may hold tables."""
    return sorted(path for pattern in DOCUMENTS for path in PROJECT.glob(pattern))


def main() -> None:
    """Write every document whose tables have changed."""
    argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__).parse_args()
    networks = load()
    leaderboard_page.draw()
    for path in documents():
        before = path.read_text()
        after = render(before, networks)
        if after != before:
            path.write_text(after)
            print(f"wrote {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
