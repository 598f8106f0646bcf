"""Findings as tables: the CSV files that other tools read, and text for people."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from goodnet.evaluation import columns
from goodnet.evaluation.results import EvaluationRow
from goodnet.metrics import Proportion
from goodnet.pruning.curve import Curve
from goodnet.report.findings import PruningResult

CURVE_COLUMNS = ("order", "k", "channel", "fraction", "clean_accuracy", "attack_success")
OLDEST = 4  # columns of the evaluation, whose values and intervals stand together
NAMES = {"suspect": "suspect", "repaired": "repaired", "goodnet": "GoodNet"}
WORDS = {
    "ascending": "quietest channels first (ascending)",
    "descending": "loudest channels first (descending)",
}

Cell = str | int | float


def curves_csv(curves: Sequence[Curve]) -> str:
    """The text of `curves.csv`: a row for each order and k, shares 0..1 in full precision."""
    return _csv(CURVE_COLUMNS, (row for curve in curves for row in _curve_rows(curve)))


def _curve_rows(curve: Curve) -> Iterable[tuple[Cell, ...]]:
    success = curve.attack_success
    for k, fraction in enumerate(curve.fractions):
        channel = curve.order.channels[k - 1] if k else ""
        attack = success[k] if success else ""
        yield curve.order.direction, k, channel, fraction, curve.clean_accuracy[k], attack


def evaluation_csv(rows: Sequence[EvaluationRow]) -> str:
    """The text of `evaluation.csv`: a row for each network; a share that is not known is empty.

    What is added to a table stands at its end: columns behind the first four bring their interval
    with them.
    """
    return _csv(evaluation_columns(), map(_evaluation_row, rows))


def evaluation_columns() -> list[str]:
    """The heads of `evaluation.csv`."""
    first, later = _names()
    heads = ["model", "order", "drop", "channels_pruned", *first, "clean_count", "poisoned_count"]
    heads += [f"{name}_{end}" for name in first for end in ("low", "high")]
    return heads + [f"{name}{end}" for name in later for end in ("", "_low", "_high")]


def _names() -> tuple[list[str], list[str]]:
    """The columns whose values and intervals stand together, and those added later."""
    names = [column.name for column in columns.COLUMNS]
    return names[:OLDEST], names[OLDEST:]


def _evaluation_row(row: EvaluationRow) -> tuple[Cell, ...]:
    (first, later), clean, attack = _names(), row.shares["clean_accuracy"], row.attack_success
    return (
        *(row.kind, *_identity(row), row.repaired.pruned if row.repaired else 0),
        *(_value(row.shares[name]) for name in first),
        *(clean.count if clean else "", attack.count if attack else ""),
        *(end for name in first for end in _ends(row.shares[name])),
        *(n for name in later for n in (_value(row.shares[name]), *_ends(row.shares[name]))),
    )


def _identity(row: EvaluationRow) -> tuple[str, str]:
    """The repaired model's order or method, and its drop, as they stand in tables."""
    return (row.repaired.label, row.repaired.drop or "") if row.repaired else ("", "")


def _value(share: Proportion | None) -> Cell:
    return share.value if share else ""


def _ends(share: Proportion | None) -> tuple[Cell, Cell]:
    return (share.low, share.high) if share else ("", "")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def results_table(findings: PruningResult) -> str:
    """The evaluation as fixed-width text, and below it a line for each drop not reached."""
    table = evaluation_table(findings.evaluation, findings.model.channels)
    return "\n".join([table, *not_reached(findings.curves)])


def evaluation_table(evaluation: Sequence[EvaluationRow], channels: int) -> str:
    """The evaluation as fixed-width text; `channels` is how many the pruned layer has."""
    suspect = evaluation[0].shares
    tested = {column.images for column in columns.COLUMNS if suspect[column.name]}
    brief = [column for column in columns.COLUMNS if column.brief and column.images in tested]
    rows = [["model", "order", "drop", "pruned", *(column.title for column in brief)]]
    for row in evaluation:
        pruned = row.repaired.pruned if row.repaired else 0
        cells = [NAMES[row.kind], *_identity(row), f"{pruned} of {channels}"]
        rows.append([*cells, *(_short(row.shares[column.name]) for column in brief)])
    return "\n".join(_aligned(rows))


def not_reached(curves: Sequence[Curve]) -> list[str]:
    """A sentence for each drop that a curve does not reach, with the largest fall seen."""
    return [
        f"Drop {drop.points} was not reached ({curve.order.direction}): the largest fall of clean "
        f"validation accuracy seen is {points(drop.largest)} points."
        for curve in curves
        for drop in curve.drops
        if drop.k is None
    ]


def _short(share: Proportion | None) -> str:
    return percent(share.value) if share else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first two columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def percent(share: float) -> str:
    """A share as "82.5 %"; what is not exactly all or nothing never reads as such."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    for digits in (1, 2, 3, 4):
        text = f"{100 * share:.{digits}f}"
        if float(text) not in (0, 100):
            return f"{text} %"
    return "under 0.0001 %" if share < 0.5 else "over 99.9999 %"


def counted(share: Proportion) -> str:
    """A share with its count and 95 % interval: "85 of 103 = 82.5 % (74.1 to 88.7 %)"."""
    return f"{share.hits} of {share.count} = {percent(share.value)} ({interval(share)})"


def interval(share: Proportion) -> str:
    """The 95 % interval of a share: "74.1 to 88.7 %"."""
    return f"{percent(share.low).removesuffix(' %')} to {percent(share.high)}"


def points(fall: float) -> str:
    """A fall in points, cut, not rounded, to two digits: 1.999 has not reached 2."""
    return f"{math.floor(100 * fall + 1e-6) / 100:.2f}"


def set_name(role: str) -> str:
    """A data set's role in words: "clean validation set"."""
    return f"{role.replace('valid', 'validation')} set"
