"""Reads a timed fault from a table as TOML or JSON gives it."""

from __future__ import annotations

from typing import Any, Final

from operator_tikv.simulator.faults.timeline import read_fault
from operator_tikv.simulator.faults.words import FaultError, PlannedFault, read_seconds

_TIMES: Final = ("at", "until", "fault")


def read_planned(table: object) -> PlannedFault:
    """Read one timed fault: `at`, `fault`, its parameters, and `until` if it ends.

    Args:
        table: the fault; without `at` it begins at once.

    Raises:
        FaultError: something in it is not right.
    """
    if not isinstance(table, dict) or "fault" not in table:
        raise FaultError("must be a table with a fault, such as {at = '10m', fault = 'stop'}")
    at_seconds = _time(table, "at") or 0.0
    until_seconds = _time(table, "until")
    if until_seconds is not None and until_seconds <= at_seconds:
        raise FaultError("until must be later than at")
    fields = {key: value for key, value in table.items() if key not in _TIMES}
    name = table["fault"]
    return PlannedFault(at_seconds, str(name), read_fault(name, fields), until_seconds)


def _time(table: dict[str, Any], name: str) -> float | None:
    if name not in table:
        return None
    try:
        return read_seconds(table[name])
    except ValueError as error:
        raise FaultError(f"{name}: {error}") from error
