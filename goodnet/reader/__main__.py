"""`python -m goodnet.reader KIND FILE FOLDER LIMITS`: limits first, then the file."""

import contextlib
import ctypes
import json
import resource
import sys
from pathlib import Path
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET, PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 38


def confine(limits: dict[str, int]) -> list[str]:
    """Give up what reading a file does not need; the names of what this system cannot do."""
    missing = []
    for name, value in limits.items():
        try:
            resource.setrlimit(getattr(resource, name), (value, value))
        except (AttributeError, ValueError, OSError):
            missing.append(name)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            missing.append("no_new_privs")
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            missing.append("no_network")
    except (OSError, AttributeError):
        missing.extend(["no_new_privs", "no_network"])
    return missing


def read(kind: str, path: Path, folder: Path) -> dict[str, Any]:
    """What is in the file, or why it is refused."""
    from goodnet.reader.datasets import read_dataset  # h5py comes after the limits are in force
    from goodnet.reader.hdf5 import Refused
    from goodnet.reader.models import read_model

    try:
        return read_model(path, folder) if kind == "model" else read_dataset(path, folder)
    except Refused as fault:
        return {"refused": str(fault)}
    except MemoryError:
        return {"refused": "needs more memory than reading it may take"}
    except Exception as fault:  # h5py and zipfile raise anything on a damaged file
        return {"refused": f"is damaged ({type(fault).__name__}: {fault})"}


def main(kind: str, path: str, folder: str, limits: str) -> None:
    """Read the file and write what was found into the folder."""
    missing = confine(json.loads(limits))
    content = read(kind, Path(path), Path(folder))
    with contextlib.suppress(FileNotFoundError):
        (Path(folder) / "model.weights.h5").unlink()
    content["missing_isolation"] = missing
    (Path(folder) / "content.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
