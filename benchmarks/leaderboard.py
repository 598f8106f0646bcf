"""Measure verdict, repairs and recommendation on the leaderboard's nets, one after the other.

Writes `benchmarks/results/leaderboard/NAME.json` for each net that has none yet, so it can be
stopped at any time and started again; nets are trained first where they are not there. Then run
`make tables`. A net is judged once: where its file is there, it is left alone, unless `--again`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.cells import CELLS
from benchmarks.entries import (
    ENTRIES,
    Counted,
    Entry,
    Measured,
    Recommended,
    without_poisoned,
    write_entry,
)
from benchmarks.image_sets import is_here
from benchmarks.nets import Net
from benchmarks.relearning import relearning
from benchmarks.verdicts import verdict_run
from benchmarks.zoo import HOME, describe, make_net, select_nets
from goodnet.api import verbs
from goodnet.api.model import Model, load_images, load_model
from goodnet.api.networks import Evaluation, RepairedNetwork
from goodnet.api.report import write_report
from goodnet.datasets.dataset import CleanDataset, Dataset
from goodnet.detection.verdict import Verdict
from goodnet.evaluation.results import SUSPECT
from goodnet.mitigation.methods import METHODS
from goodnet.mitigation.policy import choose_method
from goodnet.pruning.curve import Curve
from goodnet.pruning.order import DIRECTIONS

Timed = tuple[RepairedNetwork, int | None, float]  # a network, its seed, the seconds it took


def measure(net: Net, seeds: Sequence[int], *, relearn: bool = False) -> Entry:
    """The net's entry.

    Args:
        net: trained first if it is not there yet.
        seeds: of the methods that train; the first one's network may be recommended.
        relearn: whether to measure how fast the backdoor comes back.
    """
    make_net(net)
    folder = HOME / net.name
    model = load_model(folder / "model.h5", preprocessing=net.scale.name)
    clean = load_images(folder / "clean/valid.h5", model)
    test: Dataset = load_images(folder / "clean/test.h5", model)
    poisoned = None
    if not net.is_clean:
        poisoned = load_images(folder / "bd/bd_test.h5", model, poisoned=True)
    start = time.monotonic()
    verdict = verbs.detect(model, clean)
    run = verdict_run(net, verdict, time.monotonic() - start)
    curves = [verbs.sweep(model, clean, order=direction) for direction in DIRECTIONS]
    pruned = list(_pruned(model, curves))
    trained = list(_trained(model, clean, verdict, seeds, everything=not net.is_clean))
    chosen = choose_method("auto", verdict)
    candidates = [network for network, *_ in pruned] + [
        network
        for network, seed, _ in trained
        if chosen and network.identity.method == chosen.name and seed == seeds[0]
    ]
    evaluation = verbs.evaluate(model, candidates, clean=test, poisoned=poisoned)
    with tempfile.TemporaryDirectory(prefix="goodnet-") as out:
        findings = write_report(model, clean, verdict, curves, evaluation, folder=out)
    repairs = [_measured(model, made, test, poisoned) for made in (*pruned, *trained)]
    return Entry(
        network=describe(net),
        half=net.half,
        verdict=run,
        suspect=_suspect(evaluation),
        repairs=tuple(repairs),
        without_poisoned=Recommended.of(without_poisoned(findings)),
        with_poisoned=Recommended.of(findings) if poisoned else None,
        relearning=relearning(net, model, clean, verdict) if relearn and poisoned else {},
    )


def _pruned(model: Model, curves: Sequence[Curve]) -> Iterator[Timed]:
    """The models pruned in both orders at each drop that is reached."""
    for curve in curves:
        for drop in curve.drops:
            if drop.k is not None:
                start = time.monotonic()
                made = verbs.prune(model, curve, drop=drop.points)
                yield made, None, time.monotonic() - start


def _trained(
    model: Model, clean: CleanDataset, verdict: Verdict, seeds: Sequence[int], *, everything: bool
) -> Iterator[Timed]:
    """The models of each method with each seed; those that "auto" takes, or all of them."""
    auto = choose_method("auto", verdict)
    for method in METHODS:
        if choose_method(method.name, verdict) != method:  # it can do nothing without classes
            continue
        if not everything and method != auto:
            continue
        for seed in seeds:
            start = time.monotonic()
            made = verbs.repair(model, clean, verdict, method=method.name, seed=seed)
            yield made, seed, time.monotonic() - start


def _measured(model: Model, made: Timed, test: Dataset, poisoned: Dataset | None) -> Measured:
    network, seed, seconds = made
    evaluation = verbs.evaluate(model, [network], clean=test, poisoned=poisoned)
    return Measured(
        name=network.identity.name,
        method=network.identity.method,
        seed=seed,
        channels=network.identity.pruned,
        seconds=round(seconds, 1),
        **_counted(evaluation, network.identity.name),
    )


def _suspect(evaluation: Evaluation) -> Measured:
    return Measured(name=SUSPECT, method=SUSPECT, **_counted(evaluation, SUSPECT))


def _counted(evaluation: Evaluation, name: str) -> dict[str, Any]:
    sets = zip(("clean", "poisoned"), evaluation.counts, strict=True)
    return {which: Counted.of(counts[name]) for which, counts in sets if counts}


def _line(entry: Entry) -> str:
    """What came of a net, for people."""
    told = entry.without_poisoned
    asr = f", ASR {entry.suspect.asr.value:.1%}" if entry.suspect.asr else ""
    use = told.model or "none"
    worst = max((share.value for _, share in entry.deployed()), default=None)
    left = "" if worst is None else f", its ASR {worst:.1%} at most"
    return (
        f"{entry.name:<36} {entry.half}{asr}: {entry.verdict.verdict} {entry.verdict.classes} "
        f"{entry.rating}; without poisoned images: {use}{left}"
    )


def select(names: Sequence[str], half: str, again: bool) -> Iterator[Net]:
    """The nets to measure: those of these names, or the leaderboard's whose images are here."""
    nets = select_nets(names) if names else filter(is_here, CELLS)
    for net in nets:
        fits = half in ("", net.half.replace(" ", "-"))
        if fits and (again or not (ENTRIES / f"{net.name}.json").exists()):
            yield net


def main() -> None:
    """Measure the nets that have no entry yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboard", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="*", help="default: all of benchmarks.cells")
    parser.add_argument("--half", choices=("tune", "held-out"), default="", help="only these")
    parser.add_argument("--limit", type=int, metavar="N", help="measure N nets at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of repairs")
    parser.add_argument("--again", action="store_true", help="measure anew what has an entry")
    parser.add_argument("--relearn", action="store_true", help="how fast the backdoor comes back")
    options = parser.parse_args()
    for number, net in enumerate(select(options.nets, options.half, options.again)):
        if number == options.limit:
            break
        start = time.monotonic()
        entry = measure(net, options.seeds, relearn=options.relearn)
        write_entry(entry)
        print(f"{_line(entry)} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
