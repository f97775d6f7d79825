"""What the ledger's trouble breaks off is done again once it is over."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from operator_core.clock import Clock, Stopwatch
from operator_core.errors import (
    LedgerClosedError,
    LedgerCorruptError,
    LedgerError,
    LedgerGoneError,
    LedgerVersionError,
)
from operator_core.logs import get_logger

log = get_logger(__name__)

Found = TypeVar("Found")

LONGEST_TROUBLE_SECONDS = 600.0
"""A ledger that is away or full for longer does not come back while somebody waits for it."""

_PAUSE_SECONDS = 0.25
"""Shorter than what others wait who look for work that was left behind: who knows is first."""

_LASTS = (LedgerClosedError, LedgerCorruptError, LedgerGoneError, LedgerVersionError)


async def patiently(step: Callable[[], Awaitable[Found]], clock: Clock) -> Found:
    """Do a step, and again while the ledger is away, full, busy or may not be written.

    Only this process knows how its call has ended. Who gives up here leaves the others to ask the
    cluster, and a person where that cannot tell (ADR 61).

    Args:
        step: may be done again where an error of the ledger has ended it.
        clock: the source of time.

    Raises:
        LedgerError: waiting does not help, or has not helped for `LONGEST_TROUBLE_SECONDS`.
        Exception: whatever else the step raises.
    """
    trouble: Stopwatch | None = None
    while True:
        try:
            return await step()
        except LedgerError as error:
            if isinstance(error, _LASTS):
                raise
            if trouble is None:
                log.warning("waits_for_the_ledger", reason=str(error))
                trouble = Stopwatch(clock)
            if trouble.seconds() >= LONGEST_TROUBLE_SECONDS:
                raise
        await clock.sleep(_PAUSE_SECONDS)
