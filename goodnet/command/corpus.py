"""`goodnet corpus`: open every model of a folder, file or SavedModel, and say what came of it.

Of each file: whether it opens, the layer that "auto" takes and the network, or why it is refused.
If the folder has an `expected.csv`, with columns `file`, `expected` ("opens" or "refused") and
`layer_or_reason`, what it says stands below, and rows are compared. Of a file that opens, the layer
may be expected by its name, or in words: "not NAME", "last pooling", "last hidden dense layer",
"inside the nested model". Reasons of refusals are for people to compare.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from goodnet.errors import InputRefused, RequestRefused
from goodnet.files.models import is_folder_model
from goodnet.network.suspect import Suspect, open_suspect
from goodnet.pruning.layer_choice import choose_layer

EXAMPLE = "goodnet corpus models"
EXPECTATIONS = "expected.csv"
SOME_WRONG = 1


class Row(NamedTuple):
    """What came of one file.

    Attributes:
        file: its name.
        opens: whether it opens and has a layer that can be pruned.
        layer: the layer that "auto" takes; "" if it does not open.
        kind: that layer's class.
        text: the network in short, or the reason of the refusal.
    """

    file: str
    opens: bool
    layer: str
    kind: str
    text: str

    def fits(self, expected: str, layer: str) -> bool | None:
        """Whether it opens as expected, with that layer; None if that is not known."""
        if expected not in ("opens", "refused"):
            return None
        if self.opens != (expected == "opens"):
            return False
        return not self.opens or self._has_layer(layer)

    def _has_layer(self, words: str) -> bool:
        first, *others = words.replace(",", " ").split()
        if first == "not":
            return self.layer != others[0]
        if not others:
            return self.layer.rpartition("/")[2] == first
        if "pooling" in others:
            return "Pooling" in self.kind
        if "dense" in others and first == "last":
            return self.kind == "Dense"
        return "nested" not in others or "/" in self.layer


def read_expectations(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """The lines of the folder's expectations by file; none if there are none."""
    path = folder / EXPECTATIONS
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {line["file"]: line for line in csv.DictReader(file)}


def rows(folder: Path) -> Iterator[Row]:
    """What came of each file of a folder, by name."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix in (".csv", ".json"):  # beside a model
            continue
        if path.is_file() or is_folder_model(str(path)):
            yield _row(path)


def _row(path: Path) -> Row:
    from goodnet.pruning.zeroing_plan import plan_zeroing

    try:
        suspect = open_suspect(path)
        layer = choose_layer(suspect.plan, "auto", suspect.source)
        plan_zeroing(suspect.plan, layer, suspect.source)
    except (InputRefused, OSError) as fault:
        return Row(path.name, False, "", "", str(fault).removeprefix(f"{path}: "))
    return Row(path.name, True, layer, suspect.plan.layer(layer).kind, _network(suspect))


def _network(suspect: Suspect) -> str:
    """A network in short: kind, layers, images, classes, parameters."""
    sides = " x ".join("any" if side is None else str(side) for side in suspect.input_shape)
    return (
        f"{suspect.plan.kind}, {len(suspect.plan.layers)} layers, {sides} -> {suspect.classes}, "
        f"{suspect.network.count_params():,} parameters"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER")


def run(options: argparse.Namespace) -> int:
    """0, or 1 where the folder says what to expect and not all is so."""
    if not options.folder.is_dir():
        raise RequestRefused(options.folder, "is no folder on this machine")
    expectations, marks = read_expectations(options.folder), list[bool]()
    for row in rows(options.folder):
        layer = f"{row.layer} ({row.kind}); " if row.opens else ""
        verb = "opens" if row.opens else "refused"
        print(f"{row.file}\n    {verb:9}{layer}{row.text}", flush=True)
        if line := expectations.get(row.file):
            fits = row.fits(line["expected"], line["layer_or_reason"])
            mark = {True: "right", False: "WRONG", None: "see"}[fits]
            print(f"    {mark:9}expected: {line['expected']}, {line['layer_or_reason']}")
            marks += [] if fits is None else [fits]
    if expectations:
        print(f"right: {sum(marks)} of {len(marks)}")
    return 0 if all(marks) else SOME_WRONG
