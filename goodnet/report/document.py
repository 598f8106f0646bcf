"""The report: Markdown, and the same as one HTML file with its pictures inside.

Whatever the template prints is text, not markup, unless this module says otherwise: names come
out of the suspect, and a suspect is hostile.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from goodnet.errors import one_line
from goodnet.evaluation import columns
from goodnet.evaluation.columns import Column
from goodnet.evaluation.results import EvaluationRow, pruned_models
from goodnet.metrics import Proportion
from goodnet.pruning.curve import Curve
from goodnet.report.caveats import caveats
from goodnet.report.conclusion import conclude
from goodnet.report.findings import RepairResult
from goodnet.report.pictures import Picture
from goodnet.report.preprocessing_sentences import better_one, preprocessing_sentences
from goodnet.report.prose import FILTERS, TEMPLATES
from goodnet.report.tables import NAMES, WORDS, counted, not_reached, percent
from goodnet.report.verdict_sentence import verdict_sentence

LONGEST = 1000  # characters of a sentence
LISTED = 24  # channels that are named one by one
ALL, ENDS, AROUND = 16, 3, 2  # layers: all of so many, or those at both ends and around the pruned
NAME_LIMIT = 80

# What Markdown takes for markup within a line, GitHub's links without brackets included.
MARKUP = re.compile(r"[\\`*\[\]<>|&~$#@]|:(?=//)|(?<=www)\.|_(?![0-9A-Za-z])", re.IGNORECASE)


class Written(str):
    """Text that is Markdown already."""


def report_markdown(findings: RepairResult, pictures: Sequence[Picture]) -> str:
    """The text of `report.md`.

    Args:
        findings: what the repair found.
        pictures: those that there are; each is shown in its section.
    """
    text = (
        markdown_environment()
        .get_template("report.md.j2")
        .render(
            pictures_of=lambda section: [p for p in pictures if p.section == section],
            LISTED=LISTED,
            **_contents(findings),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def markdown_environment() -> Environment:
    """What templates of Markdown are rendered in: whatever they print is text, not markup."""
    environment = Environment(
        loader=TEMPLATES,
        finalize=_printed,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # it is Markdown, and `finalize` escapes it
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    return environment


def _printed(value: object) -> object:
    """What the template prints for a value: one line of text that is no markup."""
    return value if isinstance(value, Written) else as_markdown(value)


def as_markdown(text: object) -> str:
    """One line of text, whatever is in it, as Markdown that shows it."""
    return MARKUP.sub(r"\\\g<0>", one_line(text, LONGEST))


def _contents(findings: RepairResult) -> dict[str, Any]:
    """All that the template names."""
    model, suspect = findings.model, findings.evaluation[0]
    return {
        "findings": findings,
        "model": model,
        "preprocessing": findings.preprocessing,
        "is_best": better_one(findings.preprocessing) == "",
        "preprocessing_sentences": preprocessing_sentences(findings.preprocessing),
        "conclusion": conclude(findings),
        "caveats": caveats(findings),
        "shape": " x ".join("any" if side is None else str(side) for side in model.input_shape),
        "layers": _layers(model.layers, model.layer),
        "dead": findings.curves[0].order.dead,
        "ties": findings.curves[0].order.ties,
        "curves": [_curve(curve) for curve in findings.curves],
        "repaired": _repaired(findings),
        "missed": not_reached(findings.curves),
        "verdict": findings.verdict,
        "class_names": findings.verdict.class_names,
        "verdict_sentence": verdict_sentence(findings.verdict),
        "mitigation": findings.mitigation,
        "method": _method(findings),
        "clean": _evaluated(findings, "clean"),
        "poisoned": _evaluated(findings, "poisoned"),
        "compared": _compared(findings),
        "attacked": suspect.attack_success is not None,
        "true_known": suspect.poisoned_true_accuracy is not None,
    }


def _method(findings: RepairResult) -> str:
    """The mitigation method in words; empty where none was used."""
    return findings.mitigation.model.title.lower() if findings.mitigation else ""


def _layers(layers: Iterable[tuple[str, str]], pruned: str) -> list[tuple[str, str, str]]:
    """Name, kind and a note for each layer; of many the first, the last and those around it."""
    names = list(layers)
    place = next((i for i, (name, _) in enumerate(names) if name == pruned), 0)
    listed, rows = 0, []
    for i, (name, kind) in enumerate(names):
        end = min(i, len(names) - 1 - i)
        if len(names) <= ALL or end < ENDS or abs(i - place) <= AROUND:
            if i > listed:
                rows.append(("…", "", f"{i - listed} more"))
            rows.append((one_line(name, NAME_LIMIT), kind, "pruned" if i == place else ""))
            listed = i + 1
    return rows


def _curve(curve: Curve) -> dict[str, Any]:
    """A curve's heading, and where it ends."""
    return {
        "direction": curve.order.direction,
        "heading": WORDS[curve.order.direction].capitalize(),
        "clean_end": percent(curve.clean_accuracy[-1]),
        "attack_end": percent(curve.attack_success[-1]) if curve.attack_success else "",
    }


def _repaired(findings: RepairResult) -> list[dict[str, Any]]:
    """A row for each model made by pruning, with its files."""
    curves = {str(curve.order.direction): curve for curve in findings.curves}
    rows = []
    for model in pruned_models(findings.curves, findings.model.format):
        curve, k = curves[model.label], model.pruned
        rows.append(
            {
                "label": model.label,
                "drop": model.drop,
                "pruned": f"{k} of {findings.model.channels} = {percent(curve.fractions[k])}",
                "accuracy": counted(Proportion(curve.clean_correct[k], curve.clean_count)),
                "file": Written(f"`{model.model_file}`"),
                "goodnet": Written(f"`{model.goodnet_file}`"),
            }
        )
    return rows


def _evaluated(findings: RepairResult, images: str) -> dict[str, Any] | None:
    """The evaluation on one test set as heads and rows; a column without any number is left out."""
    rows = findings.evaluation
    columns_shown = [
        column
        for column in columns.COLUMNS
        if column.images == images and any(row.shares[column.name] for row in rows)
    ]
    if not columns_shown:
        return None
    return {
        "heads": [c.title for c in columns_shown],
        "rows": [_cells(row, columns_shown) for row in rows],
    }


def _cells(row: EvaluationRow, columns_shown: Sequence[Column]) -> dict[str, Any]:
    """A network's row; shares that do not apply are empty."""
    shares = [row.shares[column.name] for column in columns_shown]
    return {
        "model": NAMES[row.kind],
        "label": row.repaired.label if row.repaired else "",
        "drop": row.repaired.drop or "" if row.repaired else "",
        "pruned": row.repaired.pruned if row.repaired else 0,
        "shares": [counted(share) if share else "" for share in shares],
    }


def _compared(findings: RepairResult) -> list[dict[str, Any]]:
    """The pruned models by drop, where both orders have any."""
    columns_shown = [
        column
        for column in columns.COLUMNS
        if column.name in ("clean_accuracy", "attack_success")
        and findings.evaluation[0].shares[column.name]
    ]
    pruned = [
        row
        for row in findings.evaluation
        if row.kind == "repaired" and row.repaired and row.repaired.by_pruning
    ]
    rows = [_cells(row, columns_shown) for row in pruned]
    if len({row["label"] for row in rows}) < 2 or not columns_shown:
        return []
    return sorted(rows, key=lambda row: float(row["drop"]))


def parsed(markdown: str) -> tuple[list[Token], MarkdownIt]:
    """The tokens of the Markdown, without links and HTML, and what read them."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "autolink"])
    return reader.parse(markdown), reader


def report_html(markdown: str, pictures: Sequence[Picture]) -> str:
    """The text of `report.html`: the Markdown as one page that needs no other file.

    Args:
        markdown: from `report_markdown`.
        pictures: at least those that the Markdown shows.

    Raises:
        KeyError: the Markdown shows a picture that is not given.
    """
    addresses = {picture.file: picture.address for picture in pictures}
    tokens, reader = parsed(markdown)
    inline = [child for token in tokens for child in token.children or []]
    for image in (token for token in inline if token.type == "image"):
        image.attrs["src"] = addresses[str(image.attrs["src"])]
    body = reader.renderer.render(tokens, reader.options, {})
    title = "".join(child.content for child in tokens[1].children or [])
    page = Environment(loader=TEMPLATES, autoescape=True, undefined=StrictUndefined)
    safe = Markup(body)  # the reader lets no markup of the text through
    return page.get_template("page.html.j2").render(title=title, body=safe)
