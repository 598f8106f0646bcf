"""One run at a time for each content, among those that share a cache: the others find it there.

The lock is the kernel's, on a file beside the results of tasks: a process that is killed has it no
more. It spares work and nothing else rests on it, so who waits for too long goes on without.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from prefect.logging import get_run_logger
from prefect.settings import get_current_settings

PATIENCE: Final = 3600  # seconds
PAUSE: Final = 2.0


@contextmanager
def alone(content: str) -> Iterator[None]:
    """Nobody else computes the content meanwhile; first of all, who does is waited for.

    Args:
        content: the sha256 of a suspect.
    """
    folder = Path(get_current_settings().results.local_storage_path) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / content).open("ab") as lock:  # closing it gives it back
        if not _taken(lock):
            get_run_logger().info("waiting for another run, which computes the same content")
            deadline = time.monotonic() + PATIENCE
            while not _taken(lock) and time.monotonic() < deadline:
                time.sleep(PAUSE)
        yield


def _taken(lock: IO[bytes]) -> bool:
    """Whether the lock is ours now; a file system that has no locks does not make us wait."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
