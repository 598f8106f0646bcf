"""Measure how the CPU time of a sweep grows with images, channels and classes.

Writes artifacts/bench/growth.json and docs/growth.png. The network is a DeepID in which every
channel is live in every image: the dearest case. Times are CPU seconds, all threads together.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.backend import keras
from goodnet.datasets.dataset import CleanDataset
from goodnet.datasets.faces import draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.order import order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import mean_activations, tally
from goodnet.report.figures import (
    BLUE,
    NORMAL,
    VERMILLION,
    new_axes,
    new_figure,
    png,
    small_ticks,
    write,
)

IMAGES = (256, 512, 1024, 2048, 4096, 8192)
CHANNELS = (15, 30, 60, 120, 240)
CLASSES = (10, 100, 1000, 10_000)
USUAL = {"images": 1024, "channels": 60, "classes": 1283}
SECONDS, LIMITS = (0.1, 0.3, 1, 3, 10), (0.05, 10)  # ticks and ends of the scale
TINY = 6.5  # points
RESULTS, FIGURE = Path("artifacts/bench/growth.json"), Path("docs/growth.png")


def cost(images: int, channels: int, classes: int) -> dict[str, float]:
    """CPU seconds of one forward pass and of one sweep (k = 0 .. channels)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.h5"
        save_network(_network(channels, classes), path)
        split = Split(open_suspect(path), "pool_3")
    drawn = draw_faces(8, range(64), seed=0).images
    labels = np.arange(images) % classes
    pixels = np.resize(drawn, (images, *drawn.shape[1:]))
    dataset = CleanDataset("drawn", "", pixels, "NHWC", 255.0, labels, None, "uint8")
    means = mean_activations(split, dataset, RAW)
    split.cache.forget(dataset, RAW)
    states = order_channels(means, "ascending").kept()
    return {
        name: min(_cpu(lambda kept=kept: tally(split, dataset, RAW, kept)) for _ in range(3))
        for name, kept in (("one_pass", states[:1]), ("one_order", states))
    }


def _network(channels: int, classes: int) -> keras.Model:
    config = deepid_config(classes)
    for layer in config["config"]["layers"]:
        if layer["name"] == "conv_3":
            layer["config"]["filters"] = channels
    keras.utils.set_random_seed(0)
    network = build_network(parse_architecture(config, "made"), "made")
    kernel, bias = network.get_layer("conv_3").get_weights()
    network.get_layer("conv_3").set_weights([kernel, bias + 255])
    return network


def _cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def draw(costs_by_size: dict[str, dict[str, dict[str, float]]]) -> bytes:
    """The three growths side by side, on one logarithmic scale of seconds."""
    figure = new_figure(
        3.0, "CPU seconds of a sweep, one order, every k", "DeepID, made, every channel live"
    )
    for number, (what, costs) in enumerate(costs_by_size.items()):
        axes = new_axes(figure, (0.45 + 2.1 * number, 0.7, 1.65, 1.75))
        places = [int(place) for place in costs]
        for name, color, mark in (("one_order", BLUE, "o-"), ("one_pass", VERMILLION, "s--")):
            axes.loglog(places, [each[name] for each in costs.values()], mark, color=color)
        axes.set(ylim=LIMITS, xticks=places, xticklabels=[f"{place:,}" for place in places])
        axes.set(yticks=SECONDS, yticklabels=[f"{second:g}" for second in SECONDS])
        axes.minorticks_off()
        small_ticks(axes)
        axes.tick_params(axis="x", labelsize=TINY)
        axes.grid(alpha=0.3)
        write(axes.set_xlabel, what, fontsize=NORMAL)
        if number == 0:
            write(axes.set_ylabel, "CPU seconds", fontsize=NORMAL)
            write(axes.text, 520, 0.95, "sweep", ha="center", color=BLUE)
            write(axes.text, 3400, 0.33, "one pass", ha="center", color=VERMILLION)
    return png(figure)


def main() -> None:
    """Measure, print, draw."""
    argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__).parse_args()
    costs_by_size: dict[str, dict[str, dict[str, float]]] = {}
    for what, values in (("images", IMAGES), ("channels", CHANNELS), ("classes", CLASSES)):
        costs_by_size[what] = {}
        for value in values:
            sizes = USUAL | {what: value}
            costs_by_size[what][str(value)] = spent = cost(**sizes)
            ratio = spent["one_order"] / spent["one_pass"]
            print(f"{what:9} {value:6} one pass {spent['one_pass']:.2f} s, ", end="")
            print(f"sweep {spent['one_order']:.2f} s, {ratio:.2f} passes", flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(costs_by_size, indent=1) + "\n")
    FIGURE.write_bytes(draw(costs_by_size))


if __name__ == "__main__":
    main()
