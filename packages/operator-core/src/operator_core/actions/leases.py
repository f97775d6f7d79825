"""Leases of temporary effects, and what is to become of one; pure."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from operator_core.actions.types import ActionRequest, ActionStatus, WorkflowStatus
from operator_core.monitor.types import TicketStatus

NOT_OURS = "not ours: it was there before"
"""Why a lease ended at once: what Operator did not put there, it never takes away."""

_UNDER_WAY = (ActionStatus.PROPOSED, ActionStatus.VALIDATED, ActionStatus.EXECUTING)
_RUNNING = (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS)
GIVEN_UP = (ActionStatus.FAILED, ActionStatus.CANCELLED)
"""How an action stands that is not done, and will not be unless it is tried again."""


class EffectLease(NamedTuple):
    """A temporary effect on a cluster: who put it there, why, until when, and what undoes it.

    Attributes:
        id: of the lease.
        subject: the cluster.
        effect: what names the effect there.
        proposal_id: the action that put it there.
        taken_by: who proposed that.
        taken_at: when it was claimed, before anything was sent.
        expires_at: when it is undone at the latest.
        changed_at: when last anything became known of it.
        reason: why the action was proposed.
        applied: whether the effect was surely seen to happen.
        unsure: whether a request was sent of which nobody heard.
        kept: a person keeps it until it expires, whatever becomes of its reason.
        undo: the call that takes it back, if it is known.
        action_status: how the action stands.
        retry_waits: whether the action is tried again.
        ticket_id: the ticket that it is for.
        ticket_status: how that stands.
        workflow_id: the workflow that the action is a step of.
        workflow_status: how that stands.
        undo_proposal_id: what was proposed to take it back.
        undo_status: how that stands.
        undo_approved: whether it may run.
        undo_retry_waits: whether it is tried again.
        ended_at: when it ended; None: it is open.
        ended_because: why it ended.
    """

    id: int
    subject: str | None
    effect: str
    proposal_id: int
    taken_by: str
    taken_at: datetime
    expires_at: datetime
    changed_at: datetime
    reason: str
    applied: bool
    unsure: bool
    kept: bool
    undo: ActionRequest | None
    action_status: ActionStatus
    retry_waits: bool = False
    ticket_id: int | None = None
    ticket_status: TicketStatus | None = None
    workflow_id: int | None = None
    workflow_status: WorkflowStatus | None = None
    undo_proposal_id: int | None = None
    undo_status: ActionStatus | None = None
    undo_approved: bool = False
    undo_retry_waits: bool = False
    ended_at: datetime | None = None
    ended_because: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether its action, or what undoes it, has not come to an end."""
        return (
            self.action_status in _UNDER_WAY or self.retry_waits or self.undo_status in _UNDER_WAY
        )


class Seen(NamedTuple):
    """What a look at a cluster shows of its temporary effects.

    Attributes:
        effects: their names, whoever made them.
        at: when that was seen.
    """

    effects: Collection[str]
    at: datetime


class Next(StrEnum):
    """What is to be done about a lease."""

    KEEP = "keep"
    END = "end"
    UNDO = "undo"


class Step(NamedTuple):
    """What is to be done about a lease, and why."""

    what: Next
    reason: str = ""


def next_step(lease: EffectLease, seen: Seen | None, now: datetime, *, has_eyes: bool) -> Step:
    """Return what is to become of an open lease.

    Args:
        lease: the lease.
        seen: the latest look at its cluster; None: nobody could see its effects.
        now: the present moment.
        has_eyes: whether its cluster's subject can list effects at all.
    """
    if lease.under_way:
        return Step(Next.KEEP)
    fresh = seen is not None and seen.at > lease.changed_at
    if seen is not None and fresh and lease.effect not in seen.effects:
        return Step(Next.END, "it is not there any more")
    failed = lease.action_status in GIVEN_UP
    if failed and has_eyes and not fresh:
        return Step(Next.KEEP)  # the next look tells whether there is anything to undo
    if failed and not has_eyes and not lease.unsure:
        return Step(Next.END, "its action surely had no effect")
    reason = why_over(lease, now)
    if not reason or lease.undo is None or lease.undo_status is not None:
        return Step(Next.KEEP)
    return Step(Next.UNDO, reason)


def why_over(lease: EffectLease, now: datetime) -> str:
    """Return why an effect is not wanted any more; empty: it is.

    A ticket is the reason of what is done for it, a workflow of what has no ticket. Nothing is
    taken from under a workflow that still runs, unless the time is over.
    """
    if now >= lease.expires_at:
        return "its time is over"
    if lease.kept or lease.workflow_status in _RUNNING:
        return ""
    if lease.action_status in GIVEN_UP and not lease.retry_waits:
        return f"action {lease.proposal_id}, which put it there, is {lease.action_status.value}"
    if lease.ticket_status is TicketStatus.RESOLVED:
        return f"ticket {lease.ticket_id} is resolved"
    failed = lease.workflow_status in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)
    if lease.workflow_status is not None and (failed or lease.ticket_id is None):
        return f"workflow {lease.workflow_id} is {lease.workflow_status.value}"
    return ""


def leaks(open_leases: Collection[EffectLease], seen: Seen | None, now: datetime) -> dict[str, str]:
    """Return what is wrong with the temporary effects of a cluster: name, and what it is.

    Args:
        open_leases: the leases that the ledger has of it.
        seen: a look at it, if there is one.
        now: the present moment.
    """
    found = {
        one.effect: f"lease {one.id} is over since {one.expires_at:%Y-%m-%d %H:%M} UTC"
        for one in open_leases
        if now >= one.expires_at
    }
    if seen is None:
        return found
    held = {one.effect for one in open_leases}
    found |= {
        one.effect: f"lease {one.id}: its effect is not on the cluster"
        for one in open_leases
        if not one.under_way and one.effect not in seen.effects and seen.at > one.changed_at
    }
    return found | {
        effect: "on the cluster, and no lease covers it"
        for effect in seen.effects
        if effect not in held
    }
