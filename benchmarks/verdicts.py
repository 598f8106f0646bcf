"""Measure how often the verdict on nets of the zoo is right, and how long it takes.

Adds a verdict to `benchmarks/results/NAME.json` for each net; nets that are not there yet are
trained first, see `benchmarks.zoo`. Then run `python -m benchmarks.tables`.
"""

import argparse
import datetime
import time
from typing import Any

from benchmarks import records
from benchmarks.nets import Net
from benchmarks.zoo import HOME, describe, make_net, select_nets
from goodnet.datasets.dataset import open_clean_dataset
from goodnet.datasets.images import CleanImages
from goodnet.detection.detect import detect
from goodnet.detection.verdict import Verdict
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect, open_suspect

LARGEST = 2  # numbers of each method on record


def load_net(net: Net) -> tuple[Suspect, CleanImages]:
    """The net and its clean validation images."""
    make_net(net)
    folder = HOME / net.name
    suspect = open_suspect(str(folder / "model.h5"))
    fits: Any = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    return suspect, CleanImages.of(open_clean_dataset(str(folder / "clean" / "valid.h5"), **fits))


def verdict_run(net: Net, verdict: Verdict, seconds: float) -> records.VerdictRun:
    """The verdict on record."""
    references = verdict.references
    return records.VerdictRun(
        half=net.half,
        verdict=verdict.verdict,
        classes=verdict.classes,
        dependent=verdict.dependent,
        statistics={
            statistic.method: {c: round(float(value), 3) for c, value in statistic.largest(LARGEST)}
            for statistic in verdict.statistics
        },
        references=records.References(
            trained=verdict.referenced,
            suspect=round(references.suspect_accuracy.value, 4),
            accuracy=tuple(round(share.value, 4) for share in references.accuracies),
        ),
        seconds=round(seconds, 1),
        date=datetime.date.today(),
    )


def main() -> None:
    """Judge every net and write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="*", help="of benchmarks.zoo; default: all")
    for net in select_nets(parser.parse_args().nets):
        suspect, clean = load_net(net)
        start = time.monotonic()
        verdict = detect(LogitModel.from_suspect(suspect, net.scale), clean)
        run = verdict_run(net, verdict, time.monotonic() - start)
        network = describe(net)
        records.add(network, verdicts=(run,))
        right = set(run.classes) == network.targets
        rating = "inconclusive" if run.verdict == "inconclusive" else "right" if right else "wrong"
        print(
            f"{net.name:<28} {run.verdict} {run.classes} {rating}, {run.seconds:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
