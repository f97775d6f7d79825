"""How much of what was seen is kept: options, and the numbers for people."""

from collections.abc import Iterable
from typing import Annotated

import typer

from operator_core.clock import from_text
from operator_core.config import (
    KEEP_AROUND_VARIABLE,
    KEEP_DAYS_VARIABLE,
    KEEP_MIB_VARIABLE,
    positive_number,
)
from operator_core.db.care import KeptLooks
from operator_core.errors import RequestError
from operator_core.monitor.retention import MIB, Retention

_SECONDS_A_DAY, _SECONDS_A_MINUTE = 86_400.0, 60.0
_MOST_DAYS = 36_500.0

KeepMib = Annotated[
    float | None,
    typer.Option(
        "--keep-mib",
        help=f"Disk budget of all that was seen, in MiB; if not given, {KEEP_MIB_VARIABLE}, "
        "else 512.",
        show_default=False,
    ),
]
KeepDays = Annotated[
    float | None,
    typer.Option(
        "--keep-days",
        help=f"Greatest age of what was seen; if not given, {KEEP_DAYS_VARIABLE}, else 90.",
        show_default=False,
    ),
]
KeepAround = Annotated[
    float | None,
    typer.Option(
        "--keep-around-minutes",
        help="So long before and after an incident every look is kept; if not given, "
        f"{KEEP_AROUND_VARIABLE}, else 30.",
        show_default=False,
    ),
]


def retention(mib: float | None, days: float | None, around_minutes: float | None) -> Retention:
    """Return what is kept: as given, else as the environment says, else as shipped.

    Raises:
        RequestError: a number that was given cannot be used.
        ConfigurationError: one of the environment cannot.
    """
    usual = Retention()
    budget = _chosen(mib, "--keep-mib", KEEP_MIB_VARIABLE)
    age = _chosen(days, "--keep-days", KEEP_DAYS_VARIABLE)
    around = _chosen(around_minutes, "--keep-around-minutes", KEEP_AROUND_VARIABLE)
    return Retention(
        usual.budget_bytes if budget is None else int(budget * MIB),
        usual.max_age_seconds if age is None else min(age, _MOST_DAYS) * _SECONDS_A_DAY,
        usual.around_seconds if around is None else min(around * _SECONDS_A_MINUTE, _SECONDS_A_DAY),
    )


def _chosen(given: float | None, option: str, variable: str) -> float | None:
    if given is None:
        return positive_number(variable)
    if not 0 < given < float("inf"):
        raise RequestError(f"{option} must be a number greater than 0, not {given}.")
    return given


def in_mib(size_bytes: int) -> str:
    """Return a size for people."""
    return f"{size_bytes / MIB:.1f} MiB"


def told(kept: KeptLooks) -> str:
    """Return in a line how much is kept, and of how much."""
    total = f"{kept.looks} looks take {in_mib(kept.size_bytes)}"
    if kept.limits is None:
        return f"{total}; no monitor has looked yet, so there is no budget"
    days = kept.limits.max_age_seconds / _SECONDS_A_DAY
    said = f"{total} of {in_mib(kept.limits.budget_bytes)}, at most {days:g} days old"
    if not kept.over_budget:
        return said
    return f"{said}: what decisions rest on is never dropped; raise --keep-mib of `operator up`"


def kinds(kept: KeptLooks) -> Iterable[tuple[object, ...]]:
    """Return a row of a table for each reason to keep a look."""
    return (
        (_WHY[one.kept_as], one.looks, in_mib(one.size_bytes), from_text(one.oldest))
        for one in kept.kinds
    )


_WHY = {
    "fresh": "young: all are kept",
    "minute": "the first of each minute",
    "hour": "the first of each hour",
    "incident": "round an incident: all are kept",
    "evidence": "what tickets and decisions rest on",
}
