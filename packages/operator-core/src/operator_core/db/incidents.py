"""What can be done to tickets, as functions of a transaction."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.past import signature_of
from operator_core.agent.redact import redacted
from operator_core.agent.support import looks_named_by
from operator_core.clock import to_text
from operator_core.db import changes, decisions, looks, proposals, resends, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import ConstraintError
from operator_core.monitor.types import TicketPhase, Violation


def report(
    tx: Tx,
    violation: Violation,
    stamp: Stamp,
    *,
    subject: str | None,
    first_seen_at: datetime,
    flap_window_seconds: float,
) -> Row:
    """Refresh the open ticket of a problem, reopen a recent one, or open a new one."""
    key: Params = {"violation_key": violation.key, "subject": subject}
    present = tx.one("ticket.open_for_key", **key)
    if present is not None:
        refreshed = tx.one(
            "ticket.seen_again", id=present["id"], now=stamp.text, **_says(violation)
        )
        return refreshed or present
    since = to_text(stamp.now - timedelta(seconds=flap_window_seconds))
    recent = tx.one("ticket.resolved_since", since=since, **key)
    if recent is not None:
        decisions.judge_ticket(tx, recent, helped=False)
        tx.run("verification.came_back", ticket_id=recent["id"], now=stamp.text)
        data = {"flap_count": recent["flap_count"] + 1}
        change = Change("ticket.reopen", "ticket_reopened", data, _says(violation))
        return changes.apply(tx, recent["id"], change, stamp)
    return _open(tx, violation, subject, first_seen_at, stamp)


def _says(violation: Violation) -> Params:
    return {
        "message": violation.message,
        "severity": violation.severity.value,
        "metric_snapshot": rows.to_json(violation.metrics),
    }


def _open(
    tx: Tx, violation: Violation, subject: str | None, first_seen_at: datetime, stamp: Stamp
) -> Row:
    row = tx.one(
        "ticket.insert",
        subject=subject,
        violation_key=violation.key,
        invariant_name=violation.invariant,
        target=violation.target,
        first_seen_at=to_text(first_seen_at),
        now=stamp.text,
        **_says(violation),
    )
    if row is None:
        raise ConstraintError("the ticket was not stored")
    opened = Change("", "ticket_opened", {"key": violation.key, "message": violation.message})
    changes.tell(tx, "ticket", row, opened, stamp)
    return row


def acknowledge(tx: Tx, ticket_id: int, stamp: Stamp) -> Row:
    """Mark an open ticket as seen by a person."""
    change = Change("ticket.acknowledge", "ticket_acknowledged", {}, {"actor": stamp.actor})
    return changes.apply(tx, ticket_id, change, stamp)


def resolve(tx: Tx, ticket_id: int, resolution: str, stamp: Stamp) -> Row:
    """Resolve a ticket and cancel what it had proposed and nobody has started.

    A workflow that has started runs to its end, so that no half-done change stays behind.
    """
    params = {"actor": stamp.actor, "resolution": resolution}
    change = Change("ticket.resolve", "ticket_resolved", {"resolution": resolution}, params)
    row = changes.apply(tx, ticket_id, change, stamp)
    cancel_not_started(tx, ticket_id, f"ticket {ticket_id} is resolved", stamp)
    return row


def cancel_not_started(tx: Tx, ticket_id: int, reason: str, stamp: Stamp) -> None:
    """Cancel what was proposed for a ticket and nobody has started."""
    for workflow in tx.all("workflow.not_started_of_ticket", ticket_id=ticket_id):
        proposals.cancel_workflow(tx, workflow["id"], reason, stamp)
    for proposal in tx.all("proposal.not_started_of_ticket", ticket_id=ticket_id):
        proposals.cancel(tx, proposal["id"], reason, stamp)
    for sent in tx.all("proposal.resend_of_ticket", ticket_id=ticket_id):
        resends.give_up(tx, sent["id"], f"{reason}.", stamp)
    for failed in tx.all("proposal.waiting_retry_of_ticket", ticket_id=ticket_id):
        proposals.set_next_retry(tx, failed["id"], None, stamp)


def hold(tx: Tx, ticket_id: int, reason: str, stamp: Stamp) -> Row:
    """Hold a ticket: the agent leaves it alone."""
    params: Params = {"held": 1, "actor": stamp.actor, "reason": reason}
    change = Change("ticket.hold", "ticket_held", {"reason": reason}, params)
    return changes.apply(tx, ticket_id, change, stamp)


def unhold(tx: Tx, ticket_id: int, stamp: Stamp) -> Row:
    """Let go of a held ticket."""
    params: Params = {"held": 0, "actor": None, "reason": None}
    return changes.apply(tx, ticket_id, Change("ticket.hold", "ticket_unheld", {}, params), stamp)


def set_phase(tx: Tx, ticket_id: int, phase: TicketPhase | None, stamp: Stamp) -> Row:
    """Set what is being done about a ticket."""
    value = phase.value if phase else None
    change = Change("ticket.set_phase", "ticket_phase", {"phase": value}, {"phase": value})
    return changes.apply(tx, ticket_id, change, stamp)


def comment(tx: Tx, ticket_id: int, body: str, stamp: Stamp) -> Row:
    """Add a comment."""
    ticket = changes.get(tx, "ticket", ticket_id)
    row = tx.one(
        "comment.insert", ticket_id=ticket_id, author=stamp.actor, body=body, now=stamp.text
    )
    changes.tell(tx, "ticket", ticket, Change("", "ticket_commented", {"body": body}), stamp)
    return row or {}


def add_diagnosis(tx: Tx, diagnosis: Diagnosis, stamp: Stamp) -> Row:
    """Store a diagnosis; its ticket becomes diagnosed, or escalated where a person must act."""
    phase = TicketPhase.ESCALATED.value if diagnosis.escalate else None
    return insert_diagnosis(tx, diagnosis, {"diagnosed_at": stamp.text, "phase": phase}, stamp)


def insert_diagnosis(tx: Tx, diagnosis: Diagnosis, moved: Params, stamp: Stamp) -> Row:
    """Store a diagnosis, and move its ticket.

    Args:
        tx: the transaction.
        diagnosis: with its ticket.
        moved: the ticket's new phase, and since when its remedy counts.
        stamp: who and when.
    """
    ticket_id = int(diagnosis.ticket_id or 0)
    content = redacted(diagnosis.model_dump_json(exclude={"id"}))
    named = looks_named_by(diagnosis)
    looks.pin(tx, named)
    data = {
        "hypothesis": diagnosis.hypothesis,
        "confidence": diagnosis.confidence,
        "digest": hashlib.sha256(content.encode()).hexdigest(),
        "looks": _digests(tx, named),
    }
    ticket = changes.apply(
        tx, ticket_id, Change("ticket.diagnose", "ticket_diagnosed", data, moved), stamp
    )
    row = tx.one(
        "diagnosis.insert",
        subject=ticket["subject"],
        ticket_id=ticket_id,
        observation_id=diagnosis.observation_id,
        diagnoser=diagnosis.diagnoser,
        hypothesis=diagnosis.hypothesis,
        confidence=diagnosis.confidence,
        signature=signature_of(diagnosis),
        content=content,
        now=stamp.text,
    )
    if row is None:
        raise ConstraintError("the diagnosis was not stored")
    return row


def _digests(tx: Tx, ids: Iterable[int]) -> dict[str, str]:
    """Return the digests of looks, so that the audit covers what a diagnosis rests on."""
    found = {one: tx.one("observation.digest", id=one) for one in sorted(ids)}
    return {str(one): row["digest"] for one, row in found.items() if row}
