"""A digest of source changes with the code that a function computes with, and with nothing else."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PROJECT

from tasks import source
from tasks.source import Unit, digest_of

JUDGE, SWEEP = Unit("tasks.detection", "judge"), Unit("tasks.pruning", "sweep")
MITIGATE, REPORT = Unit("tasks.mitigation", "mitigate"), Unit("tasks.outputs", "store_report")
OPEN, DRAW = Unit("tasks.pruning", "describe_suspect"), Unit("tasks.outputs", "draw")
PRUNE, REPAIR = Unit("tasks.outputs", "store_pruned"), Unit("flows.repair_model", "repair_model")
EVERY = {JUDGE, SWEEP, MITIGATE, REPORT, OPEN, DRAW, PRUNE, REPAIR}

Change = Callable[[str, str, str], set[Unit]]


@pytest.fixture(scope="module")
def unchanged() -> dict[Unit, str]:
    """The digests of the source as it is."""
    return {unit: digest_of(unit) for unit in EVERY}


@pytest.fixture
def change(
    unchanged: dict[Unit, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Change]:
    """A function that changes a file of a copy of the source: whose digests change with it?"""
    for package in source.OURS:
        shutil.copytree(PROJECT / package, tmp_path / package)
    monkeypatch.setattr(source, "ROOT", tmp_path)

    def forget() -> None:
        for cached in (source.digest_of, source._read, source._module, source._path):
            cached.cache_clear()

    def digests() -> dict[Unit, str]:
        forget()
        return {unit: digest_of(unit) for unit in EVERY}

    known = [unchanged]

    def changed(name: str, old: str, new: str) -> set[Unit]:
        path = tmp_path / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        before, after = known[-1], digests()
        known.append(after)
        return {unit for unit in EVERY if before[unit] != after[unit]}

    yield changed
    monkeypatch.undo()
    forget()  # what is remembered is of the copy


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("trigger_inversion", "STEPS: Final = 30", "STEPS: Final = 31"),
        ("pattern_search", "threshold=0.4", "threshold=0.6"),
        ("maximum_margin", "STARTS: Final = 24", "STARTS: Final = 25"),
        ("last_layer", "kernel.sum(axis=0)", "kernel.mean(axis=0)"),
    ],
)
def test_a_line_of_a_method_changes_the_verdict_and_what_follows_and_not_the_sweep(
    change: Change, name: str, old: str, new: str
) -> None:
    """Unlearning judges the network again; REPAIR is in the key of the repair's folder."""
    changed = change(f"goodnet/detection/{name}.py", old, new)
    assert changed == {JUDGE, MITIGATE, REPAIR}


def test_a_line_of_unlearning_changes_what_is_unlearned_and_not_the_verdict(change: Change) -> None:
    name = "goodnet/mitigation/methods/unlearning.py"
    assert change(name, "RANDOM: Final = 0.2", "RANDOM: Final = 0.3") == {MITIGATE, REPAIR}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("goodnet/report/document.py", "LISTED = 24", "LISTED = 25"),
        ("goodnet/report/templates/report.md.j2", "## What was given", "## Given"),
    ],
)
def test_a_line_of_the_report_writes_it_again_and_nothing_else(
    change: Change, name: str, old: str, new: str
) -> None:
    assert change(name, old, new) == {REPORT, REPAIR}


def test_a_line_of_a_figure_draws_it_again_and_nothing_else(change: Change) -> None:
    assert change("goodnet/report/charts.py", "    counts =", "    counts = counts =") == {
        DRAW,
        REPAIR,
    }


def test_how_files_are_opened_changes_all_that_opens_them(change: Change) -> None:
    """The reader is a process of its own: it is named, not imported, and so are its modules."""
    for name, old in (("hdf5", "return data"), ("datasets", "return entry")):
        changed = change(f"goodnet/sandbox/reader/{name}.py", old, f"pass; {old}")
        assert changed == EVERY - {REPORT}


def test_comments_docstrings_and_layout_change_nothing(change: Change) -> None:
    name = "goodnet/detection/dependence.py"
    assert change(name, '"""Dependence:', '"""A dependence:') == set()
    old, new = "INDEPENDENT: Final = 0.75  # of", "INDEPENDENT: Final = (\n 0.75)  # as of"
    assert change(name, old, new) == set()


def test_the_flow_itself_counts_in_the_key_of_a_repair(change: Change) -> None:
    name = "flows/repair_model.py"
    assert change(name, "channels_pruned_first(", "channels_pruned_first (\n") == set()
    assert change(name, "verdict = judge(", "verdict = 1 and judge(") == {REPAIR}
