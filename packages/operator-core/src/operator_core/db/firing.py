"""Firing schedules in a transaction: the one proposal of each run."""

from datetime import datetime

from operator_core.actions.schedule import Rule, Run, run_of
from operator_core.actions.types import ActionProposal, Schedule
from operator_core.clock import from_text, to_text
from operator_core.db import changes, rows, safety
from operator_core.db.changes import Change, Stamp
from operator_core.db.creation import create as create_proposal
from operator_core.db.engine import Row, Tx
from operator_core.errors import ConstraintError
from operator_core.types import JsonObject, RunMode


def due(tx: Tx, subject: str | None, now: str) -> list[Row]:
    """Return the schedules that are due, where Operator may act."""
    return tx.all("schedule.due", subject=subject, now=now) if _may_act(safety.state(tx)) else []


def later(tx: Tx, subject: str | None, now: str) -> list[Row]:
    """Return the enabled schedules that are due later, where Operator may act."""
    may_act = _may_act(safety.state(tx))
    return tx.all("schedule.later", subject=subject, now=now) if may_act else []


def _may_act(state: safety.SafetyState) -> bool:
    return state.mode is RunMode.EXECUTE and state.killed_at is None


def fire(
    tx: Tx, seen: Row, stamp: Stamp, max_retries: int, due: datetime | None = None
) -> ActionProposal | None:
    """Propose the run of a schedule that was seen due; None: somebody else did, or nobody may.

    A run that was proposed before is let be: the time of day was set back over it.

    Args:
        tx: the transaction.
        seen: the schedule as it was seen.
        stamp: who and when.
        max_retries: at how many failures the proposal stops.
        due: since when it is due; None: as it says.

    Raises:
        RequestError: its cron or time zone cannot be used on this machine.
    """
    if not _may_act(safety.state_of_claim(tx)):
        return None
    schedule = rows.schedule(seen)
    due = due or from_text(seen["next_due_at"])
    rule = Rule(schedule.cron, schedule.time_zone)
    run = run_of(rule, schedule.missed_policy, due, stamp.now)
    moved = tx.one(
        "schedule.advance",
        id=schedule.id,
        next_due_at=to_text(run.next_due),
        expected=seen["next_due_at"],
    )
    if moved is None:
        return None
    if run.due is None or _was_proposed(tx, schedule, run.due):
        data = {"due_at": to_text(due), "next_due_at": to_text(run.next_due)}
        tell(tx, moved, "schedule_skipped", data, stamp)
        return None
    return _propose(tx, schedule, run, stamp, max_retries)


def _was_proposed(tx: Tx, schedule: Schedule, due: datetime) -> bool:
    return tx.one("schedule.run", id=schedule.id, due=to_text(due)) is not None


def _propose(
    tx: Tx, schedule: Schedule, run: Run, stamp: Stamp, max_retries: int
) -> ActionProposal:
    late = f" (missed at {run.due:%Y-%m-%d %H:%M} UTC)" if run.late else ""
    made = create_proposal(
        tx,
        ActionProposal(
            subject=schedule.subject,
            action_name=schedule.action_name,
            action_type=schedule.action_type,
            parameters=schedule.parameters,
            reason=f"{schedule.reason}{late}",
            proposed_at=stamp.now,
            proposed_by=stamp.actor,
            schedule_id=schedule.id,
            schedule_due_at=run.due,
            max_retries=max_retries,
        ),
        stamp,
    )
    due = rows.text_or_none(run.due)
    row = tx.one("schedule.fired", id=schedule.id, due=due, proposal_id=made.id)
    if row is None:
        raise ConstraintError("the schedule is gone")
    data = {"due_at": due, "next_due_at": to_text(run.next_due), "late": run.late}
    tell(tx, row, "schedule_fired", {**data, "proposal_id": made.id}, stamp)
    return made


def tell(tx: Tx, row: Row, event: str, data: JsonObject, stamp: Stamp) -> None:
    """Write into the audit what became of a schedule."""
    own = {"schedule": row["name"], "schedule_id": row["id"]}
    changes.tell(tx, "schedule", row, Change("", event, {**own, **data}), stamp)
