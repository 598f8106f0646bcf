"""A Keras model file taken apart: configuration and arrays, in any of Keras' three layouts."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from goodnet.sandbox.reader.arrays import MIB, Arrays, Refused, allowance
from goodnet.sandbox.reader.hdf5 import Hdf5, names_in, path_of, save_weight

LARGEST_JSON = 8 * MIB
DEEPEST_JSON = 200
LARGEST_MODEL = 4096 * MIB  # bytes of weights once decompressed
UNPACKED = "model.weights.h5"
OLD_LAYERS = "_layer_checkpoint_dependencies"
CONFIG = "config.json"


def read_hdf5(path: Path, folder: Path) -> dict[str, Any]:
    """Configuration and weights of an HDF5 model file, of either Keras."""
    return hdf5_content(path, folder, allowance(path.stat().st_size, LARGEST_MODEL))


def read_json(path: Path, folder: Path) -> dict[str, Any]:
    """A configuration in a file of its own."""
    return {"config": parse_json(path.read_bytes(), "it")}


def read_keras(path: Path, folder: Path) -> dict[str, Any]:
    """Configuration and weights of a `.keras` archive; its other members are not read."""
    budget, weights = allowance(path.stat().st_size, LARGEST_MODEL), folder / UNPACKED
    with zipfile.ZipFile(path) as archive:
        config_name, weights_name = keras_members([each.filename for each in archive.infolist()])
        config = parse_json(unpack(archive, config_name, LARGEST_JSON), CONFIG)
        with weights.open("xb") as target:
            for block in unpacked(archive, weights_name, budget):
                target.write(block)
    content = hdf5_content(weights, folder, budget)
    weights.unlink()
    return with_config(content, config)


def with_config(content: dict[str, Any], config: Any) -> dict[str, Any]:
    """The weights' content with the configuration that lies beside them."""
    training = config.get("compile_config") if isinstance(config, dict) else None
    return {**content, "config": config, "training": training}


def keras_members(names: Sequence[str]) -> tuple[str, str]:
    """What configuration and weights are called in an archive.

    They may lie in a folder of it, and "\\" may stand for "/", as when it was packed by hand.
    """
    plain = [name.replace("\\", "/") for name in names]
    held = f"holds {', '.join(map(repr, names[:5]))}{' ...' if len(names) > 5 else ''}"
    if any(name.startswith("/") or ".." in name.split("/") for name in plain):
        raise Refused(f"{held}: one of them leads out of the archive")
    tops = {name.removesuffix(CONFIG) for name in plain if name.endswith(CONFIG)}
    whole = [top for top in tops if f"{top}{UNPACKED}" in plain and top[-1:] in ("", "/")]
    wanted = [f"{top}{name}" for top in whole for name in (CONFIG, UNPACKED)]
    if len(wanted) == 2 and all(plain.count(name) == 1 for name in wanted):
        config, weights = (names[plain.index(name)] for name in wanted)
        return config, weights
    models = [name for name in names if name.lower().endswith((".h5", ".hdf5", ".keras", ".pb"))]
    if models and not whole and UNPACKED not in plain:
        kind = "folder of it" if models[0].endswith(".pb") else "file"
        raise Refused(f"is an archive with {models[0]!r} in it; unpack it, and give that {kind}")
    raise Refused(f"{held}; a .keras file holds {CONFIG} and {UNPACKED}, each once")


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
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for items in inner for item in items]
    return deepest


def hdf5_content(path: Path, folder: Path, budget: int) -> dict[str, Any]:
    """Configuration (None in a weights-only file) and weights of an HDF5 model file."""
    hdf5, arrays = Hdf5(path, budget), Arrays(folder)
    root = hdf5.file
    config = hdf5.text(root, "model_config")
    legacy = hdf5.group(root, "model_weights") or root
    names, version = hdf5.texts(legacy, "layer_names"), hdf5.text(legacy, "keras_version")
    if names is not None:
        layout = "keras_3" if str(version).startswith("3.") else "keras_2"
        layers = legacy_layers(hdf5, arrays, legacy, names)
    elif any(name.partition("\\")[0] in ("layers", "vars", OLD_LAYERS) for name in names_in(root)):
        layout, layers = "paths", path_layers(hdf5, arrays)
    else:
        raise Refused(_why_no_model(hdf5))
    if not layers:
        raise Refused("holds no weights")
    return {
        "config": None if config is None else parse_json(config, "model_config"),
        "training": _training(hdf5),
        "layout": layout,
        "layers": layers,
    }


def _training(hdf5: Hdf5) -> Any:
    """How the model was trained; None if the file does not say it, or makes no sense there."""
    try:
        text = hdf5.text(hdf5.file, "training_config")
        return None if text is None else parse_json(text, "training_config")
    except Refused:
        return None


def _why_no_model(hdf5: Hdf5) -> str:
    if hdf5.group(hdf5.file, "layer_0") is not None:
        return (
            "holds weights as Keras wrote them before version 1: numbered, channels first, and "
            "without a configuration; save the model with a newer Keras"
        )
    names = ", ".join(repr(name[:40]) for name in names_in(hdf5.file)[:3])
    return f"is not a Keras model: it holds {names or 'nothing'}, and names no layers"


def legacy_layers(hdf5: Hdf5, arrays: Arrays, group: Any, names: list[str]) -> list[dict[str, Any]]:
    """The weights as Keras 2 orders them: by layer, then by the layer's list of names."""
    if len(names) != len(set(names)):
        raise Refused("'layer_names' names a layer twice")
    layers = []
    for name in names:
        layer = hdf5.group(group, name)
        if layer is None:
            raise Refused(f"has no group for layer {name!r}")
        weights = [
            save_weight(
                arrays,
                hdf5.numbers(f"{path_of(layer)}/{weight}", bfloat16=True),
                f"{name}/{weight}",
            )
            for weight in hdf5.texts(layer, "weight_names") or []
        ]
        if weights:
            layers.append({"name": name, "weights": weights})
    return layers


def path_layers(hdf5: Hdf5, arrays: Arrays) -> list[dict[str, Any]]:
    """The weights as Keras 3 stores them: numbered below `<path of the layer>/vars`.

    Keras 2 on Windows wrote such a path as one name with "\\" in it; that of TensorFlow 2.12 and
    2.13 had another word for "layers". What else is at the top is of the training, or foreign.
    """
    for tops in (("layers", "vars"), (OLD_LAYERS,)):
        names = [name for name in names_in(hdf5.file) if name.partition("\\")[0] in tops]
        layers = _layers_below(hdf5, arrays, hdf5.file, names, "", 0)
        if layers:
            break
    if len(layers) != len({layer["name"] for layer in layers}):
        raise Refused("holds weights for one layer twice")
    return layers


def _layers_below(
    hdf5: Hdf5, arrays: Arrays, group: Any, names: Iterable[str], path: str, depth: int
) -> list[dict[str, Any]]:
    layers = []
    for name, child in hdf5.groups(group, names, depth):
        inner = f"{path}/{name}".lstrip("/").replace("\\", "/").replace(OLD_LAYERS, "layers")
        if name != "vars":
            layers += _layers_below(hdf5, arrays, child, names_in(child), inner, depth + 1)
            continue
        numbers = sorted(names_in(child), key=lambda key: (len(key), key))
        if numbers != [str(number) for number in range(len(numbers))]:
            raise Refused(f"{inner} does not number its weights from 0")
        weights = [
            save_weight(
                arrays,
                hdf5.numbers(f"{path_of(child)}/{number}", bfloat16=True),
                f"{inner}/{number}",
            )
            for number in numbers
        ]
        if weights:
            layers.append({"name": path, "weights": weights})
    return layers
