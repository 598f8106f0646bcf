"""`goodnet inspect`: what a suspect and data sets are; with `--verdict` what `detect` says."""

import argparse
import json

from goodnet.command.options import add_minutes, add_opening, add_preprocessing, add_reading

EXAMPLE = "goodnet inspect models/suspect.h5 data/clean/valid.h5"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("datasets", metavar="DATASET", nargs="*")
    add_opening(parser)
    parser.add_argument("--verdict", action="store_true", help="say whether it is backdoored")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="for --verdict: clean images; what the suspect brings comes first",
    )
    add_preprocessing(parser)
    add_minutes(parser)
    add_reading(parser)
    parser.add_argument("--json", action="store_true", help="the verdict as one JSON object")


def run(options: argparse.Namespace) -> int:
    """0: everything could be opened, whatever it is."""
    if options.verdict:
        from goodnet.command.detect import judge, text_of

        judgement = judge(options, "inspect", "--verdict")
        print(json.dumps(judgement.verdict.as_json()) if options.json else text_of(judgement))
        return 0
    from goodnet.job.inputs import parse_reading
    from goodnet.report.inspection import inspect

    reading = parse_reading(keys=options.keys, resize=options.resize)
    inspect(options.model, options.datasets, options.architecture, options.layer, print, reading)
    return 0
