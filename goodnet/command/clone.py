"""Prefect's part: the folders `flows/` and `tasks/` of a clone, which no wheel holds.

They are looked for beside this package and nowhere else: what lies in the current folder may have
come with a suspect, and would be run.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent
MARKS = ("pyproject.toml", "flows/repair.py", "tasks/caching.py")  # of a clone

Main = Callable[[Sequence[str]], int]


def main_of(flow: str) -> Main | None:
    """What `python -m flows.FLOW` calls; None where this is no clone, or Prefect is not there.

    Raises:
        RequestRefused: Prefect's settings make no sense.
    """
    if not all((HOME / mark).is_file() for mark in MARKS) or find_spec("prefect") is None:
        return None
    if str(HOME) not in sys.path:
        sys.path.append(str(HOME))
    import_module("flows.prefect_settings").check()  # before all of Prefect is imported
    main: Main = import_module(f"flows.{flow}").main
    return main
