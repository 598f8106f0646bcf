"""Our own bill of materials: all packages that GoodNet needs here, as CycloneDX 1.6.

    python -m tools.sbom FILE

What `pyproject.toml` asks for is followed through the packages that are installed. Those of the
core are required, those of extras optional; what only development needs is left out. The same
environment gives the same bytes.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from goodnet.report.bom import without_chance

ROOT = Path(__file__).resolve().parent.parent
OURS, DEVELOPMENT = "goodnet", ("dev",)


def sbom() -> bytes:
    """The text of the bill."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = installed(map(Requirement, project["dependencies"]))
    extras = project["optional-dependencies"]
    asked = [each for name in extras if name not in DEVELOPMENT for each in extras[name]]
    whole = installed(map(Requirement, [*project["dependencies"], *asked]))
    parts = {
        name: component(found, ComponentScope.REQUIRED if name in core else ComponentScope.OPTIONAL)
        for name, found in whole.items()
    }
    ours = component_of(OURS, project["version"], project["license"], None)
    ours.type = ComponentType.APPLICATION
    bom = Bom(components=parts.values())
    bom.metadata.component = ours
    direct = {
        canonicalize_name(Requirement(each).name) for each in (*project["dependencies"], *asked)
    }
    bom.register_dependency(ours, [parts[name] for name in sorted(direct & set(parts))])
    for name, found in whole.items():
        needed = {canonicalize_name(each.name) for each in needs(found, set())}
        bom.register_dependency(parts[name], [parts[each] for each in sorted(needed & set(parts))])
    content: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return without_chance(content)


def installed(asked: Iterable[Requirement]) -> dict[str, Distribution]:
    """All packages that these requirements lead to and that are there, by name."""
    found, waiting, known = dict[str, Distribution](), list(asked), set[tuple[str, str]]()
    while waiting:
        each = waiting.pop()
        name, extras = canonicalize_name(each.name), frozenset(each.extras)
        mark = (name, ",".join(sorted(extras)))
        if name == OURS or mark in known or (each.marker and not each.marker.evaluate()):
            continue
        known.add(mark)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # an extra's that is not installed here
        waiting += needs(found[name], extras)
    return dict(sorted(found.items()))


def needs(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """What a package with some of its extras requires on this machine."""
    for line in package.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if not marker or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            yield requirement


def component(package: Distribution, scope: ComponentScope) -> Component:
    """A package as a part of the bill."""
    metadata = package.metadata
    licence = metadata.get("License-Expression") or metadata.get("License") or ""
    if not licence.strip() or "\n" in licence.strip():
        kinds = [
            each for each in metadata.get_all("Classifier", ()) if each.startswith("License ::")
        ]
        licence = kinds[0].split(" :: ")[-1] if kinds else ""
    return component_of(canonicalize_name(metadata["Name"]), package.version, licence, scope)


def component_of(name: str, version: str, licence: str, scope: ComponentScope | None) -> Component:
    """A part by its name; one that says nothing of its licence has an unknown one."""
    purl = PackageURL("pypi", name=name, version=version)
    licences = [LicenseFactory().make_from_string(licence.strip() or "unknown")]
    return Component(
        name=name, version=version, purl=purl, bom_ref=str(purl), licenses=licences, scope=scope
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(sbom())
    print(f"wrote {target}")
