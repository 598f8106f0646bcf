"""`python -m goodnet inspect` and `python -m goodnet screen`."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from goodnet.errors import InputRefused, RequestRefused, one_line
from goodnet.files.reading import METHODS
from goodnet.preprocessing import NAMES

SOME_UNANSWERED, REFUSED = 1, 2
FEWEST = 20  # images of which most are called backdoored, from which on that is said


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 if some images have no answer; or 2 with a line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "inspect" and options.verdict:
            _print_verdict(options)
        elif options.command == "inspect":
            from goodnet.job.inputs import parse_reading
            from goodnet.report.inspection import inspect

            reading = parse_reading(keys=options.keys, resize=options.resize)
            given = options.model, options.datasets, options.architecture, options.layer
            inspect(*given, print, reading)
        else:
            return _print_answers(options)
    except InputRefused as refused:
        print(refused, file=sys.stderr)
        return REFUSED
    except OSError as fault:
        print(_fault_line(fault, options.command), file=sys.stderr)
        return REFUSED
    return 0


def _print_answers(options: argparse.Namespace) -> int:
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
    return SOME_UNANSWERED if answered else REFUSED


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


def _fault_line(fault: OSError, command: str) -> str:
    """The fault in one line; one of ours names its file already."""
    if fault.strerror is None:
        return one_line(fault)
    return one_line(f"{fault.filename or command}: {fault.strerror}")


def _print_verdict(options: argparse.Namespace) -> None:
    from goodnet.job.inputs import find_clean_valid, glance, parse_reading
    from goodnet.job.own_settings import OPTIONS, read_settings
    from goodnet.job.suspects import locate

    suspect = locate(options.model)
    own = read_settings(suspect, options.data or suspect.folder)
    data = own.data or options.data
    if data is None:
        raise RequestRefused("--verdict", "needs --data DIR, a folder with clean images")
    reading = parse_reading(keys=options.keys, resize=options.resize)
    reading = own.reading if own.data else reading
    valid = find_clean_valid(data, reading)
    glance(suspect.model, "model")  # before TensorFlow is imported
    from goodnet.api.model import load_images, load_model
    from goodnet.api.verbs import detect
    from goodnet.datasets.class_names import known_names
    from goodnet.report.inspection import half_line, verdict_lines

    asked = {name: getattr(options, name) for name in OPTIONS}
    model = load_model(suspect.model, **{**asked, **own.options})
    part, keys = valid.reading.part, ",".join(reading.keys)
    images = load_images(valid.uri, model, part=part, keys=keys, resize=reading.resize)
    names = known_names(own.class_names, images.class_names, model.classes, suspect.model)
    verdict = replace(detect(model, images, minutes=options.minutes), class_names=names)
    if options.json:
        print(json.dumps(verdict.as_json()))
    else:
        if images.half:
            print(half_line(len(images), *images.half))
        for line in verdict_lines(verdict):
            print(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m goodnet", epilog="Each file and folder may be an s3:// URL."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    inspect = commands.add_parser("inspect", help="open a suspect and data sets under every check")
    inspect.add_argument("model", metavar="MODEL")
    inspect.add_argument("datasets", metavar="DATASET", nargs="*")
    inspect.add_argument("--architecture", default="auto", help="auto, deepid or FILE.json")
    inspect.add_argument("--layer", default="auto", help="the layer to prune")
    inspect.add_argument("--verdict", action="store_true", help="say whether it is backdoored")
    inspect.add_argument(
        "--data",
        metavar="DIR",
        help="for --verdict: clean images; what the suspect brings comes first",
    )
    names = f"auto, {', '.join(NAMES)}, or mean=...,std=..."
    inspect.add_argument("--preprocessing", default="auto", help=names)
    inspect.add_argument("--scale", choices=("auto", "raw", "unit"), dest="preprocessing")
    minutes = "that the verdict may take, about; a large network is searched with less"
    inspect.add_argument("--minutes", type=float, default=5, metavar="M", help=minutes)
    _add_reading(inspect)
    inspect.add_argument("--json", action="store_true", help="the verdict as one JSON object")

    screen = commands.add_parser("screen", help="the class of images, or that they are backdoored")
    screen.add_argument("goodnet", metavar="GOODNET", help="a goodnet_*.keras of a repair")
    images = "pictures, folders, data sets; - reads a list of them, one a line"
    screen.add_argument("images", metavar="IMAGE", nargs="+", help=images)
    screen.add_argument("--names", metavar="FILE", help="the name of each class in a line")
    _add_reading(screen)
    said = "json: one object a line, for machines"
    screen.add_argument("--format", choices=("text", "json"), default="text", help=said)
    screen.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same"
    )
    return parser


def _add_reading(command: argparse.ArgumentParser) -> None:
    """How images are read."""
    names = "what images and labels are called in a file"
    command.add_argument("--keys", default="", metavar="X,Y", help=names)
    resize = f"{', '.join(METHODS)}; with ,crop or ,pad to keep the shape of pictures"
    command.add_argument("--resize", default="auto", metavar="HOW", help=resize)


if __name__ == "__main__":
    sys.exit(main())
