"""`goodnet detect`: the exit status by the verdict, SARIF by its schema, and the Action's steps."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from conftest import PROJECT
from invented import invented_verdict
from test_detection import clean_images, corner_network

from goodnet.backend import keras
from goodnet.command import detect
from goodnet.command.detect import Judgement
from goodnet.command.main import main
from goodnet.datasets.dataset import save_dataset
from goodnet.detection.detect import DIRECT_METHODS, TRIGGER_METHODS
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE, NOTHING, Answer
from goodnet.report import sarif

SCHEMA = json.loads((PROJECT / "tests" / "sarif-schema-2.1.0.json").read_text())
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text())
FEW = 12  # images, too few for references


def network(*, backdoored: bool) -> keras.Model:
    """That of `corner_network` behind a convolution, with or without its backdoor."""
    kernel, bias = corner_network().get_weights()
    kernel[:, 2] *= backdoored
    images = keras.Input((12, 12, 1))
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(1, 1, name="conv")(images))
    made = keras.Model(images, keras.layers.Dense(3, activation="softmax")(hidden))
    made.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), kernel, bias])
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a backdoored network, one without, and clean images: many and few."""
    folder, clean = tmp_path_factory.mktemp("detect"), clean_images()
    pixels = (255 * clean.pixels).astype(np.uint8)
    network(backdoored=True).save(folder / "corner.keras")
    network(backdoored=False).save(folder / "plain.keras")
    save_dataset(folder / "many.h5", pixels, clean.labels)
    save_dataset(folder / "few.h5", pixels[:FEW], clean.labels[:FEW])
    (folder / "broken.keras").write_bytes(b"no model")
    return folder


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


class Fake:
    """A model or a data set, as far as SARIF says anything of it."""

    def __init__(self, source: str) -> None:
        self.source, self.sha256 = source, "ab" * 32


CASES = [
    ("plain.keras", "many.h5", 0, NOTHING),
    ("corner.keras", "few.h5", 1, BACKDOORED),
    ("broken.keras", "few.h5", 2, None),
    ("plain.keras", "nothing.h5", 2, None),
    ("plain.keras", "few.h5", 3, INCONCLUSIVE),
]


@pytest.mark.parametrize(("model", "data", "status", "answer"), CASES)
def test_the_exit_status_is_the_verdict(
    model: str,
    data: str,
    status: int,
    answer: Answer | None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "verdict.json"
    given = ["detect", model, "--data", data, "--format", "json", "--output", str(out)]
    assert main(given) == status
    said = capsys.readouterr()
    if answer is None:
        assert said.out == ""
        assert len(said.err.splitlines()) == 1 and not out.exists()
    else:
        assert json.loads(out.read_text())["verdict"] == answer
        assert said.out.startswith(answer) and len(said.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("fail_on", "statuses"),
    [
        ("inconclusive", {NOTHING: 0, BACKDOORED: 1, INCONCLUSIVE: 3}),
        ("backdoored", {NOTHING: 0, BACKDOORED: 1, INCONCLUSIVE: 0}),
        ("never", {NOTHING: 0, BACKDOORED: 0, INCONCLUSIVE: 0}),
    ],
)
def test_what_fails_is_chosen_and_unusable_input_always_does(
    fail_on: str, statuses: dict[Answer, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["detect", "broken.keras", "--data", "few.h5", "--fail-on", fail_on]
    assert main(given) == 2
    for answer, status in statuses.items():
        verdict = invented_verdict(answer, [3] if answer == BACKDOORED else [])
        judgement = Judgement(Fake("model.h5"), Fake("valid.h5"), verdict)  # type: ignore[arg-type]
        monkeypatch.setattr(detect, "judge", lambda *_, what=judgement: what)
        assert main([*given, "--format", "json"]) == status


def test_without_images_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "plain.keras"]) == 2
    assert capsys.readouterr().err == "detect: needs --data DIR, a folder with clean images\n"


@pytest.mark.parametrize("place", ["none/at/all/out.json", "home"])
def test_a_place_that_cannot_be_written_to_is_found_out_beforehand(
    place: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").write_text("a file")
    (tmp_path / "home").mkdir()
    given = ["detect", "broken.keras", "--data", "few.h5", "--output", str(tmp_path / place)]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/{place.split('/')[0]}")


def log_of(verdict: Any, model: str = "models/face net.h5") -> Any:
    """The one run of a verdict's log, which the schema allows."""
    log = json.loads(json.dumps(sarif.sarif_log(Fake(model), Fake("/data/valid.h5"), verdict)))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    return run


def test_a_backdoor_is_an_error_in_the_model_s_file() -> None:
    run = log_of(invented_verdict(BACKDOORED, [3], [7]))
    results = [(each["ruleId"], each["level"]) for each in run["results"]]
    assert results == [("corners", "error"), ("corners", "warning")]
    first, second = run["results"]
    assert first["message"]["text"] == (
        "The verdict is 'backdoored': class 3 has 3.00 by corners, and is named from 1 on."
    )
    (location,) = first["locations"]
    place = location["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "models/face%20net.h5", "uriBaseId": "%SRCROOT%", "index": 0}
    assert run["artifacts"][0]["hashes"] == {"sha-256": "ab" * 32}
    assert run["artifacts"][1]["location"] == {"uri": "file:///data/valid.h5"}
    assert first["partialFingerprints"] != second["partialFingerprints"]


def test_what_is_inconclusive_is_a_warning_and_what_is_cleared_no_result() -> None:
    (suspicious,) = log_of(invented_verdict(INCONCLUSIVE, [], [7]))["results"]
    assert (suspicious["ruleId"], suspicious["level"]) == ("corners", "warning")
    (other,) = log_of(invented_verdict(INCONCLUSIVE))["results"]
    assert (other["ruleId"], other["level"]) == ("verdict", "warning")
    assert log_of(invented_verdict(NOTHING))["results"] == []


def test_each_detection_method_has_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one, too, and each of them once."""
    new = replace(DIRECT_METHODS[0], name="Ears & noses")
    monkeypatch.setattr(sarif, "DIRECT_METHODS", (*DIRECT_METHODS, new))
    rules = [rule["id"] for rule in log_of(invented_verdict())["tool"]["driver"]["rules"]]
    names = [method.name for method in (*TRIGGER_METHODS, *DIRECT_METHODS)]
    assert rules == [*(name.replace(" ", "-") for name in names), "ears-noses", "verdict"]


def test_names_of_classes_are_one_printable_line() -> None:
    verdict = invented_verdict(BACKDOORED, [3])
    hostile = replace(verdict, class_names=tuple(f"{c}\n\x1b[31m</b>" for c in range(12)))
    assert "\n" not in log_of(hostile)["results"][0]["message"]["text"]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket/a b.h5", {"uri": "s3://bucket/a%20b.h5"}),
        ("/elsewhere/a#b.h5", {"uri": "file:///elsewhere/a%23b.h5"}),
    ],
)
def test_places_are_uris(uri: str, place: dict[str, str]) -> None:
    artifact = log_of(invented_verdict(), uri)["artifacts"][0]
    assert artifact["location"] == place


def test_the_action_uses_what_it_declares() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", (PROJECT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
    for step in ACTION["runs"]["steps"]:  # what comes from outside is no part of a script
        assert "${{" not in step.get("run", "")
        assert step.get("shell", "bash") == "bash" and ("run" in step) != ("uses" in step)


def run_action(folder: Path, **inputs: str) -> tuple[list[int], dict[str, str]]:
    """The exit statuses of the Action's own steps, but the installation, and the outputs."""
    (folder / "goodnet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m goodnet "$@"\n')
    (folder / "goodnet").chmod(0o755)
    values = {f"inputs.{name}": each.get("default", "") for name, each in ACTION["inputs"].items()}
    values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
    statuses, written = [], folder / "output"
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for step in ACTION["runs"]["steps"]:
        if "run" not in step or step["name"] == "Install":
            continue
        given = {
            name: values[text.removeprefix("${{ ").removesuffix(" }}")]
            for name, text in step["env"].items()
        }
        files = {"GITHUB_OUTPUT": str(written), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
        environment = {**os.environ, **given, **files, "PATH": path, "PYTHONPATH": str(PROJECT)}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        statuses.append(subprocess.run(command, env=environment, capture_output=True).returncode)
        outputs = dict(line.split("=", 1) for line in written.read_text().splitlines())
        values |= {f"steps.detect.outputs.{name}": value for name, value in outputs.items()}
    return statuses, outputs


@pytest.mark.slow
@pytest.mark.parametrize(("model", "data", "status", "answer"), CASES)
def test_the_steps_of_the_action(
    model: str, data: str, status: int, answer: Answer | None, tmp_path: Path
) -> None:
    """The verdict is there for the upload before the last step fails the job."""
    sarif_file = tmp_path / "a b.sarif"
    given = {"model": model, "data": data, "sarif": str(sarif_file)}
    statuses, outputs = run_action(tmp_path, **given, options="--minutes 4")
    assert statuses == [0, status]
    assert outputs == {"status": str(status), "verdict": answer or ""}
    assert sarif_file.exists() == (answer is not None)
    if status == 1:
        assert run_action(tmp_path, **given, fail_on="never")[0] == [0, 0]
