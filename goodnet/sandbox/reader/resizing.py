"""Pictures at another size, as `tf.image.resize` makes them without antialiasing, in float32.

Keras' `image_dataset_from_directory` uses that function. All its methods are separable: each new
row, and then column, is a weighted sum of some old ones. Pixel centres lie at halves.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

FLOAT = np.float32
BICUBIC_STEPS = 1 << 10  # TensorFlow takes the weights of cubic interpolation from a table


def resized(
    picture: Any,
    height: int,
    width: int,
    how: str = "bilinear",
    ends: tuple[float, float] = (0, 255),
) -> Any:
    """The picture (H, W, C) at this size.

    Args:
        picture: of any number type.
        height, width: the new size.
        how: see `goodnet.files.reading.Reading.resize`. "crop" cuts out the middle that has the
            new shape; "pad" leaves black stripes beside the whole picture.
        ends: the values of black and white, beyond which the result is cut off.
    """
    method, _, aspect = how.partition(",")
    if aspect == "crop":
        picture = cropped(picture, height, width)
    if picture.shape[:2] == (height, width):
        return picture
    if aspect == "pad":
        return padded(picture, height, width, method, ends)
    weights = WEIGHTS[method]
    down, across = weights(picture.shape[0], height), weights(picture.shape[1], width)
    if method == "nearest":
        return picture[down[0][:, 0]][:, across[0][:, 0]]
    if method == "bilinear":
        return np.clip(bilinear(picture, down, across), *ends)
    wide = combined(picture.astype(FLOAT).transpose(1, 0, 2), *across).transpose(1, 0, 2)
    return np.clip(combined(wide, *down), *ends)


def cropped(picture: Any, height: int, width: int) -> Any:
    """The largest part in the middle with the new shape, as Keras' `smart_resize` cuts it."""
    high, wide = picture.shape[:2]
    new_high = max(1, min(high, int(FLOAT(wide * height) / FLOAT(width))))
    new_wide = max(1, min(wide, int(FLOAT(high * width) / FLOAT(height))))
    top, left = (high - new_high) // 2, (wide - new_wide) // 2
    return picture[top : top + new_high, left : left + new_wide]


def padded(
    picture: Any, height: int, width: int, method: str, ends: tuple[float, float] = (0, 255)
) -> Any:
    """The picture, as large as fits, on a black one, as `tf.image.resize_with_pad` lays it."""
    high, wide = FLOAT(picture.shape[0]), FLOAT(picture.shape[1])
    ratio = max(wide / FLOAT(width), high / FLOAT(height))
    exact = high / ratio, wide / ratio
    small = resized(picture, max(1, int(exact[0])), max(1, int(exact[1])), method, ends)
    top = max(0, int((FLOAT(height) - exact[0]) / 2))
    left = max(0, int((FLOAT(width) - exact[1]) / 2))
    canvas = np.full((height, width, picture.shape[2]), ends[0], small.dtype)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


Weighted = tuple[Any, Any]  # for each new place the old ones (new, taps), and their weights


def combined(picture: Any, places: Any, weights: Any) -> Any:
    """The weighted sums of rows of a picture."""
    total = np.zeros((len(places), *picture.shape[1:]), FLOAT)
    for tap in range(places.shape[1]):
        total += picture[places[:, tap]] * weights[:, tap, None, None]
    return total


def bilinear(picture: Any, down: Weighted, across: Weighted) -> Any:
    """Rows first and in TensorFlow's own order of operations, so that no bit is another."""
    (rows, row_weights), (columns, column_weights) = down, across
    part = column_weights[:, 1][:, None]

    def interpolated(rows: Any) -> Any:
        line = picture[rows]
        one, other = line[:, columns[:, 0]].astype(FLOAT), line[:, columns[:, 1]].astype(FLOAT)
        return one + (other - one) * part

    upper, lower = interpolated(rows[:, 0]), interpolated(rows[:, 1])
    return upper + (lower - upper) * row_weights[:, 1][:, None, None]


def centres(length: int, new_length: int) -> Any:
    """Where the new pixels' centres lie among the old pixels."""
    half, scale = FLOAT(0.5), FLOAT(length) / FLOAT(new_length)
    return (np.arange(new_length, dtype=FLOAT) + half) * scale - half


def nearest_weights(length: int, new_length: int) -> Weighted:
    """The old pixel that a new one's centre lies in."""
    scale = FLOAT(length) / FLOAT(new_length)
    places = np.floor((np.arange(new_length, dtype=FLOAT) + FLOAT(0.5)) * scale)
    return np.clip(places, 0, length - 1).astype(np.int64)[:, None], np.ones((new_length, 1))


def bilinear_weights(length: int, new_length: int) -> Weighted:
    """The two old pixels beside a new one's centre."""
    places = centres(length, new_length)
    below = np.floor(places)
    first = np.maximum(below, 0).astype(np.int64)
    second = np.minimum(np.ceil(places), length - 1).astype(np.int64)
    part = (places - below).astype(FLOAT)
    return np.stack([first, second], axis=1), np.stack([1 - part, part], axis=1)


def area_weights(length: int, new_length: int) -> Weighted:
    """The old pixels that a new one covers, each by how much of it."""
    scale = FLOAT(length) / FLOAT(new_length)
    starts = np.arange(new_length, dtype=FLOAT) * scale
    ends = np.arange(1, new_length + 1, dtype=FLOAT) * scale
    taps = int(np.ceil(scale)) + 1
    places = np.floor(starts).astype(np.int64)[:, None] + np.arange(taps)
    covered = np.minimum(places + 1, ends[:, None]) - np.maximum(places, starts[:, None])
    weights = np.maximum(covered, 0) / scale
    return np.clip(places, 0, length - 1), weights.astype(FLOAT)


def bicubic_weights(length: int, new_length: int) -> Weighted:
    """Keys' four weights (a = -0.5); what lies outside counts for nothing."""
    places = centres(length, new_length)
    below = np.floor(places)
    part = np.rint((places - below) * BICUBIC_STEPS) / BICUBIC_STEPS
    return within(below, part, np.arange(-1, 3), keys, length)


def keys(distance: Any) -> Any:
    """Keys' cubic kernel."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def lanczos_weights(radius: int) -> Callable[[int, int], Weighted]:
    """The weights of Lanczos' kernel of this radius."""

    def kernel(distance: Any) -> Any:
        return np.where(
            np.abs(distance) < radius, np.sinc(distance) * np.sinc(distance / radius), 0
        )

    def weights(length: int, new_length: int) -> Weighted:
        places = centres(length, new_length)
        below = np.floor(places)
        taps = np.arange(1 - radius, radius + 1)
        return within(below, places - below, taps, kernel, length)

    return weights


def within(below: Any, part: Any, taps: Any, kernel: Callable[[Any], Any], length: int) -> Weighted:
    """The places that are there, with weights that add up to 1."""
    places = below[:, None].astype(np.int64) + taps
    weights = kernel(taps - part[:, None].astype(np.float64))
    weights = np.where((places >= 0) & (places < length), weights, 0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, length - 1), weights.astype(FLOAT)


WEIGHTS: dict[str, Callable[[int, int], Weighted]] = {
    "nearest": nearest_weights,
    "bilinear": bilinear_weights,
    "area": area_weights,
    "bicubic": bicubic_weights,
    "lanczos3": lanczos_weights(3),
    "lanczos5": lanczos_weights(5),
}
