"""A verdict as a SARIF 2.1.0 log, which code scanning shows: a rule for each detection method.

A class that a method names is an error, one that it suspects a warning; a verdict that is
inconclusive without any is a warning of the rule `verdict`. Where no backdoor was found there is
no result, so that an older one is closed.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from goodnet.datasets.class_names import classes_in_words
from goodnet.datasets.dataset import Dataset
from goodnet.detection.detect import DIRECT_METHODS, TRIGGER_METHODS
from goodnet.detection.method import DetectionMethod, TriggerMethod
from goodnet.detection.verdict import (
    BACKDOORED,
    INCONCLUSIVE,
    Reached,
    Verdict,
    speaking_against,
)
from goodnet.errors import one_line
from goodnet.files import storage
from goodnet.network.suspect import Suspect
from goodnet.report.verdict_sentence import verdict_sentence

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
VERDICT: Final = "verdict"  # the rule of a verdict in which no method has a class
LEVELS: Final = {BACKDOORED: "error", INCONCLUSIVE: "warning"}
SEVERITY: Final = "9.0"  # as code scanning counts: critical


def sarif_log(suspect: Suspect, images: Dataset, verdict: Verdict) -> dict[str, Any]:
    """The log of one run, for `json.dumps`.

    Args:
        suspect: the suspect; every result is located in its file.
        images: the clean images that it was judged by.
        verdict: what is held of it.
    """
    artifacts = [
        _artifact(suspect.source, suspect.sha256, "analysisTarget"),
        _artifact(images.source, images.sha256, "referencedOnCommandLine"),
    ]
    run = {
        "tool": {"driver": {"name": "GoodNet", **_version(), "rules": _rules()}},
        "artifacts": artifacts,
        "results": [_result(finding, suspect) for finding in _findings(verdict)],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": verdict.as_json()},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def rule_id(method: str) -> str:
    """The id of a method's rule, from the method's name."""
    return re.sub(r"[^a-z0-9]+", "-", method.lower()).strip("-")


def _rules() -> list[dict[str, Any]]:
    rules = [
        _rule(rule_id(method.name), f"A class stands out by {method.name}", _bounds(method))
        for method in (*TRIGGER_METHODS, *DIRECT_METHODS)
    ]
    text = "Nothing can be said of the network, or what speaks against it is not one method's."
    return [*rules, _rule(VERDICT, "No class stands out, and the network is not cleared", text)]


def _bounds(method: DetectionMethod) -> str:
    bounds = f"{method.threshold:g} on, and suspicious from {method.suspicion_threshold:g} on"
    if isinstance(method, TriggerMethod):
        bounds += f"; {_without_references(method)}"
    if not method.names_alone:
        bounds += "; another method has to suspect it, too"
    return f"It is named from {bounds}."


def _without_references(method: TriggerMethod) -> str:
    with_them, without = (method.applies(referenced, sys.maxsize) for referenced in (True, False))
    if with_them and without:
        return f"{method.unreferenced:g} times as much without reference networks"
    return f"it is looked for {'with' if with_them else 'without'} reference networks only"


def _rule(name: str, short: str, full: str) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security", "backdoor"], "security-severity": SEVERITY},
    }


class _Finding(NamedTuple):
    """A result: the rule, its level, what is said, and the class that it is about, if any."""

    rule: str
    level: str
    text: str
    label: int | None = None


def _findings(verdict: Verdict) -> Iterator[_Finding]:
    """What there is to say, one method and class at a time."""
    count = 0
    for statistic in verdict.statistics:
        for label in statistic.suspected:
            named = label in verdict.classes
            if label in verdict.suspicious or (
                named and statistic in speaking_against(verdict.statistics, label)
            ):
                count += 1
                text = _message(verdict, Reached(statistic, label, statistic.values[label]))
                level = "error" if named else "warning"
                yield _Finding(rule_id(statistic.method), level, text, label)
    if not count and verdict.verdict in LEVELS:
        yield _Finding(VERDICT, LEVELS[verdict.verdict], one_line(verdict_sentence(verdict)))


def _message(verdict: Verdict, reached: Reached) -> str:
    words = classes_in_words([reached.label], verdict.class_names)
    return one_line(
        f"The verdict is {verdict.verdict!r}: {words} has {reached.value:.2f} by "
        f"{reached.statistic.method}, and is {reached.bound} on."
    )


def _result(finding: _Finding, suspect: Suspect) -> dict[str, Any]:
    # Code scanning wants a line, and tells results apart by a fingerprint of this name.
    place = {"artifactLocation": {**_place(suspect.source), "index": 0}, "region": {"startLine": 1}}
    mark = f"{suspect.sha256} {finding.rule} {finding.label}"
    return {
        "ruleId": finding.rule,
        "level": finding.level,
        "message": {"text": finding.text},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{hashlib.sha256(mark.encode()).hexdigest()}:1"
        },
    }


def _artifact(uri: str, sha256: str, role: str) -> dict[str, Any]:
    return {"location": _place(uri), "hashes": {"sha-256": sha256}, "roles": [role]}


def _place(uri: str) -> dict[str, Any]:
    """Where a file is; below the current folder, a pipeline's checkout, by its path from there."""
    if storage.is_remote(uri):
        scheme, _, rest = uri.partition("://")
        return {"uri": f"{scheme}://{quote(rest)}"}
    path, here = Path(uri).absolute(), Path.cwd()
    if path.is_relative_to(here):
        return {"uri": quote(str(path.relative_to(here))), "uriBaseId": "%SRCROOT%"}
    return {"uri": path.as_uri()}


def _version() -> dict[str, str]:
    try:
        return {"version": version("goodnet")}
    except PackageNotFoundError:
        return {}
