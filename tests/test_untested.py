"""Without a clean test set all that needs one is absent, and nothing is recommended."""

import json
from typing import Any

import pytest
from conftest import Toy, repairs_in
from invented import invented_findings, invented_mitigation, invented_verdict

import goodnet
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE, NOTHING
from goodnet.files import paths
from goodnet.report.conclusion import conclude, recommended_files
from goodnet.report.findings import RepairResult
from goodnet.report.folder import report_files
from goodnet.report.manifest import _row
from goodnet.report.pictures import FIGURES, Picture, Samples
from goodnet.report.recommendation import recommend
from goodnet.report.tables import results_table

NAMED = invented_verdict(BACKDOORED, [3])


def untested(**changes: Any) -> RepairResult:
    """Findings on clean validation images alone."""
    return invented_findings(**{"tested": False, "poisoned": False, "clean": [190] * 8} | changes)


def drawn(findings: RepairResult, figure: str) -> list[Picture]:
    samples = Samples(lambda: pytest.fail("not needed"), None)
    return list(FIGURES[figure](findings, samples))


@pytest.mark.parametrize("poisoned", [False, True])
@pytest.mark.parametrize("mitigated", [False, True])
@pytest.mark.parametrize("verdict", [NAMED, *map(invented_verdict, (NOTHING, INCONCLUSIVE))])
def test_nothing_is_recommended_and_the_report_says_why(
    verdict: Any, mitigated: bool, poisoned: bool
) -> None:
    """Whatever is known beside it: with a test set some of these have a recommendation."""
    mitigation = invented_mitigation() if mitigated else None
    attack = [200, *[0] * (7 if mitigated else 6)]
    clean = [190] * len(attack)
    findings = untested(
        verdict=verdict, mitigation=mitigation, poisoned=poisoned, attack=attack, clean=clean,
        flagged_poisoned=190,
    )  # fmt: skip
    chosen = recommend(findings)
    assert (chosen.model, chosen.goodnet, chosen.nearest) == (None, None, None)
    assert chosen.answer == (BACKDOORED if poisoned else verdict.verdict)
    assert recommended_files(findings) == {}
    said = conclude(findings)
    assert "nothing is recommended" in said[0] + said[1]
    if chosen.answer == BACKDOORED:
        assert "because no clean test set was given" in said[0]
        assert said[1].endswith("or one set of clean images, which is then split in two.")
    files = report_files(findings, [])
    assert (paths.EVALUATION_CSV in files) == poisoned
    report = files[paths.REPORT_MD].decode()
    assert "- No clean test set was given: what pruning and training cost is known only" in report
    assert "clean test accuracy" not in " ".join(said) + report
    assert "clean test images" not in " ".join(said[2:])
    assert ("ASR" in results_table(findings)) == poisoned
    assert "clean" not in results_table(findings)
    assert _row(findings.evaluation[0])["clean_accuracy"] is None


def test_the_same_with_a_test_set_is_recommended() -> None:
    attack = [200, *[0] * 7]
    findings = untested(
        verdict=NAMED, mitigation=invented_mitigation(), poisoned=True, attack=attack, tested=True,
        clean=[190] * 8, flagged_poisoned=190,
    )  # fmt: skip
    assert recommend(findings).model


def test_the_figure_shows_what_was_measured() -> None:
    assert drawn(untested(), "evaluation") == []
    (figure,) = drawn(untested(poisoned=True), "evaluation")
    assert figure.caption == "ASR of every model on the test sets"
    assert figure.png.startswith(b"\x89PNG")


def test_evaluate_takes_poisoned_images_alone(small: Toy) -> None:
    model = goodnet.load_model(small.model)
    clean = goodnet.load_images(small.data / "clean/valid.h5", model)
    bad = goodnet.load_images(small.data / "bd/bd_test.h5", model, poisoned=True)
    pruned = goodnet.prune(model, goodnet.sweep(model, clean), drop=4)
    table = goodnet.evaluate(model, [pruned], poisoned=bad)
    assert "clean accuracy" not in str(table) and "ASR" in str(table)


@pytest.mark.slow
@pytest.mark.parametrize("poisoned", [False, True])
def test_a_repair_with_a_validation_set_alone(
    small: Toy, poisoned: bool, prefect_server: None
) -> None:
    from flows.repair import main as repair

    (small.data / "clean/test.h5").unlink()
    if not poisoned:
        for path in small.data.glob("bd/*"):
            path.unlink()
    output = small.folder / "out"
    few = ("--order", "ascending", "--drop", "4", "--method", "pruning", "--output", str(output))
    assert repair([str(small.model), "--data", str(small.data), *few]) == 0
    (folder,) = repairs_in(output)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert {"repaired_models_asc/model_drop_4.h5", "goodnets_asc/goodnet_drop_4.keras"} <= names
    assert ("evaluation.csv" in names) == ("evaluation.png" in names) == poisoned
    assert not any(name.startswith("recommended") for name in names)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "clean test" not in manifest["inputs"]
    assert manifest["recommendation"]["model"] is None
    assert "no clean test set was given" in (folder / "report.md").read_text().lower()
