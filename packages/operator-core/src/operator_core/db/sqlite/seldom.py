"""Columns of proposals that seldom say anything, read as one.

The driver lets go of the interpreter's lock and takes it again for each value of a row, so that
what forty columns cost is most of what it costs to read one. Half of them say nothing until
something goes wrong: they come as one value, which is NULL as long as all are as they began.
"""

import json
from collections.abc import Sequence

from operator_core.db.engine import Row, Value

SELDOM: dict[str, Value] = {
    "cancelled_at": None,
    "rejected_at": None,
    "rejected_by": None,
    "rejection_reason": None,
    "compensation": None,
    "compensates_proposal_id": None,
    "scheduled_at": None,
    "schedule_id": None,
    "schedule_due_at": None,
    "retry_count": 0,
    "next_retry_at": None,
    "last_error": None,
    "failure_counted": 0,
    "owner": None,
    "lease_expires_at": None,
    "fence": 0,
    "effect": 1,
    "in_doubt": 0,
    "cancel_requested_at": None,
    "held": 0,
}
"""What each of them says as long as it says nothing."""

OFTEN = (
    "id",
    "subject",
    "ticket_id",
    "action_name",
    "action_type",
    "parameters",
    "reason",
    "status",
    "proposed_at",
    "proposed_by",
    "validated_at",
    "approved_at",
    "approved_by",
    "workflow_id",
    "execution_order",
    "depends_on_proposal_id",
    "max_retries",
    "disruptive",
    "created_at",
    "updated_at",
)
"""All other columns."""

TOLD = "seldom"
_ALL = "SELECT * FROM action_proposals"
_NULLS = ", ".join(name for name, usual in SELDOM.items() if usual is None)
_NUMBERS = " OR ".join(f"{name} <> {usual}" for name, usual in SELDOM.items() if usual is not None)
_OBJECT = ", ".join(f"'{name}', {name}" for name in SELDOM)
_ANY = f"COALESCE({_NULLS}) IS NOT NULL OR {_NUMBERS}"
_COLUMNS = (*OFTEN, f"CASE WHEN {_ANY} THEN json_object({_OBJECT}) END AS {TOLD}")
_FEW = _ALL.replace("*", ", ".join(_COLUMNS))
_WHOLE: Row = {**dict.fromkeys(OFTEN), **SELDOM, TOLD: None}


def in_few_columns(text: str) -> str:
    """Return a statement that reads whole proposals as one that reads `OFTEN` and `TOLD`."""
    return text.replace(_ALL, _FEW)


def whole(columns: Sequence[str], values: Sequence[Value]) -> Row:
    """Return the row of which these columns were read."""
    row = {**_WHOLE}  # with room for all: to fill it costs half of what making a new one does
    row.update(zip(columns, values, strict=False))
    told = row.pop(TOLD)
    if told is not None:
        row.update(json.loads(told))
    return row
