"""The networks of `keras.applications`, recognised by their weights alone.

Keras' own functions make the architecture, from numbers that the weights' shapes tell: the classes,
and the width. What they do not tell is Keras' default: the size of the images, and a softmax.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from goodnet.backend import keras

Shapes = Sequence[tuple[str, Sequence[tuple[int, ...]]]]  # a layer's name or path, and its weights
Variant = Mapping[str, Any]

STAND_IN = 1237  # classes of a network that stands for those with any number of them
SAME_NAMES = 0.8  # of the layers that Keras names itself: versions of Keras renamed some


class Application(NamedTuple):
    """A network of Keras.

    Attributes:
        name: of the function that makes it.
        layers: how many of its layers have weights.
        top: how many of these are missing without the top.
        variants: further arguments, of which some fit.
        flat: whether the size of the images shows in the first dense layer.
        inside: how many more layers there are where those of models inside it are counted.
    """

    name: str
    layers: int
    top: int = 1
    variants: tuple[Variant, ...] = ({},)
    flat: bool = False
    inside: int = 0


def _widths(*widths: float) -> tuple[Variant, ...]:
    return tuple({"alpha": width} for width in widths)


_MINIMALISTIC = ({"minimalistic": True},)

APPLICATIONS: tuple[Application, ...] = (
    Application("VGG16", 16, 3, flat=True),
    Application("VGG19", 19, 3, flat=True),
    Application("ResNet50", 107),
    Application("ResNet101", 209),
    Application("ResNet152", 311),
    Application("ResNet50V2", 103),
    Application("ResNet101V2", 205),
    Application("ResNet152V2", 307),
    Application("MobileNet", 55, variants=_widths(1.0, 0.75, 0.5, 0.25)),
    Application("MobileNetV2", 105, variants=_widths(1.0, 0.75, 0.5, 0.35, 1.3, 1.4)),
    Application("MobileNetV3Small", 88, 2, variants=_widths(1.0, 0.75)),
    Application("MobileNetV3Large", 110, 2, variants=_widths(1.0, 0.75)),
    Application("MobileNetV3Small", 70, 2, variants=_MINIMALISTIC),
    Application("MobileNetV3Large", 94, 2, variants=_MINIMALISTIC),
    Application("EfficientNetB0", 132),
    Application("EfficientNetB1", 186),
    Application("EfficientNetB2", 186),
    Application("EfficientNetB3", 210),
    Application("EfficientNetB4", 258),
    Application("EfficientNetB5", 312),
    Application("EfficientNetB6", 360),
    Application("EfficientNetB7", 438),
    Application("EfficientNetV2B0", 151),
    Application("EfficientNetV2B1", 185),
    Application("EfficientNetV2B2", 193),
    Application("EfficientNetV2B3", 225),
    Application("EfficientNetV2S", 281),
    Application("EfficientNetV2M", 403),
    Application("EfficientNetV2L", 557),
    Application("DenseNet121", 242),
    Application("DenseNet169", 338),
    Application("DenseNet201", 402),
    Application("InceptionV3", 189),
    Application("InceptionResNetV2", 449),
    Application("Xception", 81),
    Application("NASNetMobile", 389),
    Application("NASNetLarge", 533),
    Application("ConvNeXtTiny", 96, inside=4),
    Application("ConvNeXtSmall", 186, inside=4),
    Application("ConvNeXtBase", 186, inside=4),
    Application("ConvNeXtLarge", 186, inside=4),
    Application("ConvNeXtXLarge", 186, inside=4),
)


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STDDEV = (0.229, 0.224, 0.225)


class Recognised(NamedTuple):
    """An application that has these weights.

    Attributes:
        config: its configuration, as Keras writes it; None if they are of one without its top.
        name: in words.
    """

    config: Any
    name: str


def recognise(stored: Shapes, layout: str) -> Recognised | None:
    """The application whose weights have these names and shapes; None if there is none.

    Args:
        stored: the file's layers with weights, in its order.
        layout: how the file orders its weights, see `paired_weights`.
    """
    stored = [entry for entry in stored if not entry[0].endswith("seed_generator")]
    for application in APPLICATIONS:
        layers = application.layers + (application.inside if layout == "paths" else 0)
        if len(stored) == layers:
            for variant in _variants(application, stored):
                classes = _classes(application, variant, stored, layout)
                if classes:
                    return _recognised(application, variant, classes)
        elif len(stored) == layers - application.top:
            for variant in _variants(application, stored):
                if _fits_without_top(application, variant, stored, layout):
                    return Recognised(None, application.name)
    return None


def _recognised(application: Application, variant: Variant, classes: int) -> Recognised:
    with _network(application, variant, classes) as network:
        config = {"class_name": type(network).__name__, "config": network.get_config()}
        height, width, _ = network.input_shape[1:]
    size = f"{height} x {width} pixels" if height else "images of any size"
    more = "".join(f", {key} {value}" for key, value in variant.items() if key == "alpha")
    return Recognised(config, f"Keras' {application.name}{more} for {size}")


def _variants(application: Application, stored: Shapes) -> Iterator[Variant]:
    """The arguments to try."""
    if not application.flat:
        yield from application.variants
        return
    lengths = [shapes[0][0] for _, shapes in stored if shapes and len(shapes[0]) == 2]
    for side in range(1, 33):
        if 512 * side * side in lengths or not lengths:
            yield {"input_shape": (32 * side, 32 * side, 3)}
            return


def _classes(application: Application, variant: Variant, stored: Shapes, layout: str) -> int | None:
    """The number of classes with which all shapes fit, and enough names; None if they do not."""
    with _network(application, variant, STAND_IN) as network:
        slots = _slots(network, layout, stored)
    shapes, classes, same = dict(stored), set[int](), list[bool]()
    for key, name, expected in slots:
        given = shapes.get(key, ())
        if [len(shape) for shape in given] != [len(shape) for shape in expected]:
            return None
        for side, real in zip(chain(*given), chain(*expected), strict=True):
            if real == STAND_IN:
                classes.add(side)
            elif side != real:
                return None
        if name:
            same.append(_plain(key) == _plain(name))
    return classes.pop() if len(classes) == 1 and sum(same) >= SAME_NAMES * len(same) else None


def _fits_without_top(
    application: Application, variant: Variant, stored: Shapes, layout: str
) -> bool:
    with _network(application, variant, STAND_IN) as network:
        slots = _slots(network, layout, stored)
    body = [shapes for *_, shapes in slots[: len(stored)]]
    given = [list(shapes) for _, shapes in stored]
    return body == given if layout != "paths" else sorted(body) == sorted(given)


def _slots(
    network: "keras.Model", layout: str, stored: Shapes
) -> list[tuple[str, str, list[tuple[int, ...]]]]:
    """Each layer with weights: its key in the file, its name if it tells, and the shapes."""
    from goodnet.network.weights import slots_of

    slots = slots_of(network, layout, [name for name, _ in stored])
    return [
        (
            key,
            "" if layout == "paths" or _is_automatic(name) else name,
            [tuple(v.shape) for v in vs],
        )
        for key, name, vs in slots
    ]


def _is_automatic(name: str) -> bool:
    """Whether Keras numbered the layer, from wherever its count stood."""
    return bool(re.fullmatch(r"(conv2d|batch_normalization|normalization|dense)(_\d+)?", name))


def _plain(name: str) -> str:
    """A layer's name without what versions of Keras write in their own ways."""
    return re.sub("[^a-z0-9]", "", name.lower()).replace("batchnorm", "bn")


@contextmanager
def _network(application: Application, variant: Variant, classes: int) -> Iterator["keras.Model"]:
    """The network, of which no weight has memory; its layers are named as in a new session."""
    from goodnet.backend import keras

    state = keras.src.backend.common.global_state
    fresh: dict[str, Any] = {"object_name_uids": defaultdict(int), "uninitialized_variables": []}
    before = {name: state.get_global_attribute(name) for name in fresh}
    make = getattr(keras.applications, application.name)
    try:
        for name, value in fresh.items():
            state.set_global_attribute(name, value)
        with keras.StatelessScope(initialize_variables=False):
            network = make(weights=None, classes=classes, **variant)
        yield network
    finally:
        for name, value in before.items():
            state.set_global_attribute(name, value)


def with_imagenet_rescaling(found: Recognised, means: Sequence[float]) -> Recognised:
    """An EfficientNet as Keras makes it for ImageNet's weights, if these are such.

    Keras then has one more layer, without weights, behind the normalisation: the deviations in it
    are squares of what the weights were trained with.

    Args:
        found: from `recognise`.
        means: that the normalisation subtracts.
    """
    if not found.config or any(
        abs(a - b) > 1e-4 for a, b in zip(means, IMAGENET_MEAN, strict=True)
    ):
        return found
    config = json.loads(json.dumps(found.config))
    layers = config["config"]["layers"]
    place = next(n for n, each in enumerate(layers) if each["class_name"] == "Normalization")
    name = layers[place]["name"]
    before, after = (json.dumps([each, 0, 0]) for each in (name, f"{name}_deviation"))
    inbound = layers[place + 1]["inbound_nodes"]
    behind = json.loads(json.dumps(layers[place + 1 :]).replace(before, after))
    scale = [1 / math.sqrt(deviation) for deviation in IMAGENET_STDDEV]
    rescaling = {
        "class_name": "Rescaling",
        "name": f"{name}_deviation",
        "config": {"name": f"{name}_deviation", "scale": scale, "offset": 0.0},
        "inbound_nodes": inbound,
    }
    layers[place + 1 :] = [rescaling, *behind]
    return Recognised(config, f"{found.name}, with the rescaling that goes with ImageNet's weights")
