"""The loop of one process: watches and acts until it is asked to stop, then drains.

Nothing is polled that can be waited for: a write, by this process or another one, wakes the
loops, and the next due time sets the timer.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

from operator_core import db as stores
from operator_core.actions.types import ActionStatus
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.sharing import LedgerUse
from operator_core.errors import ConfigurationError
from operator_core.monitor.config import MonitorConfig, Patience
from operator_core.runtime.acting import agent_loops
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.loops import (
    LONGEST_WAIT_SECONDS,
    end_after,
    end_with_parent,
    ended_by,
    enduring,
    lasting,
    once_usable,
    or_stop,
    signals,
    wait,
)
from operator_core.runtime.news import News, news_loop
from operator_core.runtime.options import RunOptions
from operator_core.runtime.plugins import connect
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.runtime.watching import monitor_loop
from operator_core.runtime.wiring import Wired, WiringOptions, wire

__all__ = ["RunOptions", "run"]

FIRST_LOOK_SECONDS = 0.5
"""The guards are tried so long after the start, unless work waits for them: to see comes first."""


class _Started(NamedTuple):
    """What a process works with."""

    ledger: Ledger
    wired: list[Wired]
    keeper: PolicyKeeper | None


async def run(db_path: LedgerAddress, options: RunOptions, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run until SIGTERM or SIGINT, then drain; a ledger that is away or full is waited for.

    Raises:
        ConfigurationError: no cluster is connected, or one cannot be reached by its settings.
        LedgerError: the ledger cannot be opened, and waiting does not help.
    """
    stop = asyncio.Event()
    async with signals(stop), ended_by(stop, _ends(options, stop)), AsyncExitStack() as used:
        start = partial(_start, used, db_path, options, clock)
        started = await once_usable(start, stop, options.tell)
        if started is None:
            return
        names = ", ".join(one.subject.name for one in started.wired)
        options.tell(f"watching {names} every {options.interval_seconds:g} s")
        try:
            await _until_stopped(started.ledger, started.wired, options, started.keeper, stop)
        finally:
            options.tell("stopping: no new work, waiting for what runs")
            for one in started.wired:
                await one.agent.drain(options.drain_seconds)


def _ends(options: RunOptions, stop: asyncio.Event) -> list[Coroutine[object, object, None]]:
    ends: list[Coroutine[object, object, None]] = []
    if options.lifetime_seconds is not None:
        ends.append(end_after(options.lifetime_seconds, stop))
    if options.ends_with_parent:
        ends.append(end_with_parent(stop))
    return ends


async def _start(
    used: AsyncExitStack, db_path: LedgerAddress, options: RunOptions, clock: Clock
) -> _Started:
    """Open what a process works with, until ``used`` is closed; all of it or nothing."""
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(LedgerUse(db_path, clock))
        wired = []
        for record in await _records(ledger, options):
            one = await _wired(ledger, record, options)
            opened.push_async_callback(one.subject.close)
            wired.append(one)
        keeper = await _keeper(ledger, options) if options.agent else None
        await used.enter_async_context(opened.pop_all())
    return _Started(ledger, wired, keeper)


async def _records(ledger: Ledger, options: RunOptions) -> list[dict[str, object]]:
    control = ControlDB(ledger)
    if options.subjects:
        return [await control.get_subject(name) for name in options.subjects]
    found = await control.list_subjects()
    if not found:
        raise ConfigurationError(
            "No cluster is connected to this ledger. Connect one first, such as "
            "`operator connect etcd --endpoints http://127.0.0.1:2379`, or try `operator demo`."
        )
    return found


async def _wired(ledger: Ledger, record: dict[str, object], options: RunOptions) -> Wired:
    patience = Patience.with_looks_every(
        options.interval_seconds, soak_seconds=options.soak_seconds
    )
    wiring = WiringOptions(
        require_approval=options.require_approval,
        lease_seconds=options.lease_seconds,
        monitor=MonitorConfig(retention=options.retention, patience=patience),
    )
    return wire(ledger, await connect(record), wiring)


async def _keeper(ledger: Ledger, options: RunOptions) -> PolicyKeeper:
    """Put the policy in force; who says that nobody must approve gets no shipped policy."""
    keeper = PolicyKeeper(
        ledger,
        options.policy,
        default=options.require_approval is not False,
        tell=options.tell,
    )
    await keeper.start()
    return keeper


async def _keep_policy(keeper: PolicyKeeper, stop: asyncio.Event) -> None:
    while not stop.is_set():
        async with enduring("policy", "", stop):
            await keeper.step()
        await wait(stop, LONGEST_WAIT_SECONDS)


async def _keep_guards(ledger: Ledger, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Try the guards of the gate at start and hourly; a request to stop ends a trial."""
    async with enduring("guards", "", stop):
        in_need = not guards.proven and await _work_waits(ledger)
        await wait(stop, 0.0 if in_need else FIRST_LOOK_SECONDS)
    while not stop.is_set():
        async with enduring("guards", "", stop):
            await or_stop(asyncio.create_task(guards.step()), stop)
        await wait(stop, LONGEST_WAIT_SECONDS)


async def _work_waits(ledger: Ledger) -> bool:
    """Return whether there is work to go on with, as after a crash: nothing runs unguarded."""
    db = stores.ActionDB(ledger)
    running = await db.list_proposals(ActionStatus.EXECUTING, limit=1)
    return bool(running or await db.list_ready(limit=1))


async def _until_stopped(
    ledger: Ledger,
    wired: list[Wired],
    options: RunOptions,
    keeper: PolicyKeeper | None,
    stop: asyncio.Event,
) -> None:
    loops: list[Coroutine[object, object, None]] = []
    guards = GuardKeeper(ledger, tell=options.tell)
    if keeper is not None:
        await guards.recall()
        loops += [
            lasting("policy", "", partial(_keep_policy, keeper, stop), stop),
            lasting("guards", "", partial(_keep_guards, ledger, guards, stop), stop),
        ]
    if options.on_event is not None:
        telling = partial(news_loop, News(ledger, options.tell), stop)
        loops.append(lasting("news", "", telling, stop))
    for one in wired:
        if options.monitor:
            watching = partial(monitor_loop, ledger, one, options, stop)
            loops.append(lasting("monitor", one.subject.name, watching, stop))
        if options.agent:
            loops += agent_loops(ledger, one, guards, stop)
    tasks = [asyncio.create_task(loop) for loop in loops]
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also where this is cancelled: nothing goes on without its ledger
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
