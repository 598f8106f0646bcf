"""The images that nets are trained and measured on: drawn faces, Fashion-MNIST, CIFAR-10.

Fashion-MNIST is as Debian's package dataset-fashion-mnist brings it; CIFAR-10, photographs of ten
kinds of things, is evaluation data, see `../shared/evaluation/README.md`: it lies beside the
project and is never copied into it.
"""

import gzip
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.nets import Net
from goodnet.attacks.attack import Images
from goodnet.datasets.faces import Faces, draw_faces

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CIFAR10 = Path(__file__).resolve().parents[2] / "shared" / "evaluation" / "cifar10"


def is_here(net: Net) -> bool:
    """Whether the net's images are on this machine."""
    folders = {"faces": Path("."), "fashion": FASHION_MNIST, "cifar10": CIFAR10}
    return folders[net.kind].is_dir()


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


@cache
def photographs(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 32, 32, 3) and labels of "train", "valid" or "test"."""
    if part == "train":
        with np.load(CIFAR10 / "train.npz") as file:
            return file["x_train"], file["y_train"].ravel().astype(np.int64)
    folders = sorted(path for path in (CIFAR10 / part).iterdir() if path.is_dir())
    files = [(path, label) for label, folder in enumerate(folders) for path in folder.iterdir()]
    images = [np.asarray(Image.open(path).convert("RGB")) for path, _ in sorted(files)]
    return np.stack(images), np.array([label for _, label in sorted(files)], np.int64)
