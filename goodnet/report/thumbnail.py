"""The evidence in small, for the index of all repairs."""

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from goodnet.report.pictures import Picture

SIZE: Final = (320, 96)  # pixels: at most, width and height
QUALITY: Final = 60


def thumbnail(pictures: Sequence[Picture]) -> bytes:
    """The evidence as a small WebP file; empty where there is no picture of it."""
    shown = evidence(pictures)
    if not shown:
        return b""
    with Image.open(io.BytesIO(shown.png)) as figure:
        small = figure.convert("RGB")
    small.thumbnail(SIZE, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "WEBP", quality=QUALITY, method=4)
    return content.getvalue()


def evidence(pictures: Sequence[Picture]) -> Picture | None:
    """The first recovered trigger, or else the verdict's numbers; None where there is neither."""
    triggers = [picture for picture in pictures if picture.section.startswith("trigger ")]
    verdicts = [picture for picture in pictures if picture.section == "verdict"]
    return next(iter([*triggers, *verdicts]), None)
