"""`goodnet --completion SHELL`: a shell then completes commands, options, choices and files."""

import argparse
from typing import Final

SHELLS: Final = ("bash", "zsh", "tcsh")
PATHS: Final = {"data", "output", "poisoned", "architecture", "names"}  # options that name files


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell, to be sourced.

    Args:
        parser: of all commands, each with its options.
        shell: one of `SHELLS`.

    Raises:
        ModuleNotFoundError: shtab is not installed.
    """
    import shtab

    for each in _parsers(parser):
        for action in each._actions:
            if action.choices is None and (not action.option_strings or action.dest in PATHS):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return text


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parser, and those of its commands."""
    commands = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return [parser, *(inner for each in commands for inner in each.choices.values())]
