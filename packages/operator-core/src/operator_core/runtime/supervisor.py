"""The loop of one process: watches and acts until it is asked to stop, then drains.

Nothing is polled that can be waited for: a write in this process wakes the loop at once, one
by another process is seen through the ledger's change number, and the next due time sets the
timer.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from operator_core.actions.types import ActionStatus
from operator_core.clock import SYSTEM_CLOCK, Clock, from_text, monotonic_seconds
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, LedgerAddress, LedgerUse
from operator_core.db.tickets import KEEP
from operator_core.errors import ConfigurationError, LedgerError, LedgerGoneError
from operator_core.logs import get_logger
from operator_core.monitor.retention import Retention
from operator_core.monitor.tickets import MonitorConfig
from operator_core.monitor.verify import DEFAULT_SOAK_SECONDS, Patience
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.plugins import connect
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.runtime.watch import Watch
from operator_core.runtime.wiring import Wired, WiringOptions, wire

log = get_logger(__name__)

Found = TypeVar("Found")

OTHER_PROCESS_LOOK_SECONDS = 0.1
"""How soon a write by another process on the same file is noticed."""

LONGEST_WAIT_SECONDS = 1.0
"""The loop looks at least this often: leases of dead owners end without a write."""

FIRST_LOOK_SECONDS = 0.5
"""The guards are tried so long after the start, unless work waits: to see comes first."""

TROUBLE_PAUSE_SECONDS = 1.0
PARENT_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class RunOptions:
    """What one process does.

    Attributes:
        monitor: whether it watches.
        agent: whether it diagnoses, proposes and executes.
        interval_seconds: pause between two looks at a cluster.
        require_approval: whether a person approves; None: as the environment says.
        lease_seconds: how long a claim holds without being renewed.
        soak_seconds: how long a problem must be gone before its remedy is verified.
        subjects: names of the clusters; empty: all that are connected.
        lifetime_seconds: end after this long; None: never.
        ends_with_parent: stop when the process that started this one is gone.
        policy: the policy's file; None: what is in force stays, else the shipped one.
        retention: how much of what was seen is kept.
        drain_seconds: how long running actions may take after a request to stop.
        on_event: told in a line what happens.
    """

    monitor: bool = True
    agent: bool = True
    interval_seconds: float = 5.0
    require_approval: bool | None = None
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    soak_seconds: float = DEFAULT_SOAK_SECONDS
    subjects: tuple[str, ...] = ()
    lifetime_seconds: float | None = None
    ends_with_parent: bool = False
    policy: Path | None = None
    retention: Retention = KEEP
    drain_seconds: float = 20.0
    on_event: Callable[[str], None] | None = None


async def run(db_path: LedgerAddress, options: RunOptions, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        ConfigurationError: no cluster is connected, or one cannot be reached by its settings.
        LedgerError: the ledger cannot be opened.
    """
    stop = asyncio.Event()
    async with LedgerUse(db_path, clock) as ledger, _signals(stop):
        wired = [
            await _wired(ledger, record, options) for record in await _records(ledger, options)
        ]
        keeper = await _keeper(ledger, options) if options.agent else None
        names = ", ".join(one.subject.name for one in wired)
        _tell(options, f"watching {names} every {options.interval_seconds:g} s")
        try:
            await _until_stopped(ledger, wired, options, keeper, stop)
        finally:
            _tell(options, "stopping: no new work, waiting for what runs")
            for one in wired:
                await one.agent.drain(options.drain_seconds)
                await one.subject.close()


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
        tell=partial(_tell, options),
    )
    await keeper.start()
    return keeper


async def _keep_policy(keeper: PolicyKeeper, stop: asyncio.Event) -> None:
    while not stop.is_set():
        async with _enduring("policy", "", stop):
            await keeper.step()
        await _wait(stop, LONGEST_WAIT_SECONDS)


async def _keep_guards(ledger: Ledger, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Try the guards of the gate at start and hourly; a request to stop ends a trial."""
    async with _enduring("guards", "", stop):
        await _wait(stop, 0.0 if await _work_waits(ledger) else FIRST_LOOK_SECONDS)
    while not stop.is_set():
        async with _enduring("guards", "", stop):
            await _or_stop(asyncio.create_task(guards.step()), stop)
        await _wait(stop, LONGEST_WAIT_SECONDS)


async def _work_waits(ledger: Ledger) -> bool:
    """Return whether there is work to go on with, as after a crash: nothing runs unguarded."""
    db = ActionDB(ledger)
    running = await db.list_proposals(ActionStatus.EXECUTING, limit=1)
    return bool(running or await db.list_ready(limit=1))


async def _or_stop(task: "asyncio.Task[Found]", stop: asyncio.Event) -> Found | None:
    """Return what a task finds; None: it was ended, because of a request to stop."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None


async def _until_stopped(
    ledger: Ledger,
    wired: list[Wired],
    options: RunOptions,
    keeper: PolicyKeeper | None,
    stop: asyncio.Event,
) -> None:
    loops: list[Coroutine[object, object, None]] = []
    guards = GuardKeeper(ledger, tell=partial(_tell, options))
    if keeper is not None:
        loops += [_keep_policy(keeper, stop), _keep_guards(ledger, guards, stop)]
    for one in wired:
        if options.monitor:
            loops.append(_monitor(ledger, one, options, stop))
        if options.agent:
            loops.append(_agent(ledger, one, guards, stop))
    if options.lifetime_seconds is not None:
        loops.append(_end_after(options.lifetime_seconds, stop))
    if options.ends_with_parent:
        loops.append(_end_with_parent(stop))
    tasks = [asyncio.create_task(loop) for loop in loops]
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also where this is cancelled: nothing goes on without its ledger
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _end_after(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _end_with_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent and not stop.is_set():
        await _wait(stop, PARENT_LOOK_SECONDS)


async def _look_if_mine(
    watch: Watch, one: Wired, options: RunOptions, stop: asyncio.Event, quiet: frozenset[str]
) -> frozenset[str] | None:
    """Look where this process has the right to; where it cannot, whoever can look, shall.

    Takes and returns the snoozed problems, see `_look`; None: another process watches.
    """
    try:
        return await _look(one, options, stop, quiet) if await watch.is_mine() else None
    except Exception:
        await watch.end()
        raise


async def _monitor(ledger: Ledger, one: Wired, options: RunOptions, stop: asyncio.Event) -> None:
    """Watch one cluster while no other process does; take over when that one dies."""
    name = one.subject.name
    watch = Watch(ledger, name, one.executor.owner, options.lease_seconds)
    keeping = asyncio.create_task(_keep(watch, name, stop))
    quiet: frozenset[str] = frozenset()
    try:
        while not stop.is_set():
            seen: frozenset[str] | None = None
            async with _enduring("monitor", name, stop):
                seen = await _look_if_mine(watch, one, options, stop, quiet)
            quiet, pause = seen or frozenset(), options.interval_seconds
            await _wait(stop, min(pause, watch.look_seconds) if seen is None else pause)
    finally:
        keeping.cancel()
    async with _enduring("monitor", name, stop):
        await watch.end()


async def _keep(watch: Watch, subject: str, stop: asyncio.Event) -> None:
    """Hold the right to watch between looks, however far apart they are."""
    while not stop.is_set():
        await _wait(stop, watch.look_seconds)
        async with _enduring("lease", subject, stop):
            await watch.keep()


async def _look(
    one: Wired, options: RunOptions, stop: asyncio.Event, quiet: frozenset[str]
) -> frozenset[str]:
    """Look once; a request to stop ends even a look at a cluster that does not answer.

    Takes the snoozed problems that were told of before, and returns those there are now.
    """
    found = await _or_stop(asyncio.create_task(one.monitor.step()), stop)
    if found is None:
        return quiet
    for ticket in found.resolved:
        _tell(options, f"ticket {ticket.id} resolved: {ticket.resolution}")
    for problem in found.snoozed:
        if problem.key not in quiet:
            _tell(options, f"snoozed, so no ticket: {problem.message}")
    return frozenset(problem.key for problem in found.snoozed)


async def _agent(ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event) -> None:
    wake = ledger.subscribe()
    try:
        while not stop.is_set():
            wake.clear()
            async with _enduring("agent", one.subject.name, stop):
                await agent_round(one, may_act=guards.proven)
            await _until_something_happens(ledger, wake, stop)
    finally:
        ledger.unsubscribe(wake)


async def agent_round(one: Wired, *, may_act: bool = True) -> None:
    """Let each stage of the agent take one step; one that fails holds up none of the others.

    Args:
        one: a cluster's stages.
        may_act: whether to execute: not before the guards of the gate are proven.

    Raises:
        LedgerError: the ledger cannot be used; the stages after it were not tried.
        Exception: what the first stage that failed raised.
    """
    act = (one.agent.execute,) if may_act else ()
    failed: list[Exception] = []
    for step in (
        *act,  # what was approved meanwhile waits for no other stage
        one.investigate.step,
        one.group.step,
        one.agent.follow,
        one.agent.fire_schedules,
        one.janitor.step,
        one.agent.validate,
        one.agent.recover,
        *act,
    ):
        try:
            await step()
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - raised once the others had their turn
            failed.append(error)
    if failed:
        raise failed[0]


async def _until_something_happens(
    ledger: Ledger, wake: asyncio.Event, stop: asyncio.Event
) -> None:
    """Return after a write here, a write by another process, or when something is due."""
    seconds = min(LONGEST_WAIT_SECONDS, await _seconds_to_next_due(ledger))
    end = monotonic_seconds() + seconds
    version = await _version(ledger)
    while not wake.is_set() and not stop.is_set() and monotonic_seconds() < end:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OTHER_PROCESS_LOOK_SECONDS):
                await wake.wait()
        if await _version(ledger) != version:
            return


async def _seconds_to_next_due(ledger: Ledger) -> float:
    try:
        due = await ActionDB(ledger).next_due_at()
    except LedgerError:
        return LONGEST_WAIT_SECONDS
    if due is None:
        return LONGEST_WAIT_SECONDS
    return max(0.0, (from_text(due) - ledger.clock.now()).total_seconds())


async def _version(ledger: Ledger) -> int:
    try:
        return await ledger.engine.changes()
    except LedgerError:
        return -1


@asynccontextmanager
async def _enduring(stage: str, subject: str, stop: asyncio.Event) -> AsyncIterator[None]:
    """Let a round fail without ending the loop: what it left undone is done by the next."""
    try:
        yield
    except LedgerGoneError:
        raise  # no command of a person reaches this process any more, not even the kill switch
    except Exception as error:
        log.exception("round_failed", stage=stage, subject=subject, reason=str(error))
        await _wait(stop, TROUBLE_PAUSE_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@asynccontextmanager
async def _signals(stop: asyncio.Event) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def _tell(options: RunOptions, line: str) -> None:
    if options.on_event is not None:
        options.on_event(line)
