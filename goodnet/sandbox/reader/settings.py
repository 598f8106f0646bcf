"""A TOML file of settings: names with texts, whole numbers and lists of texts, nothing else."""

import tomllib
from pathlib import Path
from typing import Any

from goodnet.sandbox.reader.arrays import Refused


def read_toml(path: Path, folder: Path) -> dict[str, Any]:
    """The settings, by name."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise Refused("is not TOML: it is not UTF-8") from None
    except ValueError as fault:
        raise Refused(f"is not TOML: {fault}") from None
    except RecursionError:
        raise Refused("is not TOML that anybody would write: it is nested too deep") from None
    for name, value in settings.items():
        texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if isinstance(value, bool) or not (isinstance(value, str | int) or texts):
            raise Refused(f"{name} is neither a text, a whole number nor a list of texts")
    return {"settings": settings}
