"""Windows of time; pure."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from operator_core.actions.policy.words import Freeze, Hours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Inside = Callable[[datetime], bool]
"""Says whether a moment lies in a window."""


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def hours_test(hours: Hours) -> Inside:
    """Return the test for a window that comes again.

    A window past midnight belongs to the day on which it begins.
    """
    zone, start, end = ZoneInfo(hours.zone), _minutes(hours.start), _minutes(hours.end)
    days = frozenset(_DAYS.index(day) for day in hours.days) or frozenset(range(len(_DAYS)))

    def inside(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if start < end:
            return start <= minute < end and day in days
        if minute >= start:
            return day in days
        return minute < end and (day - 1) % len(_DAYS) in days

    return inside


def freeze_test(freeze: Freeze) -> Inside:
    """Return the test for a freeze: between its two moments, or in its hours."""
    if freeze.hours is not None:
        return hours_test(freeze.hours)
    starts, ends = freeze.starts, freeze.ends
    return lambda moment: starts is not None and ends is not None and starts <= moment < ends
