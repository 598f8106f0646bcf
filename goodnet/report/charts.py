"""The curve and the evaluation as figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from goodnet.evaluation.results import EvaluationRow, RepairedModel
from goodnet.metrics import Proportion
from goodnet.pruning.curve import Curve, Drop
from goodnet.report.figures import (
    BLACK,
    BLUE,
    FONT,
    GREY,
    NORMAL,
    PALE,
    SKY,
    SMALL,
    VERMILLION,
    Axes,
    new_axes,
    new_figure,
    png,
    short_name,
    small_ticks,
    write,
)
from goodnet.report.tables import NAMES, WORDS, percent, points

HALO = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
BARS = {  # colour, edge and hatching
    "suspect": ("#b3b3b3", BLACK, ""),
    "repaired": (SKY, BLACK, ""),
    "goodnet": ("white", BLUE, "////"),
}
PLOT, LABELS = 4.3, 1.3  # inches: the width of a curve, and of the labels of bars
MOST, TURNED = 30, 0.033  # drops whose names fit below it, and how far apart when turned


def curve_figure(curve: Curve, model: str) -> bytes:
    """Clean accuracy, and ASR where known, against the channels pruned, with the drops marked.

    Args:
        curve: one order's curve.
        model: the suspect's name.
    """
    channels, poisoned = len(curve.order.channels), curve.attack_hits
    images = f"{curve.clean_count} clean"
    images += f" and {curve.poisoned_count} poisoned" if poisoned else ""
    subtitles = [f"{channels} channels; {images} validation images; shaded: 95 % intervals"]
    subtitles += [_missed(curve.drops)] if _missed(curve.drops) else []
    groups, top = _by_k(curve.drops), 0.95 + 0.17 * len(subtitles)
    title = f"Pruning {WORDS[curve.order.direction]}"
    figure = new_figure(top + 3.3, title, short_name(model), *subtitles)
    axes = new_axes(figure, (0.5, top, PLOT, 2.8))
    strip = 0 if not groups else 0.14 if _gap(groups) > TURNED else 0.4
    axes.set(xlim=(0, 1), ylim=(-1.02 * strip / (1 - strip), 1.02))
    _draw_scales(axes, channels)
    _draw_silent(axes, curve)
    lines = [(curve.clean_correct, curve.clean_count, BLUE, "-", "o", "clean accuracy")]
    if poisoned:
        asr = "attack success\nrate (ASR)"
        lines.append((poisoned, curve.poisoned_count, VERMILLION, "--", "^", asr))
    ends = _apart([hits[-1] / count for hits, count, *_ in lines], 0.14, (0.03, 0.98))
    for (hits, count, color, style, mark, words), end in zip(lines, ends, strict=True):
        shares = [Proportion(hit, count) for hit in hits]
        _draw_line(axes, curve.fractions, shares, color, style, mark)
        _draw_name(axes, shares[-1].value, end, color, style, mark, words)
    _draw_drops(axes, curve, groups)
    return png(figure)


def _missed(drops: Sequence[Drop]) -> str:
    """Which drops the curve does not reach, in words; empty where it reaches all."""
    missed = [drop.points for drop in drops if drop.k is None]
    if not missed:
        return ""
    fall = points(drops[0].largest)
    return f"not reached: {_drops(missed)}; the largest fall is {fall} points"


def _drops(names: Sequence[str]) -> str:
    """Drops in words: "drop 2", "drops 2, 4" or, from four on, "drops 2 … 10"."""
    if len(names) == 1:
        return f"drop {names[0]}"
    return f"drops {', '.join(names)}" if len(names) < 4 else f"drops {names[0]} … {names[-1]}"


def _by_k(drops: Sequence[Drop]) -> dict[int, str]:
    """The drops reached, named, by the k they fall on; at most MOST of them."""
    groups: dict[int, list[str]] = {}
    for drop in drops:
        if drop.k is not None:
            groups.setdefault(drop.k, []).append(drop.points)
    return {k: _drops(names) for k, names in list(groups.items())[:MOST]}


def _apart(places: Sequence[float], gap: float, ends: tuple[float, float]) -> list[float]:
    """The places moved as little as needed to lie `gap` apart and between the ends."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved, lowest = list(places), ends[0]
    for i in order:
        moved[i] = lowest = max(moved[i], lowest)
        lowest += gap
    highest = ends[1]
    for i in reversed(order):
        moved[i] = highest = min(moved[i], highest)
        highest -= gap
    return moved


def _draw_scales(axes: Axes, channels: int) -> None:
    """The scales: per cent at the left and below, channels above."""
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_yticks(np.arange(0, 1.1, 0.2), labels=[f"{n} %" for n in range(0, 101, 20)])
    axes.set_xticks(np.arange(0, 1.1, 0.2), labels=[f"{n} %" for n in range(0, 101, 20)])
    axes.set_xlabel("channels pruned, share of all", fontsize=NORMAL, family=FONT)
    above = axes.secondary_xaxis("top")
    counts = range(0, channels + 1, _step(channels))
    above.set_xticks([k / channels for k in counts], labels=[str(k) for k in counts])
    above.set_xlabel("channels pruned, k", fontsize=NORMAL, family=FONT)
    for scale in (axes, above):
        small_ticks(scale)
    axes.spines["right"].set_visible(False)


def _step(channels: int) -> int:
    """A round step, 1, 2 or 5 times a power of ten, that gives four to ten marks."""
    steps = (int(base * 10**power) for power in range(9) for base in (1, 2, 5))
    return next(step for step in steps if channels <= 8 * step)


def _draw_silent(axes: Axes, curve: Curve) -> None:
    """A grey band where channels go that are silent on clean images."""
    dead, channels = len(curve.order.dead), len(curve.order.channels)
    if not dead:
        return
    start = min(map(curve.order.channels.index, curve.order.dead))
    axes.axvspan(start / channels, (start + dead) / channels, ymin=0, color=PALE, zorder=0.5)
    words = f"{dead} silent on\nclean images"
    middle = min(max((start + dead / 2) / channels, 0.1), 0.9)
    near = round(middle * channels)
    occupied = [shares[near] for shares in (curve.clean_accuracy, curve.attack_success) if shares]
    free = max((0.5, 0.25, 0.75), key=lambda place: min(abs(place - share) for share in occupied))
    write(axes.text, middle, free, words, fontsize=SMALL, color=GREY, ha="center", va="center")


def _draw_line(
    axes: Axes,
    fractions: Sequence[float],
    shares: Sequence[Proportion],
    color: str,
    style: str,
    mark: str,
) -> None:
    """One share along the curve, its 95 % interval as a band."""
    low, high = [share.low for share in shares], [share.high for share in shares]
    axes.fill_between(fractions, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(
        fractions,
        [share.value for share in shares],
        color=color,
        linestyle=style,
        linewidth=1.6,
        marker=mark,
        markersize=4,
        markevery=max(1, len(shares) // 15),
        clip_on=False,
    )


def _draw_name(
    axes: Axes, value: float, place: float, color: str, style: str, mark: str, words: str
) -> None:
    """A line's name to the right of its end, with a piece of the line."""
    free: dict[str, Any] = {"clip_on": False, "color": color}
    axes.plot([1, 1.03], [value, place], linewidth=0.6, **free)
    axes.plot(
        [1.03, 1.07, 1.11], [place] * 3, style, marker=mark, markersize=4, markevery=[1], **free
    )
    write(axes.text, 1.125, place, words, fontsize=NORMAL, color=color, va="center")


def _gap(groups: Mapping[int, str]) -> float:
    """How far apart the drops' names must be, as a share of the plot's width."""
    gap = (0.15 + 0.07 * max(map(len, groups.values()))) / PLOT
    return gap if gap * len(groups) <= 1 else TURNED


def _draw_drops(axes: Axes, curve: Curve, groups: Mapping[int, str]) -> None:
    """Each drop that is reached: a diamond on the curve, and a line down to its name and k."""
    if not groups:
        return
    gap, channels = _gap(groups), len(curve.order.channels)
    standing = gap == TURNED
    places = _apart([k / channels for k in groups], gap, (gap / 2, 1 - gap / 2))
    for (k, names), place in zip(groups.items(), places, strict=True):
        position, accuracy = k / channels, curve.clean_accuracy[k]
        axes.plot([position] * 2, [0, accuracy], ":", color=BLACK, linewidth=0.9)
        axes.plot([position, place], [0, -0.035], color=BLACK, linewidth=0.6)
        axes.plot(position, accuracy, "D", markersize=6, color="white", mec=BLACK, zorder=5)
        words = f"{names}: k = {k}" if standing else f"{names}\nk = {k}"
        turn = {"rotation": 90, "ha": "center"} if standing else {"ha": "center"}
        write(axes.text, place, -0.045, words, fontsize=SMALL, va="top", **turn)


def evaluation_figure(evaluation: Sequence[EvaluationRow], model: str) -> bytes:
    """Clean accuracy and ASR, where each is known, of every model on the test sets, as bars.

    Args:
        evaluation: the networks, the suspect first; on one test set at least.
        model: the suspect's name.
    """
    heads = {"clean_accuracy": "clean accuracy", "attack_success": "attack success rate (ASR)"}
    panels = [(head, field) for field, head in heads.items() if evaluation[0].shares[field]]
    rows = _bar_rows(evaluation)
    counts = [(getattr(evaluation[0], field).count, field.split("_")[0]) for _, field in panels]
    images = " and ".join(f"{n} {kind.replace('attack', 'poisoned')}" for n, kind in counts)
    title = "Suspect, repaired models and GoodNets on the test sets"
    height = 0.2 * len(rows)
    subtitles = f"{images} test images; whiskers: 95 % intervals"
    figure = new_figure(height + 1.45, title, short_name(model), subtitles)
    width = 1.9 if len(panels) > 1 else 4.5
    for column, (heading, field) in enumerate(panels):
        axes = new_axes(figure, (LABELS + 2.6 * column, 1.1, width, height))
        write(axes.set_title, heading, fontsize=NORMAL, loc="left", pad=5)
        _draw_bars(axes, [(r.kind, getattr(r, field)) if r else None for _, r in rows])
        if column == 0:
            for place, (label, result) in enumerate(rows):
                _draw_label(axes, place, label, width, heading=result is None)
    return png(figure)


def _bar_rows(evaluation: Sequence[EvaluationRow]) -> list[tuple[str, EvaluationRow | None]]:
    """From top to bottom: networks with their labels, and headings without a network."""
    rows: list[tuple[str, EvaluationRow | None]] = [(NAMES["suspect"], evaluation[0])]
    of_model = [(row.repaired, row) for row in evaluation if row.repaired]
    for label in dict.fromkeys(model.label for model, _ in of_model):
        group = [(model, row) for model, row in of_model if model.label == label]
        group.sort(key=lambda pair: float(pair[0].drop or 0))
        rows.append((_heading(group[0][0]), None))
        for model, row in group:
            drop = f", drop {model.drop}" if model.drop else ""
            rows.append((f"{NAMES[row.kind]}{drop}", row))
    return rows


def _heading(model: RepairedModel) -> str:
    """What stands above the bars of models that were made alike."""
    if model.by_pruning:
        return WORDS[model.label].capitalize()
    return model.title


def _draw_label(axes: Axes, place: int, label: str, width: float, *, heading: bool) -> None:
    style: dict[str, Any] = {"fontweight": "bold", "bbox": HALO} if heading else {}
    left = -LABELS / width if heading else -0.08 / width
    side = "left" if heading else "right"
    write(axes.text, left, place, label, fontsize=SMALL, ha=side, va="center", **style)


def _draw_bars(axes: Axes, bars: Sequence[tuple[str, Proportion] | None]) -> None:
    """The bars of one panel from top to bottom; None leaves a row free."""
    axes.set(xlim=(0, 1), ylim=(len(bars) - 0.4, -0.6))
    axes.set_yticks([])
    axes.set_xticks(np.arange(0, 1.1, 0.25), labels=[f"{n} %" for n in range(0, 101, 25)])
    small_ticks(axes)
    axes.spines[["right", "top"]].set_visible(False)
    for place, bar in enumerate(bars):
        if bar is not None:
            _draw_bar(axes, place, *bar)


def _draw_bar(axes: Axes, place: int, kind: str, share: Proportion) -> None:
    """A share's bar with its 95 % interval, and the number to the right of the panel."""
    color, edge, hatch = BARS[kind]
    style: dict[str, Any] = {"hatch": hatch, "linewidth": 0.8, "clip_on": False}
    axes.barh(place, share.value, 0.72, color=color, edgecolor=edge, **style)
    spread = [[share.value - share.low], [share.high - share.value]]
    axes.errorbar(
        share.value, place, xerr=spread, ecolor=BLACK, elinewidth=1.2, capsize=2.5, clip_on=False
    )
    words = percent(share.value)
    write(axes.text, 1.06, place, words, fontsize=SMALL, va="center")
