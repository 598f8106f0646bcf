"""`prefect.yaml` names what is there."""

from importlib import import_module
from typing import Any

import yaml
from conftest import PROJECT

from flows.repair import repair

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())[
    "deployments"
]


def test_every_deployment_runs_a_flow_with_parameters_it_takes() -> None:
    assert [d["name"] for d in DEPLOYMENTS] == ["nightly"]
    for deployment in DEPLOYMENTS:
        module, _, name = deployment["entrypoint"].rpartition(".")
        flow = getattr(import_module(module), name)
        assert f"{flow.name}/{deployment['name']}" == "repair/nightly"
        flow.validate_parameters(deployment.get("parameters", {}))


def test_every_parameter_is_explained_in_the_form() -> None:
    for name, schema in repair.parameters.model_dump()["properties"].items():
        assert len(schema["description"]) > 20, name
