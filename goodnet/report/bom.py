"""The bill of materials of a repair: what was judged and what was made, as CycloneDX 1.6.

The library writes components, hashes and dependencies. Model cards, which it does not know, are put
into its JSON. The same repair gives the same bytes: no clock is asked, and the serial number is a
digest of the content.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from goodnet.errors import one_line
from goodnet.evaluation.columns import COLUMNS
from goodnet.evaluation.results import EvaluationRow
from goodnet.files import storage
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.job.inputs import CLEAN_VALID
from goodnet.report.conclusion import recommended_files
from goodnet.report.findings import RepairResult
from goodnet.report.manifest import versions
from goodnet.report.recommendation import recommend
from goodnet.report.tables import set_name

if TYPE_CHECKING:  # it comes with an extra
    from cyclonedx.model.component import Component, ComponentType

SUSPECT, REPAIR = "suspect", "repair"  # what these are called within the file
COMPUTING: Final = ("goodnet", "tensorflow-cpu", "tensorflow", "keras", "numpy")
UNKNOWN: Final = "unknown"  # the licence: no file says it
LONGEST: Final = 1000  # characters of a name or a place


def bill_of_materials(
    folder: str,
    model: StoredFile,
    data: Mapping[str, DataFile],
    findings: RepairResult,
    files: Sequence[StoredFile],
) -> bytes:
    """The text of `bom.cdx.json`.

    Args:
        folder: the repair's folder, which the files' paths are relative to.
        model: the suspect's file.
        data: the data sets by role.
        findings: what was found.
        files: at least all networks in the folder.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    stored = {storage.name_in(folder, file.uri): file for file in files}
    suspect = _suspect(model, findings)
    sets = {role: _data(role, each, findings) for role, each in data.items()}
    rows = {_file(row): row for row in findings.evaluation}
    made = {ref: _network(ref, row, stored[ref], findings) for ref, row in rows.items() if ref}
    whole = Component(
        name=f"repair of {findings.model.name}", type=ComponentType.DATA, bom_ref=REPAIR
    )
    bom = Bom(components=[suspect, *sets.values(), *made.values()])
    bom.metadata.component = whole
    bom.metadata.tools.components.update(_tools())
    bom.register_dependency(whole, bom.components)
    for ref, network in made.items():
        joined = [made[other] for other in _joined(rows[ref])]
        bom.register_dependency(network, [suspect, sets[CLEAN_VALID], *joined])
    content = json.loads(JsonV1Dot6(bom).output_as_string())
    for component in content["components"]:
        if component["type"] == ComponentType.MACHINE_LEARNING_MODEL.value:
            ref = "" if component["bom-ref"] == SUSPECT else component["bom-ref"]
            component["modelCard"] = _card(rows[ref], findings)
    return without_chance(content)


def without_chance(content: dict[str, Any]) -> bytes:
    """The text of a bill, with no time in it and a serial number that is a digest of the rest.

    Args:
        content: from CycloneDX' library, which puts the time and a random number into it.
    """
    metadata = {name: each for name, each in content["metadata"].items() if name != "timestamp"}
    rest = content | {"metadata": metadata, "serialNumber": None}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).digest()
    whole = rest | {"serialNumber": UUID(bytes=digest[:16], version=5).urn}
    return (json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _file(row: EvaluationRow) -> str:
    """The network's file, below the repair's folder; empty of the suspect."""
    if row.repaired is None:
        return ""
    return row.repaired.goodnet_file if row.kind == "goodnet" else row.repaired.model_file


def _joined(row: EvaluationRow) -> list[str]:
    """What a network has in it beside the suspect."""
    return [row.repaired.model_file] if row.repaired and row.kind == "goodnet" else []


def _suspect(model: StoredFile, findings: RepairResult) -> "Component":
    from cyclonedx.model.component import ComponentType

    verdict = findings.verdict
    facts = {
        "place": model.uri,
        "bytes": str(model.bytes),
        "verdict": recommend(findings).answer,
        "verdict:from-clean-images": verdict.verdict,
        "verdict:classes": " ".join(map(str, verdict.classes)),
        "architecture": findings.model.described_by,
    }
    name = findings.model.name
    return _component(name, SUSPECT, ComponentType.MACHINE_LEARNING_MODEL, model, facts)


def _data(role: str, data: DataFile, findings: RepairResult) -> "Component":
    from cyclonedx.model.component import ComponentType

    (count,) = (each.count for each in findings.sets if each.role == role)
    facts = {"place": data.uri, "images": str(count)}
    return _component(set_name(role), f"data {role}", ComponentType.DATA, data.stored, facts)


def _network(
    name: str, row: EvaluationRow, file: StoredFile, findings: RepairResult
) -> "Component":
    from cyclonedx.model.component import ComponentType

    copies = [copy for copy, source in recommended_files(findings).items() if source == name]
    facts = {"kind": row.kind, "bytes": str(file.bytes), "recommended": " ".join(copies)}
    return _component(name, name, ComponentType.MACHINE_LEARNING_MODEL, file, facts)


def _component(
    name: str, ref: str, kind: "ComponentType", file: StoredFile, facts: Mapping[str, str]
) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import DisjunctiveLicense

    return Component(
        name=one_line(name, LONGEST),
        bom_ref=ref,
        type=kind,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        licenses=[DisjunctiveLicense(name=UNKNOWN)],
        properties=[
            Property(name=f"goodnet:{fact}", value=one_line(value, LONGEST))
            for fact, value in facts.items()
            if value
        ],
    )


def _tools() -> "Iterator[Component]":
    """What the networks were computed with."""
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    for name, version in versions().items():
        if name in COMPUTING:
            kind = ComponentType.APPLICATION if name == "goodnet" else ComponentType.FRAMEWORK
            purl = PackageURL("pypi", name=name, version=version)
            yield Component(name=name, version=version, type=kind, bom_ref=str(purl), purl=purl)


def _card(row: EvaluationRow, findings: RepairResult) -> dict[str, Any]:
    """A network's model card: what it takes and gives, and what was measured of it."""
    sides = " x ".join("any" if side is None else str(side) for side in findings.model.input_shape)
    classes = findings.model.classes + (row.kind == "goodnet")
    chosen = [{"ref": f"data {CLEAN_VALID}"}] if row.repaired else []
    return {
        "modelParameters": {
            "task": "image-classification",
            "inputs": [{"format": f"images, {sides} (height x width x channels)"}],
            "outputs": [{"format": f"{classes} scores"}],
            **({"datasets": chosen} if chosen else {}),
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {
                    "type": column.title,
                    "slice": set_name(f"{column.images} test"),
                    "value": repr(share.value),
                    "confidenceInterval": {
                        "lowerBound": repr(share.low),
                        "upperBound": repr(share.high),
                    },
                }
                for column in COLUMNS
                if (share := row.shares[column.name])
            ]
        },
    }
