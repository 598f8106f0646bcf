"""`python -m goodnet.sandbox.reader KIND FILE FOLDER LIMITS`: confinement first, then the file."""

import contextlib
import json
import sys
from pathlib import Path

from goodnet.sandbox.reader.confinement import leave_files, leave_network, limit_resources

CONTENT = "content.json"


def main(kind: str, path: str, folder: str, limits: str) -> None:
    """Read the file and write what was found, or why it is refused, into the folder."""
    missing = limit_resources(json.loads(limits)) + leave_network()
    from goodnet.sandbox.reader.datasets import (
        read_dataset,  # h5py comes after the limits are in force
    )
    from goodnet.sandbox.reader.hdf5 import Refused
    from goodnet.sandbox.reader.models import UNPACKED, read_model

    source, target = Path(path), Path(folder)
    missing += leave_files(source.parent, target)
    try:
        content = (read_model if kind == "model" else read_dataset)(source, target)
    except Refused as fault:
        content = {"refused": str(fault)}
    except MemoryError:
        content = {"refused": "needs more memory than reading it may take"}
    except Exception as fault:  # h5py and zipfile raise anything on a damaged file
        content = {"refused": f"is damaged ({type(fault).__name__}: {fault})"}
    with contextlib.suppress(FileNotFoundError):
        (target / UNPACKED).unlink()
    content["missing_isolation"] = missing
    (target / CONTENT).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
