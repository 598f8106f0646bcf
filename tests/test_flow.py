"""The `repair` flow on the toy backdoor, against a real Prefect server."""

import base64
import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import h5py
import numpy as np
import pytest
from conftest import PROJECT, TARGET, Toy, repairs_in
from invented import invented_mitigation, invented_verdict
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from flows import repair_model as repair_model_module
from flows.outcomes import SOME_FAILED
from flows.preconditions import NOTHING_STARTED
from flows.repair import main
from goodnet.datasets.dataset import open_clean_dataset
from goodnet.detection.verdict import BACKDOORED
from goodnet.files import storage
from goodnet.metrics import Proportion
from goodnet.mitigation.method import Method
from goodnet.mitigation.mitigate import MitigatedNetworks
from goodnet.network.goodnet import gate_by_suspect, join
from goodnet.network.suspect import open_suspect
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import mean_activations
from goodnet.pruning.zeroing import prune
from goodnet.report.tables import CURVE_COLUMNS, evaluation_columns
from goodnet.triggers.trigger import RecoveredTrigger, Trigger
from tasks import caching

pytestmark = pytest.mark.usefixtures("prefect_server")

WRITTEN = ("tables and report", "manifest")
FEW = ("--order", "ascending", "--drop", "4")  # where what is pruned is not the point
COMPUTES = ("judge", "mitigate", "sweep", "measure", "find", "evaluate")  # the tasks that do
EVERYTHING = {
    "report.md",
    "report.html",
    "report.pdf",
    "bom.cdx.json",
    "clean.png",
    "poisoned.png",
    "curve_asc.png",
    "curve_desc.png",
    "evaluation.png",
    "verdict.png",
    "curves.csv",
    "evaluation.csv",
}


def run(toy: Toy, *more: str, output: Path | None = None, method: str = "pruning") -> int:
    """The exit status of `python -m flows.repair` on the toy; a mitigation takes minutes."""
    folder = output or toy.folder / "artifacts"
    places = ["--data", str(toy.data), "--output", str(folder)]
    return main([str(toy.model), *places, "--method", method, *more])


def folder_of(toy: Toy) -> Path:
    """The only repair's folder."""
    (folder,) = repairs_in(toy.folder / "artifacts")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(path.read_text().splitlines()))


def states() -> tuple[Counter[str], list[str]]:
    """How the tasks of the last `repair-model` run ended, and the names of those that ran."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(sort="START_TIME_DESC", limit=1)
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[runs[0].id])), limit=200
        )
    ended = Counter(str(task.state_name) for task in tasks)
    return ended, sorted(task.name for task in tasks if task.state_name == "Completed")


def check_folder(folder: Path, suspect: Toy, layer: str, channels: int) -> None:
    """Everything is there, the manifest is true, and the backdoor is named from clean images."""
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files - {"manifest.json"} == set(manifest["files"])
    assert set(manifest["files"]) >= EVERYTHING
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) == entry["bytes"]
    assert manifest["inputs"]["model"]["sha256"] == _sha256(suspect.model)
    assert manifest["parameters"]["preprocessing"]["used"] == "unit"
    assert manifest["parameters"]["layer"]["used"] == layer
    verdict = manifest["verdict"]
    assert verdict["verdict"] == BACKDOORED
    assert TARGET in verdict["classes"]
    assert verdict["references"]["outcome"] == "trained"

    curves = table(folder / "curves.csv")
    assert tuple(curves[0]) == CURVE_COLUMNS
    assert len(curves) == 2 * (1 + channels)
    assert curves[0]["channel"] == ""
    evaluation = table(folder / "evaluation.csv")
    assert list(evaluation[0]) == evaluation_columns()
    assert evaluation[0]["model"] == "suspect"
    assert float(evaluation[0]["clean_accuracy"]) > 0.8
    assert float(evaluation[0]["attack_success"]) > 0.8


@pytest.mark.slow
def test_one_command_names_and_repairs_the_toy(
    made_toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(made_toy, output=tmp_path) == 0
    (folder,) = repairs_in(tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {folder}"
    check_folder(folder, made_toy, "pool_3", 60)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of training, longer where others use the machine as well
def test_a_mitigated_model_stands_beside_the_pruned_ones(toy: Toy) -> None:
    """It is plain Keras and opened as the suspect is; it lowers the ASR of the poisoned set."""
    assert run(toy, "--order", "ascending", method="unlearning") == 0
    folder = folder_of(toy)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["mitigation"]["method"] == "unlearning"
    [model] = (folder / "repaired_models_unlearned").glob("model_unlearned.*")
    assert open_suspect(model).classes == open_suspect(toy.model).classes
    assert (model.parent / "goodnet_unlearned.keras").is_file()
    rows = {
        row["model"]: row for row in table(folder / "evaluation.csv") if row["order"] == "unlearned"
    }
    assert set(rows) == {"repaired", "goodnet"}
    assert {row["drop"] for row in rows.values()} == {""}
    before = table(folder / "evaluation.csv")[0]
    assert float(rows["repaired"]["attack_success"]) < float(before["attack_success"])
    report = (folder / "report.md").read_text()
    assert "## Verdict" in report and model.name in report


class Repaired(NamedTuple):
    """A repair, and what came of a second run of it in the same words.

    Attributes:
        shown: what the UI shows of each run, and that run's id.
        ended: how the second run's tasks ended.
        ran: the names of those that ran.
        times: when each file was written, after each run.
    """

    small: Toy
    folder: Path
    shown: list[tuple[dict[str, Any], str]]
    ended: Counter[str]
    ran: list[str]
    times: list[dict[Path, int]]


@pytest.fixture(scope="module")
def repaired(
    prefect_server: None, made_small: Toy, tmp_path_factory: pytest.TempPathFactory
) -> Repaired:
    """The small job, repaired twice; other repairs may be made beside it, this one is read only."""
    small = made_small.copy(tmp_path_factory.mktemp("repaired") / "small")
    shown, times = [], []
    for _ in range(2):
        assert run(small) == 0
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(sort="START_TIME_DESC", limit=1)
            response = client.request("POST", "/artifacts/filter", json={"sort": "CREATED_DESC"})
        artifact = next(a for a in response.json() if a["key"] == "repair-small")
        shown.append((artifact, str(runs[0].id)))
        times.append({p: p.stat().st_mtime_ns for p in folder_of(small).rglob("*")})
    return Repaired(small, folder_of(small), shown, *states(), times)


def test_one_command_leaves_everything_and_a_manifest_that_is_true(repaired: Repaired) -> None:
    check_folder(repaired.folder, repaired.small, "pool", 10)


def test_a_run_can_be_found_by_its_model_and_its_verdict(repaired: Repaired) -> None:
    """Whether it is asked for or started by the one that is."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(sort="START_TIME_ASC")
    mine = [run for run in runs if run.name == "repair small"]
    assert len(mine) >= 4
    assert all({"model:small", "verdict:backdoored"} <= set(run.tags) for run in mine[:4])


def test_the_ui_shows_the_table_and_the_figures_also_of_a_cached_run(repaired: Repaired) -> None:
    for shown, run_id in repaired.shown:
        assert shown["flow_run_id"] == run_id
        assert "GoodNet   descending" in shown["data"]
        pictures = shown["data"].split("data:image/png;base64,")[1:]
        assert len(pictures) == len(list(repaired.folder.glob("*.png"))) >= 3
        for picture in pictures:
            assert base64.b64decode(picture.split(")")[0]).startswith(b"\x89PNG")


def test_what_pruning_came_to_is_there_and_shown_before_the_verdict_begins(
    small: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyError("stopped")

    monkeypatch.setattr(repair_model_module, "judge", stopped)
    assert run(small, "--order", "ascending") == 1
    folder = folder_of(small)
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left >= {"curves.csv", "evaluation.csv", "curve_asc.png", "evaluation.png"}
    assert any((folder / "repaired_models_asc").iterdir()) and "manifest.json" not in left
    with get_client(sync_client=True) as client:
        response = client.request("POST", "/artifacts/filter", json={"sort": "CREATED_DESC"})
    shown = next(a for a in response.json() if a["key"] == "repair-small-pruning")["data"]
    assert "GoodNet   ascending" in shown and "[evaluation.csv]" in shown


def test_a_second_identical_run_executes_no_task(repaired: Repaired) -> None:
    assert repaired.ran == []
    assert set(repaired.ended) == {"Cached"}
    assert repaired.times[0] == repaired.times[1]


def run_beside(repaired: Repaired, job: Toy) -> tuple[Path, list[str]]:
    """The folder of another repair into the same output, and the tasks that ran for it."""
    output = repaired.folder.parent
    before = set(repairs_in(output))
    assert run(job, output=output) == 0
    (folder,) = set(repairs_in(output)) - before
    return folder, states()[1]


@pytest.mark.slow
def test_a_moved_copy_of_the_same_files_is_the_same_repair(small: Toy, tmp_path: Path) -> None:
    """Keys are made of content, not of paths; only what says where a file is is written again."""
    run(small, *FEW)
    moved = small._replace(model=tmp_path / "renamed" / "small.h5")
    moved.model.parent.mkdir()
    small.model.rename(moved.model)
    assert run(moved, *FEW) == 0
    says_where = {"open suspect", *(f"write {what} of small" for what in WRITTEN)}
    says_where |= {"write what pruning of small came to"}
    says_where |= {"write where the networks of small come from"}
    drawn = {name for name in states()[1] if name.startswith("draw ")}  # from findings: have a URI
    assert set(states()[1]) == says_where | drawn
    assert str(moved.model) in (folder_of(small) / "report.md").read_text().replace("\\", "")


@pytest.mark.slow
def test_a_copy_under_another_name_gets_a_report_of_its_own(repaired: Repaired, small: Toy) -> None:
    other = small._replace(model=small.model.with_name("other.h5"))
    small.model.rename(other.model)
    folder, ran = run_beside(repaired, other)
    assert folder.name.startswith("other-")
    assert not [name for name in ran if name.startswith(COMPUTES)]
    report = (folder / "report.md").read_text().replace("\\", "")
    assert report.startswith("# Repair of other\n")
    assert str(other.model) in report and str(other.data / "clean" / "valid.h5") in report
    assert str(repaired.small.model) not in report and str(repaired.small.data) not in report
    inputs = json.loads((folder / "manifest.json").read_text())["inputs"]
    assert inputs["model"]["uri"] == str(other.model)
    assert inputs["clean test"]["uri"] == str(other.data / "clean" / "test.h5")


@pytest.mark.slow
def test_a_changed_line_of_the_report_computes_nothing_again(
    repaired: Repaired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another repair, in a folder of its own, with what the first one computed."""
    digest = caching.source_digest

    def changed(function: Any) -> str:
        name = function.__name__
        return "changed" if name in ("store_report", "repair_model") else digest(function)

    monkeypatch.setattr(caching, "source_digest", changed)
    monkeypatch.setattr(repair_model_module, "source_digest", changed)
    after, ran = run_beside(repaired, repaired.small)
    assert not [name for name in ran if name.startswith((*COMPUTES, "open"))]
    assert (after / "report.md").read_bytes() == (repaired.folder / "report.md").read_bytes()


@pytest.fixture
def quick(small: Toy, monkeypatch: pytest.MonkeyPatch) -> tuple[Toy, list[tuple[str, Any]]]:
    """A job whose verdict and training cost nothing, and what is asked of the training.

    Both are made up, and the model is one that no other test has: nothing of it is cached.
    """
    with h5py.File(small.model, "a") as file:
        file.attrs["variant"] = uuid4().hex
    asked: list[tuple[str, Any]] = []

    def mitigated(problem: Any, method: Method, **others: Any) -> MitigatedNetworks:
        asked.append((method.name, problem))
        suspect = problem.suspect
        pruned = prune(suspect, problem.layer, problem.channels)
        goodnet = join(suspect, pruned, problem.preprocessing)
        model = (
            gate_by_suspect(suspect, pruned, problem.preprocessing, [0]) if method.gated else pruned
        )
        return MitigatedNetworks(model, model, goodnet, invented_mitigation(method=method))

    mask, pattern = np.zeros((12, 10, 1), np.float32), np.ones((12, 10, 3), np.float32)
    mask[:4, :4] = 1
    trigger = RecoveredTrigger.encode(Trigger(3, mask, pattern), Proportion(180, 200), 2.5)
    verdict = replace(invented_verdict(BACKDOORED, [3]), triggers=(trigger,))
    monkeypatch.setattr("goodnet.detection.credibility.judge", lambda *_, **__: verdict)
    monkeypatch.setattr("goodnet.mitigation.mitigate.mitigate", mitigated)
    return small, asked


def networks_of(folder: Path, method: str) -> set[str]:
    """The networks of a method in a repair's folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob(f"*{method}*.*")}


@pytest.mark.slow
def test_a_trained_network_outlives_a_change_of_the_report(
    quick: tuple[Toy, list[tuple[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied from the folder that it was left in, and trained again once that is gone."""
    small, asked = quick
    run(small, *FEW, method="auto")
    before = folder_of(small)
    monkeypatch.setattr(repair_model_module, "source_digest", lambda function: "changed")
    run(small, *FEW, method="auto")
    (after,) = set(repairs_in(small.folder / "artifacts")) - {before}
    assert len(asked) == 1
    home = "repaired_models_unlearned"
    names = {f"{home}/{name}_unlearned.keras" for name in ("model", "goodnet")}
    for folder in (before, after):
        assert networks_of(folder, "unlearned") == names
    for name in names:
        assert (before / name).read_bytes() == (after / name).read_bytes()
    manifest = json.loads((after / "manifest.json").read_text())
    assert "repaired_models_unlearned/model_unlearned.keras" in manifest["files"]
    shutil.rmtree(before)
    shutil.rmtree(after)
    run(small, *FEW, method="auto")
    assert len(asked) == 2


@pytest.mark.slow
def test_a_network_that_cannot_be_reached_any_more_is_trained_again(
    quick: tuple[Toy, list[tuple[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left in the output of another repair, which does not answer."""
    small, asked = quick
    run(small, *FEW, method="auto")
    before, matches = str(folder_of(small)), storage.matches

    def unreachable(stored: storage.StoredFile) -> bool:
        if stored.uri.startswith(before):
            raise OSError("no answer")
        return matches(stored)

    monkeypatch.setattr(storage, "matches", unreachable)
    assert run(small, *FEW, method="auto", output=tmp_path / "elsewhere") == 0
    assert len(asked) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "order",
    ["ascending", "descending", "both"],
)
def test_fine_pruning_prunes_the_quietest_channels_whatever_the_order(
    quick: tuple[Toy, list[tuple[str, Any]]], order: str
) -> None:
    small, asked = quick
    assert run(small, "--order", order, "--drop", "4", method="finepruning") == 0
    [(how, problem)] = asked
    split, scale = Split(problem.suspect, problem.layer), problem.preprocessing
    fits = {"input_shape": problem.suspect.input_shape, "classes": problem.suspect.classes}
    valid = open_clean_dataset(small.data / "clean" / "valid.h5", **fits)
    means = mean_activations(split, valid, scale)
    pruned = means[list(problem.channels)]
    assert how == "finepruning"
    assert 0 < len(pruned) < len(means)
    assert pruned.max() <= np.delete(means, list(problem.channels)).min()
    assert networks_of(folder_of(small), "finepruned") == {
        "repaired_models_finepruned/model_finepruned.h5",
        "repaired_models_finepruned/goodnet_finepruned.keras",
    }


@pytest.mark.slow
def test_what_is_recommended_is_left_where_a_script_finds_it(
    quick: tuple[Toy, list[tuple[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The made up estimate of class 3 holds; the corner of class 0 is measured where given."""
    small, _ = quick
    run(small, *FEW, "--budget", "100", method="unlearning")
    folder = folder_of(small)
    manifest = json.loads((folder / "manifest.json").read_text())
    named = manifest["recommendation"]
    assert named["evidence"] == "measured"
    assert (named["model"] is None) == (not (folder / "recommended" / "model.keras").exists())
    for name in ("bd_valid.h5", "bd_test.h5"):
        (small.data / "bd" / name).unlink()
    run(small, *FEW, "--budget", "100", method="unlearning")
    (other,) = set(repairs_in(small.folder / "artifacts")) - {folder}
    manifest = json.loads((other / "manifest.json").read_text())
    assert manifest["recommendation"] == {
        "suspect": "backdoored",
        "evidence": "estimated",
        "model": {
            "method": "unlearning",
            "order": None,
            "drop": None,
            "file": "repaired_models_unlearned/model_unlearned.keras",
        },
        "goodnet": {
            "method": "unlearning",
            "order": None,
            "drop": None,
            "file": "repaired_models_unlearned/goodnet_unlearned.keras",
        },
    }
    for copy, source in (("model", "model_unlearned"), ("goodnet", "goodnet_unlearned")):
        one = other / "recommended" / f"{copy}.keras"
        two = other / "repaired_models_unlearned" / f"{source}.keras"
        assert one.read_bytes() == two.read_bytes()
        assert str(one.relative_to(other)) in manifest["files"]
    assert "use recommended/model.keras in its place" in (other / "report.md").read_text()
    assert open_suspect(other / "recommended" / "goodnet.keras").classes == 6


def test_a_changed_test_set_computes_just_what_depends_on_it(
    repaired: Repaired, small: Toy
) -> None:
    valid, test = (small.data / "bd" / f"bd_{name}.h5" for name in ("valid", "test"))
    test.write_bytes(valid.read_bytes())
    _, ran = run_beside(repaired, repaired.small._replace(data=small.data))
    assert "evaluate on poisoned test" in ran
    assert not any(name.startswith(("sweep", "measure", "find", "open s")) for name in ran)
    assert "evaluate on clean test" not in ran


def test_a_deleted_repaired_model_is_made_again_and_nothing_else(repaired: Repaired) -> None:
    lost = next(repaired.folder.glob("repaired_models_asc/*"))
    content = lost.read_bytes()
    lost.unlink()
    assert run(repaired.small) == 0
    _, ran = states()
    assert len([name for name in ran if name.startswith("prune")]) == 1
    assert {name.split()[0] for name in ran} == {"prune"}
    assert lost.read_bytes() == content


def test_a_model_that_fails_does_not_stop_the_others(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = small.model.with_name("a_broken.h5")
    broken.write_bytes(small.model.read_bytes()[:5000])
    places = ["--data", str(small.data), "--output", str(small.folder / "artifacts")]
    assert main([str(small.model.parent), *places, *FEW, "--verdict", "off"]) == SOME_FAILED
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == f"wrote {folder_of(small)}"
    (line,) = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert str(broken) in line
    assert "Traceback" not in captured.err + captured.out


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--drop", "-3"], "--drop"),
        (["--data", "nowhere"], "nowhere"),
        (["--architecture", "nowhere.json"], "nowhere.json"),
        (["--layer", "fc_9"], "fc_9"),
    ],
)
def test_what_cannot_be_started_says_why_in_one_line(
    small: Toy, arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(small, *arguments) == NOTHING_STARTED
    (line,) = [e for e in capsys.readouterr().err.splitlines() if e.startswith("failed: ")]
    assert fault in line
    assert not (small.folder / "artifacts").exists()


def test_a_fault_that_can_pass_is_tried_again(small: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails once; bad input is never tried again (see below)."""
    put, failures = storage.put, [OSError(5, "Input/output error")]

    def failing_once(content: Any, uri: str) -> storage.StoredFile:
        if uri.endswith("manifest.json") and failures:
            raise failures.pop()
        return put(content, uri)

    monkeypatch.setattr(storage, "put", failing_once)
    assert run(small, *FEW, "--verdict", "off") == 0
    assert (folder_of(small) / "manifest.json").is_file()
    assert failures == []


def test_bad_input_is_not_tried_again(small: Toy) -> None:
    small.model.write_bytes(small.model.read_bytes()[:5000])
    assert run(small) == NOTHING_STARTED
    with get_client(sync_client=True) as client:
        (task,) = client.read_task_runs(sort="EXPECTED_START_TIME_DESC", limit=1)
    assert task.state_name == "Failed"
    assert task.run_count == 1
    assert str(small.model) in str(task.state and task.state.message)


@pytest.mark.slow
def test_without_poisoned_sets_nothing_is_said_of_the_attack(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bd_valid.h5", "bd_test.h5"):
        (small.data / "bd" / name).unlink()
    assert run(small, "--order", "ascending", "--drop", "3") == 0
    folder = folder_of(small)
    assert "ASR" not in capsys.readouterr().out
    assert not (folder / "poisoned.png").exists()
    assert not (folder / "curve_desc.png").exists()
    rows = table(folder / "curves.csv")
    assert {row["attack_success"] for row in rows} == {""}
    for row in table(folder / "evaluation.csv"):
        assert row["attack_success"] == row["poisoned_flagged"] == row["poisoned_count"] == ""


@pytest.mark.slow
def test_a_cached_run_imports_no_tensorflow(repaired: Repaired) -> None:
    small = repaired.small
    code = (
        "import sys; from flows.repair import main; status = main(sys.argv[1:]); "
        "sys.exit(status or 40 * any(m.split('.')[0] in ('tensorflow', 'keras', 'h5py', "
        "'matplotlib') for m in sys.modules))"
    )
    places = ["--data", str(small.data), "--output", str(small.folder / "artifacts")]
    arguments = [str(small.model), *places, "--method", "pruning"]
    from prefect.settings import get_current_settings

    environment = get_current_settings().to_environment_variables(exclude_unset=True)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
