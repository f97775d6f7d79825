"""What has become of a ticket's remedy, read from its proposals; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.monitor.types import Ticket
from operator_core.monitor.verification import ROLLBACK_BY

_UNFINISHED = (ActionStatus.PROPOSED, ActionStatus.VALIDATED, ActionStatus.EXECUTING)
_STARTED = (ActionStatus.EXECUTING, ActionStatus.COMPLETED, ActionStatus.FAILED)


class RemedyState(StrEnum):
    """How far a remedy has come."""

    NONE = "none"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Remedy:
    """What was proposed for a ticket since its present diagnosis.

    Attributes:
        steps: what is to help.
        undoing: what takes back the steps of a workflow that has stopped.
        rollback: what takes back a remedy that did not hold.
    """

    steps: tuple[ActionProposal, ...] = ()
    undoing: tuple[ActionProposal, ...] = ()
    rollback: tuple[ActionProposal, ...] = ()

    @property
    def state(self) -> RemedyState:
        """How far it has come; what it undoes belongs to it."""
        if not self.steps:
            return RemedyState.NONE
        every = (*self.steps, *self.undoing)
        if any(_is_open(one) for one in every):
            started = any(one.status in _STARTED for one in every)
            return RemedyState.RUNNING if started else RemedyState.WAITING
        if all(one.status is ActionStatus.COMPLETED for one in self.steps):
            return RemedyState.DONE
        return RemedyState.STOPPED

    @property
    def failed(self) -> bool:
        """Whether one of its steps has failed."""
        return any(one.status is ActionStatus.FAILED for one in self.steps)


def remedy_of(ticket: Ticket, proposals: Sequence[ActionProposal]) -> Remedy:
    """Return the remedy of a ticket.

    Args:
        ticket: the ticket.
        proposals: all that was ever proposed for it.
    """
    since = ticket.diagnosed_at
    mine = [one for one in proposals if since is None or one.proposed_at >= since]
    rollback = tuple(one for one in mine if one.proposed_by == ROLLBACK_BY)
    others = [one for one in mine if one.proposed_by != ROLLBACK_BY]
    undoing = tuple(one for one in others if one.compensates_proposal_id is not None)
    steps = tuple(one for one in others if one.compensates_proposal_id is None)
    return Remedy(steps, undoing, rollback)


def _is_open(proposal: ActionProposal) -> bool:
    retry_waits = proposal.status is ActionStatus.FAILED and proposal.next_retry_at is not None
    return proposal.status in _UNFINISHED or retry_waits
