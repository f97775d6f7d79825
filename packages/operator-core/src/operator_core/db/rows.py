"""Rows of the ledger as models, and models as rows.

What the ledger holds was validated when it entered, so models are built without validating
again.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

from pydantic import BaseModel

from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    ActionType,
    AuditEvent,
    Compensation,
    MissedPolicy,
    Outcome,
    Schedule,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.agent.redact import redacted
from operator_core.clock import as_utc, from_text, to_text
from operator_core.db.codec import decoded, encoded
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Value
from operator_core.errors import RequestError
from operator_core.monitor.types import (
    Observation,
    RuleSettings,
    Sighting,
    Snooze,
    Ticket,
    TicketPhase,
    TicketStatus,
    Violation,
)
from operator_core.types import JsonObject, Severity

Model = TypeVar("Model", bound=BaseModel)
Word = TypeVar("Word", ActionStatus, WorkflowStatus)

_PROPOSAL_TIMES = (
    "validated_at",
    "cancelled_at",
    "approved_at",
    "rejected_at",
    "scheduled_at",
    "schedule_due_at",
    "next_retry_at",
)
_NO_FIELDS = ("failure_counted", "cancel_requested_at", "created_at", "updated_at")
"""Columns of a proposal that its model does not tell."""

_FIELDS = tuple(ActionProposal.model_fields)

_PROPOSAL_TEXT_TIMES = ("proposed_at", *_PROPOSAL_TIMES, "lease_expires_at")
_INSERTED_TIMES = ("proposed_at", *_PROPOSAL_TIMES)
_FREE_TEXTS = (
    "subject",
    "action_name",
    "reason",
    "proposed_by",
    "approved_by",
    "rejected_by",
    "rejection_reason",
    "last_error",
)
_FREE_TEXTS_OF = itemgetter(*_FREE_TEXTS)
_NUL = "\0"
_TEXTS: dict[str, str] = {word: word.value for word in (*ActionStatus, *ActionType)}
"""The plain text of each word: the driver takes no other without asking how."""

ACTION_STATES = {state.value: state for state in ActionStatus}
"""By the text of a row: to ask the class costs ten times as much."""

WORKFLOW_STATES = {state.value: state for state in WorkflowStatus}
_ACTION_TYPES = {kind.value: kind for kind in ActionType}


def known(words: type[Word], value: str) -> Word:
    """Return the state that a text names.

    Raises:
        RequestError: it names none.
    """
    try:
        return words(value)
    except ValueError:
        names = ", ".join(word.value for word in words)
        raise RequestError(f"{value!r} is no state. Known: {names}.") from None


def time_or_none(text: str | None) -> datetime | None:
    """Parse a time that may be missing."""
    return from_text(text) if text else None


def text_or_none(moment: datetime | None) -> str | None:
    """Return the text of a time that may be missing."""
    return to_text(moment) if moment else None


def to_json(value: object) -> str:
    """Return JSON text.

    Raises:
        RequestError: the value is not JSON (such as NaN or a date), or nested too deep.
    """
    try:
        return encoded(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"Only JSON can be stored: {error}.") from error


@read_as("Action")
def proposal(row: Row) -> ActionProposal:
    """Return a proposal."""
    fields = {**row}  # a copy costs a tenth of picking each field by its name
    for name in _NO_FIELDS:
        fields.pop(name, None)
    if len(fields) != len(_FIELDS):  # a newer version may know more columns
        fields = {name: row[name] for name in _FIELDS}
    for name in _PROPOSAL_TEXT_TIMES:
        if (text := fields[name]) is not None:
            fields[name] = from_text(text)
    fields["action_type"] = _ACTION_TYPES[row["action_type"]]
    fields["status"] = ACTION_STATES[row["status"]]
    fields["parameters"] = decoded(row["parameters"])
    fields["compensation"] = _compensation(row["compensation"])
    fields["disruptive"] = row["disruptive"] == 1
    fields["in_doubt"] = row["in_doubt"] == 1
    fields["held"] = row["held"] == 1
    return _built(ActionProposal, fields)


def begun(fields: dict[str, Any]) -> ActionProposal:
    """Return a proposal that is not stored yet, with these fields and otherwise as any begins.

    What it is of was checked against its definition. What callers give as they like is checked
    here, and by the model only where it is not plain: that takes most of what proposing does.
    """
    ticket_id, texts = fields["ticket_id"], (fields["reason"], fields["proposed_by"])
    plain = ticket_id is None or type(ticket_id) is int
    if not plain or {*map(type, texts)} != {str} or fields["proposed_at"].tzinfo is not UTC:
        return ActionProposal(**fields)
    return _built(ActionProposal, {**_BEGUN, **fields})


_BEGUN: dict[str, Any] = {
    name: field.default
    for name, field in ActionProposal.model_fields.items()
    if not field.is_required() and field.default_factory is None
}
"""What a proposal says where nothing is said; times and arguments are always said."""


def _built(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return a model of fields that are all there and valid.

    It is what `model_construct` does without looking for each field's default and alias: the
    ledger makes a dozen models for one action.
    """
    built = model.__new__(model)
    object.__setattr__(built, "__dict__", fields)
    object.__setattr__(built, "__pydantic_fields_set__", _names(model))
    object.__setattr__(built, "__pydantic_extra__", None)
    object.__setattr__(built, "__pydantic_private__", None)
    return built


@cache
def _names(model: type[BaseModel]) -> set[str]:
    """Return the names of a model's fields; all are set, so that no instance adds one."""
    return set(model.model_fields)


def _compensation(text: str | None) -> Compensation | None:
    return Compensation.model_validate_json(text) if text else None


def proposal_params(model: ActionProposal) -> dict[str, Value]:
    """Return what the insert of a proposal takes, and more that it does not ask for."""
    params = {**model.__dict__}  # what the insert does not name costs less than to pick the rest
    for name in _INSERTED_TIMES:
        if (moment := params[name]) is not None:
            params[name] = to_text(moment)
    if _NUL in "".join(filter(None, _FREE_TEXTS_OF(params))):
        params |= {name: storable(params[name]) for name in _FREE_TEXTS if params[name]}
    undo = params["compensation"]
    params["action_type"] = _TEXTS[params["action_type"]]
    params["parameters"] = to_json(params["parameters"])
    params["compensation"] = to_json(undo.model_dump(mode="json")) if undo else None
    params["status"] = _TEXTS[params["status"]]
    params["disruptive"] = int(params["disruptive"])
    return params


def storable(text: str) -> str:
    """Return a text as every engine stores it: without NUL, which a cluster may send."""
    return text.replace(_NUL, "\N{REPLACEMENT CHARACTER}") if _NUL in text else text


_FRESH: dict[str, Any] = {
    "owner": None,
    "lease_expires_at": None,
    "fence": 0,
    "effect": 1,
    "in_doubt": False,
    "held": False,
}
"""What the schema puts where the insert of a proposal says nothing."""


def fresh_proposal(model: ActionProposal, params: Row, proposal_id: int) -> ActionProposal:
    """Return what an insert of a proposal with these parameters has made."""
    return stored(_built(ActionProposal, {**model.__dict__, **_FRESH}), params, proposal_id)


def stored(model: ActionProposal, params: Row, proposal_id: int) -> ActionProposal:
    """Give a proposal that nobody else has seen what its insert has made, and return it."""
    fields = model.__dict__
    fields["id"] = proposal_id
    fields["parameters"] = decoded(params["parameters"])
    fields.update(zip(_FREE_TEXTS, _FREE_TEXTS_OF(params), strict=True))
    for name in _INSERTED_TIMES:
        if (moment := fields[name]) is not None:
            fields[name] = as_utc(moment)
    return model


def changed(model: Model, fields: dict[str, Any]) -> Model:
    """Return a copy of a model with other values, which are valid as the ledger's are."""
    return _built(type(model), {**model.__dict__, **fields})


def put(model: Model, fields: dict[str, Any]) -> Model:
    """Give a model that nobody else has seen other values, as `changed` does, and return it."""
    model.__dict__.update(fields)
    return model


def brief(proposal: ActionProposal) -> Row:
    """Return what the audit and the roll-up of a workflow need of a proposal's row."""
    fields = proposal.__dict__  # to ask the model for each costs several times as much
    return {
        "id": fields["id"],
        "subject": fields["subject"],
        "ticket_id": fields["ticket_id"],
        "workflow_id": fields["workflow_id"],
        "compensates_proposal_id": fields["compensates_proposal_id"],
        "status": _TEXTS[fields["status"]],
        "next_retry_at": text_or_none(fields["next_retry_at"]),
        "retry_count": fields["retry_count"],
        "max_retries": fields["max_retries"],
    }


@read_as("Record")
def record(row: Row) -> ActionRecord:
    """Return a record of an attempt."""
    fields = {
        "id": row["id"],
        "proposal_id": row["proposal_id"],
        "started_at": time_or_none(row["started_at"]),
        "completed_at": time_or_none(row["completed_at"]),
        "success": None if row["success"] is None else bool(row["success"]),
        "error_message": row["error_message"],
        "result_data": decoded(row["result_data"]) if row["result_data"] else None,
        "outcome": Outcome(row["outcome"]) if row["outcome"] else None,
        "idempotency_key": row["idempotency_key"],
        "owner": row["owner"],
        "fence": row["fence"],
    }
    return _built(ActionRecord, fields)


def fresh_record(params: Mapping[str, Value], record_id: int, started_at: datetime) -> ActionRecord:
    """Return what an insert of a record with these parameters, that has just begun, has made."""
    return _built(ActionRecord, {**params, "id": record_id, "started_at": started_at})


@read_as("Workflow")
def workflow(row: Row) -> WorkflowProposal:
    """Return a workflow."""
    return WorkflowProposal.model_construct(
        id=row["id"],
        subject=row["subject"],
        name=row["name"],
        description=row["description"] or "",
        ticket_id=row["ticket_id"],
        status=WorkflowStatus(row["status"]),
        created_at=from_text(row["created_at"]),
        approved_at=time_or_none(row["approved_at"]),
        approved_by=row["approved_by"],
        approved_steps=json.loads(row["approved_steps"]) if row["approved_steps"] else None,
        paused_at=time_or_none(row["paused_at"]),
        paused_by=row["paused_by"],
        in_doubt=bool(row.get("in_doubt")),
    )


@read_as("Schedule")
def schedule(row: Row) -> Schedule:
    """Return a schedule."""
    fields = {name: row[name] for name in Schedule.model_fields}
    fields |= {
        "action_type": ActionType(row["action_type"]),
        "parameters": json.loads(row["parameters"]),
        "missed_policy": MissedPolicy(row["missed_policy"]),
        "enabled": bool(row["enabled"]),
        "next_due_at": from_text(row["next_due_at"]),
        "last_due_at": time_or_none(row["last_due_at"]),
        "created_at": from_text(row["created_at"]),
    }
    return Schedule.model_construct(**fields)


@read_as("Audit row")
def audit_event(row: Row) -> AuditEvent:
    """Return an event of the audit."""
    fields = {name: row[name] for name in AuditEvent.model_fields}
    fields["event_data"] = json.loads(row["event_data"])
    fields["timestamp"] = from_text(row["timestamp"])
    return _built(AuditEvent, fields)


@read_as("Ticket")
def ticket(row: Row) -> Ticket:
    """Return a ticket."""
    fields = {name: row[name] for name in Ticket.model_fields}
    for name in ("phase_since", "acknowledged_at", "diagnosed_at", "resolved_at"):
        fields[name] = time_or_none(row[name])
    fields |= {
        "severity": Severity(row["severity"]),
        "status": TicketStatus(row["status"]),
        "phase": TicketPhase(row["phase"]) if row["phase"] else None,
        "held": bool(row["held"]),
        "metric_snapshot": json.loads(row["metric_snapshot"]) if row["metric_snapshot"] else None,
        "first_seen_at": from_text(row["first_seen_at"]),
        "last_seen_at": from_text(row["last_seen_at"]),
    }
    return Ticket.model_construct(**fields)


@read_as("Sighting")
def sighting(row: Row) -> Sighting:
    """Return what the monitor remembers of one problem."""
    return Sighting(
        violation=Violation.model_validate_json(row["violation"]),
        first_seen_at=from_text(row["first_seen_at"]),
        last_seen_at=from_text(row["last_seen_at"]),
        clear_since=time_or_none(row["clear_since"]),
    )


@read_as("Rule setting")
def rule_settings(row: Row) -> RuleSettings:
    """Return what a cluster wants otherwise of a rule."""
    return RuleSettings.model_validate_json(row["settings"])


@read_as("Snooze")
def snooze(row: Row) -> Snooze:
    """Return a snooze."""
    fields = {name: row[name] for name in Snooze.model_fields}
    fields |= {
        "until": from_text(row["until"]),
        "created_at": from_text(row["created_at"]),
        "ended_at": time_or_none(row["ended_at"]),
    }
    return Snooze.model_construct(**fields)


def content_of(observation: Observation) -> str:
    """Return an observation as it is stored: JSON without secrets, and without its id."""
    return redacted(observation.model_dump_json(exclude={"id", "subject"}))


def as_stored(seen: Observation) -> Observation:
    """Return an observation as it is read from the ledger, where anybody can go by it again."""
    read = Observation.model_validate_json(content_of(seen))
    return read.model_copy(update={"id": seen.id, "subject": seen.subject})


@read_as("Look")
def observation(row: Row) -> Observation:
    """Return an observation with its id."""
    content: JsonObject = json.loads(row["content"])
    return Observation.model_validate({**content, "id": row["id"], "subject": row["subject"]})
