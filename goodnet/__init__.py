"""GoodNet: take an image classifier nobody trusts, give back one that can be used.

The whole method, without Prefect. Names are imported when they are first used, so that
`import goodnet` is cheap; most of them then import TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodnet.api.model import Model, load_images, load_model
    from goodnet.api.networks import Evaluation, GoodNet, RepairedNetwork
    from goodnet.api.report import write_report
    from goodnet.api.verbs import detect, evaluate, prune, repair, sweep
    from goodnet.datasets.dataset import CleanDataset, Dataset
    from goodnet.detection.verdict import Verdict
    from goodnet.errors import (
        DataRefused,
        GoodNetError,
        InputRefused,
        ModelRefused,
        RequestRefused,
    )
    from goodnet.pruning.curve import Curve
    from goodnet.report.conclusion import conclude, headline
    from goodnet.report.findings import RepairResult
    from goodnet.report.recommendation import Recommendation, recommend

_HOMES = {
    "goodnet.api.model": ("Model", "load_images", "load_model"),
    "goodnet.api.networks": ("Evaluation", "GoodNet", "RepairedNetwork"),
    "goodnet.api.report": ("write_report",),
    "goodnet.api.verbs": ("detect", "evaluate", "prune", "repair", "sweep"),
    "goodnet.datasets.dataset": ("CleanDataset", "Dataset"),
    "goodnet.detection.verdict": ("Verdict",),
    "goodnet.errors": (
        *("DataRefused", "GoodNetError", "InputRefused", "ModelRefused", "RequestRefused"),
    ),
    "goodnet.pruning.curve": ("Curve",),
    "goodnet.report.conclusion": ("conclude", "headline"),
    "goodnet.report.findings": ("RepairResult",),
    "goodnet.report.recommendation": ("Recommendation", "recommend"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CleanDataset",
    "Curve",
    "DataRefused",
    "Dataset",
    "Evaluation",
    "GoodNet",
    "GoodNetError",
    "InputRefused",
    "Model",
    "ModelRefused",
    "Recommendation",
    "RepairResult",
    "RepairedNetwork",
    "RequestRefused",
    "Verdict",
    "conclude",
    "detect",
    "evaluate",
    "headline",
    "load_images",
    "load_model",
    "prune",
    "recommend",
    "repair",
    "sweep",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'goodnet' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
