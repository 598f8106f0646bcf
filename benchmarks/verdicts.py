"""The verdict on nets of our own making: `python -m benchmarks.verdicts [NAME ...]`.

Prints a row of a Markdown table for each net, then the confusion counts of each half. Nets that are
not there yet are trained first, see `benchmarks.nets`.
"""

import sys
import time
from collections import Counter

from benchmarks.nets import HOME, Net, make_net, nets_asked_for
from goodnet.datasets.dataset import open_clean_dataset
from goodnet.datasets.images import CleanImages
from goodnet.detection.detect import detect
from goodnet.detection.verdict import Verdict
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect, open_suspect


def opened(net: Net) -> tuple[Suspect, CleanImages]:
    """The net and its clean validation images."""
    make_net(net)
    folder = HOME / net.name
    suspect = open_suspect(str(folder / "model.h5"))
    fits = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    return suspect, CleanImages.of(open_clean_dataset(str(folder / "clean" / "valid.h5"), **fits))


def rating(net: Net, verdict: Verdict) -> str:
    """ "right", "wrong" or "inconclusive", seen against what is known of the net."""
    if verdict.verdict == "inconclusive":
        return "inconclusive"
    return "right" if set(verdict.classes) == set(net.triggers.values()) else "wrong"


def row(net: Net, verdict: Verdict, seconds: float) -> tuple[str, ...]:
    """What the table says of a net."""
    made = ", ".join(f"{name} → {target}" for name, target in net.triggers.items())
    named = f"{verdict.verdict} {', '.join(map(str, verdict.classes))}".strip()
    if verdict.dependent:
        named += f" (dependent: {', '.join(map(str, verdict.dependent))})"
    numbers = (
        ", ".join(f"{target}: {number:.2f}" for target, number in statistic.largest(2)) or "none"
        for statistic in verdict.statistics[:3]
    )
    rated = rating(net, verdict), f"{seconds:.0f}"
    return net.name, net.half, made or "none", named, *numbers, *rated


if __name__ == "__main__":
    counts: Counter[tuple[str, str, str]] = Counter()
    print("| net | half | triggers | verdict | simple | patches | blended | rating | seconds |")
    print("|---|---|---|---|---|---|---|---|--:|")
    for wanted in nets_asked_for(sys.argv[1:]):
        suspect, clean = opened(wanted)
        start = time.monotonic()
        verdict = detect(LogitModel.from_suspect(suspect, wanted.scale), clean)
        print(f"| {' | '.join(row(wanted, verdict, time.monotonic() - start))} |", flush=True)
        kind = "attacked" if wanted.triggers else "clean"
        counts[wanted.half, kind, rating(wanted, verdict)] += 1
    for key, count in sorted(counts.items()):
        print(f"- {', '.join(key)}: {count}")
