"""Clocks that tests move by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

from operator_core.clock import as_utc

START = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)
"""When manual time begins, unless a test says otherwise."""


class ManualClock:
    """Time that stands still until somebody advances it."""

    def __init__(self, start: datetime = START) -> None:
        """Take the first moment; a naive one is local time."""
        self._now = as_utc(start)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the present moment of this clock."""
        return self._now

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by this many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        sleeper = (self._now + timedelta(seconds=seconds), wake)
        self._sleepers.append(sleeper)
        try:
            await wake
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Move time on and wake who has slept long enough, in the order they are due.

        Raises:
            ValueError: time does not run backwards.
        """
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += timedelta(seconds=seconds)
        due = sorted((one for one in self._sleepers if one[0] <= self._now), key=lambda one: one[0])
        for sleeper in due:
            self._sleepers.remove(sleeper)
            if not sleeper[1].done():
                sleeper[1].set_result(None)


LEAP_REAL_SECONDS = 0.005
"""How long a leap really takes: long enough for a storage engine to answer meanwhile."""


class LeapingClock(ManualClock):
    """Time that leaps to the end of every sleep, so that nobody ever waits."""

    async def sleep(self, seconds: float) -> None:
        """Advance the clock by this many seconds and give others a moment of real time."""
        self.advance(max(seconds, 0))
        await asyncio.sleep(min(max(seconds, 0), LEAP_REAL_SECONDS))
