"""The stages from a diagnosis to its proven remedy: propose, validate, execute, follow.

Each stage reads rows that an earlier one committed and commits rows for the next; none calls
another. So the runner can be killed anywhere, and started again here or elsewhere.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property

from operator_core import agent
from operator_core import db as stores
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionProposal
from operator_core.agent.rehearser import Rehearser
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.dispatch import DispatchDB, Startable
from operator_core.db.ledger import Ledger
from operator_core.errors import (
    BreakerError,
    ConflictError,
    OperatorError,
    RefusedError,
    UnsafeError,
    UnsafeNowError,
)
from operator_core.logs import get_logger
from operator_core.subject import FullSubject

log = get_logger(__name__)

MAX_RUNNING = 16
TAKEN_FIRST_SECONDS = 0.002
"""How long a look for what may be started waits for what was taken without one."""
UNSAFE_WAIT_SECONDS = 900.0
"""How long an action waits for a cluster on which it is safe; then a person is called."""

RECOVERY_WAIT_SECONDS = 1.0
"""How long a round waits for what is recovered before it goes on beside it."""


class AgentRunner:
    """Acts on the diagnosed tickets and the due proposals of one cluster."""

    def __init__(
        self,
        ledger: Ledger,
        subject: FullSubject,
        executor: ActionExecutor,
        safety: SafetyController,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take an open ledger, a cluster, and the one way to act on it.

        Args:
            ledger: an open ledger.
            subject: the cluster.
            executor: what proposes and executes.
            safety: the switch.
            clock: the source of time.
        """
        self._ledger = ledger
        self._dispatch = DispatchDB(ledger)
        self._subject = subject
        self._executor = executor
        self._safety = safety
        self._clock = clock
        self._rehearser = Rehearser(ledger, subject)
        self._running: dict[int, asyncio.Task[None]] = {}
        self.acted = asyncio.Event()
        """Set when an action for a ticket has ended: a look would show what came of it."""
        self._refused: dict[int, int] = {}
        self._refusals = 0
        self._has_taken = False
        self._draining = False
        self._may_act = False  # as the last look for what may be started said
        self._unsafe_since: dict[int, datetime] = {}
        self._recovery: asyncio.Task[None] | None = None
        self.recovered = asyncio.Event()
        """Set once what owners that went away left behind was looked for, and settled."""

    # --- propose, follow, validate ----------------------------------------------------

    @cached_property
    def _remedies(self) -> "agent.Remedies":
        """What is not needed to go on with what was interrupted, so it is loaded after that."""
        name, executor = self._subject.name, self._executor
        return agent.Remedies(self._ledger, name, executor, self._rehearser, self._clock)

    async def follow(self) -> None:
        """Take each diagnosed ticket one step on: propose, watch it act, verify, escalate."""
        await self._remedies.follow()

    async def fire_schedules(self) -> None:
        """Propose what is due by a schedule."""
        await self._remedies.fire_schedules()

    async def validate(self) -> None:
        """Check what was proposed; what can never run is cancelled and says why."""
        await self._remedies.validate()

    # --- execute ----------------------------------------------------------------------

    async def recover(self) -> None:
        """Settle what an owner that went away left behind; a probe that hangs holds up nobody."""
        if self._recovery is None:
            self._recovery = asyncio.create_task(self._settle_expired())
        done, _ = await asyncio.wait({self._recovery}, timeout=RECOVERY_WAIT_SECONDS)
        for task in done:
            self._recovery = None
            task.result()

    async def _settle_expired(self) -> None:
        try:
            for proposal_id in await self._executor.settle_expired(self._subject):
                log.warning("recovered", proposal_id=proposal_id)
        finally:
            self.recovered.set()

    async def execute(self) -> None:
        """Start what is approved and due, and what is to be tried again."""
        await self._safety.ensure()
        if self._has_taken:
            self._has_taken = False
            await asyncio.sleep(TAKEN_FIRST_SECONDS)
        found = await self._startable()
        for proposal in found.retries:
            await self._reset(int(proposal.id or 0))
        if found.retries:
            found = await self._startable()
        for proposal in self._in_turn(found.ready):
            self._start(proposal)

    async def _startable(self) -> Startable:
        limit = MAX_RUNNING + len(self._refused)  # what was just started may be among them
        found = await self._dispatch.startable(self._subject.name, limit=limit)
        self._may_act = found.may_act
        return found

    def take(self, proposal: ActionProposal) -> None:
        """Start at once what was just approved in this process; what is not startable, waits.

        The claim asks the gate all the same; this only spares a look for what is approved.
        """
        due = proposal.scheduled_at is None or proposal.scheduled_at <= self._clock.now()
        if self._may_act and due and self._mine([proposal]):
            self._has_taken = True
            self._start(proposal)

    def _in_turn(self, ready: Sequence[ActionProposal]) -> list[ActionProposal]:
        """Return what can be claimed: the new as it is due, then what was refused longest ago.

        So what is refused again and again takes turns, however long its queue is.
        """
        ids = {int(one.id or 0) for one in ready}
        self._refused = {one: turn for one, turn in self._refused.items() if one in ids}
        self._unsafe_since = {one: at for one, at in self._unsafe_since.items() if one in ids}
        return sorted(ready, key=lambda one: self._refused.get(int(one.id or 0), 0))

    async def _reset(self, proposal_id: int) -> None:
        try:
            await stores.ActionDB(self._ledger).reset_for_retry(proposal_id)
        except ConflictError:
            log.debug("retry_taken_by_another", proposal_id=proposal_id)

    def _start(self, proposal: ActionProposal) -> None:
        """Execute beside the loop, so that one stuck action never blocks the others."""
        proposal_id = int(proposal.id or 0)
        if proposal_id in self._running or len(self._running) >= MAX_RUNNING:
            return
        task = asyncio.create_task(self._execute(proposal))
        self._running[proposal_id] = task
        task.add_done_callback(lambda ended: self._ended(proposal, ended))

    def _ended(self, proposal: ActionProposal, task: asyncio.Task[None]) -> None:
        self._running.pop(int(proposal.id or 0), None)
        # A fault of ours is told when it happens, not when the task is collected as garbage.
        try:
            task.result()
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("execution_broke_off", proposal_id=proposal.id)
        if proposal.ticket_id is not None:
            self.acted.set()

    async def _execute(self, proposal: ActionProposal) -> None:
        proposal_id = int(proposal.id or 0)
        try:
            await self._rehearser.require_safe_undo(proposal)
            for record in await self._executor.execute_steps(
                proposal_id, self._subject, may_go_on=lambda: not self._draining
            ):
                await self._rehearser.measure(record)
        except (BreakerError, UnsafeError) as error:
            log.warning("given_up", proposal_id=proposal_id, reason=str(error))
            await self._remedies.give_up(proposal_id, str(error))
        except (RefusedError, ConflictError) as error:
            if self._is_unsafe_for_long(proposal_id, error):
                await self._remedies.give_up(proposal_id, str(error))
            self._refusals += 1
            self._refused[proposal_id] = self._refusals
            log.info("not_executed", proposal_id=proposal_id, reason=str(error))
        except OperatorError as error:
            log.warning("execution_error", proposal_id=proposal_id, reason=str(error))

    def _is_unsafe_for_long(self, proposal_id: int, error: OperatorError) -> bool:
        """Return whether a cluster has not been safe enough for an action for a long time."""
        if not isinstance(error, UnsafeNowError):
            self._unsafe_since.pop(proposal_id, None)
            return False
        since = self._unsafe_since.setdefault(proposal_id, self._clock.now())
        return self._clock.now() - since >= timedelta(seconds=UNSAFE_WAIT_SECONDS)

    @property
    def running(self) -> Sequence[asyncio.Task[None]]:
        """The executions that run now."""
        return list(self._running.values())

    async def drain(self, limit_seconds: float) -> None:
        """Wait for what runs; what takes longer is stopped and settled as far as it can be."""
        self._draining = True
        recovery = [] if self._recovery is None else [self._recovery]
        tasks = [*self.running, *recovery]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=limit_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _mine(self, proposals: list[ActionProposal]) -> list[ActionProposal]:
        return [one for one in proposals if one.subject in (self._subject.name, None)]
