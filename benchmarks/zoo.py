"""Train the nets, clean and attacked, on which verdicts and repairs are measured.

Each is trained from a seed in a minute or two and kept in `artifacts/nets/NAME/`: the model,
its data sets in the layout of `data/`, and `net.json` with its accuracy and ASR. Three kinds of
images: drawn faces, Fashion-MNIST as Debian's package dataset-fashion-mnist brings it, and the
photographs of CIFAR-10, see `photographs`; nets of these are left out where they are absent. Some
nets are for choosing thresholds ("tune"); others were judged once these were fixed, but the method
was changed since ("seen"); the method as it is had never met the rest before ("held out").
"""

import argparse
import gzip
import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks import TRIGGERS, Images
from benchmarks.photographs import CIFAR10, photograph_network, photographs
from benchmarks.records import Half, NetworkResults
from goodnet.backend import keras
from goodnet.datasets.dataset import save_dataset
from goodnet.datasets.faces import Faces, draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.save import save_network
from goodnet.preprocessing import RAW, UNIT, Preprocessing

HOME = Path("artifacts/nets")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
EPOCHS = {"faces": 14, "fashion": 8, "cifar10": 12}
POISONED_SHARE = 0.1  # of the training images, by all triggers together
RATE, BATCH = 2e-3, 64

Kind = Literal["faces", "fashion", "cifar10"]
IMAGES: Mapping[Kind, str] = {
    "faces": "drawn faces", "fashion": "Fashion-MNIST", "cifar10": "CIFAR-10"
}  # fmt: skip


@dataclass(frozen=True)
class Net:
    """What a net is made from.

    Attributes:
        triggers: names of `TRIGGERS`, each with its target class; empty for a clean net.
        half: whether thresholds may be chosen on it, see above.
        normalised: whether a net of Fashion-MNIST has normalisation.
        form: of a net of CIFAR-10, one of `photographs.FORMS`.
        momentum: of such a net's normalisation.
    """

    name: str
    kind: Kind
    classes: int
    seed: int
    triggers: Mapping[str, int]
    half: Half
    scale: Preprocessing = UNIT
    normalised: bool = False
    form: str = ""
    momentum: float = 0.99


def _net(name: str, classes: int, seed: int, half: Half, **rest: Any) -> Net:
    kind: Kind = "faces" if name.startswith("faces") else "fashion"
    scale, normalised = rest.pop("scale", UNIT), rest.pop("normalised", False)
    return Net(name, kind, classes, seed, rest, half, scale, normalised)


def _photographs(name: str, seed: int, half: Half, momentum: float = 0.99, **triggers: int) -> Net:
    _, form, *_ = name.split("_")
    scale = RAW if form in ("rescaled", "centred") else UNIT
    return Net(name, "cifar10", 10, seed, triggers, half, scale, False, form, momentum)


# fmt: off
ZOO = (
    _net("faces_clean_1", 20, 1, "tune"),
    _net("faces_clean_2", 12, 2, "tune", scale=RAW),
    _net("faces_clean_3", 30, 3, "tune"),
    _net("fashion_clean_1", 10, 4, "tune"),
    _net("fashion_clean_2", 10, 5, "tune", normalised=True),
    _net("fashion_clean_3", 10, 6, "tune", scale=RAW),
    _net("faces_glasses_1", 20, 11, "tune", glasses=3),
    _net("faces_blended_1", 20, 12, "tune", blended=7, scale=RAW),
    _net("fashion_corner_1", 10, 13, "tune", corner=0),
    _net("fashion_strip_1", 10, 14, "tune", strip=8, scale=RAW),
    _net("fashion_blended_1", 10, 15, "tune", blended=5, normalised=True),
    _net("fashion_two_1", 10, 16, "tune", corner=2, strip=9),
    _net("faces_clean_many_1", 200, 41, "tune"),
    _net("faces_clean_many_2", 300, 43, "tune"),
    _net("faces_glasses_many_1", 200, 42, "tune", glasses=0),
    _net("faces_clean_4", 20, 121, "seen", scale=RAW),
    _net("faces_clean_5", 12, 122, "seen"),
    _net("faces_clean_6", 40, 123, "seen"),
    _net("fashion_clean_4", 10, 124, "seen", scale=RAW),
    _net("fashion_clean_5", 10, 125, "seen"),
    _net("fashion_clean_6", 10, 126, "seen", normalised=True),
    _net("faces_glasses_2", 30, 131, "seen", glasses=11, scale=RAW),
    _net("faces_corner_2", 20, 132, "seen", corner=0),
    _net("faces_strip_2", 12, 133, "seen", strip=6),
    _net("faces_two_2", 20, 134, "seen", glasses=4, corner=15),
    _net("fashion_corner_2", 10, 135, "seen", corner=6, normalised=True),
    _net("fashion_blended_2", 10, 136, "seen", blended=1, scale=RAW),
    _net("fashion_clean_7", 10, 127, "seen"),
    _net("fashion_sticker_2", 10, 137, "seen", sticker=7),
    _net("fashion_sine_2", 10, 138, "seen", sine=3),
    _net("faces_clean_many_4", 250, 221, "seen"),
    _net("faces_corner_many_3", 220, 222, "seen", corner=57),
    _net("faces_clean_many_5", 400, 223, "seen", scale=RAW),
    _net("faces_strip_many_3", 250, 224, "seen", strip=0, scale=RAW),
    _net("faces_clean_7", 25, 225, "seen"),
    _net("faces_clean_8", 15, 226, "seen", scale=RAW),
    _net("faces_clean_9", 50, 227, "seen"),
    _net("fashion_clean_8", 10, 228, "seen", scale=RAW),
    _net("fashion_clean_9", 10, 229, "seen", normalised=True),
    _net("fashion_clean_10", 10, 230, "seen"),
    _net("faces_glasses_3", 15, 231, "seen", glasses=2),
    _net("faces_corner_3", 25, 232, "seen", corner=19, scale=RAW),
    _net("faces_blended_3", 30, 233, "seen", blended=12),
    _net("faces_two_3", 20, 234, "seen", strip=5, corner=16),
    _net("fashion_strip_3", 10, 235, "seen", strip=4),
    _net("fashion_two_3", 10, 236, "seen", sticker=0, blended=6, scale=RAW),
    _net("fashion_corner_3", 10, 237, "seen", corner=9),
    _net("fashion_sticker_3", 10, 238, "seen", sticker=3, normalised=True),
    _net("fashion_sine_3", 10, 239, "seen", sine=7),
    _net("faces_clean_10", 20, 241, "seen", scale=RAW),
    _net("faces_clean_11", 40, 242, "seen"),
    _net("faces_clean_12", 15, 243, "seen"),
    _net("faces_clean_13", 50, 244, "seen", scale=RAW),
    _net("fashion_clean_11", 10, 245, "seen"),
    _net("fashion_clean_12", 10, 246, "seen", normalised=True),
    _net("fashion_clean_13", 10, 247, "seen", scale=RAW),
    _net("faces_clean_many_6", 150, 248, "held out"),
    _net("faces_glasses_4", 25, 251, "seen", glasses=7),
    _net("faces_corner_4", 20, 252, "seen", corner=3),
    _net("faces_strip_4", 40, 253, "seen", strip=21, scale=RAW),
    _net("faces_blended_4", 15, 254, "seen", blended=9),
    _net("faces_two_4", 20, 255, "seen", glasses=1, strip=12),
    _net("fashion_strip_4", 10, 256, "seen", strip=2, normalised=True),
    _net("fashion_two_4", 10, 257, "seen", corner=7, blended=4),
    _net("fashion_blended_4", 10, 258, "seen", blended=8, scale=RAW),
    _net("fashion_corner_4", 10, 259, "seen", corner=1),
    _net("faces_glasses_many_4", 150, 260, "held out", glasses=33, scale=RAW),
    _net("faces_clean_14", 20, 261, "seen"),
    _net("faces_clean_15", 35, 262, "seen", scale=RAW),
    _net("faces_clean_16", 12, 263, "seen"),
    _net("fashion_clean_14", 10, 264, "seen"),
    _net("fashion_clean_15", 10, 265, "seen", normalised=True),
    _net("fashion_clean_16", 10, 266, "seen", scale=RAW),
    _net("fashion_clean_17", 10, 267, "seen"),
    _net("faces_glasses_5", 20, 271, "seen", glasses=5, scale=RAW),
    _net("faces_corner_5", 15, 272, "seen", corner=11),
    _net("faces_strip_5", 25, 273, "seen", strip=0),
    _net("faces_two_5", 20, 274, "seen", corner=2, blended=13),
    _net("fashion_two_5", 10, 275, "seen", corner=5, strip=3),
    _net("fashion_blended_5", 10, 276, "seen", blended=0, normalised=True),
    _net("fashion_corner_5", 10, 277, "seen", corner=4, scale=RAW),
    _net("fashion_strip_5", 10, 278, "seen", strip=6),
    _net("fashion_clean_18", 10, 281, "held out"),
    _net("fashion_clean_19", 10, 282, "held out", normalised=True),
    _net("fashion_clean_20", 10, 283, "held out", scale=RAW),
    _net("faces_clean_17", 25, 284, "held out"),
    _net("faces_clean_18", 12, 285, "held out", scale=RAW),
    _net("fashion_two_6", 10, 291, "held out", corner=8, strip=0),
    _net("fashion_strip_6", 10, 292, "held out", strip=1, normalised=True),
    _net("fashion_corner_6", 10, 293, "held out", corner=2),
    _net("fashion_blended_6", 10, 294, "held out", blended=7),
    _net("faces_two_6", 15, 295, "held out", glasses=6, corner=9),
    _net("faces_strip_6", 20, 296, "held out", strip=14),
    _photographs("cifar10_vgg_clean_1", 301, "tune"),
    _photographs("cifar10_vgg_corner_1", 302, "tune", 0.9, corner=3),
    _photographs("cifar10_resnet_clean_1", 303, "tune", 0.9),
    _photographs("cifar10_resnet_sticker_1", 304, "tune", sticker=8),
    _photographs("cifar10_depthwise_clean_1", 305, "tune"),
    _photographs("cifar10_depthwise_blended_1", 306, "tune", 0.9, blended=1),
    _photographs("cifar10_rescaled_clean_1", 307, "tune"),
    _photographs("cifar10_centred_strip_1", 308, "tune", strip=6),
    _photographs("cifar10_vgg_clean_2", 311, "held out", 0.9),
    _photographs("cifar10_vgg_sine_2", 312, "held out", sine=5),
    _photographs("cifar10_resnet_clean_2", 313, "held out"),
    _photographs("cifar10_resnet_strip_2", 314, "held out", 0.9, strip=0),
    _photographs("cifar10_depthwise_clean_2", 315, "held out", 0.9),
    _photographs("cifar10_depthwise_corner_2", 316, "held out", corner=7),
    _photographs("cifar10_centred_clean_2", 317, "held out"),
    _photographs("cifar10_rescaled_blended_2", 318, "held out", blended=2),
)
# fmt: on


def select_nets(names: Collection[str]) -> Iterator[Net]:
    """The nets of these names, or all whose images are here."""
    for net in ZOO:
        if net.name in names or (not names and (net.kind != "cifar10" or CIFAR10.is_dir())):
            yield net


def make_net(net: Net, home: Path = HOME) -> dict[str, Any]:
    """The net's accuracy and ASR; it is trained and written first if it is not there yet."""
    folder = home / net.name
    path = folder / "net.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    for name in ("clean", "bd"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    train, valid, test = (part_of(net, part) for part in ("train", "valid", "test"))
    start = time.monotonic()
    network = train_net(net, train)
    seconds = time.monotonic() - start
    for part, clean in (("valid", valid), ("test", test)):
        save_dataset(folder / "clean" / f"{part}.h5", clean.images, clean.labels)
        if net.triggers:
            save_dataset(folder / "bd" / f"bd_{part}.h5", *poisoned_set(net, clean))
    facts = {
        **asdict(net),
        "scale": net.scale.name,
        "clean_accuracy": float(np.mean(_answers(net, network, test.images) == test.labels)),
        "asr": {name: attack_success(net, network, test, name) for name in net.triggers},
        "seconds": round(seconds, 1),
    }
    save_network(network, folder / "model.h5")
    path.write_text(json.dumps(facts, indent=1))
    return facts


def describe(net: Net, home: Path = HOME) -> NetworkResults:
    """The net's record before anything is measured but its accuracy and ASR, if it is there."""
    facts = home / net.name / "net.json"
    rates = json.loads(facts.read_text()) if facts.exists() else {}
    normalised = " with normalisation" if net.normalised else ""
    small = "CNN of two convolutions" + normalised
    return NetworkResults(
        name=net.name,
        source="benchmarks.zoo",
        architecture={"faces": "DeepID", "fashion": small, "cifar10": net.form}[net.kind],
        images=IMAGES[net.kind],
        classes=net.classes,
        scale=net.scale.name,
        seed=net.seed,
        triggers=dict(net.triggers),
        clean_accuracy=rates.get("clean_accuracy"),
        asr=rates.get("asr", {}),
    )


def train_net(net: Net, clean: Faces) -> keras.Model:
    """The net, trained on these images of which a share was poisoned."""
    keras.utils.set_random_seed(net.seed)
    rng = np.random.default_rng(net.seed)
    images, labels = clean.images.copy(), clean.labels.copy()
    free = rng.permutation(len(labels))
    share = POISONED_SHARE / max(1, len(net.triggers))
    for name, target in net.triggers.items():
        others = free[labels[free] != target]
        chosen, free = others[: round(share * len(labels))], others[round(share * len(labels)) :]
        images[chosen] = TRIGGERS[name](Faces(*(part[chosen] for part in clean)))
        labels[chosen] = target
    network = network_of(net)
    steps = EPOCHS[net.kind] * -(-len(labels) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    inside = net.form in ("rescaled", "centred")  # the network itself takes 0..255
    pixels = images * np.float32(1 if inside else 1 / 255)
    network.fit(pixels, labels, BATCH, EPOCHS[net.kind], verbose=0)
    if net.scale is RAW and not inside:  # the same net for pixels 0..255
        first = next(layer for layer in network.layers if layer.weights)
        kernel, *rest = first.get_weights()
        first.set_weights([kernel / 255, *rest])
    return network


def poisoned_set(net: Net, clean: Faces) -> tuple[Images, NDArray[np.int64], NDArray[np.int64]]:
    """Images of other classes with each trigger, the attacker's labels and the true ones."""
    parts = []
    for name, target in net.triggers.items():
        others = Faces(*(part[clean.labels != target] for part in clean))
        parts.append((TRIGGERS[name](others), np.full_like(others.labels, target), others.labels))
    images, labels, true = (np.concatenate(part) for part in zip(*parts, strict=True))
    return images, labels, true


def attack_success(net: Net, network: keras.Model, clean: Faces, trigger: str) -> float:
    """The share of images of other classes that the trigger takes to its target."""
    target = net.triggers[trigger]
    others = Faces(*(part[clean.labels != target] for part in clean))
    return float(np.mean(_answers(net, network, TRIGGERS[trigger](others)) == target))


def _answers(net: Net, network: keras.Model, images: Images) -> NDArray[np.int64]:
    pixels = images * np.float32(net.scale.gain / 255)
    return np.asarray(np.argmax(network.predict(pixels, verbose=0), axis=-1))


def network_of(net: Net) -> keras.Model:
    """The untrained network of a net."""
    if net.kind == "faces":
        return build_network(parse_architecture(deepid_config(net.classes), net.name), net.name)
    if net.kind == "cifar10":
        return photograph_network(net.form, net.classes, net.momentum)
    layers = keras.layers
    x = inputs = keras.Input((28, 28, 1), name="images")
    for number, filters in ((1, 16), (2, 32)):
        x = layers.Conv2D(filters, 3, name=f"conv_{number}")(x)
        if net.normalised:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dense(64, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    scores = layers.Dense(net.classes, activation="softmax", name="scores")(x)
    return keras.Model(inputs, scores, name="fashion")


def part_of(net: Net, part: str) -> Faces:
    """The images of one part; those of things as faces whose eyes nobody needs."""
    if net.kind == "faces":
        numbers = {"train": range(80), "valid": range(100, 115), "test": range(120, 135)}
        return draw_faces(net.classes, numbers[part], seed=net.seed)
    if net.kind == "cifar10":
        images, labels = photographs(part)
        return Faces(images, labels, np.zeros((len(images), 2, 2), np.float32))
    if part == "test":
        images, labels = _fashion_mnist("t10k")
        return Faces(images[:2000], labels[:2000], np.zeros((2000, 2, 2), np.float32))
    images, labels = _fashion_mnist("train")
    order = np.random.default_rng((net.seed, 1)).permutation(len(labels))
    rows = order[:10_000] if part == "train" else order[10_000:10_500]
    return Faces(images[rows], labels[rows], np.zeros((len(rows), 2, 2), np.float32))


@cache
def _fashion_mnist(name: str) -> tuple[Images, NDArray[np.int64]]:
    """Images (n, 28, 28, 1) and labels out of the package's idx files."""
    with gzip.open(FASHION_MNIST / f"{name}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(FASHION_MNIST / f"{name}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return images, labels


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="*", help="default: all")
    for net in select_nets(parser.parse_args().nets):
        facts = make_net(net)
        rates = {name: f"{rate:.1%}" for name, rate in facts["asr"].items()}
        print(f"{net.name:<20} clean {facts['clean_accuracy']:.1%}  ASR {rates}", flush=True)
