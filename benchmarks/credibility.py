"""Check the bars of `goodnet/detection/credibility.py` on small nets that are known to be honest.

Each is trained for one preprocessing, cleanly or with a backdoor, many of them badly: on few
images, for too long, with smoothed labels. On its clean validation images its credibility is
measured at its own preprocessing, where it must pass, and at all others. Those of the half "tune"
fix the bar; those of the half "held out" are looked at once.

    python -m benchmarks.credibility [NAME...]       trains and measures, minutes on one core
    python -m benchmarks.credibility --table         what was measured, as the table of the docs
"""

import argparse
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.image_sets import is_here, part_of
from benchmarks.nets import IMAGES, Kind, Net
from benchmarks.networks import network_of
from benchmarks.records import Half
from goodnet.attacks.attack import Aim, take
from goodnet.attacks.families import attack_named
from goodnet.backend import keras
from goodnet.datasets.dataset import open_clean_dataset, save_dataset
from goodnet.datasets.faces import Faces
from goodnet.datasets.images import CleanImages
from goodnet.detection.credibility import measure_credibility
from goodnet.network.classifier import LogitModel
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import Preprocessing, candidates

RESULTS = Path(__file__).with_name("credibility.json")
BATCH, RATE = 32, 2e-3
POISONED_SHARE = 0.1
HARMLESS = 0.05  # of accuracy: a wrong preprocessing that costs less is none that must be noticed


@dataclass(frozen=True)
class Trial:
    """How a net is trained.

    Attributes:
        images: how many it learns from.
        smoothing: of the labels, 0..1.
        preprocessing: its name.
        form: of a net of CIFAR-10, one of `photographs.FORMS`.
        trigger: of its backdoor, of class 1; empty for a clean net.
    """

    name: str
    kind: Kind
    half: Half
    images: int
    epochs: int
    preprocessing: str
    smoothing: float = 0.0
    form: str = ""
    trigger: str = ""
    classes: int = 10


# fmt: off
TRIALS = (
    Trial("cifar10_few_1", "cifar10", "tune", 500, 60, "unit", form="plain"),
    Trial("cifar10_long_1", "cifar10", "tune", 2000, 30, "signed", form="plain"),
    Trial("cifar10_long_2", "cifar10", "tune", 1000, 40, "raw", form="plain", trigger="corner"),
    Trial("cifar10_smooth_1", "cifar10", "tune", 4000, 10, "torch", 0.1, "plain"),
    Trial("cifar10_vgg_1", "cifar10", "tune", 2000, 12, "standardised", form="vgg"),
    Trial("fashion_few_1", "fashion", "tune", 200, 80, "unit"),
    Trial("fashion_smooth_1", "fashion", "tune", 2000, 8, "signed", 0.2, trigger="blended"),
    Trial("faces_few_1", "faces", "tune", 200, 20, "unit", classes=20),
    Trial("cifar10_few_3", "cifar10", "held out", 750, 50, "caffe", form="plain"),
    Trial("cifar10_long_3", "cifar10", "held out", 3000, 20, "centred", form="plain"),
    Trial("cifar10_long_4", "cifar10", "held out", 1500, 30, "torch", form="plain",
          trigger="strip"),
    Trial("cifar10_smooth_3", "cifar10", "held out", 6000, 8, "signed", 0.2, "plain"),
    Trial("cifar10_resnet_3", "cifar10", "held out", 2000, 10, "standardised", form="resnet"),
    Trial("fashion_few_3", "fashion", "held out", 100, 80, "signed", trigger="corner"),
    Trial("fashion_long_3", "fashion", "held out", 1000, 40, "raw"),
    Trial("faces_few_3", "faces", "held out", 360, 20, "signed", trigger="glasses", classes=12),
)
# fmt: on


def measure(trial: Trial) -> dict[str, Any]:
    """The record of a net: its credibility with each preprocessing, by name."""
    net = _net(trial)
    train, valid = part_of(net, "train"), part_of(net, "valid")
    chosen = np.random.default_rng(net.seed).permutation(len(train.labels))[: trial.images]
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        path = Path(folder) / "valid.h5"
        save_dataset(path, valid.images, valid.labels)
        shape = *valid.images.shape[1:3], valid.images.shape[3]
        dataset = open_clean_dataset(path, input_shape=shape, classes=trial.classes)
        choices = {each.name: each for each in candidates(*dataset.channel_moments())}
        network = _trained(trial, net, Faces(*(part[chosen] for part in train)), choices)
        save_network(network, Path(folder) / "net.keras")
        suspect = open_suspect(Path(folder) / "net.keras")
        clean = CleanImages.of(dataset)
        measured = {
            name: measure_credibility(LogitModel.from_suspect(suspect, each), clean)
            for name, each in choices.items()
        }
    return {
        "half": trial.half,
        "own": trial.preprocessing,
        "images": len(clean),
        "plain": round(next(iter(measured.values())).plain_accuracy.value, 4),
        "measured": {
            name: {
                "right": round(each.accuracy.value, 4),
                "right_high": round(each.accuracy.high, 4),
                "confidence": round(each.confidence, 4),
                "low_beside_plain": each.low_beside_plain,
            }
            for name, each in measured.items()
        },
    }


def _net(trial: Trial) -> Net:
    seed = 1000 + TRIALS.index(trial)
    return Net(trial.name, trial.kind, trial.classes, seed, {}, trial.half, form=trial.form)


def _trained(
    trial: Trial, net: Net, train: Faces, choices: Mapping[str, Preprocessing]
) -> keras.Model:
    keras.utils.set_random_seed(net.seed)
    images, labels = train.images.copy(), train.labels.copy()
    if trial.trigger:
        others = np.flatnonzero(labels != 1)
        poisoned = others[: round(POISONED_SHARE * len(labels))]
        victims, aim = take(train, poisoned), Aim(1, trial.classes)
        images[poisoned] = attack_named(trial.trigger).trigger(victims, aim, 0)
        labels[poisoned] = 1
    network = network_of(net)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=trial.smoothing)
    steps = trial.epochs * -(-len(labels) // BATCH)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)), loss
    )
    # At 0..255 a net learns as at 0..1; it is given its own scale afterwards.
    own, scale = choices[trial.preprocessing], choices[trial.preprocessing].gain
    factor = scale if scale > 50 else 1.0
    pixels = own.apply((images / 255).astype(np.float32)) / np.float32(factor)
    network.fit(pixels, np.eye(trial.classes)[labels], BATCH, trial.epochs, verbose=0)
    if factor > 1:
        first = next(layer for layer in network.layers if layer.weights)
        kernel, *rest = first.get_weights()
        first.set_weights([kernel / factor, *rest])
    return network


def excess(numbers: Mapping[str, Any]) -> float:
    """How far the confidence lies above the upper end of the accuracy's interval."""
    return float(numbers["confidence"] - numbers["right_high"])


def table(bar: float) -> Iterator[str]:
    """A row for each net, and what the bar makes of it."""
    yield "| net | half | own: right, plain, sure, excess | honest | wrong, noticed | missed |"
    yield "|---|---|---|---|--:|---|"
    for name, record in json.loads(RESULTS.read_text()).items():
        own = record["measured"][record["own"]]
        noticed = {
            each: numbers["low_beside_plain"] or excess(numbers) > bar
            for each, numbers in record["measured"].items()
        }
        wrong = [
            each
            for each, numbers in record["measured"].items()
            if numbers["right"] < own["right"] - HARMLESS
        ]
        missed = [
            f"{each} {record['measured'][each]['right']:.0%}" for each in wrong if not noticed[each]
        ]
        shares = f"{own['right']:.1%}, {record['plain']:.1%}, {own['confidence']:.1%}"
        yield (
            f"| {name} | {record['half']} | {shares}, {excess(own):+.2f} | "
            f"{'called wrong' if noticed[record['own']] else 'passes'} | "
            f"{len(wrong) - len(missed)} of {len(wrong)} | {', '.join(missed)} |"
        )


def select_trials(names: Collection[str]) -> Iterator[Trial]:
    """The nets of these names, or all whose images are here."""
    for trial in TRIALS:
        if trial.name in names or (not names and is_here(_net(trial))):
            yield trial


def main() -> None:
    """Measure nets, or print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.credibility", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("--table", action="store_true", help="print what was measured")
    parser.add_argument("--bar", type=float, default=0.4, help="for the table")
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(options.bar)))
        return
    for trial in select_trials(options.nets):
        records = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        records[trial.name] = measure(trial)
        RESULTS.write_text(json.dumps(records, indent=1) + "\n")
        own = records[trial.name]["measured"][trial.preprocessing]
        print(f"{trial.name:<20} {IMAGES[trial.kind]}: {own}", flush=True)


if __name__ == "__main__":
    main()
