"""Time every variant of the sweep, side by side with `model.predict` after every step.

Each variant runs in a process of its own, which keeps its peak memory its own; rounds are
interleaved, so that whatever else the machine does meets all of them alike. Medians and spread
over the rounds go to artifacts/bench/results.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.variant import VARIANTS
from benchmarks.workload import NAMES, make_workload, save

IMAGES = {"lab3": 1024, "alive": 1024, "resnet50v2": 32}  # in each of the two sets
FULL = {"lab3": 11_547, "alive": 11_547, "resnet50v2": 128}
RESULTS = Path("artifacts/bench/results.json")

Rounds = dict[str, list[dict[str, Any]]]


def measure(workload: Path, rounds: int) -> Rounds:
    """What each variant cost in each round, the first round of warming up left out."""
    command = [sys.executable, "-m", "benchmarks.variant"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = {
        variant: subprocess.Popen(
            [*command, variant, str(workload)], env=_threads(variant), **pipes
        )
        for variant in VARIANTS
    }
    results: Rounds = {variant: [] for variant in VARIANTS}
    try:
        for process in running.values():
            process.stdout.readline()
        for number in range(rounds + 1):
            for variant, process in running.items():
                if variant.startswith("plain") and number == rounds:
                    continue  # its first round is as warm as its last: it counts
                print("", file=process.stdin, flush=True)
                results[variant].append(json.loads(process.stdout.readline()))
    finally:
        for process in running.values():
            process.stdin.close()
            process.wait()
    return {
        variant: cost if variant.startswith("plain") else cost[1:]
        for variant, cost in results.items()
    }


def _threads(variant: str) -> dict[str, str]:
    """The environment: the plain loop runs with all cores for each operation, as anybody's does."""
    return {
        **os.environ,
        **({"TF_NUM_INTRAOP_THREADS": "0"} if variant.startswith("plain") else {}),
    }


def summary(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """For each variant its median time, spread, and ratios to the plain loop and to one pass."""

    def median(variant: str, what: str) -> float:
        return statistics.median(cost[what] for cost in rounds[variant])

    return {
        variant: {
            "seconds": median(variant, "seconds"),
            "seconds_lowest": min(each["seconds"] for each in cost),
            "seconds_highest": max(each["seconds"] for each in cost),
            "cpu": median(variant, "cpu"),
            "times_faster_than_plain_32": median("plain_32", "seconds")
            / median(variant, "seconds"),
            "times_less_cpu_than_plain_32": median("plain_32", "cpu") / median(variant, "cpu"),
            "passes": median(variant, "seconds") / median("one_pass", "seconds"),
            "passes_cpu": median(variant, "cpu") / median("one_pass", "cpu"),
            "megabytes": max(each["megabytes"] for each in cost),
            "scaled": cost[0]["scaled"],
            "rounds": len(cost),
        }
        for variant, cost in rounds.items()
    }


def table(about: str, variants: dict[str, dict[str, Any]]) -> str:
    """The summary for people."""
    lines = [about, f"{'':12} {'median s':>9} {'lowest..highest':>17} {'CPU s':>8} "]
    lines[-1] += f"{'x plain 32':>11} {'(CPU)':>7} {'passes':>7} {'(CPU)':>6} {'peak MB':>8}"
    for variant, row in variants.items():
        spread = f"{row['seconds_lowest']:.2f}..{row['seconds_highest']:.2f}"
        scaled = f"  scaled x {row['scaled']:.1f}" if row["scaled"] != 1 else ""
        lines.append(
            f"{variant:12} {row['seconds']:9.2f} {spread:>17} {row['cpu']:8.2f} "
            f"{row['times_faster_than_plain_32']:11.1f} "
            f"{row['times_less_cpu_than_plain_32']:7.1f} {row['passes']:7.2f} "
            f"{row['passes_cpu']:6.2f} {row['megabytes']:8.0f}{scaled}"
        )
    return "\n".join(lines)


def main() -> None:
    """Time every variant on every network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--full", action="store_true", help="at the lab's size, every plain step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "cpu": platform.processor() or platform.machine()},
        "networks": {},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            images = (FULL if options.full else IMAGES)[name]
            workload = make_workload(name, Path(folder), images, full=options.full)
            path = Path(folder) / "workload.json"
            save(workload, path)
            variants = summary(measure(path, options.rounds))
        about = f"{workload.about}; {images} + {images} images"
        load = os.getloadavg()[0]
        results["networks"][name] = {"about": about, "load": load, "variants": variants}
        print(f"\n{table(about, variants)}\nload average {load:.1f}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwrote {RESULTS}")


if __name__ == "__main__":
    main()
