"""The tables and the figure of docs/leaderboard.md, from the leaderboard's entries."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.entries import LARGEST_DEPLOYED, Entry, Measured, load_entries
from benchmarks.markdown import points, table
from benchmarks.selection import Networks
from goodnet.evaluation.results import PRUNING
from goodnet.metrics import PairedLoss, Proportion

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "leaderboard.png"
WORKS = 0.90  # ASR from which an attack counts as one that worked
HALVES = {"held out": "second half", "tune": "first half (unreliable)"}
Pair = tuple[Entry, Measured]


@cache
def entries() -> tuple[Entry, ...]:
    """All entries on record."""
    return tuple(load_entries())


def by_half(every: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """The entries of each half, the reliable one first; no empty one."""
    for half, title in HALVES.items():
        some = [each for each in every if (each.half == "held out") == (half == "held out")]
        if some:
            yield title, some


def works(entry: Entry) -> bool:
    """Whether the net is attacked, and the attack worked."""
    return entry.suspect.asr is not None and entry.suspect.asr.value >= WORKS


def verdicts(every: Sequence[Entry]) -> str:
    """What verdicts said, by half and images."""
    rows = []
    for half, some in by_half(every):
        for images in sorted({each.network.images for each in some}):
            group = [each for each in some if each.network.images == images]
            attacked = [each.rating for each in group if works(each)]
            clean = [each.rating for each in group if not each.network.triggers]
            weak = len(group) - len(attacked) - len(clean)
            rows.append((
                half, images, _share(attacked, "right"), *_counts(attacked, "wrong class",
                "inconclusive", "missed"), _share(clean, "cleared"),
                *_counts(clean, "inconclusive", "called"), str(weak),
            ))  # fmt: skip
    return table(
        "nets", "images", "attacked: right", "wrong class, or an innocent one beside",
        "inconclusive", "missed", "clean: cleared", "inconclusive", "called backdoored",
        "attack did not work", rows=rows,
    )  # fmt: skip


def attacks(every: Sequence[Entry]) -> str:
    """Each attack, with the best that can be done without poisoned images."""
    rows = []
    for half, some in by_half(every):
        for name in sorted({_attack(each) for each in some if each.network.triggers}):
            group = [each for each in some if _attack(each) == name]
            worked = [each for each in group if works(each)]
            best = [(each, _best(each)) for each in worked]
            rows.append((
                half, name, str(len(group)), str(len(worked)),
                _share([each.rating for each in worked], "right"),
                str(sum(bool(each.without_poisoned.model) for each in worked)),
                *_medians(best)[:4],
            ))  # fmt: skip
    return table(
        "nets", "attack", "nets", "attack worked", "verdict right", "a model recommended",
        "best repair: points lost", "ASR, %", "RA, %", "DER, %", rows=rows,
    )  # fmt: skip


def repairs(every: Sequence[Entry]) -> str:
    """All methods on nets whose attack worked: medians, and how many meet the bars."""
    rows = []
    for half, some in by_half(every):
        pairs: dict[str, list[Pair]] = {}
        for entry in filter(works, some):
            for repaired in entry.repairs:
                pairs.setdefault(_method(repaired), []).append((entry, repaired))
            pairs.setdefault("the best of all", []).append((entry, _best(entry)))
            if entry.without_poisoned.model:
                chosen = entry.measured(entry.without_poisoned.model)
                pairs.setdefault("what is recommended", []).append((entry, chosen))
        for method, group in sorted(pairs.items()):
            met = [repaired.meets_bars(entry.suspect) for entry, repaired in group]
            nets = str(len({entry.name for entry, _ in group}))
            rows.append((half, method, nets, f"{sum(met)} of {len(met)}", *_medians(group)))
    return table(
        "nets", "method", "nets", "meets the bars", "points lost", "ASR, %", "RA, %", "DER, %",
        "fidelity, %", "poisoned flagged, %", "clean flagged, %", "seconds", rows=rows,
    )  # fmt: skip


def deployments(every: Sequence[Entry]) -> str:
    """How often something is recommended, and the largest true ASR of what was."""
    rows = []
    for half, some in by_half(every):
        attacked = [each for each in some if each.network.triggers]
        for what, told in (
            ("without poisoned images", [each.without_poisoned for each in attacked]),
            ("with a poisoned test set", [each.with_poisoned for each in attacked]),
        ):
            rates = [
                share.value
                for each, one in zip(attacked, told, strict=True)
                if one
                for name, share in each.deployed()
                if name in (one.model, f"GoodNet, {one.goodnet}")
            ]
            rows.append((
                half, what, str(len(attacked)), str(sum(bool(one and one.model) for one in told)),
                points(max(rates, default=None)),
                str(sum(rate > LARGEST_DEPLOYED for rate in rates)),
            ))  # fmt: skip
    return table(
        "nets", "evidence", "attacked nets", "a model recommended", "largest ASR of these, %",
        "above 10 %", rows=rows,
    )  # fmt: skip


def nets(every: Sequence[Entry]) -> str:
    """A line for each net, with 95 % intervals."""
    rows = []
    for each in every:
        network, best = each.network, _best(each) if each.network.triggers else None
        share = points(network.poisoned_share) if network.poisoned_share else ""
        named = f"{each.verdict.verdict} {', '.join(map(str, each.verdict.classes))}".strip()
        targets = sorted(network.triggers.values())
        rows.append((
            each.name + (" *" if each.unreliable else ""), network.architecture,
            ", ".join("all" if target < 0 else str(target) for target in targets) or "none",
            share, _interval(each.suspect.accuracy), _interval(each.suspect.asr), named,
            f"{each.verdict.seconds:.0f}" if each.verdict.seconds is not None else "",
            each.without_poisoned.model or "none", best.name if best else "",
            _interval(best.loss(each.suspect)) if best else "",
            _interval(best.asr) if best else "", _interval(best.recovery) if best else "",
        ))  # fmt: skip
    return table(
        "net", "network", "target", "poisoned, %", "accuracy, %", "ASR, %", "verdict", "seconds",
        "recommended without poisoned images", "best repair", "points lost", "ASR, %", "RA, %",
        rows=rows, left=3,
    )  # fmt: skip


def relearning(every: Sequence[Entry]) -> str:
    """The median ASR after so many steps of training with 1 % poison, by method."""
    curves: dict[str, list[dict[int, float]]] = {}
    for each in every:
        for method, curve in each.relearning.items():
            curves.setdefault(method, []).append(curve)
    steps = sorted({step for some in curves.values() for curve in some for step in curve})
    rows = [
        (method, str(len(some)), *(points(median(curve[s] for curve in some)) for s in steps))
        for method, some in sorted(curves.items())
    ]
    return table("network", "nets", *(f"{step} steps" for step in steps), rows=rows)


TABLES: dict[str, Callable[[Networks], str]] = {
    f"leaderboard_{make.__name__}": lambda networks, make=make: make(entries())  # type: ignore[misc]
    for make in (verdicts, attacks, repairs, deployments, nets, relearning)
}


def draw() -> None:
    """Draw accuracy lost against ASR of every repair; nothing where there is none."""
    pairs = [(entry, repaired) for entry in entries() if works(entry) for repaired in entry.repairs]
    if not pairs:
        return
    from goodnet.report.figures import (
        BLUE,
        GREY,
        NORMAL,
        SKY,
        VERMILLION,
        new_axes,
        new_figure,
        png,
        small_ticks,
        write,
    )

    methods = sorted({repaired.method for _, repaired in pairs} - {PRUNING})
    looks = dict(zip(methods, product("o^s", (BLUE, VERMILLION, SKY)), strict=False))
    figure = new_figure(3.4, "What repairs cost and leave", "each net whose attack worked")
    axes = new_axes(figure, (0.6, 0.65, 4.4, 2.2))
    for method in (PRUNING, *methods):
        mark, colour = looks.get(method, ("o", GREY))
        some = [(entry, each) for entry, each in pairs if each.method == method]
        lost = [100 * each.loss(entry.suspect).value for entry, each in some]
        asr = [100 * each.asr.value for _, each in some if each.asr]
        axes.plot(lost, asr, mark, color=colour, markersize=4, label=method)
    axes.axhline(5, color=GREY, linewidth=0.6)
    axes.axvline(2, color=GREY, linewidth=0.6)
    axes.set_ylim(-3, 103)
    small_ticks(axes)
    write(axes.set_xlabel, "points of clean accuracy lost", fontsize=NORMAL)
    write(axes.set_ylabel, "ASR, %", fontsize=NORMAL)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=NORMAL)
    FIGURE.write_bytes(png(figure))


def _best(entry: Entry) -> Measured:
    """The repair with the largest DER; of equal ones, the one that costs least."""
    return max(
        entry.repairs,
        key=lambda each: (
            each.effectiveness(entry.suspect) or 0,
            -each.loss(entry.suspect).value,
        ),
    )


def _attack(entry: Entry) -> str:
    return " + ".join(dict.fromkeys(name.split()[0] for name in entry.network.triggers))


def _method(repaired: Measured) -> str:
    return repaired.name if repaired.method == PRUNING else repaired.method


def _medians(group: Sequence[Pair]) -> list[str]:
    """Points lost, ASR, RA, DER, fidelity, flagged poisoned and clean, seconds."""
    if not group:
        return [""] * 8
    shares: list[list[float]] = [
        [each.loss(entry.suspect).value for entry, each in group],
        [each.asr.value for _, each in group if each.asr],
        [each.recovery.value for _, each in group if each.recovery],
        [each.effectiveness(entry.suspect) or 0 for entry, each in group],
        [each.fidelity for _, each in group],
        [each.poisoned.share("flagged").value for _, each in group if each.poisoned],
        [each.clean.share("flagged").value for _, each in group],
    ]
    seconds = [each.seconds for _, each in group if each.seconds is not None]
    return [*(points(median(some)) for some in shares), f"{median(seconds):.0f}"]


def _interval(share: Proportion | PairedLoss | None) -> str:
    if share is None:
        return ""
    return f"{points(share.value)} ({points(share.low)} to {points(share.high)})"


def _share(ratings: Sequence[str], rating: str) -> str:
    return f"{ratings.count(rating)} of {len(ratings)}"


def _counts(ratings: Sequence[str], *wanted: str) -> Iterable[str]:
    return (str(ratings.count(rating)) for rating in wanted)
