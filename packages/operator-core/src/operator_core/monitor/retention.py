"""Which looks at a cluster are kept: whole round incidents, thinned between them; pure.

A look begins fresh. When it is no longer, it is kept as part of an incident, as the first of its
minute, or dropped; a day later the first of each hour is left of those. What a decision rests on
is evidence and never dropped. Where the disk budget is reached all the same, the oldest give way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

MIB: Final = 1 << 20
ROW_BYTES: Final = 400
"""What a look takes on disk beside its content: its other columns and its entries in indexes."""

_HOUR_SECONDS, _DAY_SECONDS = 3600.0, 86_400.0


class KeptAs(StrEnum):
    """Why a look is kept."""

    FRESH = "fresh"
    MINUTE = "minute"
    HOUR = "hour"
    INCIDENT = "incident"
    EVIDENCE = "evidence"


GIVES_WAY: Final = (KeptAs.HOUR, KeptAs.MINUTE, KeptAs.INCIDENT, KeptAs.FRESH)
"""What is dropped first where the budget is reached; evidence never is."""


class Retention(NamedTuple):
    """How much of what was seen is kept.

    Attributes:
        budget_bytes: what the looks of all clusters in the ledger may take together.
        max_age_seconds: older looks are dropped, but for evidence.
        around_seconds: looks so long before and after an incident are kept whole.
    """

    budget_bytes: int = 512 * MIB
    max_age_seconds: float = 90 * _DAY_SECONDS
    around_seconds: float = 1800.0

    @property
    def fresh_seconds(self) -> float:
        """How long every look is kept, so that an incident finds what was before it."""
        return max(_HOUR_SECONDS, self.around_seconds)

    @property
    def steps(self) -> tuple["Step", ...]:
        """How looks are thinned with age, the youngest first."""
        return (
            Step(KeptAs.FRESH, KeptAs.MINUTE, self.fresh_seconds, 60.0),
            Step(KeptAs.MINUTE, KeptAs.HOUR, max(_DAY_SECONDS, self.fresh_seconds), _HOUR_SECONDS),
        )


KEEP: Final = Retention()
"""How much of what was seen is kept where nobody says otherwise."""


class Step(NamedTuple):
    """One thinning: of looks so old, the first of each stretch of time is left.

    Attributes:
        of: the looks that are thinned.
        to: what those become that are left.
        after_seconds: their age.
        every_seconds: the stretch of time.
    """

    of: KeptAs
    to: KeptAs
    after_seconds: float
    every_seconds: float


class SeenAt(NamedTuple):
    """A look, as far as thinning cares."""

    id: int
    at: datetime


class Window(NamedTuple):
    """A stretch of time that is kept whole; without an end it still goes on."""

    since: datetime
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Return whether a moment lies in it."""
        return self.since <= at and (self.until is None or at <= self.until)


@dataclass
class Thinned:
    """What becomes of looks, by their ids."""

    dropped: list[int] = field(default_factory=list)
    incident: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


def thin(
    looks: Iterable[SeenAt],
    windows: Sequence[Window],
    every_seconds: float,
    last: datetime | None = None,
) -> Thinned:
    """Return what becomes of looks that reach the age of a step.

    Args:
        looks: in the order of time.
        windows: what is kept whole.
        every_seconds: of each such stretch of time the first look is left.
        last: the newest look that an earlier call has left.
    """
    found = Thinned()
    stretch = None if last is None else _stretch(last, every_seconds)
    for look in looks:
        if any(window.holds(look.at) for window in windows):
            found.incident.append(look.id)
        elif _stretch(look.at, every_seconds) == stretch:
            found.dropped.append(look.id)
        else:
            found.left.append(look.id)
            stretch = _stretch(look.at, every_seconds)
    return found


def _stretch(at: datetime, every_seconds: float) -> int:
    return int(at.timestamp() // every_seconds)


def giving_way(oldest: Iterable[tuple[int, int]], excess_bytes: int) -> list[int]:
    """Return the ids of the first looks that free so much together, and no more of them.

    Args:
        oldest: id and size in bytes of looks, the oldest first.
        excess_bytes: what must be freed; the looks may be too few for it.
    """
    given: list[int] = []
    for look, size_bytes in oldest:
        if excess_bytes <= 0:
            break
        given.append(look)
        excess_bytes -= size_bytes
    return given
