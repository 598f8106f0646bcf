"""The options of `python -m flows.repair`: those of `goodnet repair`."""

import argparse

from goodnet.command.repair import add_options


def parser_of_repair() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.repair", description="Repair suspect image classifiers."
    )
    add_options(parser)
    return parser
