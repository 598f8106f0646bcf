"""A kit of bad models and data sets. What they carry touches a marker file and nothing else."""

import io
import json
import os
import socket
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import h5py
import numpy as np
import saved_models
from PIL import Image

from goodnet.backend import keras
from goodnet.files.formats import FOLDER, MODEL_FOLDER

MARKER = "marker"


class Bad(NamedTuple):
    """A bad file: `build` writes it into a folder; `says` is in the refusal."""

    name: str
    build: Callable[[Path], Path]
    says: str


Members = dict[str, bytes]
Change = Callable[[Any], Any]


@cache
def good_members() -> Members:
    """The members of a `.keras` file that is fine."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "good.keras"
        good_network().save(path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@cache
def good_h5() -> bytes:
    """An `.h5` file that is fine."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "good.h5"
        good_network().save(path)
        return path.read_bytes()


def good_network() -> keras.Model:
    """A small classifier for 12 x 10 x 3 images and 5 classes."""
    layers = keras.layers
    images = keras.Input((12, 10, 3), name="images")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    hidden = layers.MaxPooling2D(2, name="pool")(hidden)
    hidden = layers.Flatten(name="flat")(hidden)
    return keras.Model(images, layers.Dense(5, activation="softmax", name="scores")(hidden))


def archive(members: Members, name: str = "bad.keras") -> Callable[[Path], Path]:
    """A builder of a zip archive."""

    def build(folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as target:
            for member, content in members.items():
                target.writestr(member, content)
        return folder / name

    return build


def raw(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A builder of a file with this content."""

    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return build


def with_config(change: Change) -> Callable[[Path], Path]:
    """A builder of the good `.keras` file with another configuration."""

    def build(folder: Path) -> Path:
        members = dict(good_members())
        config = json.loads(members["config.json"])
        members["config.json"] = json.dumps(change(config) or config).encode()
        return archive(members)(folder)

    return build


def with_h5(change: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    """A builder of the good `.h5` file, changed."""

    def build(folder: Path) -> Path:
        path = folder / "bad.h5"
        path.write_bytes(good_h5())
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return build


def with_h5_config(change: Change) -> Callable[[Path], Path]:
    """A builder of the good `.h5` file with another configuration."""

    def changed(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config) or config)

    return with_h5(changed)


def layer(config: Any, name: str) -> Any:
    """One layer's entry in a configuration."""
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


def as_layer(kind: str, **more: Any) -> Change:
    """A change: the pooling layer is of another class."""

    def change(config: Any) -> None:
        entry = layer(config, "pool")
        entry.update(class_name=kind, module=more.pop("module", "keras.layers"))
        entry["config"] = {"name": "pool", **more}

    return change


def argument(where: str, **values: Any) -> Change:
    """A change: other arguments of one layer."""

    def change(config: Any) -> None:
        layer(config, where)["config"].update(values)

    return change


PAYLOAD = {
    "class_name": "__lambda__",
    "config": {"value": "touch " + MARKER},
    "module": "builtins",
}


def nested(change: Change) -> Change:
    """A change: the whole model, changed, is a layer of another."""

    def wrap(config: Any) -> Any:
        inner = change(config) or config
        history = {"shape": [None, 12, 10, 3], "dtype": "float32"}
        tensor = {"class_name": "__keras_tensor__", "config": history}
        history["keras_history"] = ["outside", 0, 0]  # type: ignore[assignment]
        outside = {
            "class_name": "InputLayer",
            "name": "outside",
            "config": {"batch_shape": [None, 12, 10, 3], "name": "outside"},
            "inbound_nodes": [],
        }
        nodes = [{"args": [tensor], "kwargs": {}}] * 2
        inner = {**inner, "name": "inside", "inbound_nodes": nodes}
        ends = {"input_layers": [["outside", 0, 0]], "output_layers": [["inside", 1, 0]]}
        layers = {"name": "shell", "layers": [outside, inner], **ends}
        return {"class_name": "Functional", "config": layers}

    return wrap


def wrapped(config: Any) -> None:
    """A change: a wrapper around a layer that carries code."""
    inner = {"class_name": "Lambda", "config": {"name": "code", "function": PAYLOAD}}
    as_layer("TimeDistributed", layer=inner)(config)


HOSTILE_LAYERS = {
    "lambda": as_layer("Lambda", function=PAYLOAD),
    "lambda_by_name": as_layer("Lambda", function="keras.utils.get_file"),
    "tf_op": as_layer("TFOpLambda", function="io.write_file", module="tensorflow"),
    "sliced_tensor": as_layer("SlicingOpLambda", function="__getitem__"),
    "registered": as_layer("Evil", module="evil", registered_name="evil>Evil"),
    "torch": as_layer("TorchModuleWrapper", module_bytes="gASV"),
    "saved_model": as_layer("TFSMLayer", filepath="/tmp/evil", call_endpoint="serve"),
    "jax": as_layer("JaxLayer", call_fn="os.system"),
    "wrapper": as_layer("Wrapper", layer={"class_name": "Lambda", "config": {}}),
    "time_distributed": wrapped,
    "bidirectional": as_layer("Bidirectional", layer={"class_name": "LSTM", "config": {}}),
    "string_lookup": as_layer("StringLookup", vocabulary="/etc/passwd"),
    "random_crop": as_layer("RandomCrop", height=2, width=2),
}


def hostile_layers() -> Iterator[Bad]:
    """Layers off the allow-list: at top level, in a shared sub-model, and in both formats."""
    for name, change in HOSTILE_LAYERS.items():
        yield Bad(f"layer_{name}", with_config(change), "is not allowed")
        yield Bad(f"nested_{name}", with_config(nested(change)), "is not allowed")
        yield Bad(f"h5_layer_{name}", with_h5_config(change), "is not allowed")


HOSTILE_ARGUMENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "activation_dict": ("conv", {"activation": PAYLOAD}, "activation"),
    "activation_path": ("conv", {"activation": "os.system"}, "activation"),
    "activation_registered": ("conv", {"activation": "evil>run"}, "activation"),
    "unknown_argument": ("conv", {"hook": "os.system"}, "'hook' is not known"),
    "whole_precision": ("conv", {"dtype": "int8"}, "no floating-point"),
    "data_format": ("conv", {"data_format": "channels_somewhere"}, "data_format"),
    "negative_filters": ("conv", {"filters": -4}, "filters"),
    "absurd_filters": ("conv", {"filters": 2**31}, "filters"),
    "absurd_units": ("scores", {"units": 2**40}, "units"),
    "bool_units": ("scores", {"units": True}, "units"),
    "text_units": ("scores", {"units": "5"}, "units"),
    "zero_pool": ("pool", {"pool_size": [0, 0]}, "pool_size"),
    "float_stride": ("conv", {"strides": [0.5, 1]}, "strides"),
    "long_kernel": ("conv", {"kernel_size": [3, 3, 3]}, "kernel_size"),
}


def hostile_arguments() -> Iterator[Bad]:
    """Arguments that are not what a layer may have."""
    for name, (where, values, says) in HOSTILE_ARGUMENTS.items():
        yield Bad(f"argument_{name}", with_config(argument(where, **values)), says)


def rewired(config: Any) -> None:
    """A change: two layers wait for each other."""
    tensor = layer(config, "conv")["inbound_nodes"][0]["args"][0]
    tensor["config"]["keras_history"] = ["pool", 0, 0]


def ends_nowhere(config: Any) -> None:
    """A change: the output is a layer that is not there."""
    config["config"]["output_layers"] = ["nobody", 0, 0]


def renamed(name: str) -> Change:
    """A change: the pooling layer has another name."""

    def change(config: Any) -> Any:
        return json.loads(json.dumps(config).replace('"pool"', json.dumps(name)))

    return change


def deep(depth: int) -> bytes:
    """JSON that is nested deeply."""
    return b"[" * depth + b"]" * depth


def configurations() -> Iterator[Bad]:
    """Plans that are none, and text that is no plan."""
    yield Bad("cyclic_graph", with_config(rewired), "waits for a tensor that is never made")
    yield Bad("output_nowhere", with_config(ends_nowhere), "name no tensor")
    yield Bad("name_newline", with_config(renamed("a\nb")), "a layer is named 'a?b'")
    yield Bad("name_escape", with_config(renamed("\x1b[2J")), "a layer is named")
    yield Bad("name_long", with_config(renamed("x" * 5000)), "a layer is named")
    yield Bad("name_twice", with_config(renamed("conv")), "two layers are named 'conv'")
    yield Bad(
        "subclassed", with_config(lambda c: {**c, "class_name": "Evil"}), "'Evil (Functional)'"
    )
    yield Bad(
        "registered_model",
        with_config(lambda c: {**c, "registered_name": "evil>Functional"}),
        "'Functional (evil>Functional)'",
    )
    yield Bad("no_layers", with_config(lambda c: c["config"].update(layers=[])), "no layers")
    yield Bad("config_list", with_config(lambda c: [c]), "damaged model configuration")
    yield Bad("config_null", with_config(lambda c: {"class_name": None}), "damaged")
    for name, text, says in (
        ("not_json", b"{'a': 1}", "not JSON"),
        ("nan_json", b'{"a": NaN}', "holds NaN"),
        ("infinite_json", b'{"a": -Infinity}', "holds -Infinity"),
        ("deep_json", deep(1000), "nested"),
        ("deeper_json", deep(200_000), "nested"),
        ("bomb_json", b'"' + b"a" * (40 << 20) + b'"', "config.json unpacks to more than"),
        ("empty_json", b"", "not JSON"),
    ):
        yield Bad(name, _with_member("config.json", text), says)


def _with_member(name: str, content: bytes) -> Callable[[Path], Path]:
    return lambda folder: archive({**good_members(), name: content})(folder)


def _doubled(folder: Path) -> Path:
    path = archive(good_members())(folder)
    with zipfile.ZipFile(path, "a") as target:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.writestr("config.json", b"{}")
    return path


def _bomb() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as target:
        target.create_dataset("big", shape=(1 << 28,), dtype="f4", chunks=(1 << 18,), fillvalue=0)
    return file.getvalue()


def _zip_bomb(folder: Path) -> Path:
    path = folder / "bad.keras"
    members = {k: v for k, v in good_members().items() if k != "model.weights.h5"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
        with target.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(600):
                member.write(bytes(1 << 20))
    return path


def archives() -> Iterator[Bad]:
    """Zip archives that are not what a `.keras` file is."""
    yield Bad("zip_doubled_member", _doubled, "each once")
    for number, name in enumerate(("../../up", "/tmp/root", "a\\..\\..\\up", "..")):
        yield Bad(f"zip_leads_out_{number}", _with_member(name, b"x"), "leads out of the archive")
    yield Bad("zip_elsewhere", _moved("config.json", "./config.json"), "a .keras file holds")
    yield Bad("zip_hidden", _moved("config.json", "x_config.json"), "a .keras file holds")
    for top in ("other/", "other\\"):
        yield Bad(f"zip_two_models_{top[-1:] == '/'}", _two_models(top), "each once")
    yield Bad("zip_of_models", archive({"net.h5": b"x", "labels.txt": b"x"}), "unpack it, and")
    yield Bad("zip_of_folder", archive({"net/saved_model.pb": b"x"}), "give that folder of it")
    yield Bad("zip_of_torch", archive({"net/data.pkl": b"x"}), "a .keras file holds")
    yield Bad("zip_empty", archive({}), "is not an HDF5 file, a zip archive or a SavedModel")
    yield Bad("zip_without_weights", _without("model.weights.h5"), "a .keras file holds")
    yield Bad("zip_without_config", _without("config.json"), "a .keras file holds")
    yield Bad("zip_weights_text", _with_member("model.weights.h5", b"no HDF5"), "damaged")
    yield Bad("zip_weights_empty", _with_member("model.weights.h5", b""), "damaged")
    yield Bad("zip_bomb", _zip_bomb, "unpacks to more than")
    yield Bad("zip_truncated", _truncated("keras", 3), "damaged")


def _moved(name: str, place: str) -> Callable[[Path], Path]:
    """A builder of the good archive with a member under another name."""
    return lambda folder: archive(
        {place if each == name else each: held for each, held in good_members().items()}
    )(folder)


def _two_models(top: str) -> Callable[[Path], Path]:
    """A builder of an archive with two models, one of them in a folder."""
    return lambda folder: archive(
        {**good_members(), **{f"{top}{name}": held for name, held in good_members().items()}}
    )(folder)


def _without(name: str) -> Callable[[Path], Path]:
    return lambda folder: archive({k: v for k, v in good_members().items() if k != name})(folder)


def _truncated(kind: str, divisor: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        whole = archive(good_members())(folder).read_bytes() if kind == "keras" else good_h5()
        path = folder / f"bad.{kind}"
        path.write_bytes(whole[: len(whole) // divisor])
        return path

    return build


KERNEL = "model_weights/conv/conv/kernel"


def _replace(path: str, **how: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        values = file[path][()]
        del file[path]
        file.create_dataset(path, **{"data": values, **how})

    return change


def _spoil(value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[KERNEL][0, 0, 0, 0] = value

    return change


def _link(link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[KERNEL]
        file[KERNEL] = link

    return change


def with_weights(change: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    """A builder of the good `.keras` file with its weights changed."""

    def build(folder: Path) -> Path:
        weights = io.BytesIO(good_members()["model.weights.h5"])
        with h5py.File(weights, "r+") as file:
            change(file)
        return _with_member("model.weights.h5", weights.getvalue())(folder)

    return build


def _cycle(file: h5py.File) -> None:
    file["layers/conv2d/again"] = file["layers"]


def _to_the_top(file: h5py.File) -> None:
    file["layers/conv2d/again"] = file["/"]


def _twice(file: h5py.File) -> None:
    file["layers/dense_1"] = file["layers/dense"]


def _weight_twice(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]
    file["layers/dense/vars/1"] = file["layers/dense/vars/0"]


def _deep_groups(file: h5py.File) -> None:
    file.create_group("layers" + "/x" * 120)


def _external(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (3, 3, 3, 4), "f4", external=[("/etc/passwd", 0, 432)])


def _virtual(file: h5py.File) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 3, 3, 4))
    file.create_virtual_dataset(KERNEL, layout)


def _huge(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 33,), "f4", chunks=(1 << 20,))


def _never_written(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (3, 3, 3, 4), "f4")


def _attribute(where: str, name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[where].attrs[name]
        file[where].attrs[name] = value

    return change


def _deleted(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]

    return change


def _wide(file: h5py.File) -> None:
    for number in range(31_000):
        file.create_group(f"layers/g{number}")


def hdf5_models() -> Iterator[Bad]:
    """HDF5 that reaches out, blows up, or does not hold what it says."""
    for name, change, says in (
        ("soft_link", _link(h5py.SoftLink("/model_weights/scores")), "soft or external link"),
        ("external_link", _link(h5py.ExternalLink("/etc/passwd", "/")), "soft or external link"),
        ("external_storage", _external, "in another file"),
        ("virtual", _virtual, "in another file"),
        ("huge", _huge, "more than can be in a file of this size"),
        ("never_written", _never_written, "holds none"),
        ("gzip_bomb", _replace(KERNEL, data=np.zeros(100 << 20, "f4"), compression="gzip"),
         "more than can be in a file of this size"),
        ("chunk_bomb", _replace(KERNEL, data=np.zeros(65 << 20, "f4"), compression="gzip",
         chunks=(65 << 20,)), "chunks of more than 256 MiB"),
        ("overflow", _replace(KERNEL, data=np.full((3, 3, 3, 4), 3e38, "f4")),
         "answers NaN or infinite scores"),
        ("beyond_float32", _replace(KERNEL, data=np.full((3, 3, 3, 4), 1e300)), "beyond float32"),
        ("nan", _spoil(np.nan), "NaN or infinite"),
        ("infinite", _spoil(np.inf), "NaN or infinite"),
        ("scaleoffset_filter", _replace(KERNEL, data=np.ones((3, 3, 3, 4), "i4"), scaleoffset=0),
         "uses filter"),
        ("wrong_shape", _replace(KERNEL, data=np.ones((3, 3, 3, 5), "f4")), "shape"),
        ("complex", _replace(KERNEL, data=np.ones((3, 3, 3, 4), "c8")), "not float, int or uint"),
        ("text_weights", _replace(KERNEL, data=b"text"), "not float, int or uint"),
        ("object_weights", _replace(KERNEL, data=["a"], dtype=h5py.string_dtype()), "not float"),
        ("missing_weight", _deleted(KERNEL), "has no data set"),
        ("missing_layer", _deleted("model_weights/conv"), "has no group for layer"),
        ("group_for_weight", _link_group, "is a group"),
        ("config_number", _attribute("/", "model_config", 7), "not text"),
        ("config_list", _attribute("/", "model_config", ["a", "b"]), "not one text"),
        ("config_nan", _attribute("/", "model_config", '{"a": NaN}'), "holds NaN"),
        ("names_number", _attribute("model_weights", "layer_names", [1, 2]), "list of texts"),
        ("names_twice", _attribute("model_weights", "layer_names", ["conv", "conv"]), "twice"),
        ("names_escape", _attribute("model_weights", "layer_names", ["../../x"]), "no group for"),
        ("names_missing", lambda f: f["model_weights"].attrs.__delitem__("layer_names"),
         "not a Keras model"),
        ("weight_twice", _attribute("model_weights/conv", "weight_names",
         ["conv/kernel", "./conv/kernel"]), "is used twice"),
        ("weights_left_out", _attribute("model_weights/conv", "weight_names", ["conv/kernel"]),
         "weights"),
    ):  # fmt: skip
        yield Bad(f"h5_{name}", with_h5(change), says)
    for name, change, says in (
        ("cycle", _cycle, "reached by two paths"),
        ("to_the_top", _to_the_top, "reached by two paths"),
        ("hard_link_twice", _twice, "reached by two paths"),
        ("hard_link_to_weight", _weight_twice, "is used twice"),
        ("deep_groups", _deep_groups, "nested more than 100 deep"),
        ("too_many_groups", _wide, "more than 30000 groups"),
        ("numbered_from_1", _link_at("layers/dense/vars/7", h5py.SoftLink("/layers")), "from 0"),
        ("layers_link", _link_at("layers/x", h5py.ExternalLink("/etc/passwd", "/")), "external"),
    ):
        yield Bad(f"h5_{name}", with_weights(change), says)
    for divisor in (1.01, 2, 50):
        yield Bad(f"h5_truncated_{divisor}", _truncated_h5(divisor), "damaged")


def _link_at(path: str, link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[path] = link

    return change


def _link_group(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_group(KERNEL)


def _truncated_h5(divisor: float) -> Callable[[Path], Path]:
    return raw("bad.h5", lambda: good_h5()[: int(len(good_h5()) / divisor)])


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "bad.h5")
    return folder / "bad.h5"


def _symlink(target: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / "bad.h5").symlink_to(target)
        return folder / "bad.h5"

    return build


def _folder(folder: Path) -> Path:
    (folder / "bad.keras").mkdir()
    return folder / "bad.keras"


def special_files() -> Iterator[Bad]:
    """What is no regular file, or no model at all."""
    yield Bad("missing", lambda folder: folder / "none.h5", "no such file")
    yield Bad("empty_h5", raw("bad.h5", b""), "is empty")
    yield Bad("empty_keras", raw("bad.keras", b""), "is empty")
    yield Bad("text", raw("bad.h5", b"hello"), "is not an HDF5 file, a zip archive or a SavedModel")
    yield Bad(
        "pickle",
        raw("bad.h5", b"\x80\x04\x95\x00."),
        "is not an HDF5 file, a zip archive or a SavedModel",
    )
    yield Bad("signature_only", raw("bad.h5", b"\x89HDF\r\n\x1a\n"), "damaged")
    yield Bad("zeros_after", raw("bad.h5", b"\x89HDF\r\n\x1a\n" + bytes(4096)), "damaged")
    for name, content, says in (
        ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "`git lfs pull`"),
        ("page", b"<!DOCTYPE html><html>", "a web page; download the file itself"),
        ("as_text", b"\xef\xbf\xbdHDF\r\n\x1a\n\x00", "saved as text, which destroyed it"),
        ("gzip", b"\x1f\x8b\x08\x00", "packed with gzip; unpack it"),
        ("json", b'{"class_name": "Sequential"}', "it is JSON, without weights"),
        ("tflite", b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite model"),
        ("graph", b"\x08\x01\x12\xab\xcd", "give the folder that it is in"),
    ):
        yield Bad(f"instead_{name}", raw("bad.h5", content), says)
    yield Bad("behind_odd_block", raw("bad.h5", lambda: bytes(513) + good_h5()), "is not an HDF5")
    yield Bad("behind_large_block", raw("bad.h5", lambda: bytes(1 << 20) + good_h5()), "is not an")
    yield Bad("fifo", _fifo, "not a regular file")
    yield Bad("device", lambda folder: Path("/dev/zero"), "not a regular file")
    yield Bad("folder", _folder, "is a folder and no SavedModel")
    yield Bad("symlink", _symlink("/etc/passwd"), "symbolic link")
    yield Bad("symlink_loop", _symlink("bad.h5"), "symbolic link")
    yield Bad(
        "newline",
        raw("bad\n<b>.h5", b"hello"),
        "is not an HDF5 file, a zip archive or a SavedModel",
    )


@cache
def good_folder() -> saved_models.Files:
    """The files of a SavedModel that is fine."""
    return saved_models.files_of(good_network())


def folder_of(**changes: bytes | None) -> Callable[[Path], Path]:
    """A builder of the good folder with other files: `metadata`, `graph`, `index`, `data`."""
    names = {
        "metadata": saved_models.METADATA,
        "graph": saved_models.GRAPH,
        "index": saved_models.INDEX,
        "data": saved_models.DATA,
    }

    def build(folder: Path) -> Path:
        files = {**good_folder(), **{names[each]: held for each, held in changes.items()}}
        there = {name: held for name, held in files.items() if held is not None}
        return saved_models.write(there, folder / "bad")

    return build


def _folder_config(change: Change) -> Callable[[Path], Path]:
    """A builder of the good folder with another configuration."""

    def build(folder: Path) -> Path:
        config = json.loads(good_network().to_json())
        return folder_of(metadata=saved_models.metadata(change(config) or config))(folder)

    return build


def _with_records(**changes: bytes) -> Callable[[Path], Path]:
    """A builder of the good folder with other records for the first kernel, or for the objects."""

    def build(folder: Path) -> Path:
        nodes, arrays = saved_models.objects_of(good_network())
        files = saved_models.checkpoint(nodes, arrays)
        kernel, size = next(iter(arrays)).encode(), len(files[saved_models.DATA])
        records, place = dict[bytes, bytes](), 0
        for key, array in arrays.items():
            records[key.encode()] = saved_models.record(place, array.nbytes, array.shape)
            place += array.nbytes
        graph = saved_models.record(place, size - place, (), 7)
        records[saved_models.OBJECT_GRAPH] = changes.get("graph", graph)
        records[kernel] = changes.get("kernel", records[kernel])
        index = saved_models.index_of(records, changes.get("header"))
        return folder_of(index=index, data=files[saved_models.DATA])(folder)

    return build


def _with_objects(change: Callable[[list[Any]], object]) -> Callable[[Path], Path]:
    """A builder of the good folder with other objects."""

    def build(folder: Path) -> Path:
        nodes, arrays = saved_models.objects_of(good_network())
        change(nodes)
        files = saved_models.checkpoint(nodes, arrays)
        return folder_of(index=files[saved_models.INDEX], data=files[saved_models.DATA])(folder)

    return build


def _renode(number: int, **children: int) -> Callable[[list[Any]], object]:
    """A change: an object has these children as well."""

    def change(nodes: list[Any]) -> None:
        nodes[number] = nodes[number]._replace(children={**nodes[number].children, **children})

    return change


def _spoilt_array(value: float) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        nodes, arrays = saved_models.objects_of(good_network())
        first = next(iter(arrays))
        arrays[first] = np.full_like(arrays[first], value)
        files = saved_models.checkpoint(nodes, arrays)
        return folder_of(index=files[saved_models.INDEX], data=files[saved_models.DATA])(folder)

    return build


def _chain(nodes: list[Any]) -> None:
    """Models in models, a hundred deep."""
    for _ in range(100):
        nodes.append(saved_models.Node({"layer_with_weights-0": len(nodes) + 1}))
    nodes.append(saved_models.Node({}))
    nodes[0] = saved_models.Node({"layer_with_weights-0": len(nodes) - 101})


def _in_folder(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A builder of the good folder, changed on the disk."""

    def build(folder: Path) -> Path:
        bad = folder_of()(folder)
        make(bad)
        return bad

    return build


def _linked(name: str, target: str) -> Callable[[Path], object]:
    def change(bad: Path) -> None:
        (bad / name).unlink(missing_ok=True)
        (bad / name).symlink_to(target)

    return change


def _model_stream(*files: tuple[bytes, bytes], after: bytes = b"") -> Callable[[Path], Path]:
    """A file that claims to be the stream of a model's folder."""
    content = MODEL_FOLDER.signature
    for name, held in files:
        content += len(name).to_bytes(4, "big") + name + len(held).to_bytes(8, "big") + held
    return raw("bad.h5", content + after)


def _index_without(end: int) -> Callable[[Path], Path]:
    return lambda folder: folder_of(index=good_folder()[saved_models.INDEX][:end])(folder)


def _alone(nodes: list[Any]) -> None:
    """A root in which nothing is."""
    nodes[:] = [saved_models.Node({})]


def _deep_folder(bad: Path) -> None:
    (bad / "a" / "/".join("x" * 25)).mkdir(parents=True)


def _thousand_files(bad: Path) -> None:
    for number in range(1001):
        (bad / f"{number}").touch()


def _index_changed(folder: Path) -> Path:
    """The good folder with another offset of an array, which only the checksum tells."""
    index = bytearray(good_folder()[saved_models.INDEX])
    index[index.index(saved_models.field(5, 432)) - 1] ^= 4
    return folder_of(index=bytes(index))(folder)


def _overlapping(folder: Path) -> Path:
    """An index that names one block a thousand times."""
    first = saved_models.block([(b"", saved_models.field(1, 1))])
    handle = saved_models.varint(0) + saved_models.varint(len(first))
    second = saved_models.block([(b"%04d" % n, handle) for n in range(1000)])
    place = saved_models.varint(len(first) + 5) + saved_models.varint(len(second))
    footer = (saved_models.varint(0) * 2 + place).ljust(40, b"\0") + saved_models.MAGIC
    blocks = saved_models.sealed(first) + saved_models.sealed(second)
    return folder_of(index=blocks + footer)(folder)


def saved_model_folders() -> Iterator[Bad]:
    """SavedModels that lead out, blow up, never end, or hold code."""
    record, varint, field = saved_models.record, saved_models.varint, saved_models.field
    shape, size = (3, 3, 3, 4), 432
    many = [(b"", field(1, 1)), *((b"%06d" % n, b"") for n in range(100_002))]
    for name, change in HOSTILE_LAYERS.items():
        yield Bad(f"folder_layer_{name}", _folder_config(change), "is not allowed")
    for name, build, says in (
        ("no_metadata", folder_of(metadata=None), "holds a graph, which is never run"),
        ("empty_metadata", folder_of(metadata=b""), "holds a graph, which is never run"),
        ("no_root", folder_of(metadata=saved_models.metadata({}, path="root.a")), "never run"),
        ("not_keras", folder_of(metadata=None, graph=field(2, field(7, field(1, field(4,
            field(1, "_generic_user_object") + field(3, "{}")))))), "never run"),
        ("not_json", folder_of(metadata=saved_models.metadata("{'a'")), "is not JSON"),
        ("deep_json", folder_of(metadata=saved_models.metadata("[" * 9000)), "nested more than"),
        ("large_json", folder_of(metadata=saved_models.metadata('"' + "a" * (9 << 20))), "larger"),
        ("nan_json", folder_of(metadata=saved_models.metadata('{"a": NaN}')), "holds NaN"),
        ("list_json", folder_of(metadata=saved_models.metadata("[1]")), "never run"),
        ("subclassed", _folder_config(lambda c: {**c, "class_name": "Evil"}), "'Evil"),
        ("no_config", folder_of(metadata=saved_models.metadata('{"name": "x"}')), "damaged model"),
        ("metadata_cut", folder_of(metadata=saved_models.metadata({"a": 1})[:-3]), "is cut off"),
        ("metadata_zeros", folder_of(metadata=bytes(99)), "it is no protocol buffer"),
        ("metadata_groups", folder_of(metadata=b"\x0b" * 9999), "it is no protocol buffer"),
        ("metadata_endless", folder_of(metadata=b"\x0a" + b"\xff" * 99), "does not end"),
        ("metadata_giant", folder_of(metadata=b"\x0a" + varint(1 << 62)), "is cut off"),
        ("no_index", folder_of(index=None), "has no variables/variables.index"),
        ("empty_index", folder_of(index=b""), "its index does not end as a table"),
        ("index_cut", _index_without(-1), "its index does not end as a table"),
        ("index_footer_only", _index_without(0), "its index does not end as a table"),
        ("index_text", folder_of(index=b"x" * 99), "its index does not end as a table"),
        ("index_far", folder_of(index=(varint(0) * 2 + varint(1 << 60) + varint(9)).ljust(40)
            + saved_models.MAGIC), "lies beyond the end"),
        ("index_itself", folder_of(index=(varint(0) * 3 + varint(40)).ljust(40, b"\0")
            + saved_models.MAGIC), "is packed with"),
        ("index_restarts", folder_of(index=saved_models.sealed(b"\xff" * 4)
            + (varint(0) * 3 + varint(4)).ljust(40, b"\0") + saved_models.MAGIC), "has no header"),
        ("index_checksum", _index_changed, "a checksum in its index is wrong"),
        ("index_overlap", _overlapping, "the blocks of its index overlap"),
        ("index_endless", folder_of(index=(b"\xff" * 40) + saved_models.MAGIC), "does not end"),
        ("snappy", folder_of(index=saved_models.table([(b"", field(1, 1))], packing=1)),
            "is packed with method 1, which TensorFlow does not use"),
        ("many_keys", folder_of(index=saved_models.table(many)), "more than 100000 keys"),
        ("long_key", folder_of(index=saved_models.table([(b"k" * 9999, b"")])), "is cut off"),
        ("no_header", folder_of(index=saved_models.table([])), "has no header"),
        ("big_endian", _with_records(header=field(1, 1) + field(2, 1)), "has no header"),
        ("no_shards", _with_records(header=b""), "has no header"),
        ("many_shards", _with_records(header=field(1, 1 << 40)), "has no variables/variables.data"),
        ("shard_beyond", _with_records(kernel=record(0, size, shape, x3=7)), "data-00007-of-00001"),
        ("no_data", folder_of(data=None), "has no variables/variables.data-00000-of-00001"),
        ("empty_data", folder_of(data=b""), "lies beyond the end"),
        ("data_beyond", _with_records(kernel=record(1 << 50, size, shape)), "beyond the end"),
        ("giant", _with_records(kernel=record(0, 1 << 45, (1 << 36, 128))), "more than there are"),
        ("giant_sides", _with_records(kernel=record(0, size, (1 << 62,) * 3)), "3 axes"),
        ("negative_side", _with_records(kernel=record(0, size, ((1 << 64) - 1,))), "1 axes"),
        ("many_axes", _with_records(kernel=record(0, size, (1,) * 40)), "has 40 axes"),
        ("short", _with_records(kernel=record(0, size - 4, shape)), "and 428 bytes"),
        ("wrong_shape", _with_records(kernel=record(0, size, (3, 3, 4, 3))), "needs a weight of"),
        ("no_type", _with_records(kernel=record(0, size, shape, 0)), "TensorFlow's type 0"),
        ("text_weight", _with_records(kernel=record(0, size, shape, 7)), "TensorFlow's type 7"),
        ("variant", _with_records(kernel=record(0, size, shape, 21)), "TensorFlow's type 21"),
        ("complex", _with_records(kernel=record(0, 2 * size, shape, 8)), "TensorFlow's type 8"),
        ("slices", _with_records(kernel=record(0, size, shape, x7=b"x")), "split into slices"),
        ("record_text", _with_records(kernel=b"no record"), "is damaged"),
        ("graph_number", _with_records(graph=record(0, 4)), "is no text"),
        ("graph_large", _with_records(graph=record(0, 1 << 30, (), 7)), "is no text"),
        ("graph_beyond", _with_records(graph=record(1 << 40, 99, (), 7)), "beyond the end"),
        ("graph_of_weights", _with_records(graph=record(0, size, (), 7)), "is damaged"),
        ("no_objects", _with_objects(lambda nodes: nodes.clear()), "is not there"),
        ("object_beyond", _with_objects(_renode(0, x=1 << 40)), "an object that is not there"),
        ("cycle", _with_objects(_renode(0, **{"layer_with_weights-0": 0})), "holds no weights for"),
        ("cycle_of_weights", _with_objects(_renode(3, **{"0": 3})), "which are the weights of"),
        ("chain", _with_objects(_chain), "nested more than 10 deep"),
        ("no_layers", _with_objects(_alone), "holds no weights of layers"),
        ("one_weight_twice", _with_objects(_renode(3, **{"0": 1, "1": 1})), "needs a weight"),
        ("nan", _spoilt_array(np.nan), "NaN or infinite"),
        ("infinite", _spoilt_array(np.inf), "NaN or infinite"),
        ("link", _in_folder(_linked("assets", "/etc")), "assets is a symbolic link"),
        ("link_out", _in_folder(_linked(saved_models.DATA, "/etc/passwd")), "is a symbolic link"),
        ("link_loop", _in_folder(_linked("variables/up", "..")), "variables/up is a symbolic"),
        ("link_in", _in_folder(_linked("copy.pb", saved_models.METADATA)), "copy.pb is a symbolic"),
        ("fifo", _in_folder(lambda bad: os.mkfifo(bad / "pipe")), "pipe is not a regular file"),
        ("deep", _in_folder(_deep_folder), "nested more than 10 deep"),
        ("many_files", _in_folder(_thousand_files), "has more than 1000 files"),
        ("none", folder_of(metadata=None, graph=None), "it has no saved_model.pb"),
        ("stream_empty", _model_stream(), "has no config.json"),
        ("stream_cut", _model_stream(after=b"\0\0\0\3e/9" + b"\xff" * 8), "ends within a file"),
        ("stream_name", _model_stream(after=b"\xff" * 99), "a name in it is too long"),
        ("stream_climbs", _model_stream((b"../../saved_model.pb", b"x")), "has no config.json"),
        ("unpacked_text", _model_stream((b"config.json", b"{}"), (b"model.weights.h5", b"x")),
            "is damaged"),
        ("unpacked_half", _model_stream((b"config.json", b"{}")), "has no model.weights.h5"),
    ):  # fmt: skip
        yield Bad(f"folder_{name}", build, says)


SAVED_MODELS: tuple[Bad, ...] = tuple(saved_model_folders())


def _called(module: str, name: str, *args: Any) -> Change:
    """A change: in the pooling layer's place a function of any module, called as a layer."""

    def change(config: Any) -> None:
        node = {"args": list(args), "kwargs": {}}
        layer(config, "pool").update(
            class_name="function", module=module, config=name, inbound_nodes=[node]
        )

    return change


def _function(module: str, name: str, **arguments: Any) -> Change:
    """A change: a Lambda of a function that there is, instead of code."""
    function = {"module": module, "class_name": "function", "config": name}
    return as_layer("Lambda", function=function, arguments=arguments)


def _two_lambdas(config: Any) -> None:
    """A change: what lifts Keras' safe mode first, and then the code."""
    lift = {"module": "keras.config", "class_name": "function"}
    entry = {"class_name": "Lambda", "name": "lift", "inbound_nodes": []}
    function = {**lift, "config": "enable_unsafe_deserialization"}
    config["config"]["layers"].insert(
        1, {**entry, "config": {"name": "lift", "function": function}}
    )
    as_layer("Lambda", function=PAYLOAD)(config)


def _link_between(folder: Path) -> Path:
    """A weight's name that leads through an external link to a plain data set of another file."""
    other = folder / "other.h5"

    def change(file: h5py.File) -> None:
        with h5py.File(other, "w") as target:
            target["conv/kernel"] = file[KERNEL][()]
        group = file["model_weights/conv"]
        group["between"] = h5py.ExternalLink(str(other), "/conv")
        _attribute("model_weights/conv", "weight_names", ["between/kernel", "conv/bias"])(file)

    return with_h5(change)(folder)


def _tar(folder: Path) -> Path:
    """A tar archive with a hard link that leads out."""
    path, member = folder / "bad.keras", tarfile.TarInfo("config.json")
    member.type, member.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    with tarfile.open(path, "w") as target:
        target.addfile(member)
    return path


def _zip_with_link(folder: Path) -> Path:
    """A zip archive whose configuration is a symbolic link."""
    path = folder / "bad.keras"
    with zipfile.ZipFile(path, "w") as target:
        for name, content in good_members().items():
            entry = zipfile.ZipInfo(name)
            if name == "config.json":
                entry.external_attr = 0o120777 << 16
            target.writestr(entry, b"/etc/passwd" if name == "config.json" else content)
    return path


def published_attacks() -> Iterator[Bad]:
    """What CVEs and issues of Keras describe, beside what the kit has anyway; see SECURITY.md."""
    no_layer = "damaged model configuration"
    run = _called("subprocess", "run", ["touch", MARKER])
    for kind, build in (("keras", with_config), ("h5", with_h5_config)):
        yield Bad(f"{kind}_any_function", build(run), no_layer)
        lifted = _called("keras.config", "enable_unsafe_deserialization")
        yield Bad(f"{kind}_safe_mode_lifted", build(lifted), no_layer)
        yield Bad(f"{kind}_safe_mode_lifted_by_lambda", build(_two_lambdas), "is not allowed")
        fetch = _function("keras.utils", "get_file", origin="http://127.0.0.1:9/x", fname="marker")
        yield Bad(f"{kind}_get_file", build(fetch), "is not allowed")
        load = _function("keras.models", "load_model", safe_mode=False)
        yield Bad(f"{kind}_load_model", build(load), "is not allowed")
    yaml = b"!!python/object/apply:os.system ['touch marker']"
    yield Bad("yaml_config", _with_member("config.json", yaml), "not JSON")
    yield Bad("link_between", _link_between, "soft or external link")
    yield Bad("tar_hard_link", _tar, "is not an HDF5 file, a zip archive or a SavedModel")
    yield Bad("zip_symbolic_link", _zip_with_link, "config.json is not JSON")
    arrays = archive({"kernel.npy": b"\x93NUMPY\x01\x00"}, "bad.npz")
    yield Bad("npz_of_weights", arrays, "a .keras file holds")


MODELS: tuple[Bad, ...] = (
    *SAVED_MODELS,
    *published_attacks(),
    *hostile_layers(),
    *hostile_arguments(),
    *configurations(),
    *archives(),
    *hdf5_models(),
    *special_files(),
)


def data_file(**sets: Any) -> Callable[[Path], Path]:
    """A builder of a data set for the good network; a set that is None is left out."""

    def build(folder: Path) -> Path:
        good = {"data": np.full((6, 3, 12, 10), 9, np.uint8), "label": np.arange(6) % 5}
        with h5py.File(folder / "bad.h5", "w") as file:
            for name, values in {**good, **sets}.items():
                if isinstance(values, dict):
                    file.create_dataset(name, **values)
                elif values is not None:
                    file[name] = values
        return folder / "bad.h5"

    return build


def _pixel(value: float) -> Any:
    pixels = np.full((6, 3, 12, 10), 9.5)
    pixels[3, 1, 4, 5] = value
    return pixels


def npy(values: Any = None, header: str | None = None, **changes: Any) -> bytes:
    """An array in NumPy's format, with this header, or with changes to it, where they are given."""
    values = np.full((6, 12, 10, 3), 9, np.uint8) if values is None else values
    said = {"descr": values.dtype.str, "fortran_order": False, "shape": values.shape, **changes}
    text = (header if header is not None else repr(said)).encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + values.tobytes()


LABEL_MEMBER = npy(np.arange(6) % 5)


def npz(x: bytes | None = None, y: bytes | None = LABEL_MEMBER, **more: bytes) -> Any:
    """A builder of an archive for the good network with these members."""
    members = {"x.npy": npy() if x is None else x, "y.npy": y, **more}
    held = {name: content for name, content in members.items() if content is not None}
    return archive(held, "bad.npz")


def _npz_doubled(folder: Path) -> Path:
    import warnings

    path = npz()(folder)
    with zipfile.ZipFile(path, "a") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.writestr("x.npy", npy())
    return path


def _npz_packed(method: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / "bad.npz"
        with zipfile.ZipFile(path, "w", method) as target:
            target.writestr("x.npy", npy())
            target.writestr("y.npy", LABEL_MEMBER)
        return path

    return build


def _npz_changed(before: bytes, after: bytes) -> Callable[[Path], Path]:
    """The good archive with each of some bytes replaced."""

    def build(folder: Path) -> Path:
        path = _npz_packed(zipfile.ZIP_STORED)(folder)
        content = path.read_bytes()
        assert before in content
        path.write_bytes(content.replace(before, after))
        return path

    return build


def _npz_bomb(folder: Path) -> Path:
    """600 MiB of zeros in one, as it says itself."""
    path, rows = folder / "bad.npz", (600 << 20) // 360
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        with target.open("x.npy", "w", force_zip64=True) as member:
            member.write(npy(np.zeros(0, np.uint8), shape=(rows, 12, 10, 3)))
            for _ in range(600):
                member.write(bytes(1 << 20))
        target.writestr("y.npy", LABEL_MEMBER)
    return path


def _cut_npz(folder: Path) -> Path:
    path = npz()(folder)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def npz_files() -> Iterator[Bad]:
    """Archives that NumPy would run, swallow or choke on, and such as say what is not so."""
    objects = io.BytesIO()
    np.save(objects, np.array([{}, []] * 3, dtype=object), allow_pickle=True)
    for name, build, says in (
        ("objects", npz(y=objects.getvalue()), "'y' holds |O, not float, int or uint"),
        ("pickle", npz(y=b"\x80\x04\x95\x00."), "'y' is not an array in NumPy's format"),
        ("pickled_images", npz(b"\x80\x04cos\nsystem\n."), "'x' is not an array in NumPy's"),
        ("structured", npz(npy(np.zeros(6, "u1,f4"))), "'x' holds |V5, not float"),
        ("structured_list", npz(npy(descr=[("a", "<f4")])), "'x' has a header that is not one of"),
        ("text", npz(npy(np.full((6, 12, 10, 3), "a"))), "'x' holds <U1, not float, int or uint"),
        ("names", npz(y=npy(np.array(["a"] * 6))), "has labels of 1 names and the model 5 classes"),
        ("many_names", npz(npy(np.zeros((10_001, 12, 10, 3), np.uint8)),
            npy(np.arange(10_001).astype("U"))), "'y' holds more than 10000 different texts"),
        ("text_matrix", npz(y=npy(np.full((6, 5), b"a"))), "'y' has the shape (6, 5); texts are"),
        ("long_text", npz(y=npy(descr="<U99999")), "'y' holds <U99999, not float, int or uint"),
        ("number_beyond", npz(y=npy(np.array(["9"] * 6))), "ranges over 9..9"),
        ("truth", npz(npy(np.ones((6, 12, 10, 3), bool))), "'x' holds |b1, not float"),
        ("complex", npz(npy(np.ones((6, 12, 10, 3), "c8"))), "'x' holds <c8, not float"),
        ("dates", npz(y=npy(np.zeros(6, "M8[s]"))), "'y' holds <M8[s], not float"),
        ("long_double", npz(npy(descr="<f16")), "'x' holds <f16, not float, int or uint"),
        ("no_such_type", npz(npy(descr="<f1")), "'x' holds <f1, not float, int or uint"),
        ("subarray", npz(npy(descr="(2,2)<f4")), "'x' holds (2,2)<f4, not float"),
        ("code", npz(npy(header="__import__('os').system('touch marker')")), "has a header that"),
        ("deep", npz(npy(header="(" * 4000)), "'x' has a header that is not one of a plain"),
        ("long_header", npz(npy(header=" " * 60_000)), "'x' has a header that is not one of"),
        ("no_header", npz(npy(header="")), "'x' has a header that is not one of a plain array"),
        ("more_keys", npz(npy(hook=1)), "'x' has a header that is not one of a plain array"),
        ("negative", npz(npy(shape=(-6, 12, 10, 3))), "'x' has a header that is not one of"),
        ("float_shape", npz(npy(shape=(6.0, 12, 10, 3))), "'x' has a header that is not one of"),
        ("fortran_text", npz(npy(fortran_order="no")), "'x' has a header that is not one of"),
        ("many_axes", npz(npy(shape=(1,) * 40)), "'x' has 40 axes"),
        ("version", npz(b"\x93NUMPY\x09\x00" + bytes(99)), "'x' is not an array in NumPy's"),
        ("header_only", npz(npy()[:40]), "'x' has a header that is not one of a plain array"),
        ("magic_only", npz(npy()[:9]), "'x' is not an array in NumPy's format"),
        ("short", npz(npy()[:-1]), "'x' holds fewer bytes than its header says"),
        ("long", npz(npy() + b"x"), "'x' holds more bytes than its header says"),
        ("no_rows", npz(npy(np.zeros((0, 12, 10, 3)))), "shape (0, 12, 10, 3)"),
        ("flat", npz(npy(np.zeros((6, 360)))), "'x' has the shape (6, 360)"),
        ("huge", npz(npy(shape=(1 << 40, 12, 10, 3))), "more than can be in a file of this size"),
        ("absurd", npz(npy(shape=(10**17,) * 4)), "more than can be in a file of this size"),
        ("bomb", _npz_bomb, "'x' declares 629145360 bytes, which is more than can be in"),
        ("silent_bomb", npz(npy() + bytes(20 << 20)), "'x' holds more bytes than"),
        ("nan", npz(npy(np.full((6, 12, 10, 3), np.nan))), "'x' holds NaN or infinite pixels"),
        ("size", npz(npy(np.zeros((6, 12, 11, 3), np.uint8))), "do not fit the model"),
        ("label_length", npz(y=npy(np.arange(5))), "'y' has the shape (5,) for 6 images"),
        ("label_fraction", npz(y=npy(np.full(6, 0.5))), "'y' holds 0.5, which is no class index"),
        ("label_beyond", npz(y=npy(np.full(6, 5))), "ranges over 5..5"),
        ("twice", _npz_doubled, "holds 'x.npy' twice"),
        ("bzip2", _npz_packed(zipfile.ZIP_BZIP2), "packed with method 12"),
        ("lzma", _npz_packed(zipfile.ZIP_LZMA), "packed with method 14"),
        ("checksum", _npz_changed(bytes([9] * 99), bytes([8] * 99)), "is damaged (BadZipFile"),
        ("encrypted", _npz_changed(b"PK\x01\x02\x14\x03\x14\x00\x00",
            b"PK\x01\x02\x14\x03\x14\x00\x01"), "is encrypted"),
        ("other_name_inside", _npz_changed(b"y.npyPK", b"z.npyPK"), "damaged"),
        ("many", archive({f"{n}.npy": b"" for n in range(1001)}, "bad.npz"), "more than 1000"),
        ("no_arrays", archive({"x": b"", "y": b""}, "bad.npz"), "has no array 'data'"),
        ("escape", npz(y=None, **{"../../y.npy": LABEL_MEMBER, "\x1b[2J.npy": LABEL_MEMBER}),
            "has no array"),
        ("keras_file", lambda folder: archive(good_members(), "bad.npz")(folder), "has no array"),
        ("cut", _cut_npz, "is damaged (BadZipFile"),
        ("signature_only", raw("bad.npz", b"PK\x03\x04"), "is damaged (BadZipFile"),
    ):  # fmt: skip
        yield Bad(f"npz_{name}", build, says)


def picture_bytes(form: str = "PNG", **options: Any) -> bytes:
    """A picture that is fine, of 12 x 10 pixels."""
    file = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def class_folder(name: str = "a/0.png", content: bytes | None = None, **more: bytes) -> Any:
    """A builder of a folder with five class folders, a picture in the last, and these files."""

    def build(folder: Path) -> Path:
        bad = folder / "bad"
        every = {"e/9.png": picture_bytes(), name: content, **more}
        for each in "abcde":
            (bad / each).mkdir(parents=True)
        for each, held in every.items():
            if held is not None:
                (bad / each).parent.mkdir(parents=True, exist_ok=True)
                (bad / each).write_bytes(held)
        return bad

    return build


def _with_entry(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A builder of the good folder, changed."""

    def build(folder: Path) -> Path:
        bad: Path = class_folder()(folder)
        make(bad)
        return bad

    return build


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


def _png(*chunks: tuple[bytes, bytes], width: int = 12, height: int = 10) -> bytes:
    """A PNG of these chunks after its header."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        content += len(data).to_bytes(4, "big") + kind + data
        content += zlib.crc32(kind + data).to_bytes(4, "big")
    return content


def _stream(*files: tuple[bytes, bytes], after: bytes = b"") -> Callable[[Path], Path]:
    """A file that claims to be the stream of a folder."""
    content = FOLDER.signature
    for name, held in files:
        content += len(name).to_bytes(4, "big") + name + len(held).to_bytes(8, "big") + held
    return raw("bad.h5", content + after)


UNREADABLE = "a/0.png is not a readable picture"
TIFF = picture_bytes("TIFF")


def picture_folders() -> Iterator[Bad]:
    """Folders that reach out, pictures that are none or far too large, and lists that are wrong."""
    half = {form: picture_bytes(form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP")}
    for form, content in half.items():
        for name, held in (("half", content[: len(content) // 2]), ("start", content[:20])):
            yield Bad(f"picture_{form}_{name}", class_folder(content=held), UNREADABLE)
    bomb = zlib.compress(bytes(8 << 20))
    large = bytearray(half["GIF"])
    large[6:10] = b"\xff" * 4
    wide = bytearray(half["BMP"])
    wide[18:26] = (100_000).to_bytes(4, "little") * 2
    frame = half["JPEG"].index(b"\xff\xc0")
    tall = half["JPEG"][: frame + 5] + b"\xff" * 4 + half["JPEG"][frame + 9 :]
    vast = bytearray(half["WEBP"])
    place = vast.index(b"VP8 ") + 14
    vast[place : place + 4] = b"\xff\x3f\xff\x3f"
    profile = (b"iCCP", b"a\0\0" + zlib.compress(bytes(64 << 20)))
    for name, build, says in (
        ("text", class_folder(content=b"no picture"), UNREADABLE),
        ("empty", class_folder(content=b""), UNREADABLE),
        ("pickle", class_folder(content=b"\x80\x04\x95\x00."), UNREADABLE),
        ("html", class_folder("a/0.jpg", b"<html><script>"), "a/0.jpg is not a readable picture"),
        ("svg", class_folder(content=b"<svg xmlns='http://www.w3.org/2000/svg'/>"), UNREADABLE),
        ("postscript", class_folder(content=b"%!PS-Adobe-3.0 EPSF-3.0\n"), UNREADABLE),
        ("tiff", class_folder(content=TIFF), UNREADABLE),
        ("ppm", class_folder(content=b"P6 1 1 255\n123"), UNREADABLE),
        ("hdf5", class_folder(content=b"\x89HDF\r\n\x1a\n" + bytes(99)), UNREADABLE),
        ("zip", class_folder(content=b"PK\x03\x04" + bytes(60)), UNREADABLE),
        ("png_huge", class_folder(content=_png(width=1 << 20, height=1 << 20)),
            "more than 64000000"),
        ("png_bomb", class_folder(content=_png((b"IDAT", bomb), width=8193, height=8193)),
            "a/0.png has more than 64000000 pixels"),
        ("png_large_and_empty", class_folder(content=_png(width=8000, height=8000)), UNREADABLE),
        ("png_text_bomb", class_folder(content=_png((b"zTXt", b"a\0\0" + bomb))), UNREADABLE),
        ("png_profile_bomb", class_folder(content=_png(profile)), UNREADABLE),
        ("png_many_chunks", class_folder(content=_png(*[(b"teXt", b"a\0b")] * 50_000)), UNREADABLE),
        ("png_chunk_beyond", class_folder(content=half["PNG"].replace(
            b"\x00\x00\x00\x0dIHDR", b"\x7f\xff\xff\xffIHDR")), UNREADABLE),
        ("png_negative_depth", class_folder(content=half["PNG"][:24] + b"\xff" +
            half["PNG"][25:]), UNREADABLE),
        ("jpeg_huge", class_folder("a/0.jpg", tall), "a/0.jpg has more than 64000000 pixels"),
        ("webp_huge", class_folder("a/0.webp", bytes(vast)), "a/0.webp is not a readable"),
        ("png_no_data", class_folder(content=_png()), UNREADABLE),
        ("png_bad_data", class_folder(content=_png((b"IDAT", b"no zlib"))), UNREADABLE),
        ("png_nothing_wide", class_folder(content=_png(width=0)), UNREADABLE),
        ("png_checksum", class_folder(content=half["PNG"].replace(b"IDAT", b"IDAX")), UNREADABLE),
        ("gif_large", class_folder(content=bytes(large)), "more than 64000000 pixels"),
        ("bmp_large", class_folder(content=bytes(wide)), "more than 64000000 pixels"),
        ("class_escape", class_folder("\x1b[2J/0.png", picture_bytes()), "has 6 class folders and"),
        ("class_newline", class_folder("a\nb/0.png", b"x"), "a?b/0.png is not a readable picture"),
        ("class_dots", class_folder("...a/..0.png", b"x", **{"e/9.png": b"x"}),
            "e/9.png is not a readable picture"),
        ("class_long", class_folder("x" * 255 + "/0.png", b"x"), "is not a readable picture"),
        ("name_escape", class_folder("a/\x1b[2J.png", b"x"), "a/?[2J.png is not a readable"),
        ("name_newline", class_folder("a/0\n1.png", b"x"), "a/0?1.png is not a readable picture"),
        ("name_bytes", class_folder(os.fsdecode(b"a/\xff.png"), b"x"), "a/\\xff.png is not a"),
        ("inner", class_folder("a/b/c/0.png", b"x"), "a/b/c/0.png is not a readable picture"),
        ("link", _with_entry(lambda bad: (bad / "a/0.png").symlink_to("../e/9.png")),
            "a/0.png is a symbolic link; links are not followed"),
        ("link_out", _with_entry(lambda bad: (bad / "a/0.png").symlink_to("/etc/passwd")),
            "a/0.png is a symbolic link"),
        ("link_folder", _with_entry(lambda bad: (bad / "f").symlink_to("/etc")), "f is a symbolic"),
        ("link_loop", _with_entry(lambda bad: (bad / "a/up").symlink_to("..")), "a/up is a symb"),
        ("link_list", _with_entry(lambda bad: (bad / "labels.txt").symlink_to("/etc/passwd")),
            "labels.txt is a symbolic link"),
        ("fifo", _with_entry(lambda bad: os.mkfifo(bad / "a/0.png")), "is not a regular file"),
        ("fifo_list", _with_entry(lambda bad: os.mkfifo(bad / "labels.txt")), "not a regular file"),
        ("socket", _with_entry(lambda bad: _socket(bad / "a/0.png")), "a/0.png is not a regular"),
        ("deep", _with_entry(_deep_folder), "nested more than 20 deep"),
        ("none", class_folder("e/9.png", None), "has no pictures in class folders"),
        ("no_folders", lambda folder: raw("0.png", picture_bytes())(folder).parent, "no pictures"),
        ("more_classes", class_folder("f/0.png", picture_bytes()), "has 6 class folders and the"),
        ("two_lists", class_folder("labels.txt", b"a", **{"class_names.txt": b"a"}), "keep one"),
        ("list_short", class_folder("labels.txt", b"a\nb\nc\nd"), "'e' is not in labels.txt"),
        ("list_empty", class_folder("labels.txt", b""), "class folder 'a' is not in labels.txt"),
        ("list_twice", class_folder("labels.txt", b"a\nb\nc\nd\ne\na"), "lists 'a' twice"),
        ("list_long", class_folder("labels.txt", b"a\nb\nc\nd\nx\ne"), "ranges over 5..5"),
        ("list_large", class_folder("labels.txt", b"x\n" * (1 << 20)), "is larger than 1 MiB"),
        ("list_bytes", class_folder("labels.txt", bytes(range(256))), "'a' is not in labels.txt"),
        ("stream_empty", _stream(), "has no pictures in class folders"),
        ("stream_empty_class", _stream((b"a/", b"")), "shape (0, 12, 10, 3)"),
        ("stream_cut", _stream(after=b"\0\0\0\3e/9" + b"\xff" * 8), "it ends within a file"),
        ("stream_name", _stream(after=b"\xff" * 99), "a name in it is too long"),
        ("stream_no_class", _stream((b"x.png", half["PNG"])), "has no pictures in class folders"),
        ("stream_stray", _stream((b"a/", b""), (b"x.png", half["PNG"])), "lies in no class folder"),
        ("stream_climbs", _stream((b"../../etc/passwd", b"x")), "lies in no class folder"),
    ):  # fmt: skip
        yield Bad(f"pictures_{name}", build, says)


DATASETS: tuple[Bad, ...] = (
    Bad("no_data", data_file(data=None), "has no data set 'data'"),
    Bad("no_label", data_file(label=None), "has no data set 'label'"),
    Bad("data_group", data_file(data=None, **{"data/x": 1}), "is a group"),
    Bad("lengths", data_file(label=np.arange(5)), "'label' has the shape (5,) for 6 images"),
    Bad("one_hot_beyond", data_file(label=np.eye(6)), "ranges over 0..5"),
    Bad("one_hot_twice", data_file(label=np.ones((6, 5))), "row 0 is not one-hot"),
    Bad("no_images", data_file(data=np.zeros((0, 3, 12, 10)), label=np.zeros(0)), "shape (0,"),
    Bad("rank", data_file(data=np.zeros((6, 360), np.uint8)), "shape (6, 360)"),
    Bad("size", data_file(data=np.zeros((6, 3, 12, 11), np.uint8)), "do not fit the model"),
    Bad("nan", data_file(data=_pixel(np.nan)), "NaN or infinite"),
    Bad("infinite", data_file(data=_pixel(np.inf)), "NaN or infinite"),
    Bad("negative", data_file(data=_pixel(-1)), "pixels range over -1..9.5"),
    Bad("beyond_white", data_file(data=_pixel(256)), "pixels range over 9.5..256"),
    Bad("label_nan", data_file(label=np.array([0, 1, np.nan, 3, 4, 0])), "no class index"),
    Bad("label_fraction", data_file(label=np.array([0, 1, 2.5, 3, 4, 0])), "2.5"),
    Bad("label_huge", data_file(label=np.full(6, 2.0**40)), "no class index"),
    Bad("label_negative", data_file(label=np.arange(6) - 1), "ranges over -1..4"),
    Bad("label_beyond", data_file(label=np.arange(6)), "ranges over 0..5"),
    Bad("true_label_beyond", data_file(true_label=np.arange(6)), "'true_label' ranges"),
    Bad("label_text", data_file(label=np.array([b"a"] * 6)), "has labels of 1 names and the"),
    Bad("label_object", data_file(label={"data": ["a"] * 6, "dtype": h5py.string_dtype()}),
        "has labels of 1 names and the model 5 classes; give numbers"),
    Bad("label_text_matrix", data_file(label=np.full((6, 5), b"a")), "texts are labels in a row"),
    Bad("label_sequences", data_file(label={"shape": 6,
        "dtype": h5py.vlen_dtype(np.int32)}), "'label' holds object, not float"),
    Bad("label_references", data_file(label={"shape": 6, "dtype": h5py.ref_dtype}),
        "'label' holds object, not float"),
    Bad("label_compound", data_file(label=np.zeros(6, "u1,f4")), "not float, int or uint"),
    Bad("label_soft_loop", data_file(label=h5py.SoftLink("label")), "soft or external link"),
    Bad("true_label_link", data_file(true_label=h5py.ExternalLink("/etc/passwd", "/")),
        "/true_label is a soft or external link"),
    Bad("data_text", data_file(data=np.full((6, 3, 12, 10), b"a")), "not float, int or uint"),
    Bad("data_complex", data_file(data=np.zeros((6, 3, 12, 10), "c8")), "not float"),
    Bad("label_link", data_file(label=h5py.SoftLink("/data")), "soft or external link"),
    Bad("data_external_link", data_file(data=h5py.ExternalLink("x.h5", "/")), "external link"),
    Bad("data_never_written", data_file(data={"shape": (6, 3, 12, 10), "dtype": "u1"}),
        "holds none"),
    Bad("data_huge", data_file(data={"shape": (1 << 40, 3, 12, 10), "dtype": "u1",
        "chunks": (64, 3, 12, 10)}), "more than can be in a file of this size"),
    Bad("data_empty_space", data_file(data=h5py.Empty("f4")), "is empty"),
    Bad("data_fraction_filter", data_file(data={"data": np.ones((6, 3, 12, 10), "i4"),
        "scaleoffset": 0}), "uses filter"),
    Bad("a_model", with_h5(lambda file: None), "has no data set 'data'"),
    Bad("text", raw("bad.h5", b"hello"), "is not an HDF5 file"),
    Bad("truncated", _truncated_h5(2), "damaged"),
    Bad("fifo", _fifo, "not a regular file"),
    Bad("symlink", _symlink("/etc/passwd"), "symbolic link"),
    *npz_files(),
    *picture_folders(),
)  # fmt: skip
