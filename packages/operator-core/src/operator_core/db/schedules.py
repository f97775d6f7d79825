"""`ScheduleDB`: what is proposed again and again, and the one proposal of each run."""

from functools import partial

from operator_core.actions.schedule import Rule, Run, run_of
from operator_core.actions.types import ActionProposal, Schedule
from operator_core.clock import from_text, to_text
from operator_core.db import changes, rows, safety, secrets
from operator_core.db.changes import Change, Stamp
from operator_core.db.creation import create as create_proposal
from operator_core.db.engine import Row, Tx
from operator_core.db.store import ALL_ROWS, Store
from operator_core.errors import ConflictError, ConstraintError, NotFoundError, RequestError
from operator_core.logs import get_logger
from operator_core.types import JsonObject, RunMode

DEFAULT_MAX_RETRIES = 3

log = get_logger(__name__)


class ScheduleDB(Store):
    """Schedules; each method is one durable transaction, firing one for each schedule."""

    async def create(self, schedule: Schedule, *, actor: str) -> Schedule:
        """Store a schedule; its first run is the next due time from now on.

        Raises:
            RequestError: its cron, time zone or parameters cannot be used.
            ConflictError: there is one of this name.
        """
        stamp = self._stamp(actor)
        return rows.schedule(await self._write(lambda tx: create(tx, schedule, stamp)))

    async def get(self, name: str) -> Schedule:
        """Return a schedule.

        Raises:
            NotFoundError: there is none of this name.
        """
        return rows.schedule(await self._read(lambda tx: require(tx, name)))

    async def list_schedules(self, *, after_id: int = 0, limit: int = ALL_ROWS) -> list[Schedule]:
        """Return schedules in order of id."""
        found = await self._read(lambda tx: tx.all("schedule.list", after_id=after_id, limit=limit))
        return [rows.schedule(row) for row in found]

    async def enable(self, name: str, *, actor: str) -> Schedule:
        """Let a schedule propose again, from now on; nothing of before counts as missed.

        Raises:
            NotFoundError: there is none of this name.
            ConflictError: it is enabled.
        """
        stamp = self._stamp(actor)
        return rows.schedule(await self._write(lambda tx: enable(tx, name, stamp)))

    async def disable(self, name: str, *, actor: str) -> Schedule:
        """Let a schedule propose nothing.

        Raises:
            NotFoundError: there is none of this name.
            ConflictError: it is disabled.
        """
        stamp = self._stamp(actor)
        return rows.schedule(await self._write(lambda tx: disable(tx, name, stamp)))

    async def delete(self, name: str, *, actor: str) -> Schedule:
        """Remove a schedule; what it has proposed stays.

        Raises:
            NotFoundError: there is none of this name.
        """
        stamp = self._stamp(actor)
        return rows.schedule(await self._write(lambda tx: delete(tx, name, stamp)))

    async def fire_due(
        self, *, subject: str | None = None, max_retries: int = DEFAULT_MAX_RETRIES
    ) -> list[ActionProposal]:
        """Propose what is due, once however many operators share the ledger.

        In observe mode nothing is proposed and nothing moves on: what is due waits, and the
        policy for missed runs applies when Operator may act again.

        Args:
            subject: only schedules of this subject, and of none.
            max_retries: at how many failures the proposals stop.
        """
        now = self.ledger.clock.now()
        fired = []
        for row in await self._read(lambda tx: _due(tx, subject, to_text(now))):
            stamp = self._stamp(f"schedule:{row['name']}")
            try:
                proposal = await self._fire(row, stamp, max_retries)
            except RequestError as error:
                # Such as a time zone that only the machine it was made on knows.
                log.warning("schedule_not_fired", schedule=row["name"], reason=str(error))
                continue
            except ConstraintError:  # the time of day was set back: this run was proposed before
                await self._write(partial(_skip, seen=row, stamp=stamp))
                continue
            fired += [proposal] if proposal else []
        return fired

    async def _fire(self, row: Row, stamp: Stamp, max_retries: int) -> ActionProposal | None:
        return await self._write(lambda tx: fire(tx, row, stamp, max_retries))


def create(tx: Tx, schedule: Schedule, stamp: Stamp) -> Row:
    """Insert a schedule.

    Raises:
        RequestError: its cron, time zone or parameters cannot be used.
        ConflictError: there is one of this name.
    """
    rule = Rule(schedule.cron, schedule.time_zone)
    arguments = rows.to_json(schedule.parameters)
    secrets.require_none("The action's arguments", arguments)
    texts = {"subject", "name", "cron", "time_zone", "action_name", "reason"}
    row = tx.one(
        "schedule.insert",
        **schedule.model_dump(include=texts),
        action_type=schedule.action_type.value,
        parameters=arguments,
        missed_policy=schedule.missed_policy.value,
        next_due_at=to_text(rule.next_after(stamp.now)),
        created_by=stamp.actor,
        now=stamp.text,
    )
    if row is None:
        raise ConflictError(
            f"There is a schedule {schedule.name!r} already. Remove it, or take another name."
        )
    call = {"action_name": schedule.action_name, "parameters": schedule.parameters}
    when = {"cron": schedule.cron, "time_zone": schedule.time_zone}
    _tell(tx, row, "schedule_created", call | when, stamp)
    return row


def require(tx: Tx, name: str) -> Row:
    """Return a schedule.

    Raises:
        NotFoundError: there is none of this name.
    """
    row = tx.one("schedule.get", name=name)
    if row is None:
        raise NotFoundError("Schedule", name)
    return row


def enable(tx: Tx, name: str, stamp: Stamp) -> Row:
    """Let a schedule propose again, from now on."""
    found = require(tx, name)
    due = Rule(found["cron"], found["time_zone"]).next_after(stamp.now)
    row = tx.one("schedule.enable", name=name, next_due_at=to_text(due))
    if row is None:
        raise ConflictError(f"Schedule {name} is enabled already.")
    _tell(tx, row, "schedule_enabled", {}, stamp)
    return row


def disable(tx: Tx, name: str, stamp: Stamp) -> Row:
    """Let a schedule propose nothing."""
    row = tx.one("schedule.disable", name=name)
    if row is None:
        require(tx, name)
        raise ConflictError(f"Schedule {name} is disabled already.")
    _tell(tx, row, "schedule_disabled", {}, stamp)
    return row


def delete(tx: Tx, name: str, stamp: Stamp) -> Row:
    """Remove a schedule."""
    row = tx.one("schedule.delete", name=name)
    if row is None:
        raise NotFoundError("Schedule", name)
    _tell(tx, row, "schedule_removed", {}, stamp)
    return row


# --- firing ---------------------------------------------------------------------------


def _due(tx: Tx, subject: str | None, now: str) -> list[Row]:
    return tx.all("schedule.due", subject=subject, now=now) if _may_act(safety.state(tx)) else []


def _may_act(state: safety.SafetyState) -> bool:
    return state.mode is RunMode.EXECUTE and state.killed_at is None


def fire(tx: Tx, seen: Row, stamp: Stamp, max_retries: int) -> ActionProposal | None:
    """Propose the run of a schedule that was seen due; None: somebody else did, or nobody may.

    Raises:
        RequestError: its cron or time zone cannot be used on this machine.
    """
    if not _may_act(safety.state_of_claim(tx)):
        return None
    schedule = rows.schedule(seen)
    due = from_text(seen["next_due_at"])
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
    if run.due is None:
        data = {"due_at": seen["next_due_at"], "next_due_at": to_text(run.next_due)}
        _tell(tx, moved, "schedule_skipped", data, stamp)
        return None
    return _propose(tx, schedule, run, stamp, max_retries)


def _skip(tx: Tx, seen: Row, stamp: Stamp) -> None:
    """Let a run be that was proposed before, so that a schedule never stands still at it."""
    next_due = to_text(Rule(seen["cron"], seen["time_zone"]).next_after(stamp.now))
    expected = seen["next_due_at"]
    moved = tx.one("schedule.advance", id=seen["id"], next_due_at=next_due, expected=expected)
    if moved is not None:
        data = {"due_at": expected, "next_due_at": next_due}
        _tell(tx, moved, "schedule_skipped", data, stamp)


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
    _tell(tx, row, "schedule_fired", {**data, "proposal_id": made.id}, stamp)
    return made


def _tell(tx: Tx, row: Row, event: str, data: JsonObject, stamp: Stamp) -> None:
    own = {"schedule": row["name"], "schedule_id": row["id"]}
    changes.tell(tx, "schedule", row, Change("", event, {**own, **data}), stamp)
