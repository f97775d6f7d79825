"""Whether a schedule stands still, because it was moved on by a clock that was ahead for a while.

A schedule that stands later than its rule says is either fired by a process whose clock is ahead,
and moves; or nobody fires it until the time that it stands at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from operator_core.actions.schedule import Rule
from operator_core.actions.types import Schedule
from operator_core.errors import RequestError

LOOK_SECONDS = 20.0
"""How often it is looked for what stands still; less than the minute that cron counts in."""


@dataclass(frozen=True)
class _Seen:
    """A schedule as it stood at a moment, and when it is due by that moment."""

    stood_at: datetime | None
    at: datetime
    due: datetime


@dataclass
class ScheduleSense:
    """What one process has seen of the times that schedules stand at."""

    _seen: dict[int, _Seen] = field(init=False, default_factory=dict)

    def standing(self, later: Iterable[Schedule], now: datetime) -> list[tuple[Schedule, datetime]]:
        """Return the schedules that were due by their rule and stood unmoved, and when.

        Args:
            later: the enabled ones that stand later than now.
            now: the present moment.
        """
        self._seen = {int(one.id or 0): self._looked_at(one, now) for one in later}
        return [
            (one, seen.due)
            for one in later
            if (seen := self._seen[int(one.id or 0)]).due <= now and one.next_due_at != seen.due
        ]

    def _looked_at(self, one: Schedule, now: datetime) -> _Seen:
        before = self._seen.get(int(one.id or 0))
        if before is not None and before.stood_at == one.next_due_at and before.at <= now:
            return before
        return _Seen(one.next_due_at, now, _due_after(one, now))


def _due_after(one: Schedule, now: datetime) -> datetime:
    try:
        return Rule(one.cron, one.time_zone).next_after(now)
    except RequestError:  # such as a time zone that is not known here
        return one.next_due_at or now
