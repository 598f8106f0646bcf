"""A Keras model file taken apart: configuration and arrays, in any of Keras' three layouts."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from goodnet.sandbox.reader.arrays import MIB, Arrays, Refused, allowance
from goodnet.sandbox.reader.hdf5 import Hdf5, save_weight

LARGEST_JSON = 8 * MIB
DEEPEST_JSON = 200
LARGEST_MODEL = 4096 * MIB  # bytes of weights once decompressed
UNPACKED = "model.weights.h5"
TRAINING_STATE = ("optimizer", "metrics", "_layer_checkpoint_dependencies")
KERAS_MEMBERS = frozenset({"metadata.json", "config.json", UNPACKED})


def read_hdf5(path: Path, folder: Path) -> dict[str, Any]:
    """Configuration and weights of an HDF5 model file, of either Keras."""
    return hdf5_content(path, folder, allowance(path.stat().st_size, LARGEST_MODEL))


def read_keras(path: Path, folder: Path) -> dict[str, Any]:
    """Configuration and weights of a `.keras` archive: its three members, checked."""
    budget, weights = allowance(path.stat().st_size, LARGEST_MODEL), folder / UNPACKED
    with zipfile.ZipFile(path) as archive:
        names = [member.filename for member in archive.infolist()]
        if len(names) != len(set(names)) or set(names) != KERAS_MEMBERS:
            raise Refused(
                f"holds {', '.join(names[:5])!r}{' ...' if len(names) > 5 else ''}; a .keras file "
                f"holds {', '.join(sorted(KERAS_MEMBERS))}, each once"
            )
        config = parse_json(unpack(archive, "config.json", LARGEST_JSON), "config.json")
        parse_json(unpack(archive, "metadata.json", MIB), "metadata.json")
        with weights.open("xb") as target:
            for block in unpacked(archive, UNPACKED, budget):
                target.write(block)
    content = hdf5_content(weights, folder, budget)
    weights.unlink()
    training = config.get("compile_config") if isinstance(config, dict) else None
    return {**content, "config": config, "training": training}


def unpack(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member's bytes."""
    return b"".join(unpacked(archive, name, limit))


def unpacked(archive: zipfile.ZipFile, name: str, limit: int) -> Iterator[bytes]:
    """A member's bytes in blocks, whatever size its header claims."""
    count, packing = 0, archive.getinfo(name).compress_type
    if packing not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(f"{name} is packed with method {packing}, which Keras does not use")
    with archive.open(name) as member:
        while block := member.read(MIB):
            count += len(block)
            if count > limit:
                raise Refused(f"{name} unpacks to more than {limit // MIB} MiB")
            yield block


def parse_json(text: str | bytes, name: str) -> Any:
    """The parsed JSON, which is not deeper than DEEPEST_JSON and has no NaN."""
    if len(text) > LARGEST_JSON:
        raise Refused(f"{name} is larger than {LARGEST_JSON // MIB} MiB")

    def not_a_number(constant: str) -> None:
        raise Refused(f"{name} holds {constant}")

    try:
        value = json.loads(text, parse_constant=not_a_number)
        if depth(value) > DEEPEST_JSON:
            raise RecursionError
    except RecursionError:
        raise Refused(f"{name} is nested more than {DEEPEST_JSON} deep") from None
    except ValueError as fault:
        raise Refused(f"{name} is not JSON: {fault}") from None
    return value


def depth(value: Any) -> int:
    """How deep lists and objects are nested."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
    return deepest


def hdf5_content(path: Path, folder: Path, budget: int) -> dict[str, Any]:
    """Configuration (None in a weights-only file) and weights of an HDF5 model file."""
    hdf5, arrays = Hdf5(path, budget), Arrays(folder)
    root = hdf5.file
    config = hdf5.text(root, "model_config")
    legacy = root.get("model_weights", root)
    names, version = hdf5.texts(legacy, "layer_names"), hdf5.text(legacy, "keras_version")
    if names is not None:
        layout = "keras_3" if str(version).startswith("3.") else "keras_2"
        layers = legacy_layers(hdf5, arrays, legacy, names)
    elif "layers" in root or "vars" in root or any("\\" in name for name in root):
        layout, layers = "paths", path_layers(hdf5, arrays, root, "")
        if len(layers) != len({layer["name"] for layer in layers}):
            raise Refused("holds weights for one layer twice")
    else:
        raise Refused(_why_no_model(root))
    if not layers:
        raise Refused("holds no weights")
    return {
        "config": None if config is None else parse_json(config, "model_config"),
        "training": _training(hdf5.text(root, "training_config")),
        "layout": layout,
        "layers": layers,
    }


def _training(text: str | None) -> Any:
    """How the model was trained; None if the file does not say it, or makes no sense there."""
    try:
        return None if text is None else parse_json(text, "training_config")
    except Refused:
        return None


def _why_no_model(root: Any) -> str:
    if isinstance(root.get("layer_0"), h5py.Group):
        return (
            "holds weights as Keras wrote them before version 1: numbered, channels first, and "
            "without a configuration; save the model with a newer Keras"
        )
    names = ", ".join(repr(name[:40]) for name in list(root)[:3])
    return f"is not a Keras model: it holds {names or 'nothing'}, and names no layers"


def legacy_layers(hdf5: Hdf5, arrays: Arrays, group: Any, names: list[str]) -> list[dict[str, Any]]:
    """The weights as Keras 2 orders them: by layer, then by the layer's list of names."""
    if len(names) != len(set(names)):
        raise Refused("'layer_names' names a layer twice")
    layers = []
    for name in names:
        if name not in group or not isinstance(group[name], h5py.Group):
            raise Refused(f"has no group for layer {name!r}")
        prefix = group[name].name
        weights = [
            save_weight(arrays, hdf5.numbers(f"{prefix}/{weight}"), f"{name}/{weight}")
            for weight in hdf5.texts(group[name], "weight_names") or []
        ]
        if weights:
            layers.append({"name": name, "weights": weights})
    return layers


def path_layers(hdf5: Hdf5, arrays: Arrays, group: Any, path: str) -> list[dict[str, Any]]:
    """The weights as Keras 3 stores them: numbered below `<path of the layer>/vars`.

    Keras 2 on Windows wrote such a path as one name with "\\" in it.
    """
    layers = []
    for name in group:
        child, inner = group[name], f"{path}/{name}".lstrip("/").replace("\\", "/")
        if not isinstance(child, h5py.Group):
            continue
        if name != "vars":
            if inner.partition("/")[0] not in TRAINING_STATE:
                layers.extend(path_layers(hdf5, arrays, child, inner))
            continue
        numbers = sorted(child, key=lambda key: (len(key), key))
        if numbers != [str(number) for number in range(len(numbers))]:
            raise Refused(f"{inner} does not number its weights from 0")
        weights = [
            save_weight(arrays, hdf5.numbers(f"{child.name}/{number}"), f"{inner}/{number}")
            for number in numbers
        ]
        if weights:
            layers.append({"name": path, "weights": weights})
    return layers
