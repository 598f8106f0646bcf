"""What was measured on each network: one JSON file a network, `benchmarks/results/NAME.json`.

The benchmarks write these files, `benchmarks.tables` makes all tables of the documents from them. A
value that was not measured is absent. Shares are fractions 0..1.
"""

import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

RESULTS = Path(__file__).parent / "results"

Half = Literal["tune", "seen", "held out"]
Range = tuple[float, float]  # lowest, highest


class Record(BaseModel):
    """Immutable, of exactly these fields and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class References(Record):
    """The reference models of a verdict.

    Attributes:
        trained: whether they were good enough to be used.
        suspect: the share of the clean validation images that the suspect gets right.
        accuracy: the share that each reference model gets right.
    """

    trained: bool
    suspect: float
    accuracy: tuple[float, ...]


class Run(Record):
    """What is known of every run.

    Attributes:
        half: whether something had been chosen on the network ("tune"), an earlier form of the
            method had met it ("seen"), or neither ("held out").
        seconds: of wall time.
        date: of the run.
        superseded: the method has changed since, and the result need not be today's.
        note: what else is known.
    """

    half: Half | None = None
    seconds: float | None = None
    date: datetime.date | None = None
    superseded: bool = False
    note: str = ""


class VerdictRun(Run):
    """One verdict on a network.

    Attributes:
        verdict: the answer.
        classes: those named.
        dependent: those left out as dependent.
        statistics: for each method its largest numbers, by class; empty where no class was tried.
        references: the reference models.
    """

    verdict: Literal["backdoored", "no backdoor found", "inconclusive"]
    classes: tuple[int, ...] = ()
    dependent: tuple[int, ...] = ()
    statistics: dict[str, dict[int, float]] = {}
    references: References | None = None


class RepairRun(Run):
    """What one repaired model does on test sets that no method has seen.

    Attributes:
        method: "pruning", or as `--method` takes it; "suspect" is the network as it came.
        order: of pruning.
        drop: of pruning, in points.
        channels: how many were pruned.
        seed: of a method that trains.
        gated: whether the suspect is asked first.
        clean_accuracy: of the repaired model.
        asr: of the repaired model.
        goodnet_clean_accuracy: of the GoodNet of suspect and repaired model.
        goodnet_asr: of that GoodNet.
        flagged_poisoned: the share of poisoned images that it flags.
        flagged_clean: the share of clean images that it flags.
        clean_images: how many the shares are of.
        poisoned_images: how many the shares are of.
        held_out: accuracy on held-out validation images before and after.
    """

    method: str
    order: Literal["ascending", "descending"] | None = None
    drop: float | None = None
    channels: int | None = None
    seed: int | None = None
    gated: bool | None = None
    clean_accuracy: float | None = None
    asr: float | None = None
    goodnet_clean_accuracy: float | None = None
    goodnet_asr: float | None = None
    flagged_poisoned: float | None = None
    flagged_clean: float | None = None
    clean_images: int | None = None
    poisoned_images: int | None = None
    held_out: Range | None = None


class RepairRange(Record):
    """Several runs of a method of which only the lowest and highest values were written down.

    Attributes:
        method: of all runs.
        gated: whether the suspect is asked first.
        seeds: how many runs.
        accuracy_lost: clean test accuracy.
        asr: of the repaired model.
        flagged_poisoned: the share of poisoned images that the GoodNet flags.
        flagged_clean: the share of clean images that the GoodNet flags.
        superseded: the method has changed since.
        note: what else is known of the runs.
    """

    method: str
    gated: bool
    seeds: int
    accuracy_lost: Range
    asr: Range
    flagged_poisoned: Range
    flagged_clean: Range
    superseded: bool = False
    note: str = ""


class NetworkResults(Record):
    """All that was measured on one network.

    Attributes:
        name: also the file's.
        source: the module that trains it, or where it is public.
        architecture: in words.
        images: what it was trained on.
        classes: how many it tells apart.
        scale: of its pixels: "raw" is 0..255, "unit" 0..1.
        seed: of its training.
        triggers: each with its target class, -1 for every class; empty for a clean network.
        poisoned_share: of the training images, where that is on record.
        clean_accuracy: on the clean test set.
        asr: of each trigger, on test images of other classes.
        verdicts: in the order in which they were given.
        repairs: in the order in which they were made.
        repair_ranges: see `RepairRange`.
    """

    name: str
    source: str
    architecture: str
    images: str
    classes: int
    scale: Literal["raw", "unit"]
    seed: int | None = None
    triggers: dict[str, int] = {}
    poisoned_share: float | None = None
    clean_accuracy: float | None = None
    asr: dict[str, float] = {}
    verdicts: tuple[VerdictRun, ...] = ()
    repairs: tuple[RepairRun, ...] = ()
    repair_ranges: tuple[RepairRange, ...] = ()

    @property
    def targets(self) -> set[int]:
        """The target classes; empty for a clean network."""
        named = set(self.triggers.values())
        return set(range(self.classes)) if -1 in named else named


def load(folder: Path = RESULTS) -> list[NetworkResults]:
    """All networks, by name.

    Raises:
        ValidationError: a file is not a record.
    """
    return [read(path) for path in sorted(folder.glob("*.json"), key=_natural)]


def read(path: Path) -> NetworkResults:
    """The record in a file."""
    return NetworkResults.model_validate_json(path.read_bytes())


def write(network: NetworkResults, folder: Path = RESULTS) -> None:
    """Write a network's file."""
    folder.mkdir(exist_ok=True)
    text = network.model_dump_json(indent=1, exclude_defaults=True)
    (folder / f"{network.name}.json").write_text(text + "\n")


def add(network: NetworkResults, folder: Path = RESULTS, **runs: tuple[Any, ...]) -> None:
    """Write a network's file with new runs, `verdicts` or `repairs`, after those it has.

    Older runs of the same half, if they have no note, are replaced.
    """
    path = folder / f"{network.name}.json"
    before = read(path) if path.exists() else network
    merged = {"verdicts": before.verdicts, "repairs": before.repairs}
    for field, new in runs.items():
        halves = {run.half for run in new}
        merged[field] = (*(r for r in merged[field] if r.note or r.half not in halves), *new)
    write(network.model_copy(update={**merged, "repair_ranges": before.repair_ranges}), folder)


def _natural(path: Path) -> tuple[str, int]:
    """Sorts NAME_2 before NAME_10."""
    name, _, number = path.stem.rpartition("_")
    return (name, int(number)) if number.isdigit() else (path.stem, 0)
