"""What is to be done about a diagnosed ticket next; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from operator_core.actions.remedy import Remedy, RemedyState
from operator_core.actions.types import ActionStatus
from operator_core.agent.diagnosis import Diagnosis
from operator_core.monitor.types import Ticket, TicketPhase
from operator_core.monitor.verification import Verdict, Verification

UNWATCHED_SECONDS = 1800.0
"""How long nobody may look after a remedy before a person is called."""


_SETTLE = "look, and say it with `operator actions settle ID --done` or `--not-done`"


class Next(StrEnum):
    """The next thing for a ticket."""

    WAIT = "wait"
    PROPOSE = "propose"
    ACT = "act"
    VERIFY = "verify"
    ROLL_BACK = "roll_back"
    ESCALATE = "escalate"


@dataclass(frozen=True)
class Step:
    """The next thing, and why."""

    what: Next
    reason: str = ""


def next_step(
    ticket: Ticket,
    diagnosis: Diagnosis,
    remedy: Remedy,
    now: datetime,
    proof: Verification | None = None,
) -> Step:
    """Return what a diagnosed ticket needs next.

    Args:
        ticket: a ticket that is diagnosed and not resolved.
        diagnosis: its latest diagnosis.
        remedy: what was proposed since that diagnosis.
        now: the present moment.
        proof: how far the proof of that remedy has come.
    """
    if ticket.held or ticket.phase is TicketPhase.ESCALATED:
        return Step(Next.WAIT)
    in_doubt = [str(one.id) for one in (*remedy.steps, *remedy.undoing) if one.in_doubt]
    if in_doubt:
        return Step(Next.ESCALATE, f"nobody knows what action {', '.join(in_doubt)} did; {_SETTLE}")
    match remedy.state:
        case RemedyState.NONE:
            return _first(diagnosis)
        case RemedyState.WAITING | RemedyState.RUNNING as state:
            return Step(Next.WAIT if state is RemedyState.WAITING else Next.ACT)
        case RemedyState.DONE:
            return _verify(ticket, remedy, now, proof)
        case RemedyState.STOPPED:
            return _stopped(remedy)


def _stopped(remedy: Remedy) -> Step:
    what = (
        "a step of the remedy failed" if remedy.failed else "the remedy was rejected or cancelled"
    )
    return Step(Next.ESCALATE, f"{what}{_undone(remedy)}")


def _undone(remedy: Remedy) -> str:
    """Say what became of undoing the completed steps, where there was something to undo."""
    if not remedy.undoing:
        return ""
    left = [one for one in remedy.undoing if one.status is not ActionStatus.COMPLETED]
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


def _verify(ticket: Ticket, remedy: Remedy, now: datetime, proof: Verification | None) -> Step:
    if ticket.phase is not TicketPhase.VERIFYING or ticket.phase_since is None:
        return Step(Next.VERIFY)
    if proof is None:
        if now - ticket.phase_since > timedelta(seconds=UNWATCHED_SECONDS):
            return Step(Next.ESCALATE, "nobody has looked at the cluster since the remedy ended")
        return Step(Next.WAIT)
    return Step(Next.WAIT) if proof.verdict is not Verdict.NOT_VERIFIED else _failed(remedy, proof)


def _failed(remedy: Remedy, proof: Verification) -> Step:
    reason = "; ".join(proof.reasons)
    if not proof.was_seen:
        return Step(Next.ESCALATE, f"{reason}; so nothing is taken back")
    if not remedy.rollback:
        return Step(Next.ROLL_BACK, reason)
    numbers = ", ".join(str(one.id) for one in remedy.rollback)
    return Step(Next.ESCALATE, f"{reason}; action {numbers} is proposed to take the remedy back")
