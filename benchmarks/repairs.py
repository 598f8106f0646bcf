"""Measure what pruning, fine-pruning and unlearning leave of accuracy and backdoor on test sets.

Adds repairs to `benchmarks/results/NAME.json` for each net: pruned at drops of 2, 4 and 10 points,
and each method that trains with each seed. Then run `python -m benchmarks.tables`.
"""

import argparse
import datetime
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import records
from benchmarks.nets import Net
from benchmarks.verdicts import load_net
from benchmarks.zoo import HOME, ZOO, describe
from goodnet.backend import keras
from goodnet.datasets.dataset import open_clean_dataset, open_dataset
from goodnet.detection.detect import detect
from goodnet.evaluation.compare import compare
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.method import Method
from goodnet.mitigation.methods import METHODS
from goodnet.mitigation.mitigate import MitigationInput
from goodnet.mitigation.policy import channels_pruned_first
from goodnet.network.build import build_network, take_weights
from goodnet.network.classifier import Classifier, LogitModel
from goodnet.network.goodnet import gate_by_suspect
from goodnet.network.suspect import Suspect
from goodnet.progress import no_progress
from goodnet.pruning.curve import Curve, make_curve, parse_points
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import Order, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import mean_activations, tally
from goodnet.pruning.zeroing import prune

Measure = Callable[..., records.RepairRun]


def measuring(net: Net, suspect: Suspect) -> Measure:
    """A function that says what a network, and its GoodNet, do on the net's test sets."""
    fits: Any = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    sets = [open_dataset(str(HOME / net.name / path), **fits) for path in
            ("clean/test.h5", "bd/bd_test.h5")]  # fmt: skip

    def measure(network: keras.Model, method: str, **rest: Any) -> records.RepairRun:
        clean, poisoned = (compare(suspect, network, each, net.scale) for each in sets)
        run = records.RepairRun(
            half=net.half,
            method=method,
            clean_accuracy=round(clean.correct / clean.count, 6),
            asr=round(poisoned.correct / poisoned.count, 6),
            flagged_poisoned=round(poisoned.flagged / poisoned.count, 6),
            flagged_clean=round(clean.flagged / clean.count, 6),
            clean_images=clean.count,
            poisoned_images=poisoned.count,
            date=datetime.date.today(),
            **rest,
        )
        print(f"{net.name:<28} {_line(run)}", flush=True)
        return run

    return measure


def sweep(net: Net, suspect: Suspect, layer: str) -> tuple[Order, Curve]:
    """The ascending order and its curve, on the clean validation images."""
    fits: Any = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    valid = open_clean_dataset(str(HOME / net.name / "clean/valid.h5"), **fits)
    split = Split(suspect, layer)
    order = order_channels(mean_activations(split, valid, net.scale), "ascending")
    counts = tally(split, valid, net.scale, order.kept())
    return order, make_curve(order, counts, None, parse_points([2, 4, 10]))


def repair(net: Net, seeds: Sequence[int]) -> list[records.RepairRun]:
    """The suspect as it is, pruned, and repaired by each method with each seed."""
    suspect, clean = load_net(net)
    measure = measuring(net, suspect)
    runs = [measure(suspect.network, "suspect")]
    layer = choose_layer(suspect.plan, "auto", suspect.source)
    order, curve = sweep(net, suspect, layer)
    for drop in curve.drops:
        if drop.k is not None:
            pruned = prune(suspect, layer, order.channels[: drop.k])
            place = {"order": "ascending", "drop": float(drop.points), "channels": drop.k}
            runs.append(measure(pruned, "pruning", **place))
    verdict = detect(LogitModel.from_suspect(suspect, net.scale), clean)
    channels = channels_pruned_first(curve)
    problem = MitigationInput(suspect, net.scale, clean, verdict, layer, channels)
    for method in METHODS:
        for seed in seeds:
            runs += train(method, problem, seed, measure)
    return runs


def train(
    method: Method, problem: MitigationInput, seed: int, measure: Measure
) -> list[records.RepairRun]:
    """What one method leaves with one seed; where it is gated, without the gate first."""
    suspect, scale, parts = problem.suspect, problem.preprocessing, hold_out(problem.clean)
    start, trained = time.monotonic(), LogitModel.from_suspect(suspect, scale)
    result = method.repair(problem, trained, parts, seed, no_progress)
    network = build_network(suspect.plan, suspect.source)
    take_weights(network, trained.network)
    seconds = round(time.monotonic() - start, 1)
    runs, gated = [], None
    if result.classes is not None:
        runs.append(measure(network, method.name, seed=seed, gated=False))
        network, gated = gate_by_suspect(suspect, network, scale, result.classes), True
    before, after = (
        Classifier(each, scale).accuracy(parts.held_out).value
        for each in (suspect.network, network)
    )
    held_out = (round(before, 6), round(after, 6))
    rest = {"seed": seed, "gated": gated, "held_out": held_out, "seconds": seconds}
    return [*runs, measure(network, method.name, **rest)]


def _line(run: records.RepairRun) -> str:
    values = run.model_dump(exclude_defaults=True, exclude={"half", "date"})
    return ", ".join(f"{name} {value}" for name, value in values.items())


def main() -> None:
    """Repair every net and write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repairs", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="+", help="attacked nets of benchmarks.zoo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for net in ZOO:
        if net.name in options.nets:
            records.add(describe(net), repairs=tuple(repair(net, options.seeds)))


if __name__ == "__main__":
    main()
