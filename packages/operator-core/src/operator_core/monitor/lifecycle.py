"""The life cycle of a ticket as one table."""

from enum import StrEnum

from operator_core.lifecycle import Machine
from operator_core.monitor.types import TicketStatus


class TicketEvent(StrEnum):
    """What can happen to a ticket."""

    ACKNOWLEDGE = "acknowledge"
    DIAGNOSE = "diagnose"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    STAND_ALONE = "stand_alone"


TICKET_MACHINE: Machine[TicketStatus, TicketEvent] = Machine(
    "ticket",
    {
        (TicketStatus.OPEN, TicketEvent.ACKNOWLEDGE): TicketStatus.ACKNOWLEDGED,
        (TicketStatus.OPEN, TicketEvent.DIAGNOSE): TicketStatus.DIAGNOSED,
        (TicketStatus.ACKNOWLEDGED, TicketEvent.DIAGNOSE): TicketStatus.DIAGNOSED,
        (TicketStatus.DIAGNOSED, TicketEvent.DIAGNOSE): TicketStatus.DIAGNOSED,
        (TicketStatus.OPEN, TicketEvent.RESOLVE): TicketStatus.RESOLVED,
        (TicketStatus.ACKNOWLEDGED, TicketEvent.RESOLVE): TicketStatus.RESOLVED,
        (TicketStatus.DIAGNOSED, TicketEvent.RESOLVE): TicketStatus.RESOLVED,
        # A problem that comes back within the flap window opens the same ticket again.
        (TicketStatus.RESOLVED, TicketEvent.REOPEN): TicketStatus.OPEN,
        # A follower that its root does not explain any more is diagnosed anew.
        (TicketStatus.DIAGNOSED, TicketEvent.STAND_ALONE): TicketStatus.OPEN,
    },
)
