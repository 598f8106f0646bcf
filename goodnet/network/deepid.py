"""DeepID, the face recognition network of the CSAW/NYU lab, as a Keras configuration.

Source: Sun, Wang, Tang, "Deep Learning Face Representation from Predicting 10,000 Classes",
CVPR 2014; the layer names are those of the lab's own code, so its weights-only files fit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE_SHAPE = (55, 47, 3)

# layer -> shape of its kernel; None is the number of classes
KERNEL_SHAPES: Mapping[str, tuple[int | None, ...]] = {
    "conv_1": (4, 4, 3, 20),
    "conv_2": (3, 3, 20, 40),
    "conv_3": (3, 3, 40, 60),
    "conv_4": (2, 2, 60, 80),
    "fc_1": (1200, 160),
    "fc_2": (960, 160),
    "output": (160, None),
}


def deepid_config(classes: int) -> dict[str, Any]:
    """The configuration of a DeepID network with that many classes, in Keras' JSON form."""
    layers = [
        _layer("InputLayer", "input", batch_shape=[None, *IMAGE_SHAPE]),
        _convolution("conv_1", "input", 20, 4),
        _layer("MaxPooling2D", "pool_1", "conv_1", pool_size=[2, 2]),
        _convolution("conv_2", "pool_1", 40, 3),
        _layer("MaxPooling2D", "pool_2", "conv_2", pool_size=[2, 2]),
        _convolution("conv_3", "pool_2", 60, 3),
        _layer("MaxPooling2D", "pool_3", "conv_3", pool_size=[2, 2]),
        _convolution("conv_4", "pool_3", 80, 2),
        _layer("Flatten", "flatten_1", "pool_3"),
        _layer("Flatten", "flatten_2", "conv_4"),
        _layer("Dense", "fc_1", "flatten_1", units=160),
        _layer("Dense", "fc_2", "flatten_2", units=160),
        _layer("Add", "add_1", "fc_1", "fc_2"),
        _layer("Activation", "activation_1", "add_1", activation="relu"),
        _layer("Dense", "output", "activation_1", units=classes, activation="softmax"),
    ]
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["output", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "deepid", "layers": layers, **ends}}


def deepid_classes(shapes: Mapping[str, Sequence[tuple[int, ...]]]) -> int | None:
    """The number of classes if these are a DeepID network's weights, else None.

    Args:
        shapes: for each layer with weights, the shapes of its kernel and its bias.
    """
    if set(shapes) != set(KERNEL_SHAPES):
        return None
    for name, kernel in KERNEL_SHAPES.items():
        fits = len(shapes[name]) == 2 and len(shapes[name][0]) == len(kernel)
        if not fits or shapes[name][1] != shapes[name][0][-1:]:
            return None
        if any(
            side not in (None, real) for side, real in zip(kernel, shapes[name][0], strict=True)
        ):
            return None
    return shapes["output"][0][-1]


def _layer(kind: str, name: str, *sources: str, **arguments: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    config = {"name": name, **arguments}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": nodes}


def _convolution(name: str, source: str, filters: int, side: int) -> dict[str, Any]:
    size = [side, side]
    return _layer("Conv2D", name, source, filters=filters, kernel_size=size, activation="relu")
