"""Findings as tables: the CSV files that other tools read, and text for people."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from goodnet.evaluation.results import EvaluationRow
from goodnet.metrics import Proportion
from goodnet.pruning.curve import Curve
from goodnet.report.findings import RepairResult

CURVE_COLUMNS = ("order", "k", "channel", "fraction", "clean_accuracy", "attack_success")
SHARES = ("clean_accuracy", "clean_flagged", "attack_success", "poisoned_flagged")
EVALUATION_COLUMNS = (
    *("model", "order", "drop", "channels_pruned", *SHARES, "clean_count", "poisoned_count"),
    *(f"{share}_{end}" for share in SHARES for end in ("low", "high")),
    *("poisoned_true_accuracy", "poisoned_true_accuracy_low", "poisoned_true_accuracy_high"),
)
NAMES = {"suspect": "suspect", "repaired": "repaired", "goodnet": "GoodNet"}
WORDS = {
    "ascending": "quietest channels first (ascending)",
    "descending": "loudest channels first (descending)",
}

MITIGATED_WORDS = {
    "unlearned": "Unlearned",
    "finepruned": "Fine-pruned",
}
HOW = {"unlearned": "unlearning", "finepruned": "fine-pruning"}

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


def evaluation_csv(results: Sequence[EvaluationRow]) -> str:
    """The text of `evaluation.csv`: a row for each model; a share that is not known is empty."""
    return _csv(EVALUATION_COLUMNS, map(_evaluation_row, results))


def _evaluation_row(result: EvaluationRow) -> tuple[Cell, ...]:
    where = result.repaired
    shares: list[Proportion | None] = [getattr(result, share) for share in SHARES]
    attack, true = result.attack_success, result.poisoned_accuracy
    return (
        result.model,
        where.direction if where else "",
        where.points if where else "",
        where.k if where else 0,
        *(share.value if share else "" for share in shares),
        result.clean_accuracy.count,
        attack.count if attack else "",
        *(end for share in shares for end in _ends(share)),
        true.value if true else "",
        *_ends(true),
    )


def _ends(share: Proportion | None) -> tuple[Cell, Cell]:
    return (share.low, share.high) if share else ("", "")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def results_table(findings: RepairResult) -> str:
    """The evaluation as fixed-width text, and below it a line for each drop not reached."""
    attacked = findings.results[0].attack_success is not None
    header = ["model", "order", "drop", "pruned", "clean accuracy"]
    header += ["ASR", "flagged poisoned"] if attacked else []
    rows = [[*header, "flagged clean"]]
    for result in findings.results:
        where = result.repaired
        row = [NAMES[result.model], where.direction if where else "", where.points if where else ""]
        row += [f"{where.k if where else 0} of {findings.model.channels}"]
        row += [_short(result.clean_accuracy)]
        if attacked:
            row += [_short(result.attack_success), _short(result.poisoned_flagged)]
        rows.append([*row, _short(result.clean_flagged)])
    return "\n".join([*_aligned(rows), *not_reached(findings.curves)])


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


def classes_in_words(classes: Sequence[int]) -> str:
    """ "class 3", or "classes 2 and 9"."""
    first = ", ".join(map(str, classes[:-1]))
    return f"classes {first} and {classes[-1]}" if first else f"class {classes[-1]}"
