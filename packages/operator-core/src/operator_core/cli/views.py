"""How proposals, workflows and events look."""

import json
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
from operator_core.owner import short_name
from operator_core.types import JsonObject


def parameters_text(parameters: JsonObject) -> str:
    """Return the arguments of an action in one line."""
    return ", ".join(f"{name}={_value(value)}" for name, value in parameters.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else as_json(value)


def as_json(value: object) -> str:
    """Return a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def by(who: str | None, when: object) -> str | None:
    """Return who did something and when, or None where nobody did."""
    if who is None and when is None:
        return None
    moment = f" at {cell(when).plain}" if when is not None else ""
    return f"by {one_line(short_name(who or 'somebody'))}{moment}"


# --- actions --------------------------------------------------------------------------


def proposal_state(proposal: ActionProposal) -> Text:
    """Return where a proposal stands, with its approval and doubt."""
    state = proposal.status.value
    if proposal.in_doubt:
        return word(f"unknown whether it happened ({state})")
    if proposal.awaits_resend:
        return word(f"unknown whether it happened, to be sent again ({state})")
    waits = proposal.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED)
    if waits and proposal.held:
        return word(f"{state} (held: approve it anew)")
    if waits and proposal.is_approved:
        return word(f"{state} (approved)")
    # A step goes by the approval of its workflow.
    return word(f"{state} (not approved)" if waits and proposal.workflow_id is None else state)


def proposal_table(proposals: Sequence[ActionProposal], title: str = "") -> RenderableType:
    """Return proposals as a table, or what to do where there is none.

    Args:
        proposals: in the order of the table.
        title: stands above a table that is part of something; what they are for is then known.
    """
    if not proposals:
        return hint("No actions. They are proposed for tickets: see `operator tickets list`.")
    if title:
        rows = [_proposal_cells(one) for one in proposals]
        return table(title, ("id", "status", "action", "parameters", "why"), rows)
    full = [
        (*_proposal_cells(one), one.subject, _about(one.ticket_id, one.workflow_id, None))
        for one in proposals
    ]
    return table("", ("id", "status", "action", "parameters", "why", "cluster", "for"), full)


def _proposal_cells(one: ActionProposal) -> tuple[object, ...]:
    state = proposal_state(one)
    return one.id, state, one.action_name, parameters_text(one.parameters), one.reason


def _about(ticket_id: int | None, workflow_id: int | None, proposal_id: int | None) -> str | None:
    """Return the nearest thing that something belongs to."""
    near = {"action": proposal_id, "workflow": workflow_id, "ticket": ticket_id}
    return next((f"{kind} {one}" for kind, one in near.items() if one is not None), None)


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
            "undone by": _undo(proposal),
            "proposed": by(proposal.proposed_by, proposal.proposed_at),
            "approved": by(proposal.approved_by, proposal.approved_at),
            "rejected": by(proposal.rejected_by, proposal.rejected_at),
            "rejected because": proposal.rejection_reason,
            "not before": proposal.scheduled_at,
            "failures": f"{proposal.retry_count} of at most {proposal.max_retries}",
            "next try": proposal.next_retry_at,
            "last error": proposal.last_error,
            "executed by": short_name(proposal.owner) if proposal.owner else None,
            "lease until": proposal.lease_expires_at,
        },
    )


def _undo(proposal: ActionProposal) -> str | None:
    undo = proposal.compensation
    return f"{undo.action_name} {parameters_text(undo.parameters)}".strip() if undo else None


def _step(proposal: ActionProposal) -> str | None:
    if proposal.workflow_id is None:
        return None
    if proposal.compensates_proposal_id is not None:
        return f"{proposal.workflow_id}, undoes action {proposal.compensates_proposal_id}"
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


def workflow_state(workflow: WorkflowProposal) -> Text:
    """Return where a workflow stands, whether it is paused, and whether a step is in doubt."""
    state = workflow.status.value
    more = [
        *(["paused"] if workflow.paused_at is not None else []),
        *(["a step is in doubt"] if workflow.in_doubt else []),
    ]
    return word(f"{state} ({', '.join(more)})" if more else state)


def workflow_table(workflows: Sequence[WorkflowProposal], title: str = "") -> RenderableType:
    """Return workflows as a table, or what to do where there is none."""
    if not workflows:
        return hint("No workflows. They are proposed for tickets: see `operator tickets list`.")
    rows = (
        (
            one.id,
            workflow_state(one),
            one.name,
            one.description,
            one.subject,
            _about(one.ticket_id, None, None),
            one.approved_by,
        )
        for one in workflows
    )
    names = ("id", "status", "name", "what for", "cluster", "for", "approved by")
    return table(title, names, rows)


def workflow_view(workflow: WorkflowProposal, steps: Sequence[ActionProposal]) -> RenderableType:
    """Return a workflow with its steps."""
    panel = facts(
        f"Workflow {workflow.id}: {workflow.name}",
        {
            "status": workflow_state(workflow),
            "paused": by(workflow.paused_by, workflow.paused_at),
            "what for": workflow.description,
            "cluster": workflow.subject,
            "ticket": workflow.ticket_id,
            "created": workflow.created_at,
            "approved": by(workflow.approved_by, workflow.approved_at),
        },
    )
    planned = [one for one in steps if one.compensates_proposal_id is None]
    undoing = [one for one in steps if one.compensates_proposal_id is not None]
    parts = [panel, proposal_table(planned, "Steps, in order")]
    if undoing:
        parts.append(proposal_table(undoing, "Undoing them, in order"))
    return Group(*parts)


# --- audit ----------------------------------------------------------------------------


def event_table(events: Iterable[AuditEvent], title: str = "") -> Table:
    """Return events of the audit as a table."""
    rows = (
        (
            one.timestamp,
            short_name(one.actor),
            one.event_type,
            _about(one.ticket_id, one.workflow_id, one.proposal_id),
            parameters_text(_shortened(one.event_data)),
        )
        for one in events
    )
    names = ("when", "who", "event", "about", "details")
    return table(title, names, rows)


def _shortened(data: JsonObject) -> JsonObject:
    """Return what an event says with the names of processes as people read them."""
    return {name: short_name(one) if isinstance(one, str) else one for name, one in data.items()}


def said(text: str) -> RenderableType:
    """Return a sentence about what was done."""
    return lines(text)
