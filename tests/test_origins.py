"""Where a repair's networks come from: the model card, and the bill of materials."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
from invented import invented_findings, invented_mitigation, invented_verdict
from markdown_it import MarkdownIt
from test_pdf import TYPST
from test_report import HOSTILE, Page

from goodnet.detection.verdict import BACKDOORED
from goodnet.files import paths, storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.report import extras
from goodnet.report.conclusion import recommended_files
from goodnet.report.findings import RepairResult
from goodnet.report.folder import origin_files
from goodnet.report.recommendation import recommend

FOLDER = "s3://bucket/artifacts/face_net-0123"
NAMED = invented_verdict(BACKDOORED, [3])
BOTH = (paths.BOM, paths.REPORT_PDF)


def repaired(**changed: Any) -> RepairResult:
    """Findings by which the unlearned model and its GoodNet are recommended."""
    asked: dict[str, Any] = {
        "verdict": NAMED,
        "mitigation": invented_mitigation(right=58, after=0),
        "clean": [190, *(180 for _ in range(6)), 189],
        "attack": [200, *(200 for _ in range(6)), 0],
        "flagged_poisoned": 190,
        "flagged_clean": 2,
        "target": 3,
    }
    return invented_findings(**(asked | changed))


def networks(findings: RepairResult, folder: str = FOLDER) -> list[StoredFile]:
    """All networks of the folder, with digests made up."""
    models = {row.repaired for row in findings.evaluation if row.repaired}
    names = [name for model in models for name in (model.model_file, model.goodnet_file)]
    names += recommended_files(findings)
    return [
        StoredFile(storage.join(folder, name), f"{place:02x}" * 32, 1000 + place)
        for place, name in enumerate(sorted(names))
    ]


def made(
    findings: RepairResult, extra: Sequence[str] = BOTH, folder: str = FOLDER
) -> dict[str, bytes]:
    data = {each.role: DataFile(StoredFile(each.uri, each.sha256, 9)) for each in findings.sets}
    model = StoredFile(findings.model.uri, findings.model.sha256, 10)
    return origin_files(folder, model, data, findings, networks(findings, folder), extra)


def bom_of(findings: RepairResult) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(made(findings)[paths.BOM])
    return content


def test_the_bill_of_materials_is_valid_and_has_all_that_was_judged_and_made() -> None:
    findings = repaired()
    text = made(findings)[paths.BOM].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    content = json.loads(text)
    parts = {part["bom-ref"]: part for part in content["components"]}
    files = {file.uri.removeprefix(f"{FOLDER}/"): file for file in networks(findings)}
    copies = recommended_files(findings)
    assert len(copies) == 2
    roles = {f"data {each.role}" for each in findings.sets}
    assert set(parts) == {"suspect", *roles, *files} - set(copies)
    for name, file in files.items():
        if name not in copies:
            assert parts[name]["hashes"] == [{"alg": "SHA-256", "content": file.sha256}]
    assert parts["suspect"]["hashes"][0]["content"] == findings.model.sha256
    assert all(part["licenses"] == [{"license": {"name": "unknown"}}] for part in parts.values())
    facts = {each["name"]: each["value"] for each in parts["suspect"]["properties"]}
    assert facts["goodnet:verdict"] == "backdoored" and facts["goodnet:verdict:classes"] == "3"
    for copy, source in copies.items():
        assert {"name": "goodnet:recommended", "value": copy} in parts[source]["properties"]
    tools = {tool["name"] for tool in content["metadata"]["tools"]["components"]}
    assert {"goodnet", "keras", "numpy"} <= tools


def test_a_network_of_the_bill_has_its_card_and_what_it_was_made_from() -> None:
    content = bom_of(repaired())
    parts = {part["bom-ref"]: part for part in content["components"]}
    rests = {each["ref"]: set(each.get("dependsOn", ())) for each in content["dependencies"]}
    model, goodnet = (
        f"repaired_models_unlearned/{x}_unlearned.keras" for x in ("model", "goodnet")
    )
    assert rests[model] == {"suspect", "data clean valid"}
    assert rests[goodnet] == {"suspect", "data clean valid", model}
    assert rests["repair"] == set(parts)
    measured = parts[model]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    shares = {each["type"]: float(each["value"]) for each in measured}
    assert shares == {"clean accuracy": 189 / 200, "ASR": 0}
    assert measured[0]["slice"] == "clean test set"
    outputs = [parts[ref]["modelCard"]["modelParameters"]["outputs"] for ref in (model, goodnet)]
    assert outputs == [[{"format": "12 scores"}], [{"format": "13 scores"}]]
    assert "modelCard" not in parts["data clean valid"]


def test_the_same_repair_gives_the_same_bytes_and_another_one_another_number() -> None:
    findings = repaired()
    assert made(findings) == made(findings)
    other = bom_of(repaired(attack=[200, *(200 for _ in range(6)), 1]))
    assert other["serialNumber"] != bom_of(findings)["serialNumber"]
    assert "timestamp" not in other["metadata"]


@pytest.mark.parametrize("folder", ["out", "./out/", ".", "/tmp/x//out", "s3://bucket/out/"])
def test_the_files_do_not_depend_on_how_the_folder_is_written(folder: str) -> None:
    findings = repaired()
    assert made(findings, folder=folder) == made(findings)


@pytest.mark.parametrize("tested", [True, False])
def test_where_nothing_is_recommended_there_is_no_card_but_a_bill(tested: bool) -> None:
    files = made(invented_findings(tested=tested, poisoned=False))
    assert set(files) == {paths.BOM}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(files[paths.BOM].decode()) is None


def test_without_the_extra_there_is_no_bill_and_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(made(repaired(), ())) == {paths.MODEL_CARD}
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    (line,) = (line for line in extras.missing_files() if paths.BOM in line)
    assert line == "no bom.cdx.json: it needs cyclonedx, pip install 'goodnet[bom]'"


def test_the_card_is_read_by_the_hub_s_client() -> None:
    findings = repaired()
    card = ModelCard(made(findings)[paths.MODEL_CARD].decode())
    said = card.data.to_dict()
    assert (said["license"], said["library_name"]) == ("unknown", "keras")
    assert card.data.pipeline_tag == "image-classification"
    results = {each.metric_type: each.metric_value for each in card.data.eval_results}
    assert results == {"accuracy": 189 / 200, "attack_success": 0}
    for file in networks(findings):
        copy = file.uri.removeprefix(f"{FOLDER}/recommended/")
        assert ("/" in copy) or (copy in card.text and file.sha256 in card.text)
    assert "189 of 200 = 94.5 %" in card.text and "Unknown: neither" in card.text
    assert card.data.base_model is None and card.data.datasets is None


def test_the_card_names_what_is_on_the_hub_and_no_place_of_this_machine() -> None:
    findings = repaired()
    here = replace(findings.model, uri="/home/me/secret/net.h5")
    sets = tuple(replace(each, uri=f"s3://mine/{each.role}.h5") for each in findings.sets)
    text = made(replace(findings, model=here, sets=sets))[paths.MODEL_CARD].decode()
    assert "net.h5" in text and "clean valid.h5" in text
    assert "secret" not in text and "mine" not in text
    there = replace(findings.model, uri="hf://user/net@0123/model.keras")
    sets = tuple(replace(each, uri="hf://datasets/user/faces/x.h5") for each in findings.sets)
    card = ModelCard(made(replace(findings, model=there, sets=sets))[paths.MODEL_CARD].decode())
    assert (card.data.base_model, card.data.datasets) == ("user/net", ["user/faces"])
    assert "user/net" in card.text


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", [*HOSTILE, *TYPST, "a: b", "- x", "'\"", "---\nlicense: mit"])
def test_no_name_becomes_markup_or_front_matter(name: str) -> None:
    plain, hostile = (_named(repaired(), each) for each in ("plain", name))
    texts = [made(each)[paths.MODEL_CARD].decode() for each in (plain, hostile)]
    heads = [yaml.safe_load(text.split("---\n")[1]) for text in texts]
    assert heads[1] | {"model-index": 0} == heads[0] | {"model-index": 0}
    bodies = [text.split("---\n", 2)[2] for text in texts]
    pages = [Page(MarkdownIt("gfm-like", {"linkify": False}).render(body)) for body in bodies]
    assert pages[0].tags == pages[1].tags and not pages[1].addresses
    text = made(hostile)[paths.BOM].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def _named(findings: RepairResult, name: str) -> RepairResult:
    """The findings with the name wherever one can come from outside."""
    classes = (name,) * findings.model.classes
    return replace(
        findings,
        model=replace(findings.model, name=name, uri=f"models/{name}", described_by=name),
        sets=tuple(replace(each, uri=name) for each in findings.sets),
        verdict=replace(findings.verdict, class_names=classes),
    )


def test_a_model_without_a_goodnet_has_a_card_of_its_own() -> None:
    """A GoodNet that flags hardly any poisoned image is not recommended beside it."""
    findings = repaired(flagged_poisoned=5)
    chosen = recommend(findings)
    assert chosen.model and not chosen.goodnet
    card = made(findings)[paths.MODEL_CARD].decode()
    assert "the repaired model" in card and "a GoodNet: it answers" not in card
    assert "a GoodNet: it answers" in made(repaired())[paths.MODEL_CARD].decode()
