"""What one verdict or repair costs, in a process of its own; `benchmarks.compared` runs it.

It asks for nothing but what `import goodnet` has had for long, so it runs with older code, too.
Prints a JSON object: seconds of wall and of CPU by stage, what the verdict was, and peak memory.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


class Stages:
    """Seconds of wall and of CPU since the last stage ended."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}
        self._since = self._now = self.now()

    def now(self) -> tuple[float, float]:
        """Wall and CPU seconds."""
        return time.monotonic(), time.process_time()

    def mark(self, *_: object) -> None:
        """Remember this moment, for `end(..., marked=True)`; a progress function."""
        self._now = self.now()

    def end(self, stage: str, *, marked: bool = False) -> None:
        """A stage ends now, or ended at the last mark."""
        now = self._now if marked else self.now()
        self.spent[stage] = now[0] - self._since[0], now[1] - self._since[1]
        self._since = now


def judge_and_repair(model: str, data: str, repaired: bool) -> dict[str, Any]:
    """The stages of a verdict and, where it stands out, of what unlearns it."""
    import goodnet

    stages = Stages()
    suspect = goodnet.load_model(model)
    clean = goodnet.load_images(f"{data}/clean/valid.h5", suspect)
    stages.end("opening")
    verdict = goodnet.detect(suspect, clean)
    stages.end("verdict")
    if repaired:
        goodnet.repair(suspect, clean, verdict, method="unlearning", progress=stages.mark)
        stages.end("training", marked=True)
        stages.end("judging again")
    answer = {"verdict": verdict.verdict, "classes": list(map(int, verdict.classes))}
    return {"stages": stages.spent, "images": len(clean), **answer}


def whole(model: str, data: str) -> dict[str, Any]:
    """A repair by the command, without Prefect."""
    stages = Stages()
    from goodnet.command import clone
    from goodnet.command.main import main

    clone.HOME = Path("/nowhere")
    with tempfile.TemporaryDirectory() as output:
        status = main(["repair", model, "--data", data, "--output", output])
    stages.end("whole repair")
    return {"stages": stages.spent, "status": status}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("verdict", "repair", "whole"))
    parser.add_argument("model")
    parser.add_argument("data")
    given = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr
    if given.stage == "whole":
        found = whole(given.model, given.data)
    else:
        found = judge_and_repair(given.model, given.data, given.stage == "repair")
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found), file=out)
