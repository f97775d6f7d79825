"""How tickets, proposals, workflows and events look."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    AuditEvent,
    WorkflowProposal,
)
from operator_core.cli.render import cell, facts, hint, lines, table, word
from operator_core.cli.text import one_line
from operator_core.clock import from_text
from operator_core.monitor.types import Ticket
from operator_core.types import JsonObject


def parameters_text(parameters: JsonObject) -> str:
    """Return the arguments of an action in one line."""
    return ", ".join(f"{name}={_value(value)}" for name, value in parameters.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


# --- tickets --------------------------------------------------------------------------


def ticket_state(ticket: Ticket) -> Text:
    """Return where a ticket stands, with its phase and hold."""
    extra = [ticket.phase.value] if ticket.phase else []
    extra += ["held"] if ticket.held else []
    return word(" ".join([ticket.status.value, *(f"({one})" for one in extra)]))


def ticket_table(tickets: Sequence[Ticket]) -> RenderableType:
    """Return tickets as a table, or what to do where there is none."""
    if not tickets:
        return hint(
            "No tickets. Nothing is broken, or nobody watches: `operator up` watches, "
            "`operator tickets list --all` shows resolved ones."
        )
    rows = (
        (
            one.id,
            ticket_state(one),
            one.severity,
            one.subject,
            one.target,
            one.message,
            one.last_seen_at,
        )
        for one in tickets
    )
    names = ("id", "status", "severity", "cluster", "target", "what", "last seen")
    return table("", names, rows)


def ticket_panel(ticket: Ticket) -> Panel:
    """Return a ticket's facts."""
    return facts(
        f"Ticket {ticket.id}",
        {
            "what": ticket.message,
            "status": ticket_state(ticket),
            "severity": ticket.severity,
            "cluster": ticket.subject,
            "target": ticket.target,
            "rule": ticket.invariant_name,
            "first seen": ticket.first_seen_at,
            "last seen": ticket.last_seen_at,
            "seen": f"{ticket.occurrence_count} times, came back {ticket.flap_count} times",
            "acknowledged": _by(ticket.acknowledged_by, ticket.acknowledged_at),
            "held": _by(ticket.held_by, None) if ticket.held else None,
            "held because": ticket.hold_reason,
            "resolved": _by(ticket.resolved_by, ticket.resolved_at),
            "resolution": ticket.resolution,
            "readings": parameters_text(ticket.metric_snapshot or {}),
        },
    )


def _by(who: str | None, when: object) -> str | None:
    if who is None and when is None:
        return None
    moment = f" at {cell(when).plain}" if when is not None else ""
    return f"by {one_line(who or 'somebody')}{moment}"


def comment_lines(comments: Iterable[JsonObject]) -> RenderableType | None:
    """Return comments, or None where there are none."""
    rows = [(from_text(one["created_at"]), one["author"], one["body"]) for one in comments]
    return table("Comments", ("when", "who", "what"), rows) if rows else None


# --- actions --------------------------------------------------------------------------


def proposal_state(proposal: ActionProposal) -> Text:
    """Return where a proposal stands, with its approval and doubt."""
    state = proposal.status.value
    if proposal.in_doubt:
        return word(f"unknown whether it happened ({state})")
    if proposal.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
        return word(f"{state} ({'approved' if proposal.is_approved else 'not approved'})")
    return word(state)


def proposal_table(proposals: Sequence[ActionProposal], title: str = "") -> RenderableType:
    """Return proposals as a table, or what to do where there is none."""
    if not proposals:
        return hint("No actions. They are proposed for tickets: see `operator tickets list`.")
    rows = (
        (
            one.id,
            proposal_state(one),
            one.action_name,
            parameters_text(one.parameters),
            one.subject,
            one.ticket_id,
            one.workflow_id,
            one.reason,
        )
        for one in proposals
    )
    names = ("id", "status", "action", "parameters", "cluster", "ticket", "workflow", "why")
    return table(title, names, rows)


def proposal_panel(proposal: ActionProposal) -> Panel:
    """Return a proposal's facts."""
    return facts(
        f"Action {proposal.id}: {proposal.action_name}",
        {
            "status": proposal_state(proposal),
            "parameters": parameters_text(proposal.parameters) or "none",
            "why": proposal.reason,
            "cluster": proposal.subject,
            "ticket": proposal.ticket_id,
            "workflow": _step(proposal),
            "waits for action": proposal.depends_on_proposal_id,
            "proposed": _by(proposal.proposed_by, proposal.proposed_at),
            "approved": _by(proposal.approved_by, proposal.approved_at),
            "rejected": _by(proposal.rejected_by, proposal.rejected_at),
            "rejected because": proposal.rejection_reason,
            "not before": proposal.scheduled_at,
            "failures": f"{proposal.retry_count} of at most {proposal.max_retries}",
            "next try": proposal.next_retry_at,
            "last error": proposal.last_error,
            "executed by": proposal.owner,
            "lease until": proposal.lease_expires_at,
        },
    )


def _step(proposal: ActionProposal) -> str | None:
    if proposal.workflow_id is None:
        return None
    return f"{proposal.workflow_id}, step {proposal.execution_order + 1}"


def record_table(records: Sequence[ActionRecord]) -> Table | None:
    """Return attempts as a table, or None where nothing was attempted."""
    rows = (
        (
            one.id,
            one.started_at,
            one.completed_at,
            one.outcome,
            one.error_message,
            one.idempotency_key,
        )
        for one in records
    )
    names = ("id", "started", "ended", "outcome", "error", "key")
    return table("Attempts", names, rows) if records else None


# --- workflows ------------------------------------------------------------------------


def workflow_table(workflows: Sequence[WorkflowProposal], title: str = "") -> RenderableType:
    """Return workflows as a table, or what to do where there is none."""
    if not workflows:
        return hint("No workflows. They are proposed for tickets: see `operator tickets list`.")
    rows = (
        (one.id, one.status, one.name, one.subject, one.ticket_id, one.approved_by, one.description)
        for one in workflows
    )
    names = ("id", "status", "name", "cluster", "ticket", "approved by", "what for")
    return table(title, names, rows)


def workflow_view(workflow: WorkflowProposal, steps: Sequence[ActionProposal]) -> RenderableType:
    """Return a workflow with its steps."""
    panel = facts(
        f"Workflow {workflow.id}: {workflow.name}",
        {
            "status": workflow.status,
            "what for": workflow.description,
            "cluster": workflow.subject,
            "ticket": workflow.ticket_id,
            "created": workflow.created_at,
            "approved": _by(workflow.approved_by, workflow.approved_at),
        },
    )
    return Group(panel, proposal_table(steps, "Steps, in order"))


# --- audit ----------------------------------------------------------------------------


def event_table(events: Iterable[AuditEvent], title: str = "") -> Table:
    """Return events of the audit as a table."""
    rows = (
        (
            one.timestamp,
            one.actor,
            one.event_type,
            one.ticket_id,
            one.workflow_id,
            one.proposal_id,
            parameters_text(one.event_data),
        )
        for one in events
    )
    names = ("when", "who", "event", "ticket", "workflow", "action", "details")
    return table(title, names, rows)


def said(text: str) -> RenderableType:
    """Return a sentence about what was done."""
    return lines(text)
