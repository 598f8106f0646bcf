"""Old and new code beside each other: each measurement a process of its own, taking turns.

The old code is a git revision, checked out into a temporary worktree. `compared_networks` has the
networks and images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compared_networks import ROWS, Case, make_case

HERE = Path(__file__).resolve().parent
Runs = dict[str, list[dict[str, Any]]]  # of the old code and of the new


def measure(stage: str, case: Case, tree: Path) -> dict[str, Any]:
    """What `one_cost` says of a case, with the code of a tree."""
    command = [sys.executable, "-P", str(HERE / "one_cost.py"), stage, case.model, case.data]
    # What this process set for TensorFlow is the new code's; each sets its own.
    own = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment = {**own, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, env=environment, cwd=tree, stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        sys.exit(f"{case.name}: failed with the code in {tree}")
    return dict(json.loads(done.stdout))


@contextmanager
def trees(old: str) -> Iterator[dict[str, Path]]:
    """Where the old code is, if a revision is given, and where the new."""
    new = HERE.parent
    if not old:
        yield {"new": new}
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "old"
        git = ["git", "-C", str(new), "worktree"]
        subprocess.run([*git, "add", "--detach", str(tree), old], check=True, capture_output=True)
        try:
            yield {"old": tree, "new": new}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def compare(stage: str, about: str) -> None:
    """Measure the rows that are asked for, and print a table of medians: the main program.

    Args:
        stage: of `one_cost`.
        about: what the program does.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--old", default="", metavar="REVISION", help="of git; default: new alone")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=["demo", "fashion"])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many")
    given = parser.parse_args()
    with trees(given.old) as code, tempfile.TemporaryDirectory() as folder:
        heads = (
            "network, images, stage, old s (CPU), new s (CPU), times faster (CPU), peak MB, verdict"
        )
        print(f"| {' | '.join(heads.split(', '))} |\n|---|--:|---|--:|--:|--:|--:|---|", flush=True)
        for name in given.rows:
            case = make_case(name, Path(folder))
            runs: Runs = {each: [] for each in code}
            for _ in range(given.rounds):
                for each, tree in code.items():
                    runs[each].append(measure(stage, case, tree))
            print("\n".join(lines(case, runs)), flush=True)


def lines(case: Case, runs: Runs) -> Iterator[str]:
    """The table's lines for a case, one for each stage."""
    (last,) = runs["new"][-1:]
    answers = {each: _answer(of_code[-1]) for each, of_code in runs.items()}
    said = " -> ".join(dict.fromkeys(answers.values()))
    peak = " -> ".join(str(max(run["peak_mb"] for run in of_code)) for of_code in runs.values())
    for stage in last["stages"]:
        medians = {each: _medians(of_code, stage) for each, of_code in runs.items()}
        old, new = medians.get("old"), medians["new"]
        times = f"{old[0] / new[0]:.1f} ({old[1] / new[1]:.1f})" if old else ""
        cells = [case.about, str(last.get("images", "")), stage, _seconds(old), _seconds(new)]
        yield f"| {' | '.join([*cells, times, peak, said])} |"


def _medians(runs: Sequence[dict[str, Any]], stage: str) -> tuple[float, float]:
    """Of wall and of CPU seconds."""
    wall, cpu = zip(*(run["stages"][stage] for run in runs), strict=True)
    return median(wall), median(cpu)


def _seconds(spent: tuple[float, float] | None) -> str:
    return f"{spent[0]:.1f} ({spent[1]:.1f})" if spent else ""


def _answer(run: dict[str, Any]) -> str:
    return f"{run['verdict']} {run['classes']}" if "verdict" in run else ""
