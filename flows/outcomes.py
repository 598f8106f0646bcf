"""How repairs ended: the state of the run that made them, and what is printed of it."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from prefect.states import Completed, Failed, State

from flows.preconditions import NOTHING_STARTED
from goodnet.errors import one_line
from goodnet.files import paths, storage
from goodnet.report.conclusion import headline
from goodnet.report.extras import missing_files
from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import recommend
from goodnet.report.tables import results_table
from tasks.artifacts import tag_run

ALL_REPAIRED, SOME_FAILED = 0, 1


class Outcome(NamedTuple):
    """How the repair of one model ended: its folder, findings and conclusion, or why not."""

    model: str
    folder: str | None
    findings: RepairResult | None
    refused: bool
    message: str


class Failures(Exception):
    """Repairs of which some failed: how each ended. A failed state holds an exception."""

    def __init__(self, message: str, outcomes: Sequence[Outcome]) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)


def failure_state(message: str, outcomes: Sequence[Outcome], name: str = "Failed") -> State[Any]:
    """The state of a run of which repairs failed."""
    return Failed(name=name, message=message, data=Failures(message, outcomes))


def success_state(outcomes: list[Outcome]) -> State[Any]:
    """The state of a run of which all repairs succeeded; one model's says what came of it."""
    if len(outcomes) != 1:
        return Completed(message=f"repaired {len(outcomes)} models", data=outcomes)
    (only,) = outcomes
    if only.findings is not None:
        tag_run(paths.model_tag(only.model), paths.verdict_tag(recommend(only.findings).answer))
    return Completed(message=f"{only.message} See {only.folder}", data=outcomes)


def report_state(state: State[Any]) -> int:
    """Print how each repair ended; the exit status: 0, 1 or 2."""
    outcomes = state.result(raise_on_failure=False)
    if not isinstance(outcomes, list | Failures):
        print(f"failed: {one_line(state.message)}", file=sys.stderr)
        return SOME_FAILED
    outcomes = list(outcomes)
    for outcome in outcomes:
        if outcome.findings is not None:
            print(f"\n{outcome.findings.model.name}: {headline(outcome.findings)}\n")
            print(results_table(outcome.findings))
            print(f"report: {storage.join(str(outcome.folder), paths.REPORT_HTML)}")
    for line in missing_files() if any(outcome.folder for outcome in outcomes) else ():
        print(line)
    print()
    for outcome in outcomes:
        if outcome.folder is None:
            print(f"failed: {outcome.message}", file=sys.stderr)
        else:
            print(f"wrote {outcome.folder}")
    if all(outcome.folder for outcome in outcomes):
        return ALL_REPAIRED
    return NOTHING_STARTED if all(outcome.refused for outcome in outcomes) else SOME_FAILED
