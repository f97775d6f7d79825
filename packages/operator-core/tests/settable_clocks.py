"""Clocks whose time of day can be set, for tests."""

from datetime import datetime, timedelta

from operator_core.actions.types import ActionType, Schedule
from operator_core.testing.clock import START, LeapingClock

EACH_MINUTE = Schedule(
    id=1,
    name="m",
    cron="* * * * *",
    action_name="wait",
    action_type=ActionType.TOOL,
    parameters={"seconds": 1},
    reason="r",
)


class WallClock:
    """A machine's clock: its time of day can be set, its seconds grow evenly."""

    def __init__(self) -> None:
        """Begin at the usual moment."""
        self.ahead_seconds = 0.0
        self.passed_seconds = 0.0

    def now(self) -> datetime:
        """Return the time of day."""
        return START + timedelta(seconds=self.passed_seconds + self.ahead_seconds)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed_seconds += seconds

    def steady_seconds(self) -> float:
        """Return how much time has passed."""
        return self.passed_seconds


class SettableClock(LeapingClock):
    """Simulated time that can be set back."""

    def set_back(self, seconds: float) -> None:
        """Set the time of day back."""
        self._now -= timedelta(seconds=seconds)
