"""What happens in a ledger, told in a line each while a process runs on it."""

import asyncio
from collections.abc import Callable
from typing import Final

from operator_core.actions.types import AuditEvent
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.monitor.types import TicketPhase
from operator_core.runtime.loops import enduring, wait

LOOK_SECONDS: Final = 1.0
MOST_EVENTS: Final = 1_000
"""In one look; more than a person reads in a second."""

_LAST_SECONDS: Final = 1.0

_LINES: Final = {
    "ticket_opened": "ticket {ticket} opened",
    "ticket_reopened": "ticket {ticket} is back",
    "ticket_diagnosed": "ticket {ticket} diagnosed",
    "ticket_resolved": "ticket {ticket} resolved",
    "remedy_verified": "ticket {ticket} has a remedy that is verified",
    "remedy_not_verified": "ticket {ticket} has a remedy that is not verified",
    "workflow_created": "workflow {workflow} proposed",
    "workflow_approved": "workflow {workflow} approved",
    "workflow_completed": "workflow {workflow} completed",
    "workflow_failed": "workflow {workflow} failed",
    "workflow_cancelled": "workflow {workflow} cancelled",
    "proposal_created": "action {action} proposed",
    "proposal_approved": "action {action} approved",
    "proposal_rejected": "action {action} rejected",
    "execution_completed": "action {action} completed",
    "execution_failed": "action {action} failed",
    "execution_in_doubt": "action {action} is in doubt, a person settles it",
    "kill_switch": "everything was stopped by {actor}",
    "mode_changed": "the mode was set by {actor}",
}
_DETAILS: Final = ("message", "hypothesis", "resolution", "name", "error", "reason", "to")
"""What of an event's data is told: the first of these that it has."""

_NEEDS_A_PERSON: Final = TicketPhase.ESCALATED.value


class News:
    """Tells what this process and others write into the audit from now on.

    What another machine commits late on PostgreSQL may go untold; the audit itself has it all.
    """

    def __init__(self, ledger: Ledger, tell: Callable[[str], None]) -> None:
        """Take an open ledger, and who is told."""
        self._db = ControlDB(ledger)
        self._tell = tell
        self._after_id: int | None = None

    async def step(self) -> None:
        """Tell what happened since the last look; the first one only remembers where it begins."""
        if self._after_id is None:
            self._after_id = await self._db.last_event_id()
        events = await self._db.events_after(self._after_id, limit=MOST_EVENTS)
        for event_id, event in events:
            self._after_id = event_id
            line = line_of(event)
            if line is not None:
                self._tell(line)
        if len(events) == MOST_EVENTS:
            self._after_id = await self._db.last_event_id()
            self._tell("more happens than is told here: see `operator audit list --last 100`")


def line_of(event: AuditEvent) -> str | None:
    """Return the line that tells of an event; None: it is not told."""
    if event.event_type == "ticket_phase" and event.event_data.get("phase") == _NEEDS_A_PERSON:
        return f"ticket {event.ticket_id} needs a person: operator diagnose {event.ticket_id}"
    line = _LINES.get(event.event_type)
    if line is None or (event.event_type == "proposal_created" and event.workflow_id is not None):
        return None  # of a workflow's steps the workflow tells
    head = line.format(
        ticket=event.ticket_id,
        workflow=event.workflow_id,
        action=event.proposal_id,
        actor=event.actor,
    )
    details = (event.event_data.get(name) for name in _DETAILS)
    detail = next((f": {one}" for one in details if isinstance(one, str) and one), "")
    return f"{head} ({event.subject}){detail}" if event.subject else f"{head}{detail}"


async def news_loop(news: News, stop: asyncio.Event) -> None:
    """Tell until it is asked to stop, and then what was left to tell."""
    while not stop.is_set():
        async with enduring("news", "", stop):
            await news.step()
        await wait(stop, LOOK_SECONDS)
    async with enduring("news", "", stop), asyncio.timeout(_LAST_SECONDS):
        await news.step()
