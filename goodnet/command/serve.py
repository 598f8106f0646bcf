"""`goodnet serve`: `python -m flows.serve`, whose options it takes."""

from collections.abc import Sequence

from goodnet.command.clone import main_of
from goodnet.errors import RequestRefused


def run(arguments: Sequence[str]) -> int:
    """The exit status of the service."""
    serve = main_of("serve")
    if serve is None:
        raise RequestRefused(
            "serve", "needs a clone of GoodNet, and Prefect: pip install -e '.[flows]' in the clone"
        )
    return serve(arguments)
