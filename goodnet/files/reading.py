"""How a data set is read: what its bytes alone do not say, and travels with its URI."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["whole", "validation", "test"]


@dataclass(frozen=True)
class Reading:
    """How a data set is read.

    Attributes:
        part: one of the two halves that a single set is split into, or the whole.
    """

    part: Part = "whole"

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
