"""What a single item of PD's configuration must not be set to, whatever the cluster; pure."""

from typing import Final

from operator_core.errors import ActionRefusedError
from operator_tikv.facts_config import LIMITS
from operator_tikv.pd.parse import duration_seconds
from operator_tikv.watched import WatchedSchedule

LEAST_DOWN_SECONDS: Final = 1800.0
"""PD's default; below it a store that restarts is repaired away."""

LONGEST_DOWN_SECONDS: Final = 86_400.0
"""Beyond it a store that is lost is not replaced."""

FULLEST_SHARE: Final = 0.95
"""A disk that PD fills further has no room for what compaction writes."""

MAY_BE_ZERO: Final = "merge_schedule_limit"
NEVER_ZERO: Final = frozenset({"max-snapshot-count", "max-pending-peer-count"})
REPAIR_SWITCHES: Final = frozenset(
    name.replace("_", "-") for name in WatchedSchedule.model_fields if name.startswith("enable_")
)
_STOPS_AT_ZERO: Final = NEVER_ZERO | {
    name.replace("_", "-") for name in LIMITS if name != MAY_BE_ZERO
}


def check_schedule_item(item: str, value: str) -> None:
    """Check that a value keeps PD repairing and its disks with room.

    Raises:
        ActionRefusedError: it does not, or is none.
    """
    if item == "max-store-down-time":
        _check_down_time(value)
    elif item == "halt-scheduling" and value.lower() == "true":
        raise ActionRefusedError("With halt-scheduling PD would move and repair nothing.")
    elif item in REPAIR_SWITCHES and value.lower() == "false":
        raise ActionRefusedError(f"Without {item} PD would repair less.")
    elif item in _STOPS_AT_ZERO and _number(value) == 0:
        raise ActionRefusedError(f"With {item} 0 PD would move or repair nothing.")
    elif item == "low-space-ratio" and not 0 <= _number(value) <= FULLEST_SHARE:
        raise ActionRefusedError(f"low-space-ratio must be from 0 to {FULLEST_SHARE:g}.")


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _check_down_time(value: str) -> None:
    try:
        seconds = duration_seconds(value)
    except ValueError as error:
        raise ActionRefusedError(f"{value!r} is no duration such as 1h0m0s.") from error
    if not isinstance(seconds, float) or seconds < LEAST_DOWN_SECONDS:
        raise ActionRefusedError(
            "max-store-down-time below 30m0s would make PD replace a store that restarts."
        )
    if seconds > LONGEST_DOWN_SECONDS:
        raise ActionRefusedError(
            "max-store-down-time above 24h0m0s would keep PD from replacing a store that is lost."
        )
