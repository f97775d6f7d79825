"""People in a storm: they cancel, pause, resume, settle and stop everything beside the others."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from operator_core.actions.executor import ActionExecutor
from operator_core.actions.types import ActionStatus, WorkflowProposal, WorkflowStatus
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger
from operator_core.db.workflows import WorkflowDB
from operator_core.testing.storm.terms import EffectFile
from operator_core.types import RunMode

NAME = "person"
_CALM_SECONDS = (0.05, 0.4)
_KILLED_SECONDS = 0.5
_SELDOM_SHARE = 0.05

Way = Callable[[], Awaitable[object]]


class Person:
    """Somebody who interferes."""

    def __init__(
        self, ledger: Ledger, executor: ActionExecutor, effects: EffectFile, rng: random.Random
    ) -> None:
        """Take what is interfered with, what is looked at, and what chooses."""
        self._db = ActionDB(ledger)
        self._workflows = WorkflowDB(ledger)
        self._control = ControlDB(ledger)
        self._executions = ExecutionDB(ledger)
        self._executor = executor
        self._effects = effects
        self._rng = rng

    async def interfere(self) -> None:
        """Do one thing, after a while."""
        await asyncio.sleep(self._rng.uniform(*_CALM_SECONDS))
        ways: tuple[Way, ...] = (
            self._cancel,
            self._end_workflow,
            self._pause,
            self._settle,
            self.resume_all,
            self.let_act,
        )
        seldom = self._rng.random() < _SELDOM_SHARE
        await (self._stop_everything() if seldom else self._rng.choice(ways)())

    async def let_act(self) -> None:
        """Lift the switch, where somebody has left it on."""
        if (await self._control.safety_state()).mode is not RunMode.EXECUTE:
            await self._control.set_mode(RunMode.EXECUTE, actor=NAME)

    async def resume_all(self) -> None:
        """Let go on what is paused; what has failed meanwhile is undone only then."""
        for one in await self._db.list_workflows():
            if one.paused_at is not None:
                await self._workflows.resume(int(one.id or 0), resumed_by=NAME)

    async def _cancel(self) -> None:
        status = self._rng.choice((ActionStatus.VALIDATED, ActionStatus.EXECUTING))
        found = await self._db.list_proposals(status)
        if found:
            target = int(self._rng.choice(found).id or 0)
            await self._executor.cancel_proposal(target, cancelled_by=NAME)

    async def _end_workflow(self) -> None:
        found = await self._unfinished()
        if found:
            target = int(self._rng.choice(found).id or 0)
            await self._db.cancel_workflow(target, cancelled_by=NAME)

    async def _pause(self) -> None:
        found = [one for one in await self._unfinished() if one.paused_at is None]
        if found:
            await self._workflows.pause(int(self._rng.choice(found).id or 0), paused_by=NAME)

    async def _settle(self) -> None:
        running = await self._db.list_proposals(ActionStatus.EXECUTING)
        if found := [one for one in running if one.in_doubt]:
            one = self._rng.choice(found)
            deed = one.action_name, one.parameters["item"]
            happened = any((seen.action, seen.item) == deed for seen in self._effects.read())
            target = int(one.id or 0)
            await self._executions.settle_by_person(target, happened=happened, person=NAME)

    async def _stop_everything(self) -> None:
        await self._control.kill(actor=NAME, reason="storm")
        await asyncio.sleep(_KILLED_SECONDS)
        await self.let_act()

    async def _unfinished(self) -> list[WorkflowProposal]:
        return await self._db.list_workflows(WorkflowStatus.IN_PROGRESS)
