"""The model card of what is recommended: `README.md` in its folder, as Hugging Face reads it.

It goes with the models wherever they are put, so of places it names what is on the hub, and of all
other files their names alone.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from goodnet.evaluation.columns import COLUMNS
from goodnet.evaluation.results import EvaluationRow
from goodnet.files import hub, paths, storage
from goodnet.files.storage import StoredFile
from goodnet.report.caveats import caveats
from goodnet.report.conclusion import recommended_model
from goodnet.report.document import Written, markdown_environment
from goodnet.report.findings import RepairResult
from goodnet.report.manifest import versions
from goodnet.report.recommendation import recommend
from goodnet.report.tables import NAMES, counted
from goodnet.report.verdict_sentence import verdict_sentence

LISTED: Final = 24  # classes that are named


def model_card(folder: str, findings: RepairResult, files: Sequence[StoredFile]) -> str:
    """The text of `recommended/README.md`; empty where nothing is recommended.

    Args:
        folder: the repair's folder, which the files' paths are relative to.
        findings: what was found.
        files: at least what is in `recommended/`.
    """
    chosen, suspect = recommend(findings), findings.evaluation[0]
    digests = {storage.name_in(folder, file.uri): file.sha256 for file in files}
    places = {
        "model": recommended_model(chosen.model) if chosen.model else "",
        "goodnet": paths.RECOMMENDED_GOODNET if chosen.goodnet else "",
    }
    networks = {
        name: {"file": _name(place), "sha256": digests[place]}
        for name, place in places.items()
        if place
    }
    if not networks:
        return ""
    environment = markdown_environment()
    environment.filters |= {"yaml": _yaml, "name": _name}
    rows = [suspect, *(each.row for each in (chosen.model, chosen.goodnet) if each)]
    columns = [column for column in COLUMNS if any(row.shares[column.name] for row in rows)]
    return environment.get_template("model_card.md.j2").render(
        findings=findings,
        model=findings.model,
        networks=networks,
        chosen=chosen,
        verdict_sentence=verdict_sentence(findings.verdict),
        caveats=caveats(findings),
        class_names=findings.verdict.class_names,
        version=versions()["goodnet"],
        columns=columns,
        rows=[_cells(row, columns) for row in rows],
        measured=[column for column in columns if rows[1].shares[column.name]],
        row=rows[1],
        bases=_on_hub([findings.model.uri], ""),
        datasets=_on_hub([each.uri for each in findings.sets], "datasets"),
        LISTED=LISTED,
    )


def _cells(row: EvaluationRow, columns: Sequence[Any]) -> list[str]:
    shares = (row.shares[column.name] for column in columns)
    return [NAMES[row.kind], *(counted(share) if share else "" for share in shares)]


def _on_hub(uris: Sequence[str], kind: str) -> list[str]:
    """The repositories of a kind that some of these are from."""
    found = (hub.split(uri) for uri in uris if uri.startswith(hub.SCHEME))
    return list(dict.fromkeys(place.repo for place in found if place.kind == kind))


def _yaml(value: object) -> Written:
    """A value for the front matter: JSON, which is YAML in every quote."""
    return Written(json.dumps(value, ensure_ascii=False))


def _name(uri: str) -> str:
    """A file's name; of one on the hub all of its address."""
    return uri if uri.startswith(hub.SCHEME) else re.split(r"[/\\]", uri.rstrip("/\\"))[-1]
