"""The notebook: it holds no outputs, its prose no result that it did not compute, and it runs."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import PROJECT
from nbclient import NotebookClient

PATH = PROJECT / "docs" / "goodnet.ipynb"
CHAPTERS = (
    *("Installation", "Introduction", "The data", "The suspect", "The method", "Results"),
    *("Evaluation", "Discussion", "Observations"),
)


def notebook() -> Any:
    return nbformat.read(PATH, 4)


def cells(kind: str) -> list[str]:
    return [cell.source for cell in notebook().cells if cell.cell_type == kind]


def test_it_is_valid_and_holds_no_output() -> None:
    """Outputs are a megabyte of pictures, and numbers that grow old."""
    nbformat.validate(notebook())
    for cell in notebook().cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    for source in cells("code"):
        ast.parse(source)


def test_it_has_its_chapters_and_no_result_in_its_prose() -> None:
    prose = "\n".join(cells("markdown"))
    heads = re.findall(r"^## \d\. (.*)$", prose, flags=re.M)
    assert heads == list(CHAPTERS)
    text = re.sub(r"\(http\S+\)|`[^`]*`|^#.*$|95 % Wilson", "", prose, flags=re.M)
    assert not re.search(r"\d", text)


@pytest.mark.parametrize("in_clone", [True, False])
def test_the_first_cell_installs_only_what_is_not_there(
    in_clone: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, ran = cells("code")[0], list[str]()
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command[-1]))
    monkeypatch.chdir(PROJECT / "docs" if in_clone else tmp_path)
    exec(compile(first, "first cell", "exec"), {})
    assert ran == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(compile(first, "first cell", "exec"), {})
    (wanted,) = ran
    here = f"{PROJECT}[report]"
    assert wanted == here if in_clone else wanted.startswith("goodnet[report] @ git+https://")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_runs_from_a_fresh_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    given = notebook()
    resources = {"metadata": {"path": str(PATH.parent)}}
    NotebookClient(given, timeout=3000, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in given.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    data = [output.data for output in outputs if "data" in output]
    assert sum("image/png" in each for each in data) >= 7
    said = "\n".join(str(each.get("text/markdown", "")) for each in data)
    assert "backdoored, class 0" in said and "Was the right class named?" in said
    assert "This network has a backdoor" in said
