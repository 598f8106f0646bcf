"""`goodnet serve`: `python -m flows.serve`."""

import argparse

from goodnet.command.clone import main_of
from goodnet.errors import RequestRefused

EXAMPLE = "goodnet serve --port 4300 --at-once 4"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=4200, help="port of the server")
    parser.add_argument("--at-once", type=int, default=2, help="runs at once; 0 for no worker here")


def run(options: argparse.Namespace) -> int:
    """The exit status of the service."""
    serve = main_of("serve")
    if serve is None:
        raise RequestRefused(
            "serve", "needs a clone of GoodNet, and Prefect: pip install -e '.[flows]' in the clone"
        )
    return serve(options.arguments)
