"""Networks as Keras files, written whole or not at all."""

import json
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

from goodnet.backend import keras


def save_network(network: keras.Model, path: Path) -> None:
    """Write the network, whole or not at all; the same network always gives the same bytes.

    Args:
        network: a Keras model.
        path: ends in `.h5` or `.keras`, Keras' two formats.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)  # Keras advises against .h5 at each save
    try:
        network.save(partial)
        if path.suffix == ".keras":
            _make_reproducible(partial)
        os.replace(partial, path)
    finally:
        absl.setLevel(level)
        partial.unlink(missing_ok=True)


def _make_reproducible(path: Path) -> None:
    """Write a `.keras` archive again without the moment, and the memory, it was made in."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"])
    metadata["date_saved"] = "1980-01-01@00:00:00"
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = _numbered_objects(members["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _numbered_objects(config: bytes) -> bytes:
    """The configuration with shared objects numbered from 0: Keras writes their addresses."""
    numbers: dict[int, int] = {}

    def numbered(entries: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in entries:
            address = entries["shared_object_id"]
            entries["shared_object_id"] = numbers.setdefault(address, len(numbers))
        return entries

    return json.dumps(json.loads(config, object_hook=numbered)).encode()
