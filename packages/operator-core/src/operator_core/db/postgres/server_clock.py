"""The server's clock: leases that several machines share go by one."""

from datetime import datetime, timedelta

from operator_core.clock import (
    SYSTEM_CLOCK,
    Clock,
    Stopwatch,
    SystemClock,
    from_text,
    utc_now,
)
from operator_core.db.engine import Tx

NONE = timedelta(0)
_LEAP_SECONDS = 0.5


class Offset:
    """How far the server's clock is ahead of this machine's."""

    def __init__(self) -> None:
        """Begin with no difference."""
        self.value = NONE
        self._machine = Stopwatch(SYSTEM_CLOCK)

    def measure(self, tx: Tx) -> None:
        """Ask the server; less than the answer took is no difference."""
        asked, self._machine = utc_now(), Stopwatch(SYSTEM_CLOCK)
        row = tx.one("clock.now")
        answered = utc_now()
        if row is None:
            return
        difference = from_text(row["now"]) - (asked + (answered - asked) / 2)
        self.value = difference if abs(difference) > answered - asked else NONE

    def is_outdated(self) -> bool:
        """Return whether this machine's clock was set since the server was asked."""
        leap = self._machine.seconds_by_time_of_day() - self._machine.seconds()
        return abs(leap) > _LEAP_SECONDS


class ServerClock:
    """The time of the server, told by this machine's clock and their difference."""

    def __init__(self, base: SystemClock, offset: Offset) -> None:
        """Take the machine's clock and the difference, which may change."""
        self._base = base
        self._offset = offset

    def now(self) -> datetime:
        """Return the present moment of the server, aware and in UTC."""
        return self._base.now() + self._offset.value

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds without blocking the event loop."""
        await self._base.sleep(seconds)

    def steady_seconds(self) -> float:
        """Return a number of seconds that grows evenly, whatever the time of day is set to."""
        return self._base.steady_seconds()


def told_by_server(clock: Clock, offset: Offset) -> Clock:
    """Return the server's clock in place of the machine's; simulated time stays as it is."""
    return ServerClock(clock, offset) if isinstance(clock, SystemClock) else clock
