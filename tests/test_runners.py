"""Where the tasks of a repair run is a setting, and changes nothing of what comes out."""

import json
from pathlib import Path

import pytest
from conftest import Toy, repairs_in

from flows.preconditions import NOTHING_STARTED
from flows.repair import main
from goodnet.errors import RequestRefused
from tasks.runners import task_runner_of


def test_a_runner_that_is_none_is_refused(
    small: Toy, capsys: pytest.CaptureFixture[str], prefect_server: None
) -> None:
    with pytest.raises(RequestRefused, match="'ray' is not threads, dask or tcp"):
        task_runner_of("ray")
    arguments = [str(small.model), "--data", str(small.data), "--task-runner", "ray"]
    assert main(arguments) == NOTHING_STARTED
    assert "failed: --task-runner: 'ray'" in capsys.readouterr().err


def test_dask_is_taken_by_name_or_by_address() -> None:
    pytest.importorskip("prefect_dask")
    assert task_runner_of("tcp://scheduler:8786").address == "tcp://scheduler:8786"
    assert task_runner_of("dask").address is None


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_dask_workers_find_what_threads_find(small: Toy) -> None:
    pytest.importorskip("prefect_dask")
    files = []
    for number, runner in enumerate(("dask", "threads")):
        output = small.folder / runner
        arguments = [str(small.model), "--data", str(small.data), "--output", str(output)]
        arguments += [
            "--method",
            "pruning",
            "--drop",
            str(5 + number / 1000),
        ]  # keys of their own: nothing is cached
        assert main([*arguments, "--order", "ascending", "--task-runner", runner]) == 0
        (folder,) = repairs_in(output)
        files.append(results(folder))
    assert files[0] == files[1]


def results(folder: Path) -> list[object]:
    """What a repair found, without what it was asked."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return [{**result, "drop": None} for result in manifest["results"]]
