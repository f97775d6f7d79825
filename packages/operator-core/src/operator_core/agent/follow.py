"""What is to be done about a diagnosed ticket next; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.diagnosis import Diagnosis
from operator_core.monitor.types import Ticket, TicketPhase

DEFAULT_VERIFY_SECONDS = 120.0
"""How long a problem may outlast its remedy before a person is called."""


class Next(StrEnum):
    """The next thing for a ticket."""

    WAIT = "wait"
    PROPOSE = "propose"
    ACT = "act"
    VERIFY = "verify"
    ESCALATE = "escalate"


@dataclass(frozen=True)
class Step:
    """The next thing, and why."""

    what: Next
    reason: str = ""


def next_step(
    ticket: Ticket,
    diagnosis: Diagnosis,
    proposals: Sequence[ActionProposal],
    now: datetime,
    verify_seconds: float = DEFAULT_VERIFY_SECONDS,
) -> Step:
    """Return what a diagnosed ticket needs next.

    Args:
        ticket: a ticket that is diagnosed and not resolved.
        diagnosis: its latest diagnosis.
        proposals: the proposals made since that diagnosis.
        now: the present moment.
        verify_seconds: how long the problem may outlast a remedy that has ended.
    """
    if ticket.held or ticket.phase is TicketPhase.ESCALATED:
        return Step(Next.WAIT)
    if not proposals:
        return _first(diagnosis)
    if any(_is_open(proposal) for proposal in proposals):
        started = any(proposal.status not in _NOT_STARTED for proposal in proposals)
        return Step(Next.ACT if started else Next.WAIT)
    steps = [proposal for proposal in proposals if proposal.compensates_proposal_id is None]
    if all(step.status is ActionStatus.COMPLETED for step in steps):
        return _verify(ticket, now, verify_seconds)
    failed = any(step.status is ActionStatus.FAILED for step in steps)
    what = "a step of the remedy failed" if failed else "the remedy was rejected or cancelled"
    return Step(Next.ESCALATE, f"{what}{_undone(proposals)}")


_NOT_STARTED = (ActionStatus.PROPOSED, ActionStatus.VALIDATED, ActionStatus.CANCELLED)
_UNFINISHED = (ActionStatus.PROPOSED, ActionStatus.VALIDATED, ActionStatus.EXECUTING)


def _is_open(proposal: ActionProposal) -> bool:
    retry_waits = proposal.status is ActionStatus.FAILED and proposal.next_retry_at is not None
    return proposal.status in _UNFINISHED or retry_waits


def _undone(proposals: Sequence[ActionProposal]) -> str:
    """Say what became of undoing the completed steps, where there was something to undo."""
    undoing = [one for one in proposals if one.compensates_proposal_id is not None]
    if not undoing:
        return ""
    left = [one for one in undoing if one.status is not ActionStatus.COMPLETED]
    if not left:
        return "; what it had done is undone"
    places = ", ".join(str(one.compensates_proposal_id) for one in left)
    return f"; what action {places} did is NOT undone"


def _first(diagnosis: Diagnosis) -> Step:
    if diagnosis.escalate:
        return Step(Next.ESCALATE, "the diagnosis asks for a person")
    if diagnosis.workflows or diagnosis.actions:
        return Step(Next.PROPOSE)
    return Step(Next.WAIT, "nothing to do but watch")


def _verify(ticket: Ticket, now: datetime, verify_seconds: float) -> Step:
    if ticket.phase is not TicketPhase.VERIFYING or ticket.phase_since is None:
        return Step(Next.VERIFY)
    if now - ticket.phase_since > timedelta(seconds=verify_seconds):
        reason = f"the problem is still there {verify_seconds:g} s after the remedy ended"
        return Step(Next.ESCALATE, reason)
    return Step(Next.WAIT)
