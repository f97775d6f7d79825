"""Rows of earlier shapes as rows of the present one; pure.

Times without a zone were written in local time, except SQLite's own ``CURRENT_TIMESTAMP``
(with a blank between date and time), which is UTC.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum

from operator_core.actions.types import ActionStatus, ActionType, WorkflowStatus
from operator_core.clock import to_text
from operator_core.db.engine import Row
from operator_core.monitor.types import TicketStatus
from operator_core.types import Severity

_TICKET_COLUMNS = (
    "subject",
    "violation_key",
    "invariant_name",
    "message",
    "severity",
    "status",
    "held",
    "occurrence_count",
)
_TICKET_TIMES = ("first_seen_at", "last_seen_at", "diagnosed_at", "resolved_at", "created_at")
_PROPOSAL_TIMES = (
    "validated_at",
    "cancelled_at",
    "approved_at",
    "rejected_at",
    "scheduled_at",
    "next_retry_at",
)


def moment(text: object, otherwise: str | None = None) -> str | None:
    """Return an old text of a time in the present form; the default where it is none."""
    try:
        parsed = datetime.fromisoformat(str(text))
        if parsed.tzinfo is None and " " in str(text):
            parsed = parsed.replace(tzinfo=UTC)
        return to_text(parsed)
    except (ValueError, OverflowError):
        return otherwise


def number(value: object, otherwise: int) -> int:
    """Return an old whole number; 0 stays 0, and only what is missing becomes the default."""
    return value if isinstance(value, int) else otherwise


def json_object(text: object) -> str | None:
    """Return old JSON text that is an object; other text is kept inside one."""
    if text is None:
        return None
    try:
        value = json.loads(str(text), parse_constant=str)
    except ValueError:
        value = str(text)
    return json.dumps(value if isinstance(value, dict) else {"value": value})


def workflow(old: Row, now: str) -> Row:
    """Return a workflow's row."""
    return {
        "id": old["id"],
        "name": old.get("name") or "workflow",
        "description": old.get("description"),
        "ticket_id": old.get("ticket_id"),
        "status": _member(old.get("status"), WorkflowStatus, WorkflowStatus.PENDING),
        "created_at": moment(old.get("created_at"), now),
        "updated_at": moment(old.get("updated_at"), now),
    }


def proposal(old: Row, now: str) -> Row:
    """Return a proposal's row. One that was executing has no owner any more: it is in doubt.

    A state that nobody knows may mean a refusal, so such a row never runs.
    """
    status = _member(old.get("status"), ActionStatus, ActionStatus.CANCELLED)
    texts = ("approved_by", "rejected_by", "rejection_reason", "last_error")
    links = ("ticket_id", "workflow_id", "depends_on_proposal_id")
    return {
        "id": old["id"],
        "action_name": old.get("action_name") or "unknown",
        "action_type": _member(old.get("action_type"), ActionType, ActionType.SUBJECT),
        "parameters": json_object(old.get("parameters")) or "{}",
        "reason": old.get("reason") or "",
        "status": status,
        "in_doubt": int(status == ActionStatus.EXECUTING),
        "proposed_at": moment(old.get("proposed_at"), now),
        "proposed_by": old.get("proposed_by") or "agent",
        "execution_order": number(old.get("execution_order"), 0),
        "retry_count": number(old.get("retry_count"), 0),
        "max_retries": number(old.get("max_retries"), 3),
        "created_at": moment(old.get("created_at"), now),
        "updated_at": moment(old.get("updated_at"), now),
        **{name: moment(old.get(name)) for name in _PROPOSAL_TIMES},
        **{name: old.get(name) for name in (*texts, *links)},
    }


def record(old: Row, now: str) -> Row:
    """Return a record's row; one that was never finished has no outcome."""
    success = old.get("success")
    return {
        "id": old["id"],
        "proposal_id": old["proposal_id"],
        "started_at": moment(old.get("started_at")),
        "completed_at": moment(old.get("completed_at")),
        "success": None if success is None else int(bool(success)),
        "outcome": None if success is None else ("succeeded" if success else "failed"),
        "error_message": old.get("error_message"),
        "result_data": json_object(old.get("result_data")),
        "created_at": moment(old.get("created_at"), now),
    }


def tickets(rows: list[Row], now: str) -> list[Row]:
    """Return tickets' rows; of several open ones for one problem the newest stays open."""
    converted = [_ticket(row, now) for row in rows]
    newest: dict[tuple[object, object], Row] = {}
    for row in converted:
        if row["status"] == TicketStatus.RESOLVED:
            continue
        problem = (row["subject"], row["violation_key"])
        if problem in newest:
            newest[problem] |= {
                "status": TicketStatus.RESOLVED,
                "resolved_at": now,
                "resolution": f"duplicate of ticket {row['id']}",
            }
        newest[problem] = row
    return converted


def _ticket(old: Row, now: str) -> Row:
    unknown = set(old) - {"id", *_TICKET_COLUMNS, *_TICKET_TIMES, "updated_at"}
    rest = {name: old[name] for name in sorted(unknown)}
    first_seen = moment(old.get("first_seen_at"), moment(old.get("created_at"), now))
    return {
        "id": old["id"],
        "subject": old.get("subject"),
        "violation_key": old.get("violation_key") or f"older-ledger:{old['id']}",
        "invariant_name": old.get("invariant_name") or "older_ledger",
        "message": old.get("message") or "A ticket of an older ledger.",
        "severity": _member(old.get("severity"), Severity, Severity.WARNING),
        "status": _ticket_status(old),
        "held": int(bool(old.get("held"))),
        "occurrence_count": number(old.get("occurrence_count"), 1),
        "first_seen_at": first_seen,
        "last_seen_at": moment(old.get("last_seen_at"), first_seen),
        "diagnosed_at": moment(old.get("diagnosed_at")),
        "resolved_at": moment(old.get("resolved_at")),
        "resolution": None,
        "legacy_columns": json.dumps(rest, default=str) if rest else None,
        "created_at": moment(old.get("created_at"), now),
        "updated_at": moment(old.get("updated_at"), now),
    }


def _ticket_status(old: Row) -> str:
    guess = TicketStatus.RESOLVED if old.get("resolved_at") else TicketStatus.OPEN
    return _member(old.get("status"), TicketStatus, guess)


def _member(
    value: object,
    words: type[StrEnum],
    otherwise: str,
) -> str:
    known = {word.value for word in words}
    return str(value).lower() if str(value).lower() in known else str(otherwise)
