"""`goodnet repair`: in a clone as a flow, like `python -m flows.repair`; elsewhere without Prefect.

Both take the same steps and leave the same folder. Without Prefect nothing is cached, and suspects
are repaired one after the other.
"""

import argparse
import sys
from importlib.util import find_spec
from typing import Any

from goodnet.command.clone import main_of
from goodnet.command.main import missing
from goodnet.errors import InputRefused, RequestRefused, fault_line
from goodnet.files.reading import METHODS as RESIZE
from goodnet.job.request import METHOD_CHOICES, ORDERS, VERDICTS
from goodnet.preprocessing import NAMES

EXAMPLE = "goodnet repair models/suspect.h5 --data data --output artifacts"
ALL_REPAIRED, SOME_FAILED, NOTHING_STARTED = 0, 1, 2
REPORT = ("matplotlib", "markdown_it")  # what a report is drawn and written with


def add_options(parser: argparse.ArgumentParser) -> None:
    files = "model files or folders"
    parser.add_argument("models", metavar="MODEL", nargs="*", default=["models"], help=files)
    add_request(parser)


def add_request(parser: argparse.ArgumentParser) -> None:
    """What a repair is asked for beside the models, by the names of the flow's parameters."""
    add = parser.add_argument
    add("--data", default="data", help="folder with valid/ and test/, or one set of images")
    add("--output", default="artifacts", help="folder that gets a folder for each repair")
    add("--poisoned", default="", metavar="DIR", help="poisoned test images that lie elsewhere")
    add("--target", default="", metavar="N", help="the class that poisoned images lead to")
    add("--keys", default="", metavar="X,Y", help="what images and labels are called in files")
    ways = f"auto, {', '.join(RESIZE)}; ,crop or ,pad"
    add("--resize", default="auto", metavar="HOW", help=ways)
    add("--order", choices=ORDERS, default="both", help="which channels to prune first")
    add("--drop", nargs="+", default=["2", "4", "10"], metavar="X", help="points of accuracy")
    add("--layer", default="auto", help="the layer to prune")
    add("--preprocessing", default="auto", help=f"auto, {', '.join(NAMES)}, or mean=...,std=...")
    add("--scale", choices=("auto", "raw", "unit"), dest="preprocessing", help="the same")
    add("--architecture", default="auto", help="auto, deepid or FILE.json, for weights only")
    add("--method", choices=METHOD_CHOICES, default="auto", help="what is done beside pruning")
    add("--budget", type=float, default=2, metavar="X", help="points of accuracy a model may lose")
    add(
        "--verdict", choices=VERDICTS, default="on", help="off leaves it out: pruning alone is fast"
    )
    minutes = "that the verdict may take, about"
    add("--minutes", type=float, default=5, metavar="M", help=minutes)
    add("--task-runner", default="threads", help="threads, dask, or a scheduler's tcp://host:port")


def run(options: argparse.Namespace) -> int:
    """0 all repaired, 1 some failed, 2 nothing could be started."""
    if flow := main_of("repair"):
        return flow(options.arguments)
    if options.task_runner != "threads":
        raise RequestRefused("--task-runner", "needs a clone of GoodNet, and Prefect")
    for package in REPORT:
        if find_spec(package) is None:  # now, not when all has been computed
            raise missing(ModuleNotFoundError(name=package))
    given = vars(options)
    ways = {name: given[name] for name in ("keys", "resize", "target")}
    names = "order drop layer preprocessing architecture method budget minutes verdict".split()
    places = {name: given[name] for name in ("data", "poisoned", "output")}
    return _repair_each(given["models"], {name: given[name] for name in names}, ways, **places)


def _repair_each(
    models: list[str], request: dict[str, Any], ways: dict[str, str], **places: str
) -> int:
    """Repair suspects, one after the other; the exit status."""
    from goodnet.job.inputs import find_output, glance, parse_reading
    from goodnet.job.plan import plan_job
    from goodnet.job.request import parse_request
    from goodnet.job.suspects import find_models

    parse_request(**request)  # what makes no sense is said once, not of each suspect
    parse_reading(**ways)
    find_output(places["output"])
    repaired, refused, faults = 0, 0, 0
    for uri in find_models(models):
        try:
            job = plan_job(uri, request, places["data"], places["poisoned"], ways)
            glance(job.model, "model")  # before TensorFlow is imported
            from goodnet.command.repair_steps import repair_suspect

            print("\n".join(repair_suspect(job, places["output"])))
            repaired += 1
            _write_index(places["output"])
        except (InputRefused, OSError) as fault:
            refused += isinstance(fault, InputRefused)
            faults += 1
            print(f"failed: {fault_line(fault)}", file=sys.stderr)
    if not faults:
        return ALL_REPAIRED
    return NOTHING_STARTED if refused == faults and not repaired else SOME_FAILED


def _write_index(output: str) -> None:
    from goodnet.report.index import update_index

    try:
        update_index(output)
    except OSError as fault:  # the repairs themselves are done
        print(f"warning: the index is not written: {fault_line(fault)}", file=sys.stderr)
