"""All that one repair found: what the tables, figures and the report are made from."""

from dataclasses import dataclass
from typing import NamedTuple

from goodnet.detection.verdict import Verdict
from goodnet.evaluation.results import EvaluationRow, RepairedModel
from goodnet.metrics import Proportion
from goodnet.mitigation.outcome import MitigationResult, TriggerRecheck
from goodnet.preprocessing import PreprocessingInfo
from goodnet.pruning.curve import Curve


@dataclass(frozen=True)
class DatasetInfo:
    """A data set as it was given.

    Attributes:
        role: "clean valid", "clean test", "poisoned valid", ...
        class_names: what it calls the classes, by label; empty where it says nothing of that.
        half_of: the images of the single set that was split in two; 0 where none was.
        together: how many of those are near copies or belong together, so that one half has them.
        array: what the images are called in a file that holds another set, too; else empty.
    """

    role: str
    uri: str
    sha256: str
    count: int
    stored_dtype: str
    axes: str
    lowest_label: int
    highest_label: int
    labels_present: int
    class_names: tuple[str, ...] = ()
    half_of: int = 0
    together: int = 0
    array: str = ""


@dataclass(frozen=True)
class ModelInfo:
    """A suspect as it was given, and what of it is pruned.

    Attributes:
        name: the file's name without ending, one printable line.
        described_by: where the architecture came from.
        pruned_by: "made" where the weights that make a channel are zeroed, "read" where those
            that read it are.
        swept_by: "incremental" where a sweep adds each channel's share of the next sums, "masked"
            where it runs all that follows the layer for each state, or "both".
    """

    name: str
    uri: str
    sha256: str
    format: str
    described_by: str
    classes: int
    parameters: int
    input_shape: tuple[int | None, int | None, int]
    layers: tuple[tuple[str, str], ...]
    layer: str
    layer_chosen: str
    channels: int
    pruned_by: str
    swept_by: str


class ModelRecheck(NamedTuple):
    """What recovered triggers do to a repaired model, an estimate from clean images alone.

    Attributes:
        model: the repaired model.
        triggers: for each class that a trigger was recovered for.
        flagged_classes: those that are named, or stood out before and still do, when it is judged
            as the suspect was; None where it was not judged.
    """

    model: RepairedModel
    triggers: tuple[TriggerRecheck, ...]
    flagged_classes: tuple[int, ...] | None


@dataclass(frozen=True)
class PruningResult:
    """What pruning came to, which is there before the verdict begins.

    Attributes:
        curves: one for each order, ascending first.
        evaluation: the networks on the test sets: suspect, repaired models, GoodNets.
    """

    model: ModelInfo
    curves: tuple[Curve, ...]
    evaluation: tuple[EvaluationRow, ...]


@dataclass(frozen=True)
class RepairResult(PruningResult):
    """One repair, from what was given to the evaluation of all models.

    Attributes:
        verdict: whether the suspect is backdoored, from clean validation images alone.
        method: what was asked for beside pruning.
        mitigation: what came of that; None where nothing was done beside pruning.
        budget: how many points of clean accuracy a model that is recommended may have lost.
        rechecks: of the repaired models, where any trigger was recovered.
        brought: what came with the suspect, in words.
    """

    sets: tuple[DatasetInfo, ...]
    preprocessing: PreprocessingInfo
    points: tuple[str, ...]
    verdict: Verdict
    method: str
    mitigation: MitigationResult | None
    budget: float
    rechecks: tuple[ModelRecheck, ...]
    brought: tuple[str, ...] = ()

    @property
    def tested(self) -> bool:
        """Whether there is a clean test set: images that nothing was chosen by."""
        return self.evaluation[0].shares["clean_accuracy"] is not None

    @property
    def baseline_clean(self) -> Proportion:
        """The suspect on the clean validation images."""
        curve = self.curves[0]
        return Proportion(curve.clean_correct[0], curve.clean_count)

    @property
    def baseline_attack(self) -> Proportion | None:
        """The suspect on the poisoned validation images, None without a set."""
        curve = self.curves[0]
        return Proportion(curve.attack_hits[0], curve.poisoned_count) if curve.attack_hits else None
