"""`python -m goodnet.sandbox.reader READER FILE FOLDER LIMITS ARGUMENTS`: confinement first."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from goodnet.sandbox.reader.confinement import leave_files, leave_network, limit_resources

CONTENT = "content.json"


def main(reader: str, path: str, folder: str, limits: str, arguments: str) -> None:
    """Take the file apart and write what was found, or why it is refused, into the folder.

    Args:
        reader: "module.function" of this package; called with the paths of file and folder.
        path: the file.
        folder: for what the function leaves behind.
        limits: JSON, from the names of `resource` to numbers.
        arguments: JSON, the function's further arguments.
    """
    missing = limit_resources(json.loads(limits)) + leave_network()
    from goodnet.sandbox.reader.arrays import Refused  # NumPy: after the limits are in force

    module, name = reader.split(".")
    read = getattr(import_module(f"{__package__}.{module}"), name)  # while its files can be read
    source, target = Path(path), Path(folder)
    missing += leave_files(source.parent, target)
    content: dict[str, Any]
    try:
        content = read(source, target, **json.loads(arguments))
    except Refused as fault:
        content = {"refused": str(fault)}
    except MemoryError:
        content = {"refused": "needs more memory than reading it may take"}
    except Exception as fault:  # h5py and zipfile raise anything on a damaged file
        content = {"refused": f"is damaged ({type(fault).__name__}: {fault})"}
    content["missing_isolation"] = missing
    (target / CONTENT).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
