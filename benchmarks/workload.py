"""The networks and images that are timed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import keras
from goodnet.datasets.dataset import Dataset, open_clean_dataset, open_dataset
from goodnet.datasets.faces import draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.save import save_network
from goodnet.network.suspect import open_suspect
from goodnet.preprocessing import RAW

EVALUATION = Path(__file__).resolve().parent.parent.parent / "shared" / "evaluation"
LAB3 = EVALUATION / "lab3"
CLASSES = 1283


class Workload(NamedTuple):
    """What one network is timed on.

    Attributes:
        model: its file.
        layer: the layer to prune.
        sets: two sets of images, as HDF5 files.
        about: in one line, for people.
        plain_steps: how many steps the plain loop really makes; None: all of them.
    """

    model: str
    layer: str
    sets: tuple[str, str]
    about: str
    plain_steps: int | None


def make_workload(name: str, folder: Path, images: int, *, full: bool) -> Workload:
    """Write a network and its images, float64 as the lab's are, into a folder."""
    model, layer, about = _NETWORKS[name](folder)
    pixels, repeated = _faces(name, folder, images)
    sets = []
    for number, each in enumerate(pixels):
        path = folder / f"{name}_{number}.h5"
        _write(path, each)
        sets.append(str(path))
    steps = {"resnet50v2": 2}.get(name, None if full else 7)
    return Workload(str(model), layer, (sets[0], sets[1]), f"{about}; {repeated}", steps)


def lab3(folder: Path) -> tuple[Path, str, str]:
    """The lab's BadNet where it is at hand, else a made network of its size."""
    if LAB3.is_dir():
        return LAB3 / "bd_weights.h5", "pool_3", "DeepID, the lab's BadNet, 1283 classes"
    return _deepid(folder, "made", bias=0.0), "pool_3", "DeepID of the lab's size, made"


def alive(folder: Path) -> tuple[Path, str, str]:
    """A DeepID network without dead channels: each is live in most images."""
    return _deepid(folder, "alive", bias=0.05), "pool_3", "DeepID without dead channels, made"


def resnet50v2(folder: Path) -> tuple[Path, str, str]:
    """ResNet50V2 with random weights."""
    keras.utils.set_random_seed(0)
    network = keras.applications.ResNet50V2(weights=None, input_shape=(224, 224, 3))
    path = folder / "resnet50v2.keras"
    save_network(network, path)
    return path, "avg_pool", "ResNet50V2, random weights, 2048 channels"


_NETWORKS: dict[str, Callable[[Path], tuple[Path, str, str]]] = {
    "lab3": lab3,
    "alive": alive,
    "resnet50v2": resnet50v2,
}
NAMES = tuple(_NETWORKS)


def _deepid(folder: Path, name: str, bias: float) -> Path:
    keras.utils.set_random_seed(0)
    network = build_network(parse_architecture(deepid_config(CLASSES), name), name)
    kernel, shift = network.get_layer("conv_3").get_weights()
    network.get_layer("conv_3").set_weights([kernel, shift + 255 * bias])
    path = folder / f"{name}.h5"
    save_network(network, path)
    return path


def _faces(name: str, folder: Path, images: int) -> tuple[list[NDArray[Any]], str]:
    """Two sets of so many pictures, and what they show."""
    if name == "lab3" and LAB3.is_dir():
        suspect = open_suspect(LAB3 / "bd_weights.h5")
        sizes = {"input_shape": suspect.input_shape, "classes": suspect.classes}
        files = (LAB3 / "cl" / "all.h5", LAB3 / "bd" / "bd_all.h5")
        sets = [open_dataset(path, **sizes).images(slice(None), RAW) for path in files]
        content = "its 207 clean and 403 poisoned faces, repeated"
    else:
        drawn = draw_faces(8, range(64), seed=0).images
        sets, content = [drawn[:256], drawn[256:]], "512 drawn faces, repeated"
    if name == "resnet50v2":
        sets = [each.repeat(5, axis=1).repeat(5, axis=2)[:, :224, :224] for each in sets]
        content = "drawn faces, enlarged"
    return [np.resize(each, (images, *each.shape[1:])) for each in sets], content


def _write(path: Path, pixels: NDArray[Any]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=pixels.transpose(0, 3, 1, 2), dtype="float64")
        file.create_dataset("label", data=np.arange(len(pixels)) % 1000, dtype="float64")


def save(workload: Workload, path: Path) -> None:
    """Write a workload down for another process."""
    path.write_text(json.dumps(workload._asdict()))


def load(path: Path) -> tuple[Workload, Any, list[Dataset]]:
    """A workload, its network opened, and its data sets."""
    fields = json.loads(path.read_text())
    workload = Workload(**{**fields, "sets": tuple(fields["sets"])})
    suspect = open_suspect(workload.model)
    sizes: Any = {"input_shape": suspect.input_shape, "classes": suspect.classes}
    clean, other = workload.sets
    return workload, suspect, [open_clean_dataset(clean, **sizes), open_dataset(other, **sizes)]
