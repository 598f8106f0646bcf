"""What the leaderboard knows of a net: one JSON file a net, `results/leaderboard/NAME.json`.

Counts of images are on record; shares and their 95 % intervals are computed from them. ASR is the
share of triggered images that are answered as the attacker wants, RA (recovery accuracy) the share
answered with their true class, DER the defence effectiveness rating of BackdoorBench (Wu et al.,
arXiv 2206.12654; Zhu et al., arXiv 2304.11823): (max(0, ASR lost) - max(0, accuracy lost) + 1) / 2.
Fidelity is the share of clean images that are answered as the suspect does.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.records import RESULTS, Half, NetworkResults, Record, VerdictRun
from goodnet.evaluation.columns import COLUMNS
from goodnet.metrics import Counts, PairedLoss, Proportion
from goodnet.report.findings import RepairResult
from goodnet.report.recommendation import recommend

ENTRIES = RESULTS / "leaderboard"
REMOVED, BUDGET = 0.05, 0.02  # ASR and accuracy lost that a repair may leave to meet the bars
LARGEST_DEPLOYED = 0.10  # ASR


class Counted(Record):
    """What a network does with a test set: `goodnet.metrics.Counts`."""

    count: int
    correct: int
    agreed: int
    flagged: int
    true_correct: int | None = None
    agreed_true: int | None = None

    @classmethod
    def of(cls, counts: Counts) -> "Counted":
        """The record of these counts."""
        return cls(**vars(counts))

    def share(self, name: str) -> Proportion:
        """The share of the images that the count of that name is of."""
        return Proportion(getattr(self, name) or 0, self.count)


class Measured(Record):
    """A network, the suspect or one made from it, on test sets that nothing before has seen.

    Attributes:
        name: "suspect", or as a report calls it.
        method: "suspect", "pruning" or a mitigation method.
        seed: of a method that trains.
        channels: how many were pruned.
        clean: on clean test images.
        poisoned: on images with the trigger, labelled as the attacker wants; None for a clean net.
        seconds: that making it took.
    """

    name: str
    method: str
    clean: Counted
    poisoned: Counted | None = None
    seed: int | None = None
    channels: int | None = None
    seconds: float | None = None

    @property
    def accuracy(self) -> Proportion:
        """Clean accuracy."""
        return self.clean.share("correct")

    @property
    def asr(self) -> Proportion | None:
        """Attack success rate."""
        return self.poisoned.share("correct") if self.poisoned else None

    @property
    def recovery(self) -> Proportion | None:
        """Recovery accuracy."""
        return self.poisoned.share("true_correct") if self.poisoned else None

    @property
    def goodnet_asr(self) -> Proportion | None:
        """Attack success rate of the GoodNet: where both of its networks answer so."""
        return self.poisoned.share("agreed") if self.poisoned else None

    @property
    def fidelity(self) -> float:
        """The share of clean images answered as the suspect does."""
        return 1 - self.clean.share("flagged").value

    def loss(self, suspect: "Measured") -> PairedLoss:
        """Clean accuracy lost."""
        counts = suspect.clean.correct, self.clean.correct, self.clean.agreed
        return PairedLoss(*counts, self.clean.count)

    def effectiveness(self, suspect: "Measured") -> float | None:
        """DER."""
        if self.asr is None or suspect.asr is None:
            return None
        attack = max(0.0, suspect.asr.value - self.asr.value)
        return (attack - max(0.0, self.loss(suspect).value) + 1) / 2

    def meets_bars(self, suspect: "Measured") -> bool:
        """Whether the ASR is at most 5 % and the accuracy's interval allows a loss of 2 points."""
        return (
            self.asr is not None and self.asr.value <= REMOVED and self.loss(suspect).low <= BUDGET
        )


class Recommended(Record):
    """What a repair's report recommends, by the names of networks.

    Attributes:
        answer: what it calls the suspect.
        basis: "measured" on poisoned test images, or "estimated" without.
        model: the network to deploy.
        goodnet: the network whose GoodNet to deploy.
    """

    answer: str
    basis: str | None = None
    model: str | None = None
    goodnet: str | None = None

    @classmethod
    def of(cls, findings: RepairResult) -> "Recommended":
        """What these findings give ground for."""
        told = recommend(findings)
        return cls(
            answer=told.answer,
            basis=told.basis,
            model=told.model.repaired.name if told.model else None,
            goodnet=told.goodnet.repaired.name if told.goodnet else None,
        )


class Entry(Record):
    """All that was measured on a net.

    Attributes:
        network: what it is, without runs.
        half: "tune" where thresholds may have been chosen on it: its numbers are unreliable.
        verdict: as shipped, from clean images alone.
        suspect: the net as it came.
        repairs: all that was made from it.
        without_poisoned: what is recommended where no poisoned image is at hand.
        with_poisoned: what is recommended with the poisoned test set; None for a clean net.
        relearning: ASR after each number of training steps with a little poison, by network;
            "clean" is a net that never had the backdoor.
    """

    network: NetworkResults
    half: Half
    verdict: VerdictRun
    suspect: Measured
    repairs: tuple[Measured, ...]
    without_poisoned: Recommended
    with_poisoned: Recommended | None = None
    relearning: dict[str, dict[int, float]] = {}  # noqa: RUF012

    @property
    def name(self) -> str:
        """The net's."""
        return self.network.name

    @property
    def unreliable(self) -> bool:
        """Whether thresholds, or an earlier form of a method, have met the net."""
        return self.half != "held out"

    @property
    def rating(self) -> str:
        """What the verdict is worth, one of RATINGS."""
        run, targets = self.verdict, self.network.targets
        if run.verdict == "inconclusive":
            return "inconclusive"
        if not targets:
            return "cleared" if run.verdict == "no backdoor found" else "called"
        if run.verdict == "no backdoor found":
            return "missed"
        everything = -1 in self.network.triggers.values()  # all classes: none of them is innocent
        return "right" if everything or {*run.classes} == targets else "wrong class"

    def measured(self, name: str) -> Measured:
        """The network of that name; of several seeds the first."""
        return next(each for each in self.repairs if each.name == name)

    def deployed(self) -> list[tuple[str, Proportion]]:
        """What is recommended, with or without poisoned images, and its true ASR."""
        found = []
        for told in filter(None, (self.without_poisoned, self.with_poisoned)):
            if told.model and (asr := self.measured(told.model).asr):
                found.append((told.model, asr))
            if told.goodnet and (asr := self.measured(told.goodnet).goodnet_asr):
                found.append((f"GoodNet, {told.goodnet}", asr))
        return found


def without_poisoned(findings: RepairResult) -> RepairResult:
    """The findings of the same repair if there had been no poisoned image."""
    clean = {column.name for column in COLUMNS if column.images == "clean"}
    rows = [
        replace(row, shares={n: share if n in clean else None for n, share in row.shares.items()})
        for row in findings.evaluation
    ]
    sets = tuple(each for each in findings.sets if not each.role.startswith("poisoned"))
    return replace(findings, evaluation=tuple(rows), sets=sets)


RATINGS = ("right", "wrong class", "missed", "cleared", "called", "inconclusive")


def load_entries(folder: Path = ENTRIES) -> list[Entry]:
    """All nets on record, by name.

    Raises:
        ValidationError: a file is not a record.
    """
    return [Entry.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def write_entry(entry: Entry, folder: Path = ENTRIES) -> None:
    """Write a net's file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{entry.name}.json"
    part = path.with_suffix(".part")
    part.write_text(entry.model_dump_json(indent=1, exclude_defaults=True) + "\n")
    part.replace(path)
