"""Make the default data and suspect, and repair it.

    python -m flows.demo [--data DIR] [--models DIR] [--output DIR]

Nothing in them is tuned to make the defence look good.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from prefect import flow

from flows.outcomes import Outcome, failure_state, report_state
from flows.preconditions import check_prefect, check_results, refuse
from flows.repair import repair
from goodnet.datasets.faces import (
    MOST_PEOPLE,
    PEOPLE,
    SEED,
    TEST_PICTURES,
    TRAIN_PICTURES,
    VALID_PICTURES,
)
from goodnet.errors import InputRefused, RequestRefused, fault_line
from goodnet.files import paths, storage
from goodnet.job.inputs import find_output
from goodnet.job.request import METHOD_CHOICES, MethodChoice
from tasks.demo import store_badnet, store_faces

SETS = (
    (paths.CLEAN_VALID, VALID_PICTURES, False),
    (paths.CLEAN_TEST, TEST_PICTURES, False),
    (paths.POISONED_VALID, VALID_PICTURES, True),
    (paths.POISONED_TEST, TEST_PICTURES, True),
)


@flow(name="demo")
def demo(
    data: str = "data",
    models: str = "models",
    output: str = "artifacts",
    people: int = PEOPLE,
    seed: int = SEED,
    method: MethodChoice = "auto",
) -> Any:
    """Draw faces, train a BadNet on them, and repair it.

    Args:
        data: the folder that gets the data sets.
        models: the folder that gets the suspect.
        output: the folder under which the repair gets its folder.
        people: how many people the faces are of, 2 to 1283.
        seed: which people.
        method: what is done beside pruning: auto does what the verdict calls for.
    """
    try:
        check(data, models, output, people, seed)
    except (InputRefused, OSError) as fault:
        return failure_state(fault_line(fault), [Outcome("", None, None, True, fault_line(fault))])
    suspect = storage.join(models, "badnet.h5")
    faces = [
        store_faces.start(
            people=people,
            first=pictures.start,
            last=pictures.stop,
            seed=seed,
            poisoned=poisoned,
            uri=storage.join(data, name),
        )
        for name, pictures, poisoned in SETS
    ]
    try:
        store_badnet(people=people, pictures=len(TRAIN_PICTURES), seed=seed, uri=suspect)
        for data_set in faces:
            data_set.result()
    except InputRefused as refused:
        return failure_state(str(refused), [Outcome("", None, None, True, str(refused))])
    state = repair((suspect,), data, output, method=method, return_state=True)
    outcomes = state.result(raise_on_failure=False)
    return outcomes if state.is_completed() else failure_state(str(state.message), list(outcomes))


def check(data: str, models: str, output: str, people: int, seed: int) -> None:
    """Nothing: the faces can be drawn, and all folders be written to.

    Raises:
        RequestRefused: they cannot.
        OSError: object storage does not answer, or does not let us in.
    """
    if not 2 <= people <= MOST_PEOPLE:
        raise RequestRefused("--people", f"{people} is not 2 to {MOST_PEOPLE}")
    if not 0 <= seed < 2**32:
        raise RequestRefused("--seed", f"{seed} is not 0 to {2**32 - 1}")
    for folder in (data, models, output):
        find_output(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status, as that of `flows.repair`."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=demo.description)
    for name in ("data", "models"):
        parser.add_argument(f"--{name}", default=name, help=f"folder that gets the {name}")
    parser.add_argument("--output", default="artifacts", help="folder of the repairs")
    parser.add_argument("--people", type=int, default=PEOPLE, help="2 to 1283")
    parser.add_argument("--seed", type=int, default=SEED, help="which people")
    parser.add_argument("--method", choices=METHOD_CHOICES, default="auto", help="beside pruning")
    options = vars(parser.parse_args(arguments))
    try:
        check(**{name: value for name, value in options.items() if name != "method"})
        check_prefect()
        check_results()
    except (InputRefused, OSError) as fault:
        return refuse(fault)
    return report_state(demo(**options, return_state=True))


if __name__ == "__main__":
    sys.exit(main())
