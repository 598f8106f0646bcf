"""SECURITY.md's table of known attacks names tests that there are."""

import re
from pathlib import Path

import hostile
from conftest import PROJECT
from hostile import DATASETS, MODELS

from goodnet.network.save import save_network
from goodnet.network.suspect import as_written, open_suspect

LINES = (PROJECT / "SECURITY.md").read_text().partition("## Known attacks")[2].splitlines()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")] for line in LINES if line[:1] == "|"
]
PUBLISHED = """CVE-2021-37678 CVE-2024-3660 CVE-2025-1550 CVE-2025-8747 CVE-2025-9905 CVE-2025-9906
CVE-2025-12058 CVE-2026-1462 keras#23055 modelaudit#687""".split()


def test_each_attack_has_a_test() -> None:
    cases = {bad.name for bad in (*MODELS, *DATASETS)}
    sources = "".join(path.read_text() for path in (PROJECT / "tests").glob("test_*.py"))
    head, _, *rows = ROWS
    assert len(rows) >= 20 and head[-1] == "tests"
    for *_, named in rows:
        names = re.findall(r"`(\w+)`", named)
        assert names and ", ".join(f"`{name}`" for name in names) == named
        for name in names:
            assert name in cases or f"def {name}(" in sources, name


def test_none_is_left_out() -> None:
    first = " ".join(row[0] for row in ROWS)
    assert not [name for name in PUBLISHED if name not in first]
    for number in range(1, 7):
        assert f"({number})" in first
    samples = re.findall(r"samples? ([\d, ]+)", first)
    assert sorted(int(n) for text in samples for n in re.findall(r"\d", text)) == [*range(1, 9)]


def test_a_layer_s_name_leads_nowhere(tmp_path: Path) -> None:
    """It may hold what a path would: a model is saved where it is told to, and nowhere else."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    suspect = open_suspect(hostile.with_config(hostile.renamed("../../up"))(tmp_path))
    before = set(tmp_path.rglob("*"))
    for name in ("x.keras", "x.h5"):
        save_network(as_written(suspect, suspect.network), folder / name)
        assert open_suspect(folder / name).classes == 5
    assert set(tmp_path.rglob("*")) - before == {folder / "x.keras", folder / "x.h5"}
