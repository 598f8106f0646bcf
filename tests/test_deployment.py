"""`prefect.yaml` names what is there, and the UI's form explains it."""

from importlib import import_module
from typing import Any

import pytest
import yaml
from conftest import PROJECT
from prefect import Flow

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())[
    "deployments"
]


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    """The flow that the deployment runs."""
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), name)
    return flow


def test_there_are_three_deployments() -> None:
    names = [f"{flow_of(each).name}/{each['name']}" for each in DEPLOYMENTS]
    assert names == ["repair/nightly", "repair/on-arrival", "watch/inbox"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_every_deployment_runs_a_flow_with_parameters_it_takes(deployment: dict[str, Any]) -> None:
    flow_of(deployment).validate_parameters(deployment.get("parameters", {}))
    assert deployment["concurrency_limit"]["limit"] > 0
    assert deployment["description"]
    assert "goodnet" in deployment["tags"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_every_parameter_is_explained_in_the_form(deployment: dict[str, Any]) -> None:
    for name, schema in flow_of(deployment).parameters.model_dump()["properties"].items():
        assert len(schema["description"]) > 20, name
