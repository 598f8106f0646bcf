"""Make all tables of measured numbers in the documents from the files in `benchmarks/results/`.

In every Markdown file of the project, what stands between `<!-- table: NAME -->` and `<!-- end -->`
is replaced by the table of that name. Needs no TensorFlow.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks import leaderboard_page
from benchmarks.markdown import ends, span, table
from benchmarks.records import NetworkResults, RepairRun, VerdictRun, load
from benchmarks.selection import HALVES, Judged, Networks, Repaired, judged, repaired

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("*.md", "docs/**/*.md", "benchmarks/*.md")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ORDER = ("ascending", "descending")
DROPS = (2, 4, 10)
WORKS = 0.9  # an ASR; what has less is no backdoor that anybody would use
CLEARED = "no backdoor found"
SHORT = {
    "simple triggers": "simple",
    "drawn objects": "objects",
    "misdirection": "misdirection",
    "source-specific triggers": "specific",
    "searched patches": "patches",
    "blended triggers": "blended",
    "whole-image changes": "changes",
    "searched warps": "warps",
    "maximum margin": "margin",
    "last layer": "last layer",
}


def verdicts(networks: Networks) -> str:
    """How often the verdict is right, by half and images."""
    groups: dict[tuple[int, str], list[Judged]] = {}
    for each in judged(networks):
        if each.network.source == "benchmarks.zoo":
            groups.setdefault((HALVES.index(each.half), each.network.images), []).append(each)
    rows = []
    for (half, images), group in sorted(groups.items()):
        clean = [each.run for each in group if not each.network.triggers]
        attacks = [each for each in group if each.network.triggers]
        attacked = [each for each in attacks if _works(each.network)]
        weak = [each for each in attacks if not _works(each.network)]
        counts = (
            sum(run.verdict == CLEARED for run in clean),
            sum(run.verdict == "backdoored" for run in clean),
            sum(set(run.classes) == network.targets for network, run, _ in attacked),
            sum(not network.targets <= {*run.classes} for network, run, _ in attacked),
            sum(not {*run.classes} <= network.targets for network, run, _ in attacked),
            sum(each.run.verdict == "inconclusive" for each in group if each not in weak),
            f"{sum(set(run.classes) == net.targets for net, run, _ in weak)} of {len(weak)}",
        )
        rows.append((HALVES[half], images, *map(str, counts)))
    return table(
        "half", "images", "clean: cleared", "called backdoored", "attacked: right",
        "a target missed", "an innocent class named", "inconclusive", "weak attacks: right",
        rows=rows,
    )  # fmt: skip


def _works(network: NetworkResults) -> bool:
    """Whether each of an attacked network's triggers does what it was taught, as far as known."""
    return min(network.asr.values(), default=1.0) >= WORKS


def held_out(networks: Networks) -> str:
    """The verdicts on held-out networks, by images."""
    groups: dict[str, list[Judged]] = {}
    for each in judged(networks):
        if each.half == HALVES[0] and _works(each.network):
            groups.setdefault(each.network.images, []).append(each)
    rows = []
    for images, group in sorted(groups.items()):
        clean = [each.run.verdict == CLEARED for each in group if not each.network.triggers]
        attacked = [
            {*each.run.classes} == each.network.targets for each in group if each.network.triggers
        ]
        rows.append((images, *(f"{sum(part)} of {len(part)}" for part in (clean, attacked))))
    return table("images", "clean: cleared", "backdoored: all targets named", rows=rows, left=1)


def statistic(method: str) -> Callable[[Networks], str]:
    """A table of how well one method's numbers tell targets from other classes, by images."""

    def made(networks: Networks) -> str:
        groups: dict[str, list[Judged]] = {}
        for each in judged(networks):
            if method in each.run.statistics and not each.run.superseded:
                groups.setdefault(each.network.images, []).append(each)
        rows = []
        for images, group in sorted(groups.items()):
            clean, targets, innocent = list[float](), list[float](), list[float]()
            for network, run, _ in group:
                for label, value in run.statistics[method].items():
                    other = innocent if network.triggers else clean
                    (targets if label in network.targets else other).append(value)
            count = sum(not each.network.triggers for each in group)
            above = sum(value > max(clean) for value in targets) if clean else None
            limits = [f"{value:.2f}" for value in ends(targets)]
            middle = f"{median(targets):.2f}" if targets else ""
            total = sum(len(each.network.targets) for each in group)
            rows.append((
                images, str(count), _largest(clean), str(total), str(len(targets)),
                " / ".join((limits[0], middle, limits[-1])) if targets else "",
                "" if above is None else str(above), _largest(innocent),
            ))  # fmt: skip
        return table(
            "images", "clean networks", "their largest number", "targets", "of these on record",
            "their lowest / median / highest", "above every clean network",
            "largest number of another class", rows=rows, left=1,
        )  # fmt: skip

    return made


def networks_table(networks: Networks) -> str:
    """The verdict that counts for each network, with the largest numbers of each method."""
    rows = []
    for network, run, half in judged(networks):
        numbers = "; ".join(
            f"{SHORT[method]} " + (", ".join(f"{c}: {v:.2f}" for c, v in top.items()) or "none")
            for method, top in run.statistics.items()
        )
        triggers = ", ".join(f"{name} → {target}" for name, target in network.triggers.items())
        what = f"{network.images}, {network.architecture}, {network.classes} classes"
        seconds = "" if run.seconds is None else f"{run.seconds:.0f}"
        row = (network.name, what, triggers or "none", half, _answer(run), numbers, seconds)
        rows.append(row)
    return table(
        "network", "what it is", "triggers", "half", "verdict", "largest numbers", "seconds",
        rows=rows, left=6,
    )  # fmt: skip


def references(networks: Networks) -> str:
    """The share of clean images that reference models get right, before and after mending."""
    rows = []
    for network in networks:
        runs = [(run, run.references) for run in network.verdicts if run.references]
        if len(runs) > 1:
            shares = [", ".join(f"{share:.2f}" for share in each.accuracy) for _, each in runs]
            answers = [_answer(run) for run, _ in runs]
            suspect = f"{runs[0][1].suspect:.2f}"
            row = (network.name, suspect, shares[0], shares[-1], answers[0], answers[-1])
            rows.append(row)
    return table(
        "network", "suspect", "references before", "after", "verdict before", "after",
        rows=rows, left=6,
    )  # fmt: skip


def repairs(networks: Networks) -> str:
    """All methods side by side, by half."""
    rows = list[tuple[str, ...]]()
    groups: dict[tuple[str, str], list[Repaired]] = {}
    for each in repaired(networks):
        half = HALVES[each.run.half != "held out"]
        groups.setdefault((half, _method(each.run)), []).append(each)
    for (half, method), group in groups.items():
        count = len({each.network.name for each in group})
        rows.append((half, method, str(count), str(len(group)), *_outcome(group)))
    rows.sort(key=lambda row: HALVES.index(row[0]))
    return table(
        "half", "method", "networks", "runs", "points of clean accuracy lost", "ASR, %",
        "poisoned flagged, %", "clean flagged, %", rows=rows,
    )  # fmt: skip


def method_table(method: str, gated: bool | None) -> Callable[[Networks], str]:
    """A table of what a method that trains does to each network."""

    def made(networks: Networks) -> str:
        rows = []
        for network in networks:
            group = [
                each
                for each in repaired([network])
                if each.run.method == method and each.run.gated == gated
            ]
            if group:
                half = group[0].run.half or ""
                rows.append((network.name, half, str(len(group)), *_outcome(group)))
        return table(
            "network", "half", "runs", "points of clean accuracy lost", "ASR, %",
            "poisoned flagged, %", "clean flagged, %", rows=rows, left=2,
        )  # fmt: skip

    return made


def pruning(networks: Networks) -> str:
    """Points of clean accuracy lost, and ASR, of each network at each drop."""
    rows = []
    for network in networks:
        runs = [each for each in repaired([network]) if each.run.method == "pruning"]
        for order in ORDER:
            at = {each.run.drop: each for each in runs if each.run.order == order}
            cells = []
            for drop in DROPS:
                lost, asr, *_ = _outcome([at[drop]]) if drop in at else ("", "")
                cells += [lost, asr]
            if at:
                rows.append((network.name, order, *cells))
    heads = [head for drop in DROPS for head in (f"drop {drop}: points lost", "ASR, %")]
    return table("network", "order", *heads, rows=rows)


def gate(networks: Networks) -> str:
    """Unlearning with and without the gate: accuracy lost and clean images flagged."""
    rows = list[tuple[str, ...]]()
    for network in networks:
        runs = [each for each in repaired([network]) if each.run.method == "unlearning"]
        cells = []
        for gated in (True, False):
            lost, asr, _, flagged = _outcome([each for each in runs if each.run.gated == gated])
            cells += [lost, asr, flagged]
        for each in network.repair_ranges:
            lost, asr, flagged = map(span, (each.accuracy_lost, each.asr, each.flagged_clean))
            rows.append((f"{network.name} (earlier schedule)", "", "", "", lost, asr, flagged))
        if runs:
            rows.append((network.name, *cells))
    columns = ("points lost", "ASR, %", "clean flagged, %")
    heads = [f"{gated}: {column}" for gated in ("gated", "not gated") for column in columns]
    return table("network", *heads, rows=rows, left=1)


TABLES: dict[str, Callable[[Networks], str]] = {
    "verdicts": verdicts,
    "held_out": held_out,
    **{short.replace(" ", "_"): statistic(method) for method, short in SHORT.items()},
    "references": references,
    "networks": networks_table,
    "repairs": repairs,
    "pruning": pruning,
    "unlearning": method_table("unlearning", gated=True),
    "finepruning": method_table("finepruning", gated=None),
    "gate": gate,
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


def _answer(run: VerdictRun) -> str:
    answer = f"{run.verdict} {', '.join(map(str, run.classes))}".strip()
    dependent = ", ".join(map(str, run.dependent))
    return f"{answer} (dependent: {dependent})" if dependent else answer


def _method(run: RepairRun) -> str:
    names = {"suspect": "the suspect", "finepruning": "fine-pruning"}
    if run.method == "pruning":
        return f"pruning, drop {run.drop:g}"
    gate = ", not gated" if run.gated is False else ""
    return names.get(run.method, run.method) + gate


def _outcome(group: Sequence[Repaired]) -> tuple[str, str, str, str]:
    """Points lost, ASR, and what is flagged of poisoned and clean images: lowest to highest."""
    runs = [each.run for each in group]
    return (
        span(each.lost for each in group),
        span(run.asr for run in runs),
        span(run.flagged_poisoned for run in runs),
        span(run.flagged_clean for run in runs),
    )


def _largest(values: Sequence[float]) -> str:
    return f"{max(values):.2f}" if values else ""


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
