"""Networks of dense layers take images in other forms; a suspect takes all in one.

Grey images often come without their axis of one channel, (28, 28), or as numbers in a row, (784,).
In front of such a network an image, (28, 28, 1), is brought into its form by a Reshape. Files of
repaired models and GoodNets have none: they take what the suspect took.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from goodnet.network.calls import Call, Ref
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import INPUT

Shape = tuple[int | None, ...]

SMALLEST_SIDE = 8  # fewer numbers are no image: sklearn's digits are 8 x 8


def image_shape(shape: Sequence[int | None]) -> Shape | None:
    """Height, width and channels of the images that an input of this shape takes; None if none.

    Numbers in a row are the pixels of a square image, grey or in colours.
    """
    if len(shape) >= 3:
        return tuple(shape) if len(shape) == 3 and shape[-1] in (1, 3, 4) else None
    count = math.prod(side or 0 for side in shape)
    if len(shape) == 2:
        small = min(side or 0 for side in shape) < SMALLEST_SIDE
        return None if small else (*shape, 1)
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side >= SMALLEST_SIDE and side * side * channels == count:
            return side, side, channels
    return None


def with_images(plan: Architecture) -> Architecture:
    """The flat plan of a network that takes images; itself if it does."""
    (image,) = plan.inputs
    _, *shape = plan.layer(image.layer).arguments["batch_shape"]
    images = image_shape(shape)
    if images is None or list(images) == shape:
        return plan
    first = Layer(f"{image.layer}_images", INPUT, {"batch_shape": (None, *images)})
    others = [layer for layer in plan.layers if layer.name != image.layer]
    reshape = Layer(image.layer, "Reshape", {"target_shape": tuple(shape)})
    source = Ref(first.name, 0, 0)
    return replace(
        plan,
        kind="Functional",
        layers=(first, reshape, *others),
        calls=(Call(reshape.name, (source,)), *plan.calls),
        inputs=(source,),
    )
