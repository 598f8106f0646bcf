"""Time one variant of the sweep in a process of its own; `benchmarks.sweep` runs them all.

For each line on standard input a round is run, and a line of JSON is written: seconds of wall clock
and of CPU, peak memory, a digest of the counts.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import load
from goodnet.datasets.dataset import Dataset
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.order import DIRECTIONS, Order, order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import mean_activations, tally
from goodnet.pruning.zeroing import prune, pruned_weights
from goodnet.pruning.zeroing_plan import plan_zeroing

VARIANTS = (
    "plain_32", "plain_256", "one_pass", "one_order", "both_orders", "masked", "evaluation"
)  # fmt: skip


def plain(
    suspect: Suspect, order: Order, sets: list[Dataset], layer: str, batch: int, steps: int | None
) -> tuple[float, Any]:
    """Prune for real, `model.predict`, step after step, as everybody's notebooks do.

    Returns:
        what the time is to be multiplied with, as only some steps were made; the hits.
    """
    network, cut = prune(suspect, layer, []), plan_zeroing(suspect.plan, layer, suspect.source)
    weights = {inner.name: inner.get_weights() for inner in suspect.network.layers}
    images = [each.images(slice(None), RAW) for each in sets]
    width = len(order.channels)
    chosen = np.unique(np.linspace(0, width, steps or width + 1).astype(int))
    hits = []
    for k in chosen:
        for name, arrays in pruned_weights(weights, cut, order.channels[:k], width).items():
            network.get_layer(name).set_weights(arrays)
        for each, pixels in zip(sets, images, strict=True):
            answers = network.predict(pixels, batch_size=batch, verbose=0).argmax(axis=1)
            hits.append(int((answers == each.labels).sum()))
    return (width + 1) / len(chosen), hits


def prepare_round(
    variant: str, suspect: Suspect, layer: str, sets: list[Dataset], steps: int | None
) -> Callable[[], tuple[float, Any]]:
    """A function that makes one round of a variant."""
    split = Split(suspect, layer, "masked" if variant == "masked" else "auto")
    means = mean_activations(split, sets[0], RAW)
    split.cache.forget(sets[0], RAW)
    orders = [order_channels(means, direction) for direction in DIRECTIONS]
    if variant.startswith("plain"):
        batch = int(variant.split("_")[1])
        return lambda: plain(suspect, orders[0], sets, layer, batch, steps)
    kept = [order.kept() for order in orders]
    few = np.linspace(0, split.channels, 8).astype(int)[2:5]
    states = {
        "one_pass": np.ones((1, split.channels), dtype=bool),
        "both_orders": np.concatenate(kept),
        "evaluation": np.concatenate([kept[0][[0, *few]], kept[1][few]]),
    }.get(variant, kept[0])
    if variant == "masked" and steps and split.channels > 100:
        states = states[:: split.channels // 32]
    scaled = (len(kept[0]) / len(states)) if variant == "masked" else 1.0

    def make() -> tuple[float, Any]:
        tallies = [tally(split, each, RAW, states) for each in sets]
        return scaled, [counts.correct for each in tallies for counts in each]

    return make


def peak_megabytes() -> float:
    """The most memory the process ever had, files mapped into it included."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def main(variant: str, workload: str) -> None:
    """Make a round for each line that comes in."""
    described, suspect, sets = load(Path(workload))
    make = prepare_round(variant, suspect, described.layer, sets, described.plain_steps)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        scaled, hits = make()
        cost = {
            "seconds": (time.perf_counter() - wall) * scaled,
            "cpu": (time.process_time() - cpu) * scaled,
            "scaled": scaled,
            "megabytes": peak_megabytes(),
            "hits": hits if len(hits) < 500 else sum(hits),
        }
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variant", description=__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("workload", metavar="WORKLOAD.json")
    main(**vars(parser.parse_args()))
