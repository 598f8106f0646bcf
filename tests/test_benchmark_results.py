"""What was measured is on record in one form, and the documents' tables are made of it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks import records, tables, verdict_tables

DESIGN = tables.PROJECT / "docs" / "design.md"
FILES = sorted(records.RESULTS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_a_record_as_it_is_written(path: Path, tmp_path: Path) -> None:
    """Each file has known fields of the right types, and its network's name."""
    network = records.read(path)
    records.write(network, tmp_path)
    assert network.name == path.stem
    assert (tmp_path / path.name).read_text() == path.read_text()


def test_every_share_lies_between_0_and_1() -> None:
    """Accuracies, ASRs and shares of flagged images are fractions."""
    fields = ("clean_accuracy", "asr", "flagged_poisoned", "flagged_clean")
    shares = [getattr(run, name) for n in records.load() for run in n.repairs for name in fields]
    assert all(0 <= share <= 1 for share in shares if share is not None)


@pytest.mark.parametrize("change", [{"colour": "red"}, {"classes": "12"}, {"scale": "half"}])
def test_a_record_with_an_unknown_field_or_another_type_is_refused(
    change: dict[str, object], tmp_path: Path
) -> None:
    """A field that nobody reads, or of another type, does not pass for a measurement."""
    path = tmp_path / "net.json"
    path.write_text(json.dumps(json.loads(FILES[0].read_text()) | change))
    with pytest.raises(ValidationError):
        records.read(path)


def test_a_new_run_replaces_that_of_its_half(tmp_path: Path) -> None:
    """A verdict on the tuning half leaves held-out verdicts, and those with a note, in place."""
    base = records.NetworkResults(
        name="net", source="here", architecture="CNN", images="dots", classes=2, scale="raw"
    )
    answer: dict[str, object] = {"verdict": "inconclusive"}
    runs = [
        records.VerdictRun.model_validate({**answer, "half": half, "note": note, "seconds": number})
        for number, (half, note) in enumerate(
            [("held out", ""), ("tune", "by an older method"), ("tune", ""), ("tune", "")]
        )
    ]
    for run in runs:
        records.add(base, tmp_path, verdicts=(run,))
    (network,) = records.load(tmp_path)
    assert [run.seconds for run in network.verdicts] == [0, 1, 3]


@pytest.mark.parametrize("path", tables.documents(), ids=lambda path: path.name)
def test_the_tables_of_a_document_are_those_of_the_results(path: Path) -> None:
    """After a measurement `make tables` brings the documents up to date."""
    text = path.read_text()
    assert tables.render(text, records.load()) == text


@pytest.mark.parametrize(("verdict", "cleared"), [("inconclusive", 0), ("no backdoor found", 1)])
def test_a_clean_network_is_cleared_by_one_answer_alone(verdict: str, cleared: int) -> None:
    """An inconclusive one is not counted with those that are cleared."""
    run = {"half": "held out", "verdict": verdict, "seconds": 1}
    network = records.NetworkResults(
        name="net", source="here", architecture="CNN", images="dots", classes=2, scale="raw",
        verdicts=(records.VerdictRun.model_validate(run),),
    )  # fmt: skip
    assert f"| dots | {cleared} of 1 | 0 of 0 |" in verdict_tables.held_out([network])


def test_every_table_stands_in_a_document() -> None:
    """No table is made for nobody."""
    texts = [path.read_text() for path in tables.documents()]
    assert {name for text in texts for _, name, _ in tables.MARKED.findall(text)} == {
        *tables.TABLES
    }


@pytest.mark.parametrize("path", tables.documents(), ids=lambda path: path.name)
def test_links_and_modules_of_a_document_exist(path: Path) -> None:
    """Every relative link, and every module of goodnet that is named, is there."""
    text = path.read_text()
    links = [path.parent / target for target in re.findall(r"\]\(([^)#:]+)\)", text)]
    modules = [tables.PROJECT / name for name in re.findall(r"`(goodnet/[\w/]+\.py)`", text)]
    new = {tables.PROJECT / name for name in re.findall(r"\+\+\+ b/(\S+)", text)}  # of recipes
    assert [target for target in links + modules if not (target.exists() or target in new)] == []


def test_the_design_page_has_the_floors_that_are_checked() -> None:
    """The rooms of docs/design.md, from the top floor down, are those of pyproject.toml."""
    contracts = tomllib.loads((tables.PROJECT / "pyproject.toml").read_text())["tool"][
        "importlinter"
    ]
    declared = [floor.split(" | ") for floor in contracts["contracts"][0]["layers"]]
    floors = list[list[str]]()
    for row in re.findall(r"^\|([ \d]+)\| (`.*?`) \|", DESIGN.read_text(), re.MULTILINE):
        if row[0].strip():
            floors.append([])
        floors[-1] += re.findall(r"`(\w+)`", row[1])
    assert [sorted(floor) for floor in floors] == [sorted(floor) for floor in declared]


def test_tables_are_made_without_tensorflow() -> None:
    """Whoever edits a document need not wait for it."""
    code = "import sys, benchmarks.tables; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tables.PROJECT)


@pytest.mark.slow
def test_every_benchmark_finds_what_it_imports_and_says_what_it_does() -> None:
    """A renamed function breaks no benchmark unseen; `--help` begins with one sentence."""
    code = """
import importlib, pkgutil, benchmarks
for each in pkgutil.iter_modules(benchmarks.__path__):
    module = importlib.import_module(f"benchmarks.{each.name}")
    assert module.__doc__.splitlines()[0].endswith("."), each.name
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tables.PROJECT)
