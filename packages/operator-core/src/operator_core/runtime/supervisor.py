"""The loop of one process: watches and acts until it is asked to stop, then drains.

Nothing is polled that can be waited for: a write, by this process or another one, wakes the
loops, and the next due time sets the timer.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, LedgerAddress, LedgerUse
from operator_core.db.tickets import KEEP
from operator_core.errors import ConfigurationError, LedgerError
from operator_core.logs import get_logger
from operator_core.monitor.retention import Retention
from operator_core.monitor.tickets import MonitorConfig, soonest_seconds
from operator_core.monitor.verify import DEFAULT_SOAK_SECONDS, Patience
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.loops import (
    LONGEST_WAIT_SECONDS,
    end_after,
    end_with_parent,
    ended_by,
    enduring,
    once_usable,
    or_stop,
    signals,
    until_something_happens,
    wait,
    wait_or_sooner,
    waking,
)
from operator_core.runtime.plugins import connect
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.runtime.watch import Watch
from operator_core.runtime.wiring import Wired, WiringOptions, wire

log = get_logger(__name__)

DISPATCH_FIRST_SECONDS = 0.01
"""How long the other stages wait after a change, so that they do not hold up its dispatch."""

TRIAL_FIRST_SECONDS = 0.5
"""How long a round waits at most for a trial of the guards, which what is to be executed needs."""

FIRST_LOOK_SECONDS = 0.5
"""The guards are tried so long after the start, unless work waits for them: to see comes first."""


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


@dataclass(frozen=True)
class _Started:
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
        started = await once_usable(start, stop, partial(_tell, options))
        if started is None:
            return
        names = ", ".join(one.subject.name for one in started.wired)
        _tell(options, f"watching {names} every {options.interval_seconds:g} s")
        try:
            await _until_stopped(started.ledger, started.wired, options, started.keeper, stop)
        finally:
            _tell(options, "stopping: no new work, waiting for what runs")
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
        tell=partial(_tell, options),
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
    db = ActionDB(ledger)
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
    guards = GuardKeeper(ledger, tell=partial(_tell, options))
    if keeper is not None:
        await guards.recall()
        loops += [_keep_policy(keeper, stop), _keep_guards(ledger, guards, stop)]
    for one in wired:
        if options.monitor:
            loops.append(_monitor(ledger, one, options, stop))
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


@dataclass(frozen=True)
class _Seen:
    """What one look leaves to the next: the snoozed problems told of, and how soon it comes."""

    quiet: frozenset[str]
    pause_seconds: float


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


async def _monitor(ledger: Ledger, one: Wired, options: RunOptions, stop: asyncio.Event) -> None:
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
    for ticket in found.resolved:
        _tell(options, f"ticket {ticket.id} resolved: {ticket.resolution}")
    for problem in found.snoozed:
        if problem.key not in quiet:
            _tell(options, f"snoozed, so no ticket: {problem.message}")
    told = frozenset(problem.key for problem in found.snoozed)
    return _Seen(told, found.pause_seconds(options.interval_seconds))


def agent_loops(
    ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event
) -> list[Coroutine[object, object, None]]:
    """Return what acts on one cluster until it is asked to stop; who runs it drains afterwards.

    Args:
        ledger: the ledger that the stages are wired to.
        one: a cluster's stages.
        guards: nothing is executed before they are proven.
        stop: ends the loops.
    """
    return [_dispatch(ledger, one, guards, stop), _agent(ledger, one, guards, stop)]


async def _dispatch(ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Start what is approved and due at once, whatever the other stages are busy with."""

    def take(proposal: ActionProposal) -> None:
        if guards.proven and not stop.is_set():
            one.agent.take(proposal)

    async with waking(ledger, stop) as wake:
        with ledger.offering(take):
            while not stop.is_set():
                wake.clear()
                async with enduring("dispatch", one.subject.name, stop):
                    if guards.proven:
                        await one.agent.execute()
                    await until_something_happens(ledger, wake)


async def _agent(ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Let the other stages go round; a trial of the guards and what is dispatched go first."""
    async with waking(ledger, stop) as wake:
        async with enduring("agent", one.subject.name, stop):
            await one.agent.recover()  # what a dead owner left behind: first of all
        while not stop.is_set():
            await wait(guards.at_rest, TRIAL_FIRST_SECONDS)
            wake.clear()
            async with enduring("agent", one.subject.name, stop):
                await agent_round(one, may_act=False)
                await until_something_happens(ledger, wake)
            await wait(stop, DISPATCH_FIRST_SECONDS)


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
        one.reconsider.step,
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


def _tell(options: RunOptions, line: str) -> None:
    if options.on_event is not None:
        options.on_event(line)
