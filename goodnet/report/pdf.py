"""The report as a PDF file: what `report.html` says, typeset, behind a cover.

Typst sets it, by templates/report.typ. All that it sets is handed over as data, a tree of the
Markdown's tokens, and never as source, so no name can be read as markup or code. The same report
gives the same bytes: fonts are Typst's own and matplotlib's, and no clock is asked.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from markdown_it.tree import SyntaxTreeNode

from goodnet.errors import one_line
from goodnet.files import paths
from goodnet.report.conclusion import headline
from goodnet.report.document import LONGEST, parsed
from goodnet.report.figures import FONT, drawable, font_folder
from goodnet.report.findings import RepairResult
from goodnet.report.manifest import versions
from goodnet.report.pictures import Picture
from goodnet.report.prose import TEMPLATES
from goodnet.report.recommendation import recommend
from goodnet.report.tables import set_name
from goodnet.report.thumbnail import evidence

TEMPLATE: Final = "report.typ"
SUFFIX: Final = ".png"
FACT_LIMIT: Final = 160  # characters of a line of the cover; the pages behind it have all
LETTERS: Final = f"a “?” may stand for a letter that the font lacks; {paths.REPORT_HTML} has it"


def report_pdf(findings: RepairResult, markdown: str, pictures: Sequence[Picture]) -> bytes:
    """The content of `report.pdf`.

    Args:
        findings: what the repair found, for the cover.
        markdown: from `report_markdown`.
        pictures: at least those that the Markdown shows.

    Raises:
        KeyError: the Markdown shows a picture that is not given.
    """
    import typst

    files = {picture.file: f"{place}{SUFFIX}" for place, picture in enumerate(pictures)}
    shown = evidence(pictures)
    content = {
        "cover": _cover(
            findings, files[shown.file] if shown else "", drawable(markdown) != markdown
        ),
        "body": [_node(child, files) for child in SyntaxTreeNode(parsed(markdown)[0]).children],
        "font": FONT,
    }
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        for picture in pictures:
            Path(folder, files[picture.file]).write_bytes(picture.png)
        Path(folder, "report.json").write_text(json.dumps(content), encoding="utf-8")
        source = Path(folder, TEMPLATE)
        source.write_text(_template(), encoding="utf-8")
        pdf: bytes = typst.compile(
            str(source), root=folder, font_paths=[font_folder()], ignore_system_fonts=True
        )
        return pdf


def _template() -> str:
    (folder,) = TEMPLATES.searchpath
    return Path(folder, TEMPLATE).read_text(encoding="utf-8")


def _cover(findings: RepairResult, picture: str, replaced: bool) -> dict[str, Any]:
    """What stands on the first page.

    Args:
        findings: what the repair found.
        picture: the file of the evidence; empty where there is none.
        replaced: whether the report has letters that the font lacks.
    """
    model, answer = findings.model, recommend(findings).answer
    facts = [("suspect", model.uri), ("sha256", model.sha256)]
    for each in findings.sets:
        facts += [(set_name(each.role), each.uri), ("sha256", each.sha256)]
    facts.append(("made by", f"GoodNet {versions()['goodnet']}"))
    if replaced:
        facts.append(("letters", LETTERS))
    lines = {"name": model.name, "verdict": answer, "headline": headline(findings)}
    return {
        **{name: _text(line, LONGEST) for name, line in lines.items()},
        "facts": [[name, _text(value, FACT_LIMIT)] for name, value in facts],
        "picture": picture,
    }


def _node(node: SyntaxTreeNode, files: dict[str, str]) -> dict[str, Any]:
    """A node of the Markdown's tree, as the template reads it."""
    made: dict[str, Any] = {"type": node.type, "children": []}
    if node.type == "image":
        return made | {"file": files[str(node.attrs["src"])], "text": drawable(node.content)}
    if node.type in ("text", "code_inline"):
        return made | {"text": drawable(node.content)}
    if node.type == "heading":
        made["level"] = int(node.tag[1:])
    if node.type in ("th", "td"):
        made["right"] = "right" in str(node.attrs.get("style", ""))
    return made | {"children": [_node(child, files) for child in node.children]}


def _text(value: str, limit: int) -> str:
    return drawable(one_line(value, limit))
