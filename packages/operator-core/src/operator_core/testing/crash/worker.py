"""A worker process: the loops of `operator agent start`, until nothing is left to do."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from operator_core.actions.leases import EffectLease
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db.actions import ActionDB
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.schedules import ScheduleDB
from operator_core.errors import OperatorError
from operator_core.logs import get_logger
from operator_core.runtime.acting import agent_loops
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.crash import flaws
from operator_core.testing.crash.engine import PointedEngine
from operator_core.testing.crash.points import Fault, Side
from operator_core.testing.crash.scenario import RETRY, propose_later
from operator_core.testing.crash.subject import FarSubject
from operator_core.testing.crash.trigger import Plan, Trigger, noted

log = get_logger(__name__)

LOOK_SECONDS = 0.1
"""How often a process looks whether all is done."""
LIFETIME_SECONDS = 170.0


@dataclass(frozen=True)
class Task:
    """What a worker process is told, in a form that JSON carries."""

    address: str
    port: int
    folder: str
    lease_seconds: float
    proposes: bool
    operation: str
    side: str
    fault: str
    arrival: int
    depth: int
    flaw: str = field(default="")

    @property
    def plan(self) -> Plan:
        """Where the blow falls."""
        return Plan(
            operation=self.operation,
            side=Side(self.side),
            fault=Fault(self.fault),
            arrival=self.arrival,
            depth=self.depth,
            folder=Path(self.folder),
        )


async def live(task: Task) -> None:
    """Work until nothing is left to do.

    Raises:
        TimeoutError: something is left when the process is old.
    """
    trigger = Trigger(task.plan)
    real = await open_ledger(task.address)
    engine = flaws.engine(task.flaw, PointedEngine(real.engine, trigger))
    subject = flaws.subject(task.flaw, FarSubject(task.port, trigger))
    options = WiringOptions(require_approval=False, lease_seconds=task.lease_seconds, retry=RETRY)
    pointed = Ledger(engine, real.ledger_id, real.clock)
    wired = wire(pointed, subject, options)
    try:
        with noted(trigger):
            async with asyncio.timeout(LIFETIME_SECONDS):
                await _act(pointed, wired, _until_done(real, wired, proposes=task.proposes))
                await wired.agent.drain(LIFETIME_SECONDS)
    finally:
        await real.engine.close()


async def _act(ledger: Ledger, wired: Wired, end: Coroutine[object, object, None]) -> None:
    """Run the loops of an agent until ``end`` has ended."""
    stop = asyncio.Event()
    guards = GuardKeeper(ledger)
    guards.proven = True  # a trial writes to no ledger but its own, and takes as long as the rest
    async with asyncio.TaskGroup() as group:
        for loop in agent_loops(ledger, wired, guards, stop):
            group.create_task(loop)
        await end
        stop.set()


async def _until_done(ledger: Ledger, wired: Wired, *, proposes: bool) -> None:
    while True:
        try:
            if proposes:
                proposes = not await propose_later(ledger, wired.executor, wired.subject)
            if not proposes and not wired.agent.running and await is_done(ledger):
                return
        except OperatorError as error:
            log.warning("not_proposed", error=str(error))
        await asyncio.sleep(LOOK_SECONDS)


async def is_done(ledger: Ledger) -> bool:
    """Return whether every row is settled, in doubt, or waits for one in doubt.

    It is looked twice: one look is several reads, and what moves between them shows in the next.
    """
    return await _looks_done(ledger) and await _looks_done(ledger)


async def _looks_done(ledger: Ledger) -> bool:
    every = await ActionDB(ledger).list_proposals()
    schedules = await ScheduleDB(ledger).list_schedules()
    leases = await EffectDB(ledger).list_leases()
    return (
        not unsettled(every)
        and not left_behind(leases)
        and all(one.last_due_at is not None for one in schedules)
    )


def left_behind(leases: list[EffectLease]) -> list[EffectLease]:
    """Return the leases that nobody has ended and nothing is under way for; pure.

    An action that takes back an effect, or has it, is seen by its own row.
    """
    return [one for one in leases if not one.under_way]


def unsettled(proposals: list[ActionProposal]) -> list[ActionProposal]:
    """Return the proposals that are neither settled, in doubt, nor wait for one in doubt; pure."""
    in_doubt = {one.workflow_id for one in proposals if one.in_doubt} - {None}
    return [one for one in proposals if _moves(one) and not _waits(one, in_doubt)]


def _moves(one: ActionProposal) -> bool:
    if one.status is ActionStatus.EXECUTING:
        return not one.in_doubt
    waits = one.next_retry_at is not None and one.retry_count < one.max_retries
    return one.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED) or (
        one.status is ActionStatus.FAILED and waits
    )


def _waits(one: ActionProposal, in_doubt: set[int | None]) -> bool:
    still = one.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED)
    return still and one.workflow_id in in_doubt
