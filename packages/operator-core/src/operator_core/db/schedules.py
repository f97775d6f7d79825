"""`ScheduleDB`: what is proposed again and again, and the one proposal of each run."""

from datetime import datetime

from operator_core.actions.schedule import Rule
from operator_core.actions.schedule_sense import LOOK_SECONDS, ScheduleSense
from operator_core.actions.types import ActionProposal, Schedule
from operator_core.clock import SYSTEM_CLOCK, Clock, Seldom, to_text
from operator_core.db import firing, rows, secrets
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.firing import tell
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.store import ALL_ROWS, Store
from operator_core.errors import ConflictError, ConstraintError, NotFoundError, RequestError
from operator_core.logs import get_logger

DEFAULT_MAX_RETRIES = 3

log = get_logger(__name__)


class ScheduleDB(Store):
    """Schedules; each method is one durable transaction, firing one for each schedule."""

    def __init__(self, db_path: LedgerAddress | Ledger, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take a path or an open ledger, and the source of time where a path is given."""
        super().__init__(db_path, clock=clock)
        self._sense = ScheduleSense()
        self._look = Seldom(LOOK_SECONDS)

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
        fired = [
            await self._fire(row, self._stamp_of(row), max_retries)
            for row in await self._read(lambda tx: firing.due(tx, subject, to_text(now)))
        ]
        for row, due in await self._standing(subject):
            fired.append(await self._fire(row, self._stamp_of(row), max_retries, due))
        return [one for one in fired if one is not None]

    async def _standing(self, subject: str | None) -> list[tuple[Row, datetime]]:
        """Return what stands later than it is due: a clock that was ahead has moved it on."""
        if not self._look.is_due(self.ledger.clock):
            return []
        now = self.ledger.clock.now()
        found = await self._read(lambda tx: firing.later(tx, subject, to_text(now)))
        by_id = {row["id"]: row for row in found}
        standing = self._sense.standing([rows.schedule(row) for row in found], now)
        return [(by_id[one.id], due) for one, due in standing]

    def _stamp_of(self, row: Row) -> Stamp:
        return self._stamp(f"schedule:{row['name']}")

    async def _fire(
        self, row: Row, stamp: Stamp, max_retries: int, due: datetime | None = None
    ) -> ActionProposal | None:
        """Fire one schedule; what goes wrong with it never holds up the others."""
        try:
            return await self._write(lambda tx: firing.fire(tx, row, stamp, max_retries, due))
        except (RequestError, ConstraintError) as error:
            # Such as a time zone that only the machine it was made on knows.
            log.warning("schedule_not_fired", schedule=row["name"], reason=str(error))
            return None


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
    tell(tx, row, "schedule_created", call | when, stamp)
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
    tell(tx, row, "schedule_enabled", {}, stamp)
    return row


def disable(tx: Tx, name: str, stamp: Stamp) -> Row:
    """Let a schedule propose nothing."""
    row = tx.one("schedule.disable", name=name)
    if row is None:
        require(tx, name)
        raise ConflictError(f"Schedule {name} is disabled already.")
    tell(tx, row, "schedule_disabled", {}, stamp)
    return row


def delete(tx: Tx, name: str, stamp: Stamp) -> Row:
    """Remove a schedule."""
    row = tx.one("schedule.delete", name=name)
    if row is None:
        raise NotFoundError("Schedule", name)
    tell(tx, row, "schedule_removed", {}, stamp)
    return row
