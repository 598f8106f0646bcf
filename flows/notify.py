"""Notices are sent on, by an automation of the Prefect server, to whoever GOODNET_NOTIFY names.

    GOODNET_NOTIFY=slack://... python -m flows.notify

GOODNET_NOTIFY holds addresses as Apprise writes them, https://github.com/caronc/apprise. They are
secrets: the server keeps them in a block, encrypted, and nothing else is told. Without any, block
and automation are taken away. What is told of, and how often, see tasks/notices.py.
"""

import logging
import os
import sys
from contextlib import suppress
from typing import Final

from prefect.automations import Automation
from prefect.blocks.notifications import SlackWebhook
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from pydantic import SecretStr

from flows.automations import install_automation, remove_automation
from flows.preconditions import check_prefect, refuse
from goodnet.errors import InputRefused, RequestRefused
from tasks import notices

SETTING: Final = "GOODNET_NOTIFY"
NAME: Final = "Send notices of GoodNet"
BLOCK: Final = "goodnet-notify"
Block = SlackWebhook  # of those that every server knows; it hands other addresses on to Apprise


def check(addresses: str) -> None:
    """Nothing: Apprise knows what each address means.

    Raises:
        RequestRefused: it does not; an address is a secret, and is not repeated.
    """
    if not addresses:
        return
    from apprise import Apprise

    logging.getLogger("apprise").disabled = True  # it prints them
    if not Apprise().add(addresses):
        raise RequestRefused(SETTING, "holds an address that Apprise does not know")


def install(addresses: str) -> None:
    """Have notices sent to the addresses from now on; to nobody where there are none."""
    if not addresses:
        remove_automation(NAME)
        with suppress(ValueError):  # there is none
            Block.delete(BLOCK)
        return
    block = Block(url=SecretStr(addresses), notify_type="warning").save(BLOCK, overwrite=True)
    install_automation(automation(block))


def automation(block: object) -> Automation:
    """The one that sends each notice on by the block of this id."""
    return Automation(
        name=NAME,
        description="Tells of backdoors, and of repairs that came to nothing.",
        trigger=EventTrigger(
            expect={
                f"prefect.flow-run.{kind}" for kind in (notices.BACKDOORED, notices.UNREPAIRED)
            },
            match_related=ResourceSpecification(
                {"prefect.resource.role": "flow", "prefect.resource.name": notices.FLOW}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(
                block_document_id=block,
                subject="{{ flow_run.name }}",
                body="{{ flow_run.state.message }}",
            )
        ],
    )


def main() -> int:
    """The exit status: 0, or 2 with one line on standard error."""
    addresses = os.environ.get(SETTING, "")
    try:
        check(addresses)
        check_prefect()
    except InputRefused as refused:
        return refuse(refused)
    install(addresses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
