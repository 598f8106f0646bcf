"""A repair's identity, and the file that is written last and says that it is whole."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from goodnet.evaluation.results import EvaluationRow
from goodnet.files import storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.request import Request
from goodnet.metrics import Proportion
from goodnet.preprocessing import PreprocessingInfo
from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import recommend

PACKAGES = (
    "goodnet",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "h5py",
    "numpy",
    "matplotlib",
    "typst",
    "prefect",
)


def repair_key(model: StoredFile, data: Mapping[str, DataFile], request: Request, code: str) -> str:
    """A digest of all inputs, parameters and code: the same repair lands in the same place.

    Args:
        model: the suspect's file.
        data: the data sets by role.
        request: what was asked for.
        code: a digest of the source that a repair computes with.
    """
    architecture = request.architecture
    content = {
        "code": code,
        "model": model.sha256,
        "data": {role: [each.sha256, asdict(each.reading)] for role, each in data.items()},
        "parameters": {
            **asdict(request),
            "architecture": architecture if isinstance(architecture, str) else architecture.sha256,
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def manifest(
    folder: str,
    model: StoredFile,
    data: Mapping[str, DataFile],
    request: Request,
    code: str | None,
    findings: RepairResult,
    files: Sequence[StoredFile],
) -> bytes:
    """The text of `manifest.json`.

    Args:
        folder: the repair's folder, which the files' paths are relative to.
        model: the suspect's file.
        data: the data sets by role.
        request: what was asked for.
        code: a digest of the source that the repair computed with, if that is known.
        findings: what was found.
        files: everything else in the folder.
    """
    content = {
        "inputs": {"model": _input(model), **{role: _set(each) for role, each in data.items()}},
        "parameters": _parameters(request, findings),
        "versions": {"code": code, **versions()},
        "baseline": {
            "clean_accuracy": _share(findings.baseline_clean),
            "attack_success": _share(findings.baseline_attack),
        },
        "verdict": findings.verdict.as_json(),
        "mitigation": findings.mitigation.as_json() if findings.mitigation else None,
        "recommendation": recommend(findings).as_json(),
        "results": [_row(row) for row in findings.evaluation],
        "files": {
            storage.name_in(folder, file.uri): {"sha256": file.sha256, "bytes": file.bytes}
            for file in sorted(files)
        },
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _parameters(request: Request, findings: RepairResult) -> dict[str, Any]:
    """All parameters, each as it was asked for and, where that was "auto", what it became."""
    asked = request.architecture
    architecture = asked if isinstance(asked, str) else _input(asked)
    return {
        "order": list(request.directions),
        "drop": list(request.points),
        "layer": {"asked": request.layer, "used": findings.model.layer},
        "preprocessing": _preprocessing(request.preprocessing, findings.preprocessing),
        "sweep": findings.model.swept_by,
        "method": {"asked": request.method, "budget_points": request.budget},
        "verdict": {"asked": "on" if request.minutes else "off"},
        **({"minutes": {"asked": request.minutes}} if request.minutes else {}),
        "architecture": {"asked": architecture, "used": findings.model.described_by},
        "channels_pruned": {
            curve.order.direction: {drop.points: drop.k for drop in curve.drops}
            for curve in findings.curves
        },
        "channel_order": {
            curve.order.direction: list(curve.order.channels) for curve in findings.curves
        },
        **({"came_with_the_suspect": list(findings.brought)} if findings.brought else {}),
    }


def _preprocessing(asked: str, info: PreprocessingInfo) -> dict[str, Any]:
    used, accuracies = info.preprocessing, info.accuracies
    return {
        "asked": asked,
        "used": used.name,
        "multiply": list(used.multiply),
        "add": list(used.add),
        "order": used.order,
        "accuracies": {name: share.value for name, share in accuracies.items()},
        "near_ties": list(info.near_ties),
        **({"settled": list(info.settled)} if info.settled else {}),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that a repair is made with, as far as they are there."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ImportError:  # not installed: one of the two TensorFlow packages never is
            continue
    return found


def _input(stored: StoredFile) -> dict[str, Any]:
    return {"uri": stored.uri, "sha256": stored.sha256, "bytes": stored.bytes}


def _set(data: DataFile) -> dict[str, Any]:
    return {**_input(data.stored), **data.reading.told}


def _share(share: Proportion | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {"value": share.value, **asdict(share), "low": share.low, "high": share.high}


def _row(row: EvaluationRow) -> dict[str, Any]:
    model = row.repaired
    return {
        "model": row.kind,
        "order": model.label if model else None,
        "drop": model.drop if model else None,
        "channels_pruned": model.pruned if model else 0,
        **{name: _share(share) for name, share in row.shares.items()},
    }
