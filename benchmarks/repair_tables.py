"""The tables of repairs: what each method leaves of accuracy and backdoor."""

from collections.abc import Callable, Sequence

from benchmarks.markdown import span, table
from benchmarks.records import RepairRun
from benchmarks.selection import HALVES, Networks, Repaired, repaired

ORDER = ("ascending", "descending")
DROPS = (2, 4, 10)


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


TABLES: dict[str, Callable[[Networks], str]] = {
    "repairs": repairs,
    "pruning": pruning,
    "unlearning": method_table("unlearning", gated=True),
    "finepruning": method_table("finepruning", gated=None),
    "gate": gate,
}
