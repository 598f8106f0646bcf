"""Repair suspects, each in a run of its own.

python -m flows.repair MODEL... --data DIR --output DIR
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Failed, State

from flows.repair_model import repair_model
from goodnet import paths, storage
from goodnet.faults import InputRefused
from goodnet.findings import Findings
from goodnet.inputs import find_data, find_models
from goodnet.request import ORDERS, SCALES, parse_request
from goodnet.tables import results_table

ALL_REPAIRED, SOME_FAILED, NOTHING_STARTED = 0, 1, 2


class Outcome(NamedTuple):
    """How the repair of one model ended: its folder and findings, or why there are none."""

    model: str
    folder: str | None
    findings: Findings | None
    refused: bool
    message: str


@flow(name="repair")
def repair(
    models: tuple[str, ...] = ("models",),
    data: str = "data",
    output: str = "artifacts",
    order: Literal["ascending", "descending", "both"] = "both",
    drop: tuple[float, ...] = (2, 4, 10),
    layer: str = "auto",
    scale: Literal["auto", "raw", "unit"] = "auto",
    architecture: str = "auto",
) -> Any:
    """Repair suspects, each in a run of its own; one that fails does not stop the others.

    Args:
        models: model files (.h5, .keras), or folders of them; paths or s3:// URIs.
        data: the folder with clean/valid.h5, clean/test.h5 and, if there are any,
            bd/bd_valid.h5 and bd/bd_test.h5.
        output: the folder under which each repair gets a folder of its own.
        order: prune the quietest channels first (ascending), the loudest, or try both.
        drop: take a repaired model where clean accuracy has fallen by so many points.
        layer: the layer to prune; auto takes the last pooling layer before the dense part.
        scale: the pixel scale the model was trained at, 0..255 (raw) or 0..1 (unit).
        architecture: for files that hold weights only: auto, deepid, or a Keras JSON file.
    """
    log = get_run_logger()
    try:
        request = parse_request(
            order=order, drop=drop, layer=layer, scale=scale, architecture=architecture
        )
        suspects, sets = find_models(models), find_data(data)
    except InputRefused as refused:
        return Failed(message=str(refused), data=[Outcome("", None, None, True, str(refused))])
    outcomes = []
    for uri in suspects:
        state = repair_model(uri, sets, request, output, return_state=True)
        result = state.result(raise_on_failure=False)
        if state.is_completed():
            folder, findings = result
            outcomes.append(Outcome(uri, folder, findings, False, ""))
            log.info("repaired %s: %s", findings.model.name, folder)
        else:
            message = str(state.message)
            outcomes.append(Outcome(uri, None, None, isinstance(result, InputRefused), message))
            log.error("%s", message)
    failed = [outcome for outcome in outcomes if outcome.folder is None]
    if failed:
        message = "; ".join(outcome.message for outcome in failed[:5])
        return Failed(
            message=f"{len(failed)} of {len(outcomes)} models failed: {message}", data=outcomes
        )
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 all repaired, 1 some failed, 2 nothing could be started."""
    asked = vars(_parser().parse_args(arguments))
    state = repair(**{name: _immutable(value) for name, value in asked.items()}, return_state=True)
    return report_state(state)


def report_state(state: State[Any]) -> int:
    """Print how each repair ended; the exit status: 0, 1 or 2."""
    outcomes = state.result(raise_on_failure=False)
    if not isinstance(outcomes, list):
        print(f"failed: {state.message}", file=sys.stderr)
        return SOME_FAILED
    for outcome in outcomes:
        if outcome.findings is not None:
            print(f"\n{outcome.findings.model.name}\n{results_table(outcome.findings)}")
            print(f"report: {storage.inside(str(outcome.folder), paths.REPORT_HTML)}")
    print()
    for outcome in outcomes:
        if outcome.folder is None:
            print(f"failed: {outcome.message}", file=sys.stderr)
        else:
            print(f"wrote {outcome.folder}")
    if all(outcome.folder for outcome in outcomes):
        return ALL_REPAIRED
    return NOTHING_STARTED if all(outcome.refused for outcome in outcomes) else SOME_FAILED


def _immutable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.repair", description="Repair suspect image classifiers."
    )
    add = parser.add_argument
    add("models", metavar="MODEL", nargs="*", default=["models"], help="model files or folders")
    add("--data", default="data", help="folder with clean/ and, if there is one, bd/")
    add("--output", default="artifacts", help="folder that gets a folder for each repair")
    add("--order", choices=ORDERS, default="both", help="which channels to prune first")
    add("--drop", nargs="+", default=["2", "4", "10"], metavar="X", help="points of accuracy")
    add("--layer", default="auto", help="the layer to prune")
    add("--scale", choices=SCALES, default="auto", help="the pixels the model was trained on")
    add("--architecture", default="auto", help="auto, deepid or FILE.json, for weights only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
