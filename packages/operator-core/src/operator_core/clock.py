"""The only module that reads the clock, and the one text form of time.

Times inside Operator are aware and in UTC. Their text is ISO-8601 of fixed width with
microseconds, so that the order of texts is the order of times.
"""

import asyncio
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """A source of time that tests and simulations can replace."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        ...


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine sleeps; that of macOS goes on."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds without blocking the event loop."""
        await asyncio.sleep(seconds)

    def steady_seconds(self) -> float:
        """Return a number of seconds that grows evenly, whatever the time of day is set to."""
        return monotonic_seconds()


SYSTEM_CLOCK = SystemClock()


def utc_now() -> datetime:
    """Return the machine's present moment, aware and in UTC."""
    return SYSTEM_CLOCK.now()


def local_now() -> datetime:
    """Return the machine's present moment as naive local time, for people's snippets."""
    return datetime.now()  # noqa: DTZ005 - naive on purpose: what the caller compares with


def monotonic_seconds() -> float:
    """Return a number of seconds that only grows, for measuring durations.

    It goes on while the machine sleeps, as leases and other machines do.
    """
    return time.clock_gettime(_STEADY)


def block(seconds: float) -> None:
    """Let this thread wait for a number of seconds.

    `time.sleep` asks the system for a moment, and ends with an error in a process whose clock is
    moved from outside (libfaketime).
    """
    threading.Event().wait(seconds)


class Stopwatch:
    """Measures how long something takes, also where the time of day is set meanwhile.

    A clock without ``steady_seconds`` may be a simulation's: between two looks, whichever of it
    and the machine's own went further counts.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin now."""
        self._clock = clock
        self._began = self._looked = clock.now()
        self._steady = _steady_seconds(clock)
        self._seconds = 0.0

    def seconds(self) -> float:
        """Return how long it has surely taken until now."""
        now, steady = self._clock.now(), _steady_seconds(self._clock)
        passed = steady - self._steady
        if not hasattr(self._clock, "steady_seconds"):
            passed = max(passed, (now - self._looked).total_seconds())
        self._looked, self._steady = now, steady
        self._seconds += passed
        return self._seconds

    def seconds_by_time_of_day(self) -> float:
        """Return how long it took by the time of day; negative where that was set back."""
        return (self._clock.now() - self._began).total_seconds()

    def most_seconds(self) -> float:
        """Return the longest that it can have taken until now."""
        return max(self.seconds(), self.seconds_by_time_of_day())


class Seldom:
    """Says when it is time for what is done seldom, and after the time of day was set back."""

    def __init__(self, every_seconds: float) -> None:
        """Take how often it is done; the first time is at once."""
        self._every_seconds = every_seconds
        self._last: Stopwatch | None = None

    def is_due(self, clock: Clock) -> bool:
        """Return whether it is time now; if so, the next time is counted from here."""
        last = self._last
        is_fresh = last is not None and last.seconds() < self._every_seconds
        if last is not None and is_fresh and last.seconds_by_time_of_day() >= 0:
            return False
        self._last = Stopwatch(clock)
        return True


async def ends_within(task: "asyncio.Task[object]", clock: Clock, seconds: float) -> bool:
    """Wait for a task, at most a number of seconds; return whether it has ended."""
    pause = asyncio.create_task(_pause(clock, seconds))
    try:
        await asyncio.wait({task, pause}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pause.cancel()
    return task.done()


async def _pause(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


def _steady_seconds(clock: Clock) -> float:
    own = getattr(clock, "steady_seconds", monotonic_seconds)
    return float(own())


def as_utc(moment: datetime) -> datetime:
    """Return the moment aware and in UTC; a naive one is taken as local time."""
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def to_text(moment: datetime) -> str:
    """Return the one text form of a moment (fixed width, UTC, microseconds)."""
    at = as_utc(moment)
    second = _to_the_second(at.year, at.month, at.day, at.hour, at.minute, at.second)
    return f"{second}.{at.microsecond:06d}+00:00"


@lru_cache(maxsize=64)
def _to_the_second(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str:  # noqa: PLR0917 - the parts of a moment
    """Most moments that are written share their second; `isoformat` takes twice as long."""
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


@lru_cache(maxsize=1024)
def from_text(text: str) -> datetime:
    """Parse the text form of a moment into an aware UTC one.

    Rows that were written together share their moments, so the last ones are remembered.

    Raises:
        ValueError: the text is no ISO-8601 time.
    """
    return as_utc(datetime.fromisoformat(text))
