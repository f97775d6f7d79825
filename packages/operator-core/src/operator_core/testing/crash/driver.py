"""One run: workers on a fresh ledger, one blow, and how it ended."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger
from operator_core.db.sharing import LedgerUse
from operator_core.runtime.wiring import WiringOptions, wire
from operator_core.testing.crash.judge import End
from operator_core.testing.crash.places import Place
from operator_core.testing.crash.points import OPERATIONS, Blow, Fault, Side, World
from operator_core.testing.crash.processes import Nursery, Worker
from operator_core.testing.crash.scenario import RETRY, prepare, prepare_plain
from operator_core.testing.crash.subject import FarSubject
from operator_core.testing.crash.system import System
from operator_core.testing.crash.trigger import (
    Plan,
    Trigger,
    fired,
    under_way,
    unexpected,
    unnamed,
    written,
)
from operator_core.testing.crash.worker import Task

LEASE_SECONDS = {World.KEYS: 1.0, World.LOOK: 3.0, World.BLIND: 1.0}
"""Where nothing but the lease prevents a second effect, a busy machine must not end it."""

PAST_LEASE_SECONDS = 1.6
"""How long beyond its lease a process stands still: others, who look each second, take over."""

LIMIT_SECONDS = 180.0
_MOST_STATEMENTS = 6
_KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Case:
    """One run as it is planned.

    Attributes:
        blow: what happens where; None: nothing.
        world: what the system can do against a second effect.
        processes: how many workers share the ledger.
        seed: decides the order of the work, and at which arrival the blow falls.
        flaw: what is broken in engine or subject on purpose.
        plain: whether there is only work that has its effect at its first try, and who stands
            still does so until all else is done. So whatever a fence must hold back, shows.
    """

    blow: Blow | None
    world: World
    processes: int
    seed: int
    flaw: str = ""
    plain: bool = False

    @property
    def name(self) -> str:
        """A name that is a file's name too."""
        blow = str(self.blow or "nothing").replace(" ", "-")
        return f"{blow}-{self.world.value}-{self.processes}-{self.seed}"


async def run(case: Case, place: Place, nursery: Nursery, folder: Path) -> End:
    """Run a case.

    Args:
        case: what is to happen.
        place: lends the ledger.
        nursery: starts the workers.
        folder: an empty folder; logs stay there.
    """
    async with place.ledger(folder) as address, _system(case) as system:
        task = _task(case, address, system.port, folder)
        async with LedgerUse(address) as ledger:
            await _fill(ledger, system, case, task)
        workers = _Workers(nursery, task, folder, case)
        trouble = await workers.to_the_end()
        await system.arrived()
        async with LedgerUse(address) as ledger:
            return await _end(case, ledger, system, folder, trouble)


def _system(case: Case) -> System:
    """Return a system whose slow answers outlast the first renewal of a lease."""
    return System(case.world, slow_seconds=0.5 + 0.3 * LEASE_SECONDS[case.world])


def _task(case: Case, address: str, port: int, folder: Path) -> Task:
    rng = random.Random(case.seed)
    operation = case.blow.point.operation if case.blow else ""
    return Task(
        address=address,
        port=port,
        folder=str(folder),
        lease_seconds=LEASE_SECONDS[case.world],
        proposes=False,
        operation=operation,
        side=(case.blow.point.side if case.blow else Side.BEFORE).value,
        fault=(case.blow.fault if case.blow else Fault.KILL).value,
        arrival=rng.randint(1, OPERATIONS.get(operation, 1)),
        depth=rng.randint(0, _MOST_STATEMENTS),
        flaw=case.flaw,
    )


async def _fill(ledger: Ledger, system: System, case: Case, task: Task) -> None:
    idle = Trigger(Plan("", Side.BEFORE, Fault.KILL, 0, 0, Path(task.folder)))
    options = WiringOptions(require_approval=False, retry=RETRY)
    wired = wire(ledger, FarSubject(system.port, idle), options)
    if case.plain:
        await prepare_plain(ledger, wired.executor)
    else:
        await prepare(ledger, wired.executor, system, case.seed)


async def _end(
    case: Case, ledger: Ledger, system: System, folder: Path, trouble: Sequence[str]
) -> End:
    db = ActionDB(ledger)
    return End(
        world=case.world,
        blow=case.blow,
        fired=fired(folder),
        under_way=under_way(folder),
        unnamed=frozenset(unnamed(folder)),
        written=frozenset(written(folder)),
        proposals=await db.list_proposals(),
        workflows=await db.list_workflows(),
        leases=await EffectDB(ledger).list_leases(),
        done=system.done,
        broken_audit=await ControlDB(ledger).first_broken_audit_row(),
        trouble=[*trouble, *unexpected(folder)],
    )


class _Workers:
    """The worker processes of a run: who dies is born again, who stands still is woken."""

    def __init__(self, nursery: Nursery, task: Task, folder: Path, case: Case) -> None:
        self._nursery = nursery
        self._task = task
        self._folder = folder
        self._case = case
        self._alive: list[Worker] = []
        self._trouble: list[str] = []

    async def to_the_end(self) -> list[str]:
        """Return what went wrong with the processes, once all have ended."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
                for number in range(self._case.processes):
                    group.create_task(self._lives(number))
        except TimeoutError:
            self._trouble.append(f"it did not end within {LIMIT_SECONDS:g} s")
        finally:
            for worker in self._alive:
                worker.kill()
        return self._trouble

    async def _lives(self, number: int) -> None:
        """Let one operator live, and another take its place where it was killed."""
        while await self._life(number) == _KILLED:
            if self._task.fault != Fault.KILL.value or not fired(self._folder):
                self._trouble.append("a process was killed by somebody else")
                return

    async def _life(self, number: int) -> int | None:
        told = replace(self._task, proposes=number == 0)
        worker = await self._nursery.start(told, self._folder / f"log-{number}")
        self._alive.append(worker)
        waker = asyncio.create_task(self._wake(worker))
        await worker.ended.wait()
        waker.cancel()
        if worker.code not in (0, _KILLED):
            self._trouble.append(f"a process ended with {worker.code}: see log-{number}")
        return worker.code

    async def _wake(self, worker: Worker) -> None:
        """Let a process that stands still go on, once others have taken its work over."""
        await worker.stopped.wait()
        if self._case.plain:
            await asyncio.gather(*(one.ended.wait() for one in self._alive if one is not worker))
        else:
            await asyncio.sleep(self._task.lease_seconds + PAST_LEASE_SECONDS)
        worker.go_on()
