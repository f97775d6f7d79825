"""A proposal that the executor begins is the one that its model would make of the same values."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pydantic
import pytest

from operator_core.actions.types import ActionProposal, ActionType
from operator_core.db import rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "subject": "s",
    "ticket_id": None,
    "action_name": "turn",
    "action_type": ActionType.TOOL,
    "parameters": {"valve": 1},
    "compensation": None,
    "reason": "it leaks",
    "proposed_at": NOW,
    "proposed_by": "agent",
    "max_retries": 2,
    "disruptive": True,
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ticket_id": 7},
        {"ticket_id": "7"},
        {"proposed_at": NOW.astimezone(timezone(timedelta(hours=2)))},
        {"proposed_at": datetime(2026, 1, 1, 12)},  # noqa: DTZ001 - as a caller's clock may say
    ],
    ids=["plain", "with a ticket", "a number as text", "another zone", "no zone"],
)
def test_it_is_what_its_model_makes_of_it(given: dict[str, Any]) -> None:
    fields = FIELDS | given
    made = rows.begun(fields)
    assert made == ActionProposal(**fields)
    assert made.__dict__.keys() == ActionProposal.model_fields.keys()
    assert made.proposed_at.tzinfo is UTC


@pytest.mark.parametrize("given", [{"ticket_id": "x"}, {"reason": 3}, {"proposed_by": None}])
def test_what_does_not_fit_is_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        rows.begun(FIELDS | given)
