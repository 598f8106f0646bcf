"""Automations on the Prefect server: put in place, brought up to date, and taken away again."""

import time

from prefect.automations import Automation

TAKEN_OVER = 5  # seconds until the server goes by an automation that has changed


def install_automation(automation: Automation) -> None:
    """Create the automation; one of its name that does something else is replaced."""
    try:
        known = Automation.read(name=automation.name)
    except ValueError:
        automation.create()
        return
    if _content(known) != _content(automation):
        automation.id = known.id
        automation.update()
        time.sleep(TAKEN_OVER)


def remove_automation(name: str) -> None:
    """Take away the automation of that name, if there is one."""
    try:
        Automation.read(name=name).delete()
    except ValueError:
        return


def _content(automation: Automation) -> object:
    actions = [action.model_dump(exclude={"id"}) for action in automation.actions]
    return automation.description, actions, automation.trigger.model_dump(exclude={"id"})
