"""`goodnet COMMAND ...`. Nothing of weight is imported before the command is known."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from goodnet.command.completion import SHELLS, script
from goodnet.errors import InputRefused, RequestRefused, fault_line, one_line

REFUSED: Final = 2
BROKEN_PIPE: Final = 141  # as a shell says it of a process that was ended by SIGPIPE,
INTERRUPTED: Final = 130  # and by SIGINT
COMMANDS: Final = {
    "inspect": "open a suspect and data sets under every check, and say what they are",
    "detect": "say whether a suspect is backdoored, by the exit status, too",
    "repair": "prune, unlearn, evaluate and report: a folder for each suspect",
    "screen": "the class of images, or that they are backdoored",
    "serve": "a Prefect server with worker and deployments; needs a clone of GoodNet",
    "corpus": "open every model file of a folder, and say which are refused and why",
}
EXTRAS: Final = {  # packages that the core does without, and what brings them
    **dict.fromkeys(("s3fs", "fsspec", "aiohttp", "botocore"), ("s3", "an s3:// URI")),
    **dict.fromkeys(("matplotlib", "markdown_it"), ("report", "a report")),
    "prefect": ("flows", "Prefect's part"),
    "shtab": ("completion", "a script for a shell"),
}
EXAMPLE: Final = "example:\n  goodnet detect models/suspect.h5 --data photographs"
NOTE: Final = "Each file and folder may be an s3:// URI. `goodnet COMMAND --help` says more."


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, the command's own, or 2 with a line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in given if not word.startswith("-")), "")
    command = import_module(f"goodnet.command.{name}") if name in COMMANDS else None
    try:
        options = parser_of({name: command} if command else {}).parse_args(given)
        assert command is not None  # the parser ends where there is none
        options.arguments = given[given.index(name) + 1 :]
        status: int = command.run(options)
        return status
    except InputRefused as refused:
        print(refused, file=sys.stderr)
    except BrokenPipeError:  # whoever read the answer has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print(f"goodnet {name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as fault:
        print(_fault_line(fault, name), file=sys.stderr)
    except ModuleNotFoundError as fault:
        print(missing(fault), file=sys.stderr)
    return REFUSED


def missing(fault: ModuleNotFoundError) -> InputRefused:
    """That a package is not there, and which extra brings it.

    Raises:
        ModuleNotFoundError: no extra does.
    """
    package = (fault.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise fault
    extra, user = EXTRAS[package]
    return RequestRefused("goodnet", f"{user} needs {package}: pip install 'goodnet[{extra}]'")


def _fault_line(fault: OSError, command: str) -> str:
    """The fault in one line; one of ours names its file already."""
    if fault.strerror and not fault.filename:
        return one_line(f"{command}: {fault.strerror}")
    return fault_line(fault)


def parser_of(known: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    """The parser of all commands, with the options of those whose modules are given."""
    parser = argparse.ArgumentParser(
        prog="goodnet",
        description="Finds backdoors in image classifiers, and repairs them.",
        epilog=f"{EXAMPLE}\n\n{NOTE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="say which version this is")
    completion = "print a script that completes commands, for bash, zsh or tcsh"
    parser.add_argument("--completion", action=_Completion, metavar="SHELL", help=completion)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for each, text in COMMANDS.items():
        inner = commands.add_parser(
            each,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if each in known:
            inner.epilog = f"example:\n  {known[each].EXAMPLE}"
            known[each].add_options(inner)
    return parser


class _Version(argparse.Action):
    """Says the version, which the package's metadata hold, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=settings.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"goodnet {version()}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints the script of a shell that completes what is typed, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, choices=SHELLS, **settings)

    def __call__(self, parser: argparse.ArgumentParser, _: object, shell: Any, *__: object) -> None:
        modules = {name: import_module(f"goodnet.command.{name}") for name in COMMANDS}
        print(script(parser_of(modules), shell))
        parser.exit()


def version() -> str:
    """The version of the package that is installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of_package

    try:
        return of_package("goodnet")
    except PackageNotFoundError:
        return "(not installed)"
