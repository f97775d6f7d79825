"""The only module that reads the clock, and the one text form of time.

Times inside Operator are aware and in UTC. Their text is ISO-8601 of fixed width with
microseconds, so that the order of texts is the order of times.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time that tests and simulations can replace."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds without blocking the event loop."""
        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()


def utc_now() -> datetime:
    """Return the machine's present moment, aware and in UTC."""
    return SYSTEM_CLOCK.now()


def local_now() -> datetime:
    """Return the machine's present moment as naive local time, for people's snippets."""
    return datetime.now()  # noqa: DTZ005 - naive on purpose: what the caller compares with


def monotonic_seconds() -> float:
    """Return a number of seconds that only grows, for measuring durations."""
    return time.monotonic()


def as_utc(moment: datetime) -> datetime:
    """Return the moment aware and in UTC; a naive one is taken as local time."""
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def to_text(moment: datetime) -> str:
    """Return the one text form of a moment (fixed width, UTC, microseconds)."""
    return as_utc(moment).isoformat("T", "microseconds")


def from_text(text: str) -> datetime:
    """Parse the text form of a moment into an aware UTC one.

    Raises:
        ValueError: the text is no ISO-8601 time.
    """
    return as_utc(datetime.fromisoformat(text))
