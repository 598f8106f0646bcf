"""The evidence in small, for the index of all repairs."""

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from goodnet.report.pictures import Picture

SIZE: Final = (320, 96)  # pixels: at most, width and height
QUALITY: Final = 60


def thumbnail(pictures: Sequence[Picture]) -> bytes:
    """The first recovered trigger as a small WebP file, or else the verdict's numbers.

    Empty where there is no picture of either.
    """
    triggers = [picture for picture in pictures if picture.section.startswith("trigger ")]
    verdicts = [picture for picture in pictures if picture.section == "verdict"]
    evidence = [*triggers, *verdicts]
    if not evidence:
        return b""
    with Image.open(io.BytesIO(evidence[0].png)) as figure:
        small = figure.convert("RGB")
    small.thumbnail(SIZE, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "WEBP", quality=QUALITY, method=4)
    return content.getvalue()
