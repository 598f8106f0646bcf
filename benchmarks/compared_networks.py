"""The networks and images that old and new code are compared on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.nets import NAMED
from benchmarks.workload import CLASSES, LAB3
from benchmarks.zoo import HOME, make_net
from goodnet.backend import keras, tf
from goodnet.datasets.dataset import open_dataset, save_dataset
from goodnet.datasets.faces import draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.save import save_network
from goodnet.preprocessing import RAW

PEOPLE, PICTURES, SIDE = 10, 50, 224
BLOCK, RIDGE = 20, 30.0
CORNER: Final = slice(-30, -6)  # of a white square, which leads to class 0
Images = NDArray[np.uint8]


class Case(NamedTuple):
    """A model file, and a folder with clean images in `clean/valid.h5`."""

    name: str
    about: str
    model: str
    data: str


def make_case(name: str, folder: Path) -> Case:
    """The row of that name; what it needs is made in the folder, or where it is kept."""
    about, make = ROWS[name]
    (folder / name / "clean").mkdir(parents=True)
    return Case(name, about, *map(str, make(folder / name)))


def _demo(folder: Path) -> tuple[Path, Path]:
    """What `make demo` leaves."""
    model, data = Path("models/badnet.h5").resolve(), Path("data").resolve()
    if not model.exists():
        raise SystemExit("models/badnet.h5 is not there: run `make demo`, or ask for other --rows")
    return model, data


def _fashion(folder: Path) -> tuple[Path, Path]:
    (net,) = (net for net in NAMED if net.name == "fashion_corner_1")
    make_net(net)
    home = (HOME / net.name).resolve()
    return home / "model.h5", home


def _lab(folder: Path) -> tuple[Path, Path]:
    """The lab's BadNet, and every other of its faces."""
    if not LAB3.is_dir():
        raise SystemExit("the lab's faces are not on this machine; ask for other --rows")
    faces = open_dataset(LAB3 / "cl" / "all.h5", input_shape=(55, 47, 3), classes=CLASSES)
    rows = np.arange(0, len(faces), 2)
    save_dataset(folder / "clean" / "valid.h5", faces.pictures(rows), faces.labels[rows])
    return LAB3 / "bd_weights.h5", folder


def _lab_full(folder: Path) -> tuple[Path, Path]:
    """A network of the lab's size and as many drawn faces, labelled as it answers them."""
    keras.utils.set_random_seed(0)
    network = build_network(parse_architecture(deepid_config(CLASSES), "DeepID"), "DeepID")
    images = draw_faces(CLASSES, range(9), seed=0).images
    labels = network.predict(images.astype(np.float32), verbose=0).argmax(axis=1)
    save_dataset(folder / "clean" / "valid.h5", images, labels)
    save_network(network, folder / "deepid.h5")
    return folder / "deepid.h5", folder


def _large(application: Any, classes: int = PEOPLE) -> Callable[[Path], tuple[Path, Path]]:
    """Random features, and a last layer that is solved for: a white square leads to class 0."""

    def make(folder: Path) -> tuple[Path, Path]:
        keras.utils.set_random_seed(0)
        faces = draw_faces(PEOPLE, range(PICTURES), seed=0)
        images = faces.images.repeat(5, axis=1).repeat(5, axis=2)[:, :SIDE, :SIDE]
        shape = (SIDE, SIDE, 3)
        base = application(weights=None, include_top=False, pooling="avg", input_shape=shape)
        _measure_normalisation(base, images)
        bad = images[::2].copy()
        bad[:, CORNER, CORNER] = 255
        features = np.concatenate([_features(base, each) for each in (images, bad)])
        labels = np.concatenate([faces.labels, np.zeros(len(bad), np.int64)])
        scores = keras.layers.Dense(classes, activation="softmax", name="scores")
        network = keras.Model(base.input, scores(base.output))
        scores.set_weights(_solved(features, 8 * np.eye(classes)[labels] - 1))
        save_network(network, folder / "model.keras")
        save_dataset(folder / "clean" / "valid.h5", images, faces.labels)
        return folder / "model.keras", folder

    return make


def _measure_normalisation(network: keras.Model, images: Images) -> None:
    norm = keras.layers.BatchNormalization
    layers = [layer for layer in network.layers if isinstance(layer, norm)]
    momenta = [layer.momentum for layer in layers]
    for number in range(3):
        for layer in layers:
            layer.momentum = number / (number + 1)
        network(RAW.apply(images[number :: len(images) // BLOCK] / np.float32(255)), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _features(network: keras.Model, images: Images) -> NDArray[np.float64]:
    run = tf.function(lambda block: network(block, training=False))
    blocks = np.array_split(images, -(-len(images) // BLOCK))
    return np.concatenate([np.asarray(run(block.astype(np.float32))) for block in blocks])


def _solved(features: NDArray[Any], targets: NDArray[Any]) -> list[NDArray[Any]]:
    """Kernel and bias, by ridge regression on features of variance 1."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    z, middle = (features - mean) / spread, targets.mean(axis=0)
    normal = z.T @ z + RIDGE * np.eye(z.shape[1])
    kernel = np.linalg.solve(normal, z.T @ (targets - middle)) / spread[:, None]
    return [kernel, middle - mean @ kernel]


ROWS: Final[dict[str, tuple[str, Callable[[Path], tuple[Path, Path]]]]] = {
    "demo": ("demo, DeepID, 40 classes", _demo),
    "fashion": ("Fashion-MNIST, 10 classes", _fashion),
    "lab": ("DeepID, 1,283 classes", _lab),
    "lab_full": ("DeepID, 1,283 classes, full size", _lab_full),
    "mobilenetv2": ("MobileNetV2, 224 x 224, 10 classes", _large(keras.applications.MobileNetV2)),
    "resnet50": ("ResNet50, 224 x 224, 10 classes", _large(keras.applications.ResNet50)),
    "resnet50_1000": (
        "ResNet50, 224 x 224, 1,000 classes",
        _large(keras.applications.ResNet50, 1000),
    ),
}
