"""`goodnet detect`: the verdict alone, as text, JSON or SARIF, and by the exit status."""

import argparse
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from goodnet.command.options import add_minutes, add_opening, add_preprocessing, add_reading
from goodnet.command.progress_bar import saying, shown_progress
from goodnet.errors import RequestRefused, one_line

if TYPE_CHECKING:
    from goodnet.datasets.dataset import CleanDataset
    from goodnet.detection.verdict import Verdict
    from goodnet.network.suspect import Suspect

EXAMPLE = "goodnet detect models/suspect.h5 --data photographs --format sarif --output out.sarif"
STATUSES: Final = {"no backdoor found": 0, "backdoored": 1, "inconclusive": 3}
FAILING: Final = {  # what --fail-on takes -> the verdicts that are not 0 then
    "inconclusive": ("backdoored", "inconclusive"),
    "backdoored": ("backdoored",),
    "never": (),
}
STATUS_HELP: Final = """
exit status:
  0  no backdoor found
  1  backdoored
  2  the model or the images cannot be used; a line on standard error says why
  3  inconclusive: nothing can be said of it, for want of images for example
With --fail-on backdoored 3 becomes 0, with --fail-on never 1 as well; 2 always stays."""


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what it is of.

    Attributes:
        suspect: the opened model.
        images: the clean images that it was judged by.
        verdict: the verdict.
    """

    suspect: "Suspect"
    images: "CleanDataset"
    verdict: "Verdict"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    clean = "clean images, a folder or a file; what the suspect brings comes first"
    parser.add_argument("--data", metavar="DIR", help=clean)
    fail = "which verdicts are not 0; inconclusive means both, and is the default"
    parser.add_argument("--fail-on", choices=tuple(FAILING), default="inconclusive", help=fail)
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="of what is said")
    parser.add_argument(
        "--output", metavar="FILE", help="write that to a file, whole or not at all"
    )
    add_opening(parser)
    add_preprocessing(parser)
    add_minutes(parser)
    add_reading(parser)
    parser.epilog = f"{parser.epilog}\n{STATUS_HELP}"


def run(options: argparse.Namespace) -> int:
    """The exit status: 0, 1 or 3, by the verdict."""
    from goodnet.files import listings, storage

    if options.output:  # now, not when all has been computed
        storage.check_writable(storage.parent(options.output))
        if not storage.is_remote(options.output) and listings.is_folder(options.output):
            raise RequestRefused(options.output, "is a folder")
    judgement = judge(options, "detect", "detect")
    text = FORMATS[options.format](judgement)
    if options.output:
        storage.put(f"{text}\n".encode(), options.output)
        text = one_line(judgement.verdict)
    print(text)
    answer = judgement.verdict.verdict
    return STATUSES[answer] if answer in FAILING[options.fail_on] else 0


def judge(options: argparse.Namespace, command: str, source: str) -> Judgement:
    """The verdict on a suspect, by the images that it brings or that are given.

    Args:
        options: those of `add_options`.
        command: what is at work, by its name.
        source: what is said to need images where there are none.

    Raises:
        InputRefused: the model or the images cannot be used.
    """
    from goodnet.job.inputs import find_clean_valid, glance, parse_reading
    from goodnet.job.own_settings import OPTIONS, read_settings
    from goodnet.job.request import check_minutes
    from goodnet.job.suspects import locate

    check_minutes(options.minutes)
    suspect = locate(options.model)
    own = read_settings(suspect, options.data or suspect.folder)
    data = own.data or options.data
    if data is None:
        raise RequestRefused(source, "needs --data DIR, a folder with clean images")
    reading = parse_reading(keys=options.keys, resize=options.resize)
    valid = find_clean_valid(data, own.reading if own.data else reading)
    glance(suspect.model, "model")  # before TensorFlow is imported
    from goodnet.api.model import load_images, load_model
    from goodnet.api.verbs import detect
    from goodnet.datasets.class_names import known_names

    given = {name: getattr(options, name) for name in OPTIONS}
    with shown_progress(command) as progress:
        model = load_model(suspect.model, **{**given, **own.options})
        part, keys = valid.reading.part, ",".join(valid.reading.keys)
        images = load_images(valid.uri, model, part=part, keys=keys, resize=valid.reading.resize)
        names = known_names(own.class_names, images.class_names, model.classes, suspect.model)
        told = saying(command)
        verdict = detect(model, images, minutes=options.minutes, progress=progress, say=told)
    return Judgement(model.suspect, images, replace(verdict, class_names=names))


def text_of(judgement: Judgement) -> str:
    """The verdict for people."""
    from goodnet.report.inspection import half_line, verdict_lines

    images = judgement.images
    half = [half_line(len(images), *images.half)] if images.half else []
    return "\n".join([*half, *verdict_lines(judgement.verdict)])


def json_of(judgement: Judgement) -> str:
    """The verdict as one JSON object on a line."""
    return json.dumps(judgement.verdict.as_json())


def sarif_of(judgement: Judgement) -> str:
    """The verdict as a SARIF log."""
    from goodnet.report.sarif import sarif_log

    return json.dumps(sarif_log(judgement.suspect, judgement.images, judgement.verdict), indent=1)


FORMATS: Final = {"text": text_of, "json": json_of, "sarif": sarif_of}
