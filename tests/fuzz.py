"""Fuzz targets: every reader of foreign bytes, in this process, with what is allowed of it.

    python tests/fuzz.py TARGET [SECONDS [OPTIONS OF LIBFUZZER ...]]     # guided by coverage

A reader may refuse. Libraries below it may raise whatever they do of a damaged file. Our own lines
never stumble: an exception that one of them raises unasked is a finding, and so are a crash, an
answer that is no JSON, twenty seconds for one input and memory without bound. Inputs that were
findings lie in tests/findings/, and tests/test_fuzz.py tries them all again.
"""

import io
import json
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

FINDINGS: Final = Path(__file__).parent / "findings"
READER: Final = "goodnet/sandbox/reader/"
SHAPE: Final = {"input_shape": [12, 10, 3]}
CLASSES: Final = "abcde"
LABELS: Final = (  # as NumPy writes six of them
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '|u1', 'fortran_order': False, 'shape': (6,), }".ljust(117)
    + b"\n\0\1\2\3\4\0"
)

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]


def reader_of(name: str) -> Callable[..., Any]:
    """A reader by "module.function"."""
    module, function = name.split(".")
    reader: Callable[..., Any] = getattr(
        import_module(f"goodnet.sandbox.reader.{module}"), function
    )
    return reader


def read(name: str, arguments: dict[str, Any], content: bytes) -> None:
    """Let a reader have the bytes as its file."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        source, folder = Path(home) / "input", Path(home) / "arrays"
        source.write_bytes(content)
        folder.mkdir()
        json.dumps(reader_of(name)(source, folder, **arguments))


def stream(signature: bytes, files: dict[str, bytes]) -> bytes:
    """The stream of a folder with these files."""
    parts = [
        len(name).to_bytes(4, "big") + name.encode() + len(content).to_bytes(8, "big") + content
        for name, content in files.items()
    ]
    return signature + b"".join(parts)


def class_folders(content: bytes) -> bytes:
    """The stream of class folders that have the bytes as a picture each."""
    from goodnet.files.formats import FOLDER

    files = {f"{name}/0.png": content for name in CLASSES}
    return stream(FOLDER.signature, dict.fromkeys((f"{name}/" for name in CLASSES), b"") | files)


def picture(content: bytes) -> None:
    """The bytes as a picture of a class folder."""
    read("images.read_folder", SHAPE, class_folders(content))


def index(content: bytes) -> None:
    """The bytes as the only block of a checkpoint's index, whose checksums are right."""
    import hostile
    import saved_models

    from goodnet.sandbox.reader.checkpoint import Checkpoint

    data = hostile.good_folder()[saved_models.DATA]

    first = saved_models.sealed(content)
    handles = [(b"\xff", saved_models.varint(0) + saved_models.varint(len(content)))]
    second = saved_models.block(handles)
    footer = saved_models.varint(0) * 2 + saved_models.varint(len(first))
    footer = (footer + saved_models.varint(len(second))).ljust(40, b"\0") + saved_models.MAGIC
    whole = first + saved_models.sealed(second) + footer
    checkpoint = Checkpoint(whole, lambda _, start, count: data[start : start + count], len(data))
    for key in list(checkpoint._records):
        checkpoint.array(key)


def array(content: bytes) -> None:
    """The bytes as the images of an `.npz` archive, whose checksums are right."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", LABELS)
    read("datasets.read_npz", SHAPE, packed.getvalue())


def targets() -> dict[str, Callable[[bytes], None]]:
    """Each target by its name: all formats, and what checksums would keep a fuzzer from."""
    from goodnet.files.formats import FORMATS

    known: dict[str, Callable[[bytes], None]] = {
        each.reader: partial(read, each.reader, SHAPE if each.kind == "dataset" else {})
        for each in FORMATS
    }
    return {**known, "picture": picture, "index": index, "array": array}


def seeds(name: str) -> list[bytes]:
    """Good inputs of a target, to begin with."""
    import hostile
    import saved_models

    from goodnet.files.formats import MODEL_FOLDER
    from goodnet.sandbox.reader.checkpoint import varint

    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        members, model = hostile.good_members(), hostile.good_folder()
        npz = hostile.npz()(folder).read_bytes()
        with zipfile.ZipFile(io.BytesIO(npz)) as archive:
            images = archive.read("x.npy")
        keys = model[saved_models.INDEX]
        second, _ = varint(memoryview(keys[-48:]), 2)
        pictures = [hostile.picture_bytes(form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
        unpacked = {each: members[each] for each in ("config.json", "model.weights.h5")}
        found: dict[str, list[bytes]] = {
            "models.read_hdf5": [hostile.good_h5()],
            "models.read_keras": [hostile.archive(members)(folder).read_bytes()],
            "models.read_json": [members["config.json"]],
            "saved_model.read_folder": [
                stream(MODEL_FOLDER.signature, files) for files in (model, unpacked)
            ],
            "datasets.read_hdf5": [hostile.data_file()(folder).read_bytes()],
            "datasets.read_npz": [npz],
            "images.read_folder": [class_folders(each) for each in pictures],
            "settings.read_toml": [b'layer = "pool"\nkeys = ["x", "y"]\nbudget = 2\n'],
            "picture": pictures,
            "index": [keys[: second - 5]],
            "array": [images],
        }
        return found[name]


def finding(target: Callable[[bytes], None], content: bytes) -> Exception | None:
    """The exception that one of our own lines raises unasked; None where all is as it should be."""
    from goodnet.sandbox.reader.arrays import Refused

    try:
        target(content)
    except (Refused, MemoryError):
        return None
    except Exception as fault:
        raised_by = traceback.extract_tb(fault.__traceback__)[-1].filename
        return fault if READER in raised_by or raised_by == __file__ else None
    return None


def main(name: str, seconds: str = "60", *options: str) -> None:
    """Fuzz a target until there is a finding, or for so many seconds."""
    import atheris

    with atheris.instrument_imports(include=["goodnet.sandbox", "zipfile", "tomllib", "json"]):
        for module in ("datasets", "images", "models", "saved_model", "settings"):  # and theirs
            import_module(f"goodnet.sandbox.reader.{module}")
    target = targets()[name]

    def one(content: bytes) -> None:
        if fault := finding(target, content):
            raise fault

    FINDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(seeds(name)):
            (Path(corpus) / f"seed_{number}").write_bytes(content)
        found = f"-artifact_prefix={FINDINGS}/{name}-"
        limits = ["-timeout=20", "-rss_limit_mb=4096", "-max_len=65536"]
        atheris.Setup(
            [sys.argv[0], *limits, f"-max_total_time={seconds}", found, *options, corpus], one
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
