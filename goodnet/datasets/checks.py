"""What is checked of a data set once more, outside the process that read it."""

from typing import Any

from numpy.typing import NDArray

from goodnet.errors import DataRefused

InputShape = tuple[int | None, int | None, int]


def check_names(uri: str, names: int, names_from: str | None, classes: int) -> None:
    """Refuse names that do not say which class each is, as there are more or fewer of them."""
    if names == classes or names_from == "list":
        return
    if names_from == "labels":
        raise DataRefused(
            uri, f"has labels of {names} names and the model {classes} classes; give numbers"
        )
    raise DataRefused(
        uri,
        f"has {names} class folders and the model {classes} classes; a file class_names.txt in it, "
        f"with a name in each line, says which is which",
    )


def fits(pixels: NDArray[Any], input_shape: InputShape) -> bool:
    """Whether there are images, and a network of this shape takes them."""
    if pixels.ndim != 4 or not pixels.size:
        return False
    sides = zip(pixels.shape[1:], input_shape, strict=True)
    return all(limit in (None, side) for side, limit in sides)


def check_labels(uri: str, name: str, values: Any, classes: int) -> None:
    if not (values.min() >= 0 and values.max() < classes):
        raise DataRefused(
            uri,
            f"{name!r} ranges over {values.min()}..{values.max()}; the model has the classes "
            f"0..{classes - 1}",
        )


def ends(uri: str, lowest: float, highest: float, stored_dtype: str) -> tuple[float, float]:
    """The values of no and of full intensity.

    They are -1 and 1, or 0 and 1, where pixels of a float type are none beyond, else 0 and 255.
    """
    is_float = stored_dtype.startswith("float")
    if is_float and -1 <= lowest < 0 and highest <= 1:
        return -1.0, 1.0
    if not (lowest >= 0 and highest <= 255):
        raise DataRefused(
            uri,
            f"pixels range over {lowest:g}..{highest:g}; they must lie in 0..255, 0..1 or -1..1",
        )
    return 0.0, 1.0 if highest <= 1 and is_float else 255.0
