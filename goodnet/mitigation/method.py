"""What a mitigation method is: a record, without what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.evaluation.results import RepairedModel
from goodnet.files import paths

if TYPE_CHECKING:  # these import TensorFlow, which a list of names need not pay for
    from goodnet.mitigation.holdout import HoldoutSplit
    from goodnet.mitigation.mitigate import MitigationInput
    from goodnet.mitigation.outcome import MethodResult
    from goodnet.network.classifier import LogitModel
    from goodnet.progress import Progress

    Repair = Callable[[MitigationInput, LogitModel, HoldoutSplit, int, Progress], MethodResult]


@dataclass(frozen=True)
class Method:
    """A mitigation method.

    Attributes:
        name: as `--method` takes it.
        title: in prose, and in the report's headings.
        label: what its models are called in tables and in the names of files.
        repair: changes a copy of the suspect in place, by means of clean images alone; called with
            the input, the copy, the images, a seed and a progress function.
        needs_classes: whether it can do nothing where a verdict holds no class against a suspect.
        prunes_first: whether it starts from the channels that clean images use least.
        gated: whether its network answers for some classes only, so that its model is two networks
            in one, which is more than Keras' HDF5 format can hold.
    """

    name: str
    title: str
    label: str
    repair: "Repair"
    needs_classes: bool = False
    prunes_first: bool = False
    gated: bool = False

    def model(self, pruned: int, suffix: str) -> RepairedModel:
        """The identity of the model that it makes.

        Args:
            pruned: channels that were pruned first.
            suffix: the suspect's format, ".h5" or ".keras".
        """
        model_file = paths.mitigated_model(self.label, ".keras" if self.gated else suffix)
        goodnet_file = paths.mitigated_goodnet(self.label)
        return RepairedModel(
            self.name, self.title, self.label, None, pruned, model_file, goodnet_file
        )
