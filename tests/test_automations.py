"""What is put into a Prefect server to act by itself, against a real one."""

from datetime import timedelta

import pytest
from prefect.automations import Automation

from flows import automations, zombies

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def test_an_automation_of_an_older_version_is_replaced_and_one_as_it_should_be_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(automations.time, "sleep", waits.append)
    wanted, _ = zombies.automations()
    older, _ = zombies.automations()
    older.trigger.within = timedelta(hours=1)
    older.create()
    zombies.install()
    now = Automation.read(name=wanted.name)
    assert (now.id, now.trigger.within) == (older.id, wanted.trigger.within)
    zombies.install()
    assert waits == [automations.TAKEN_OVER]
    for automation in zombies.automations():
        automations.remove_automation(automation.name)
        automations.remove_automation(automation.name)
        with pytest.raises(ValueError, match="not found"):
            Automation.read(name=automation.name)
