"""What becomes of a lease: the pure rule, without a ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from operator_core.actions.leases import EffectLease, Next, Seen, leaks, next_step
from operator_core.actions.policy.request import TAKES_BACK, tags_of
from operator_core.actions.types import (
    ActionDefinition,
    ActionRequest,
    ActionStatus,
    ParamDef,
    WorkflowStatus,
)
from operator_core.actions.validation import definition_faults
from operator_core.monitor.types import TicketStatus

NOW = datetime(2026, 3, 1, tzinfo=UTC)
A, W = ActionStatus, WorkflowStatus
LEASE = EffectLease(
    id=1,
    subject="prod",
    effect="shut/4",
    proposal_id=7,
    taken_by="agent",
    taken_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(hours=1),
    changed_at=NOW - timedelta(minutes=50),
    reason="it leaks",
    applied=True,
    unsure=False,
    kept=False,
    undo=ActionRequest(action_name="lift", parameters={"value": 4}),
    action_status=A.COMPLETED,
)
THERE = Seen({"shut/4"}, NOW - timedelta(seconds=1))
GONE = Seen((), NOW - timedelta(seconds=1))
STALE = Seen((), NOW - timedelta(minutes=55))
OVER: dict[str, Any] = {"expires_at": NOW}
RESOLVED: dict[str, Any] = {"ticket_id": 3, "ticket_status": TicketStatus.RESOLVED}
OPEN: dict[str, Any] = {"ticket_id": 3, "ticket_status": TicketStatus.OPEN}


def step(seen: Seen | None = THERE, *, has_eyes: bool = True, **changes: Any) -> Next:  # noqa: ANN401 - any field
    lease = LEASE._replace(**changes)
    return next_step(lease, seen, NOW, has_eyes=has_eyes).what


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, Next.KEEP),
        (OVER, Next.UNDO),
        (OPEN, Next.KEEP),
        (RESOLVED, Next.UNDO),
        (RESOLVED | {"kept": True}, Next.KEEP),
        (RESOLVED | {"workflow_id": 2, "workflow_status": W.IN_PROGRESS}, Next.KEEP),
        (OVER | {"workflow_id": 2, "workflow_status": W.IN_PROGRESS}, Next.UNDO),
        ({"workflow_id": 2, "workflow_status": W.COMPLETED}, Next.UNDO),
        (OPEN | {"workflow_id": 2, "workflow_status": W.COMPLETED}, Next.KEEP),
        (OPEN | {"workflow_id": 2, "workflow_status": W.FAILED}, Next.UNDO),
        ({"action_status": A.FAILED}, Next.UNDO),
        (OVER | {"action_status": A.EXECUTING}, Next.KEEP),
        (OVER | {"action_status": A.FAILED, "retry_waits": True}, Next.KEEP),
        (OVER | {"undo_proposal_id": 9, "undo_status": A.VALIDATED}, Next.KEEP),
        (OVER | {"undo_proposal_id": 9, "undo_status": A.FAILED}, Next.KEEP),
        (OVER | {"undo": None}, Next.KEEP),
    ],
)
def test_an_effect_is_undone_once_nobody_wants_it(changes: dict[str, Any], wanted: Next) -> None:
    assert step(**changes) is wanted


def test_what_a_later_look_does_not_show_has_ended() -> None:
    assert step(GONE) is Next.END
    assert step(STALE) is Next.KEEP
    assert step(GONE, action_status=A.EXECUTING) is Next.KEEP


def test_after_a_failure_a_look_decides() -> None:
    assert step(GONE, action_status=A.FAILED) is Next.END
    assert step(STALE, action_status=A.FAILED) is Next.KEEP
    assert step(None, has_eyes=False, action_status=A.FAILED) is Next.END
    assert step(None, has_eyes=False, unsure=True, action_status=A.FAILED) is Next.UNDO


def test_a_leak_is_an_effect_without_a_lease_or_a_lease_that_is_over_or_without_its_effect() -> (
    None
):
    assert leaks([LEASE], THERE, NOW) == {}
    assert leaks([LEASE], Seen({"shut/4", "shut/5"}, NOW), NOW) == {
        "shut/5": "on the cluster, and no lease covers it"
    }
    assert leaks([LEASE], GONE, NOW) == {"shut/4": "lease 1: its effect is not on the cluster"}
    assert leaks([LEASE._replace(expires_at=NOW)], None, NOW)["shut/4"].startswith(
        "lease 1 is over"
    )
    assert leaks([LEASE._replace(action_status=A.EXECUTING)], GONE, NOW) == {}


def test_no_action_says_of_itself_that_it_takes_back() -> None:
    bold = ActionDefinition(name="wipe", description="wipe", tags=(TAKES_BACK, "disruptive"))
    assert tags_of(bold) == {"disruptive"}


def test_a_temporary_effect_needs_a_name_that_a_call_fills_in_and_somebody_who_undoes_it() -> None:
    value = {"value": ParamDef(type="int")}
    faulty = ActionDefinition(
        name="shut", description="shut", parameters=value, temporary_effect="shut/{store}"
    )
    assert definition_faults(faulty) == [
        "its temporary effect names 'store', which is no parameter",
        "its temporary effect has neither inverse nor restored_by",
    ]
