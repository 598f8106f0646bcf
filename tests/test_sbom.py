"""Our own bill of materials: valid, complete, without what only development needs."""

import json
from importlib.metadata import version

import pytest
from conftest import PROJECT
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.sbom import sbom


@pytest.fixture(scope="module")
def text() -> str:
    return sbom().decode()


def test_the_bill_is_valid_and_has_each_package_with_its_version_and_licence(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    content = json.loads(text)
    parts = {part["name"]: part for part in content["components"]}
    for name in ("keras", "h5py", "numpy", "pillow", "jinja2", "prefect", "s3fs", "typst"):
        assert parts[name]["version"] == version(name)
        assert parts[name]["purl"] == f"pkg:pypi/{name}@{version(name)}"
    assert {"pytest", "mypy", "ruff", "selenium", "goodnet"}.isdisjoint(parts)
    assert parts["keras"]["scope"] == "required" and parts["prefect"]["scope"] == "optional"
    assert "absl-py" in parts  # Keras' own
    assert all(part["licenses"] for part in parts.values())
    ours = content["metadata"]["component"]
    assert (ours["name"], ours["licenses"]) == ("goodnet", [{"license": {"id": "Apache-2.0"}}])
    assert "timestamp" not in content["metadata"]


@pytest.mark.slow
def test_the_same_environment_gives_the_same_bytes(text: str) -> None:
    assert sbom().decode() == text


def test_what_needs_what_is_in_it(text: str) -> None:
    content = json.loads(text)
    needs = {each["ref"]: each.get("dependsOn", []) for each in content["dependencies"]}
    (ours,) = (ref for ref in needs if ref.startswith("pkg:pypi/goodnet@"))
    assert any(each.startswith("pkg:pypi/keras@") for each in needs[ours])
    (keras,) = (ref for ref in needs if ref.startswith("pkg:pypi/keras@"))
    assert any(each.startswith("pkg:pypi/absl-py@") for each in needs[keras])
    versions = dict(
        line.lower().split("==")
        for line in (PROJECT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    names = {part["name"].replace("-", "_") for part in content["components"]}
    missing = names - {name.replace("-", "_").replace(".", "_") for name in versions}
    assert missing <= {"setuptools", "wheel"}, "constraints.txt lacks them"  # so does pip freeze
