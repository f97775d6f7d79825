"""The loop that watches one cluster, in one process at a time."""

import asyncio
from typing import NamedTuple

from operator_core.db.ledger import Ledger
from operator_core.monitor.config import soonest_seconds
from operator_core.runtime.loops import enduring, or_stop, wait, wait_or_sooner
from operator_core.runtime.options import RunOptions
from operator_core.runtime.watch import Watch
from operator_core.runtime.wiring import Wired


class _Seen(NamedTuple):
    """What one look leaves to the next: the snoozed problems told of, and how soon it comes."""

    quiet: frozenset[str]
    pause_seconds: float


async def monitor_loop(
    ledger: Ledger, one: Wired, options: RunOptions, stop: asyncio.Event
) -> None:
    """Watch one cluster while no other process does; take over when that one dies."""
    name = one.subject.name
    watch = Watch(ledger, name, one.executor.owner, options.lease_seconds)
    keeping = asyncio.create_task(_keep(watch, name, stop))
    quiet: frozenset[str] = frozenset()
    try:
        while not stop.is_set():
            seen: _Seen | None = None
            async with enduring("monitor", name, stop):
                seen = await _look_if_mine(watch, one, options, stop, quiet)
            quiet = seen.quiet if seen else frozenset()
            unwatched_seconds = min(options.interval_seconds, watch.look_seconds)
            if seen is None:
                await wait(stop, unwatched_seconds)
            else:
                soonest = soonest_seconds(options.interval_seconds)
                await wait_or_sooner(stop, seen.pause_seconds, one.agent.acted, soonest)
    finally:
        keeping.cancel()
    async with enduring("monitor", name, stop):
        await watch.end()


async def _look_if_mine(
    watch: Watch, one: Wired, options: RunOptions, stop: asyncio.Event, quiet: frozenset[str]
) -> _Seen | None:
    """Look where this process has the right to; where it cannot, whoever can look, shall.

    Takes the snoozed problems, see `_look`. Returns None where another process watches.
    """
    try:
        return await _look(one, options, stop, quiet) if await watch.is_mine() else None
    except Exception:
        await watch.end()
        raise


async def _keep(watch: Watch, subject: str, stop: asyncio.Event) -> None:
    """Hold the right to watch between looks, however far apart they are."""
    while not stop.is_set():
        await wait(stop, watch.look_seconds)
        async with enduring("lease", subject, stop):
            await watch.keep()


async def _look(
    one: Wired, options: RunOptions, stop: asyncio.Event, quiet: frozenset[str]
) -> _Seen:
    """Look once; a request to stop ends even a look at a cluster that does not answer.

    Takes the snoozed problems that were told of before, and returns those there are now.
    """
    one.agent.acted.clear()  # what ends from now on, this look does not show
    found = await or_stop(asyncio.create_task(one.monitor.step()), stop)
    if found is None:
        return _Seen(quiet, options.interval_seconds)
    for problem in found.snoozed:
        if problem.key not in quiet:
            options.tell(f"snoozed, so no ticket: {problem.message}")
    told = frozenset(problem.key for problem in found.snoozed)
    return _Seen(told, found.pause_seconds(options.interval_seconds))
