"""One run at a time for each content, whatever becomes of the others."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from threading import Thread

import pytest
from prefect.settings import PREFECT_RESULTS_LOCAL_STORAGE_PATH, temporary_settings
from service import wait_for

from tasks import alone as lock
from tasks.alone import alone

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("has it", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of results, and little patience."""
    monkeypatch.setattr(lock, "PAUSE", 0.01)
    monkeypatch.setattr(lock, "get_run_logger", lambda: logging.getLogger("test"))
    with temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        yield tmp_path / "results"


def test_the_second_waits_for_the_first_and_says_so_and_another_content_waits_for_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    seen: list[str] = []

    def second() -> None:
        with alone("one"):
            seen.append("second")

    with alone("one"):
        thread = Thread(target=copy_context().run, args=(second,))  # with its settings
        thread.start()
        with alone("other"):
            pass
        wait_for(lambda: caplog.records, 10)
        assert [record.message for record in caplog.records] == [
            "waiting for another run, which computes the same content"
        ]
        seen.append("first")
    thread.join()
    assert seen == ["first", "second"]


def test_one_that_is_killed_or_fails_has_it_no_more(results: Path) -> None:
    with pytest.raises(ValueError, match="fails"), alone("one"):
        raise ValueError("fails")
    with alone("one"):
        pass
    command = [sys.executable, "-S", "-c", HOLDER, str(results / "locks" / "one")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"has it\n"
        with (results / "locks" / "one").open("ab") as file:
            assert not lock._taken(file)
        Thread(target=lambda: (time.sleep(0.1), holder.kill())).start()
        with alone("one"):
            assert holder.wait() == -9


def test_who_waited_for_too_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    with alone("one"), alone("one"):
        pass
