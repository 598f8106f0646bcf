"""`goodnet screen`: the class of images, or that they are backdoored."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from goodnet.command.options import add_reading

EXAMPLE = "goodnet screen artifacts/suspect-*/recommended/goodnet.keras photo.png"
SOME_UNANSWERED, NONE_ANSWERED = 1, 2
FEWEST = 20  # images of which most are called backdoored, from which on that is said


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("goodnet", metavar="GOODNET", help="a goodnet_*.keras of a repair")
    images = "pictures, folders, data sets; - reads a list of them, one a line"
    parser.add_argument("images", metavar="IMAGE", nargs="+", help=images)
    parser.add_argument("--names", metavar="FILE", help="the name of each class in a line")
    add_reading(parser)
    form = "json: one object a line, for machines"
    parser.add_argument("--format", choices=("text", "json"), default="text", help=form)
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same"
    )


def run(options: argparse.Namespace) -> int:
    """The exit status: 0 all images have an answer, 1 some have none, 2 none has one."""
    from goodnet.evaluation.screening import screen
    from goodnet.job.inputs import parse_reading

    reading = parse_reading(keys=options.keys, resize=options.resize)
    answered = unanswered = dark = backdoored = 0
    images = _sources(options.images)
    for answer in screen(options.goodnet, images, names=options.names, reading=reading):
        if answer.fault is not None:
            print(answer, file=sys.stderr)
            unanswered += 1
        else:
            answered += 1
            dark += answer.dark
            backdoored += answer.answer == "backdoored"
        if options.format == "json":
            print(json.dumps(answer.as_json()), flush=True)
        elif answer.fault is None:
            print(answer)
    for warning in _warnings(answered, dark, backdoored):
        print(f"warning: {warning}", file=sys.stderr)
    if not unanswered:
        return 0
    return SOME_UNANSWERED if answered else NONE_ANSWERED


def _sources(images: Sequence[str]) -> Iterator[str]:
    """What is to be screened; "-" stands for the lines of standard input."""
    for image in images:
        if image == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield image


def _warnings(answered: int, dark: int, backdoored: int) -> Iterator[str]:
    """What speaks for another scale, or other images, than the GoodNet was made for."""
    if dark:
        yield (
            f"{dark} of {answered} images are nearly black, as pixels 0..1 are where 0..255 are "
            f"expected; store those as floats, none above 1"
        )
    if answered >= FEWEST and 2 * backdoored > answered:
        yield (
            f"{backdoored} of {answered} images are called backdoored; if most of them are clean, "
            f"they are not at the scale, or not of the kind, that the GoodNet was made for"
        )
