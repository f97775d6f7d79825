"""What the loops of a process share: they wait, are woken, endure trouble, and end on request."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from operator_core.clock import SYSTEM_CLOCK, Seldom, from_text
from operator_core.contain import said
from operator_core.db.dispatch import DispatchDB
from operator_core.db.ledger import Ledger
from operator_core.errors import (
    LedgerAwayError,
    LedgerBusyError,
    LedgerError,
    LedgerFullError,
    LedgerGoneError,
    LedgerReadOnlyError,
)
from operator_core.logs import get_logger

log = get_logger(__name__)

Found = TypeVar("Found")

LONGEST_WAIT_SECONDS = 1.0
"""A loop looks at least this often: leases of dead owners end without a write."""

QUIET_SECONDS = 0.01
"""How long nothing must have changed before the ledger is asked what is due next."""

TROUBLE_PAUSE_SECONDS = 1.0
TELL_SECONDS = 60.0
PARENT_LOOK_SECONDS = 0.5

_PASSES = (LedgerAwayError, LedgerBusyError, LedgerFullError, LedgerReadOnlyError)
"""What others mend while a process waits."""


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Return when an event is set, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def wait_or_sooner(
    stop: asyncio.Event, seconds: float, sooner: asyncio.Event, least_seconds: float
) -> None:
    """Wait for so many seconds; less where something has happened, and least until it may count.

    Args:
        stop: ends the wait at once.
        seconds: how long it is.
        sooner: ends it after `least_seconds`.
        least_seconds: how long it is in any case.
    """
    least_seconds = min(least_seconds, seconds)
    await wait(stop, least_seconds)
    await or_stop(asyncio.create_task(wait(sooner, seconds - least_seconds)), stop)


async def or_stop(task: "asyncio.Task[Found]", stop: asyncio.Event) -> Found | None:
    """Return what a task finds; None: it was ended, because of a request to stop."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None


@asynccontextmanager
async def waking(ledger: Ledger, stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set after each change of the ledger, and by a request to stop."""
    wake = ledger.subscribe()

    async def ring_at_end() -> None:
        await stop.wait()
        wake.set()

    ringing = asyncio.create_task(ring_at_end())
    try:
        yield wake
    finally:
        ringing.cancel()
        ledger.unsubscribe(wake)


async def until_something_happens(ledger: Ledger, wake: asyncio.Event) -> None:
    """Return after a change of the ledger, or when something is due."""
    await wait(wake, QUIET_SECONDS)
    if not wake.is_set():
        await wait(wake, min(LONGEST_WAIT_SECONDS, await _seconds_to_next_due(ledger)))


async def _seconds_to_next_due(ledger: Ledger) -> float:
    try:
        due = await DispatchDB(ledger).next_due_at()
    except LedgerError:
        return LONGEST_WAIT_SECONDS
    if due is None:
        return LONGEST_WAIT_SECONDS
    return max(0.0, (from_text(due) - ledger.clock.now()).total_seconds())


@asynccontextmanager
async def enduring(stage: str, subject: str, stop: asyncio.Event) -> AsyncIterator[None]:
    """Let a round fail without ending the loop: what it left undone is done by the next."""
    try:
        yield
    except LedgerGoneError:
        raise  # no command of a person reaches this process any more, not even the kill switch
    except Exception as error:
        log.exception("round_failed", stage=stage, subject=subject, reason=said(error))
        await wait(stop, TROUBLE_PAUSE_SECONDS)


async def lasting(
    stage: str, subject: str, loop: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run a loop until it is asked to stop; where something has ended it, it begins anew.

    A round is endured where it fails. This is for what stands between two of them.
    """
    while not stop.is_set():
        async with enduring(stage, subject, stop):
            await loop()


async def end_after(seconds: float, stop: asyncio.Event) -> None:
    """Return when the process has lived so long, or shall stop."""
    await wait(stop, seconds)


async def end_with_parent(stop: asyncio.Event) -> None:
    """Return when the process that started this one is gone, or this one shall stop."""
    parent = os.getppid()
    while os.getppid() == parent and not stop.is_set():
        await wait(stop, PARENT_LOOK_SECONDS)


@asynccontextmanager
async def ended_by(
    stop: asyncio.Event, ends: Sequence[Coroutine[object, object, None]]
) -> AsyncIterator[None]:
    """Ask to stop as soon as one of these returns."""

    async def end(one: Coroutine[object, object, None]) -> None:
        await one
        stop.set()

    tasks = [asyncio.create_task(end(one)) for one in ends]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def once_usable(
    start: Callable[[], Awaitable[Found]], stop: asyncio.Event, tell: Callable[[str], None]
) -> Found | None:
    """Return what a start gives, waiting for a ledger that is away, busy, full or read-only.

    Who supervises processes gives one up that ends again and again; so this one waits as one does
    that has started. What nobody mends by waiting ends it.

    Args:
        start: tried until it succeeds; it leaves nothing behind where it fails.
        stop: ends the wait; then None is returned.
        tell: told at once, and once a minute, what to do.

    Raises:
        OperatorError: what `start` raises for good.
    """
    telling = Seldom(TELL_SECONDS)
    while not stop.is_set():
        try:
            return await start()
        except _PASSES as error:
            if telling.is_due(SYSTEM_CLOCK):
                tell(f"waiting for the ledger: {error} It goes on by itself then.")
        await wait(stop, TROUBLE_PAUSE_SECONDS)
    return None


@asynccontextmanager
async def signals(stop: asyncio.Event) -> AsyncIterator[None]:
    """Let SIGTERM and SIGINT ask to stop, and the end of a terminal unless `nohup` ignores it."""
    loop = asyncio.get_running_loop()
    heard = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    for name in heard:
        loop.add_signal_handler(name, stop.set)
    try:
        yield
    finally:
        for name in heard:
            loop.remove_signal_handler(name)
