"""GoodNet: take an image classifier nobody trusts, give back one that can be used.

The whole method, without Prefect. Names are imported when they are first used, so that
`import goodnet` is cheap; what needs TensorFlow imports it then.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "goodnet.network.suspect": ("Suspect", "open_suspect"),
    "goodnet.datasets.dataset": ("Dataset", "open_dataset"),
    "goodnet.scale": ("Scale",),
    "goodnet.pruning.split": ("Split",),
    "goodnet.network.graph": ("choose_layer",),
    "goodnet.pruning.order": ("Order", "order_channels"),
    "goodnet.pruning.sweep": ("find_scale", "mean_activations", "tally"),
    "goodnet.pruning.curve": ("Curve", "make_curve", "parse_points"),
    "goodnet.evaluation.results": ("repaired_models", "results_of", "states_of"),
    "goodnet.network.goodnet": ("join",),
    "goodnet.network.save": ("save_network",),
    "goodnet.pruning.zeroing": ("prune",),
    "goodnet.errors": ("GoodNetError", "InputRefused", "ModelRefused", "DataRefused"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'goodnet' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
