"""How a data set is read: what its bytes alone do not say, and travels with its URI."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from goodnet.errors import RequestRefused

Part = Literal["whole", "validation", "test"]
METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5")
ASPECTS = ("crop", "pad")
AUTO = "auto"


@dataclass(frozen=True)
class Reading:
    """How a data set is read.

    Attributes:
        part: one of the two halves that a single set is split into, or the whole.
        keys: what images, and then labels, are called in a file; empty where that is found.
        resize: how images are brought to the network's size: a method of Keras' and, it may be,
            ",crop" or ",pad" to keep their shape; "auto" is bilinear for pictures, and arrays must
            have that size then.
        target: the class of all images, whatever the set says; None where it says each one's. A
            name is there only until the clean images' class folders are known.
        classes: the names of all classes, by number, for class folders and labels that are texts;
            empty where the set's own, or its list, say it.
    """

    part: Part = "whole"
    keys: tuple[str, ...] = ()
    resize: str = AUTO
    target: int | str | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: dict[str, Any] | None) -> "Reading":
        """What `asdict` made of one, and JSON maybe of that."""
        plain: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in (said or {}).items()}
        return cls(**plain)

    @property
    def told(self) -> dict[str, Any]:
        """All that is otherwise than by default, by name."""
        usual = asdict(Reading())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


WHOLE = Reading()


def parse_keys(text: str) -> tuple[str, ...]:
    """What images and labels are called, out of "IMAGES,LABELS" or "IMAGES"; empty out of "".

    Raises:
        RequestRefused: it is no such text.
    """
    keys = tuple(key.strip() for key in text.split(",")) if text else ()
    if len(keys) > 2 or not all(keys) or len(set(keys)) < len(keys):
        raise RequestRefused("--keys", f"{text!r} is not IMAGES,LABELS, the names of two arrays")
    return keys


def parse_resize(text: str) -> str:
    """The way to resize, checked.

    Raises:
        RequestRefused: there is no such way.
    """
    if text == AUTO:
        return text
    method, *aspect = text.split(",")
    if method not in METHODS or len(aspect) > 1 or not set(aspect) <= set(ASPECTS):
        known = ", ".join(METHODS)
        raise RequestRefused("--resize", f"{text!r} is not one of {known}, with ,crop or ,pad")
    return text
