"""Virtual time: it stands still until it is moved, and takes the cluster along."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from operator_core.clock import monotonic_seconds

PACE_SECONDS = 0.05
"""How often real time is told to a clock that keeps pace with it."""


class VirtualClock:
    """A clock for everything in one play.

    Args:
        started_at: the moment of its beginning.
        move: lets the cluster's time pass, up to so many seconds from the beginning.
    """

    def __init__(self, started_at: datetime, move: Callable[[float], None]) -> None:
        self._started_at = started_at
        self._move = move
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._asleep = 0
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the present moment of this clock."""
        return self._started_at + timedelta(seconds=self.seconds)

    def seconds_of(self, moment: datetime) -> float:
        """Return how long after the beginning a moment is."""
        return (moment - self._started_at).total_seconds()

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return len(self._sleepers)

    @property
    def next_seconds(self) -> float | None:
        """When the next sleeper wakes; None: nobody sleeps."""
        return min((one[0] for one in self._sleepers), default=None)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved by so many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        self._asleep += 1
        sleeper = (self.seconds + seconds, self._asleep, wake)
        self._sleepers.append(sleeper)
        try:
            await wake
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def move_to(self, seconds: float) -> None:
        """Move time on, the cluster's first, and wake who has slept long enough."""
        self._move(seconds)
        self.seconds = max(self.seconds, seconds)
        for sleeper in sorted(one for one in self._sleepers if one[0] <= self.seconds):
            self._sleepers.remove(sleeper)
            if not sleeper[2].done():
                sleeper[2].set_result(None)


async def keep_pace(clock: VirtualClock) -> None:
    """Move a clock on as real time passes, without an end: for clusters that cannot wait.

    Args:
        clock: at its beginning; nobody else may move it.

    Raises:
        OperatorError: a fault of the cluster could not be made.
    """
    began = monotonic_seconds()
    while True:
        await asyncio.sleep(PACE_SECONDS)
        clock.move_to(monotonic_seconds() - began)
