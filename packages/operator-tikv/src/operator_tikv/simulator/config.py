"""PD's configuration: the defaults of 8.5, typed as PD prints them, and how it is changed."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Final

Scalar = bool | int | float | str

UNLIMITED_RATE: Final = 100_000_000.0
DEFAULT_STORE_LIMIT: Final = 15.0
TIFLASH_STORE_LIMIT: Final = 30.0

_SCHEDULE: Final[dict[str, Scalar]] = {
    "max-snapshot-count": 64,
    "max-pending-peer-count": 64,
    "max-merge-region-size": 54,
    "max-merge-region-keys": 540_000,
    "split-merge-interval": "1h0m0s",
    "swtich-witness-interval": "1h0m0s",
    "enable-one-way-merge": False,
    "enable-cross-table-merge": True,
    "patrol-region-interval": "10ms",
    "max-store-down-time": "30m0s",
    "max-store-preparing-time": "48h0m0s",
    "leader-schedule-limit": 4,
    "leader-schedule-policy": "count",
    "region-schedule-limit": 2048,
    "witness-schedule-limit": 4,
    "replica-schedule-limit": 64,
    "merge-schedule-limit": 8,
    "hot-region-schedule-limit": 4,
    "hot-region-cache-hits-threshold": 3,
    "tolerant-size-ratio": 0,
    "low-space-ratio": 0.8,
    "high-space-ratio": 0.7,
    "region-score-formula-version": "v2",
    "scheduler-max-waiting-operator": 5,
    "enable-remove-down-replica": True,
    "enable-replace-offline-replica": True,
    "enable-make-up-replica": True,
    "enable-remove-extra-replica": True,
    "enable-location-replacement": True,
    "enable-debug-metrics": False,
    "enable-joint-consensus": True,
    "enable-tikv-split-region": True,
    "hot-regions-write-interval": "10m0s",
    "hot-regions-reserved-days": 7,
    "max-movable-hot-peer-size": 512,
    "enable-diagnostic": True,
    "enable-witness": False,
    "slow-store-evicting-affected-store-ratio-threshold": 0.3,
    "store-limit-version": "v1",
    "halt-scheduling": False,
}
_REPLICATION: Final[dict[str, Scalar]] = {
    "max-replicas": 3,
    "location-labels": "",
    "strictly-match-label": False,
    "enable-placement-rules": True,
    "enable-placement-rules-cache": False,
    "isolation-level": "",
}
_SWITCH: Final = {"true": True, "false": False}
_DURATION_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class ConfigError(Exception):
    """A change of the configuration that PD refuses; the text is PD's."""


class PdConfig:
    """The schedule and replication parts of PD's configuration and the store limits."""

    def __init__(self) -> None:
        """Start from the defaults."""
        self.schedule = copy.deepcopy(_SCHEDULE)
        self.replication = copy.deepcopy(_REPLICATION)
        self.store_limit: dict[int, dict[str, float]] = {}

    def number(self, item: str) -> float:
        """Read a numeric item of the schedule part."""
        return float(self.schedule[item])

    def seconds(self, item: str) -> float:
        """Read a duration of the schedule part in seconds."""
        return parse_duration_seconds(str(self.schedule[item]))

    def enabled(self, item: str) -> bool:
        """Read a switch of the schedule part."""
        return bool(self.schedule[item])

    @property
    def max_replicas(self) -> int:
        """How many replicas a region should have."""
        return int(self.replication["max-replicas"])

    def update(self, item: str, value: object) -> None:
        """Change one item, named with or without its section.

        Args:
            item: for example `schedule.leader-schedule-limit` or `max-replicas`.
            value: a JSON scalar; text is turned into the type of the item.

        Raises:
            ConfigError: the item is unknown or the value does not fit.
        """
        name = item.removeprefix("schedule.").removeprefix("replication.")
        for section in (self.schedule, self.replication):
            if name in section:
                section[name] = _fit(item, section[name], value)
                return
        raise ConfigError(f"config item {item} not found")


@lru_cache(maxsize=256)
def parse_duration_seconds(text: str) -> float:
    """Read a Go duration such as `1h0m0s` or `10ms`.

    Raises:
        ConfigError: the text is no duration.
    """
    total, number = 0.0, ""
    rest = text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = "ms" if rest.startswith("ms") else rest[:1]
        if not number or unit not in _DURATION_UNITS:
            message = f'time: invalid duration "{text}"'
            raise ConfigError(message)
        total += float(number) * _DURATION_UNITS[unit]
        rest = rest[len(unit) :]
    return total


def _fit(item: str, old: Scalar, value: object) -> Scalar:
    try:
        return _converted(old, value)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"[PD:common:ErrInvalidParameter]invalid value of {item}: {value}"
        ) from error


def _converted(old: Scalar, value: object) -> Scalar:
    if isinstance(old, bool):
        return _SWITCH[str(value).lower()]
    if isinstance(old, int | float) and isinstance(value, int | float | str):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(old, str) and isinstance(value, str):
        if old[-1:] == "s" and old[:1].isdigit():
            parse_duration_seconds(value)
        return value
    raise TypeError
