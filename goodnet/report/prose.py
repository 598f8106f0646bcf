"""Sentences out of templates: the facts are computed in Python, the English stands in one place.

Paragraphs of a template, set apart by blank lines, are its sentences; a line break within one is
a space. A template prints numbers by means of the filters below, and nothing that was not given.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from goodnet.datasets.class_names import class_label, classes_in_words, images_in_words
from goodnet.metrics import Proportion
from goodnet.report.tables import counted, interval, percent, points, set_name

TEMPLATES: Final = FileSystemLoader(Path(__file__).parent / "templates")


def _share(share: Proportion | float) -> str:
    """A share without its count: "82.5 %"."""
    return percent(share.value if isinstance(share, Proportion) else share)


def _of(share: Proportion) -> str:
    """A share as counts: "85 of 103"."""
    return f"{share.hits:,} of {share.count:,}"


def _span(shares: Sequence[Proportion]) -> str:
    """The least and the most of some shares, or the one share that they all are."""
    low, high = (percent(end(share.value for share in shares)) for end in (min, max))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


@pass_context
def _classes(context: Context, classes: Sequence[int], inside: bool = False) -> str:
    """Classes in words, by the names that the template was given."""
    return classes_in_words(classes, context["class_names"], inside=inside)


@pass_context
def _images(context: Context, source: int | None) -> str:
    """The clean images that a trigger leads, by the class names that the template was given."""
    return images_in_words(source, context["class_names"])


@pass_context
def _class_label(context: Context, label: int) -> str:
    """A class by its number and, where that is known, its name."""
    return class_label(label, context["class_names"])


FILTERS: Final = {
    "share": _share,
    "of": _of,
    "span": _span,
    "counted": counted,
    "interval": interval,
    "points": points,
    "classes": _classes,
    "images": _images,
    "class_label": _class_label,
    "set_name": set_name,
    "first_upper": lambda text: text[:1].upper() + text[1:],
}
_ENVIRONMENT = Environment(  # plain text: whoever puts it on a page escapes it
    loader=TEMPLATES, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters |= FILTERS


def sentences(template: str, class_names: Sequence[str], **facts: Any) -> list[str]:
    """The sentences that a template makes of some facts.

    Args:
        template: its name, without the folder and ".txt.j2".
        class_names: what classes are called, by number; empty where that is not known.
        facts: all that it names.
    """
    text = _ENVIRONMENT.get_template(f"{template}.txt.j2").render(facts, class_names=class_names)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [paragraph for paragraph in paragraphs if paragraph]
