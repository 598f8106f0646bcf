"""The width of a vision transformer's `PatchEncoder`, which the code of its example does not write.

Its `get_config` says how many patches it encodes. How long a patch's vector is, the weights say.
"""

from collections.abc import Sequence
from typing import Any

Shapes = Sequence[tuple[str, Sequence[tuple[int, ...]]]]  # a layer's name or path, and its weights

CLASS = "PatchEncoder"
PLACES, WIDTH = "num_patches", "projection_dim"


def with_widths(config: Any, stored: Shapes) -> Any:
    """A configuration in which each `PatchEncoder` has its width, if the weights tell.

    Args:
        config: of a model, or a part of it; not modified.
        stored: the file's layers with weights.
    """
    if isinstance(config, list):
        return [with_widths(each, stored) for each in config]
    if not isinstance(config, dict):
        return config
    config = {key: with_widths(value, stored) for key, value in config.items()}
    said = config.get("config")
    if config.get("class_name") == CLASS and isinstance(said, dict) and WIDTH not in said:
        widths = _widths(said.get(PLACES), stored)
        if len(widths) == 1:
            config["config"] = {**said, WIDTH: widths.pop()}
    return config


def _widths(places: Any, stored: Shapes) -> set[int]:
    """The widths of the matrices that can be a vector for each of so many places.

    Where a layer's weights are one list, these are the projection's kernel and bias, and then it.
    """
    widths = set[int]()
    for name, shapes in stored:
        if name.endswith("/position_embedding"):
            widths |= {shape[1] for shape in shapes if len(shape) == 2 and shape[0] == places}
        for kernel, bias, matrix in zip(shapes, shapes[1:], shapes[2:], strict=False):
            encodes = [len(kernel), len(bias), len(matrix)] == [2, 1, 2] and matrix[0] == places
            if encodes and kernel[1] == bias[0] == matrix[1]:
                widths.add(matrix[1])
    return widths
