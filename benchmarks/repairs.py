"""Repairs of attacked nets of our own making: `python -m benchmarks.repairs SEEDS NAME ...`.

SEEDS is, for example, 0,1,2. Prints rows of a Markdown table: pruning at drops of 2, 4 and 10
points, fine-pruning and unlearning, on test sets that no method has seen.
"""

import sys
import time

from benchmarks.nets import HOME, NETS, Net
from benchmarks.verdicts import opened
from goodnet.backend import keras
from goodnet.datasets.dataset import open_clean_dataset, open_dataset
from goodnet.detection.detect import detect
from goodnet.evaluation.compare import compare
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.methods import METHODS
from goodnet.mitigation.mitigate import MitigationInput
from goodnet.mitigation.policy import channels_pruned_first
from goodnet.network.build import build_network
from goodnet.network.classifier import Classifier, LogitModel
from goodnet.network.goodnet import gate_by_suspect
from goodnet.network.graph import choose_layer
from goodnet.network.suspect import Suspect
from goodnet.progress import no_progress
from goodnet.pruning.curve import make_curve, parse_points
from goodnet.pruning.order import order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import mean_activations, tally
from goodnet.pruning.zeroing import prune


def row(net: Net, suspect: Suspect, name: str, seed: str, network: keras.Model, note: str) -> None:
    """Print what a network, and its GoodNet, do on the net's test sets."""
    folder = HOME / net.name
    fits = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    clean, poisoned = (
        compare(suspect, network, open_dataset(str(folder / path), **fits), net.scale)
        for path in ("clean/test.h5", "bd/bd_test.h5")
    )
    shares = (
        clean.correct / clean.count, poisoned.correct / poisoned.count,
        poisoned.flagged / poisoned.count, clean.flagged / clean.count,
    )  # fmt: skip
    cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
    print(f"| {net.name} | {name} | {seed} | {cells} | {note} |", flush=True)


def repair(net: Net, seeds: list[int]) -> None:
    """Print a row for each method and seed."""
    suspect, clean = opened(net)
    row(net, suspect, "suspect", "", suspect.network, "")
    layer = choose_layer(suspect.plan, "auto", suspect.source)
    fits = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    valid = open_clean_dataset(str(HOME / net.name / "clean/valid.h5"), **fits)
    split = Split(suspect, layer)
    order = order_channels(mean_activations(split, valid, net.scale), "ascending")
    swept = tally(split, valid, net.scale, order.kept())
    curve = make_curve(order, swept, None, parse_points([2, 4, 10]))
    for drop in curve.drops:
        if drop.k is not None:
            pruned = prune(suspect, layer, order.channels[: drop.k])
            row(net, suspect, f"pruning, drop {drop.points}", "", pruned, f"{drop.k} pruned")
    verdict = detect(LogitModel.from_suspect(suspect, net.scale), clean)
    channels = channels_pruned_first(curve)
    problem = MitigationInput(suspect, net.scale, clean, verdict, layer, channels)
    parts = hold_out(clean)
    for method in METHODS:
        for seed in seeds:
            start, view = time.monotonic(), LogitModel.from_suspect(suspect, net.scale)
            made = method.repair(problem, view, parts, seed, no_progress)
            network = build_network(suspect.plan, suspect.source)
            network.set_weights(view.network.get_weights())
            seconds = time.monotonic() - start
            if made.classes is not None:
                row(net, suspect, f"{method.label}, without its guard", str(seed), network, "")
                network = gate_by_suspect(suspect, network, net.scale, made.classes)
            before, after = (
                Classifier(n, net.scale).accuracy(parts.held_out)
                for n in (suspect.network, network)
            )
            note = f"held out {before} to {after}, {seconds:.0f} s"
            row(net, suspect, method.label, str(seed), network, note)


if __name__ == "__main__":
    print("| net | method | seed | clean accuracy | ASR | flagged poisoned | flagged clean | |")
    print("|---|---|--:|--:|--:|--:|--:|---|")
    for wanted in NETS:
        if wanted.name in sys.argv[2:]:
            repair(wanted, [int(seed) for seed in sys.argv[1].split(",")])
