"""Measure where the seconds of a repair go, and what Prefect adds, cold and cached.

Without arguments the model and data that `make demo` leaves are used. Seconds of CPU are those of
the flow's process and its children, wall seconds are this machine's.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds of CPU and of wall time, and what was printed."""

    cpu: float
    wall: float
    printed: str


def cost(arguments: list[str], environment: Mapping[str, str]) -> Cost:
    """What a Python process costs, its children included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.monotonic() - started, done.stdout)


def report(name: str, spent: Cost) -> None:
    """One line."""
    print(f"{name:44} {spent.cpu:6.1f} s CPU {spent.wall:6.1f} s wall", flush=True)


def main() -> None:
    """Print what each costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("model", nargs="?", default="models/badnet.h5")
    parser.add_argument("data", nargs="?", default="data")
    options = parser.parse_args()
    model, data = options.model, options.data
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PREFECT_HOME": folder,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        repair = ["-m", "flows.repair", model, "--data", data, "--output", f"{folder}/artifacts"]
        server = start_server(environment)
        try:
            report("import prefect", cost(["-c", "import prefect.flows"], environment))
            alone = cost(["-m", "benchmarks.stages", model, data], environment)
            report("goodnet alone: open, sweep, evaluate", alone)
            for line in alone.printed.splitlines():
                stage, seconds = line.split("\t")
                print(f"  {float(seconds):5.2f} s CPU  {stage}")
            report("import flows.repair", cost(["-c", "import flows.repair"], environment))
            one = [*repair, "--order", "ascending"]
            report("repair, nothing cached", cost(one, environment))
            report("repair, everything cached", cost(one, environment))
            report("the other order too", cost(repair, environment))
            report("both orders, everything cached", cost(repair, environment))
        finally:
            server.terminate()
            server.wait()


def start_server(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A server of the benchmark's own, which `environment` then names; it is not counted."""
    from flows.serve import wait_until_up

    port = "4390"
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", port]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until_up(server, f"{environment['PREFECT_API_URL']}/health")
    return server


if __name__ == "__main__":
    main()
