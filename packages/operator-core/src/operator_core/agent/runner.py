"""The stages from a diagnosis to its proven remedy: propose, validate, execute, follow.

Each stage reads rows that an earlier one committed and commits rows for the next; none calls
another. So the runner can be killed anywhere, and started again here or elsewhere.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from operator_core.actions.executor import ActionExecutor
from operator_core.actions.rehearsal import Rehearsal, require_safe
from operator_core.actions.remedy import Remedy, remedy_of
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.diagnosis import Diagnosis, WorkflowRecommendation
from operator_core.agent.follow import Next, Step, next_step
from operator_core.agent.rehearser import Rehearser
from operator_core.agent.rollback import Rollback
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.actions import ActionDB
from operator_core.db.dispatch import DispatchDB, Startable
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.schedules import ScheduleDB
from operator_core.db.tickets import TicketDB
from operator_core.db.verifications import VerifyDB
from operator_core.errors import (
    BreakerError,
    ConflictError,
    OperatorError,
    RefusedError,
    RequestError,
    UnsafeError,
    UnsafeNowError,
)
from operator_core.logs import get_logger
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus
from operator_core.subject import FullSubject

log = get_logger(__name__)

AGENT = "agent"
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
        self._actions = ActionDB(ledger)
        self._policies = PolicyDB(ledger)
        self._tickets = TicketDB(ledger)
        self._schedules = ScheduleDB(ledger)
        self._dispatch = DispatchDB(ledger)
        self._subject = subject
        self._executor = executor
        self._safety = safety
        self._proofs = VerifyDB(ledger)
        self._rollback = Rollback(ledger, executor)
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

    # --- propose and follow -----------------------------------------------------------

    async def follow(self) -> None:
        """Take each diagnosed ticket one step on: propose, watch it act, verify, escalate."""
        found = await self._tickets.list_tickets(TicketStatus.DIAGNOSED, subject=self._subject.name)
        for ticket in found:
            if ticket.root_ticket_id is not None:
                continue  # its root is being handled
            diagnoses = await self._tickets.list_diagnoses(int(ticket.id or 0))
            if diagnoses:
                await self._follow(ticket, diagnoses[-1])

    async def _follow(self, ticket: Ticket, diagnosis: Diagnosis) -> None:
        ticket_id = int(ticket.id or 0)
        remedy = remedy_of(ticket, await self._actions.list_proposals(ticket_id=ticket_id))
        proof = None
        if ticket.diagnosed_at is not None:
            proof = await self._proofs.get(ticket_id, ticket.diagnosed_at)
        step = next_step(ticket, diagnosis, remedy, self._clock.now(), proof)
        try:
            await self._take(step, ticket, diagnosis, remedy)
        except RefusedError as error:
            log.debug("not_proposed", ticket_id=ticket.id, reason=str(error))
        except ConflictError as error:
            log.info("ticket_moved_on", ticket_id=ticket.id, reason=str(error))

    async def _take(self, step: Step, ticket: Ticket, diagnosis: Diagnosis, remedy: Remedy) -> None:
        ticket_id = int(ticket.id or 0)
        if step.what is Next.PROPOSE:
            await self._propose(ticket_id, diagnosis)
        elif step.what is Next.ACT and ticket.phase is not TicketPhase.ACTING:
            await self._tickets.set_phase(ticket_id, TicketPhase.ACTING, actor=AGENT)
        elif step.what is Next.VERIFY:
            await self._tickets.set_phase(ticket_id, TicketPhase.VERIFYING, actor=AGENT)
        elif step.what is Next.ROLL_BACK:
            refused = await self._rollback.propose(ticket_id, remedy)
            if refused:
                await self._escalate(ticket_id, f"{step.reason}; {refused}")
        elif step.what is Next.ESCALATE:
            await self._escalate(ticket_id, step.reason)

    async def _escalate(self, ticket_id: int, reason: str) -> None:
        await self._tickets.set_phase(ticket_id, TicketPhase.ESCALATED, actor=AGENT)
        body = f"A person is needed: {reason}."
        await self._tickets.comment(ticket_id, author=AGENT, body=body)

    async def _propose(self, ticket_id: int, diagnosis: Diagnosis) -> None:
        """Propose the whole remedy in one transaction, so that a crash leaves all or nothing."""
        if not diagnosis.workflows and len(diagnosis.actions) == 1:
            await self._executor.propose_action(diagnosis.actions[0], ticket_id)
            return
        remedy = diagnosis.workflows[0] if diagnosis.workflows else _as_workflow(diagnosis)
        await self._executor.propose_workflow(
            remedy.name, remedy.description, remedy.actions, ticket_id
        )

    async def fire_schedules(self) -> None:
        """Propose what is due by a schedule."""
        limit = self._executor.retry_config.max_attempts
        for proposal in await self._schedules.fire_due(
            subject=self._subject.name, max_retries=limit
        ):
            log.info("schedule_fired", proposal_id=proposal.id, by=proposal.proposed_by)

    # --- validate ---------------------------------------------------------------------

    async def validate(self) -> None:
        """Check what was proposed; what can never run is cancelled and says why."""
        await self._policies.decide_again(subject=self._subject.name)
        proposed = self._mine(await self._actions.list_proposals(ActionStatus.PROPOSED))
        rehearsals = await self._rehearser.rehearse(proposed)
        for steps in _by_workflow(proposed):
            if len(steps) > 1 and await self._validate_together(steps, rehearsals):
                continue
            for proposal in steps:
                await self._validate(proposal, rehearsals)

    async def _validate(
        self, proposal: ActionProposal, rehearsals: Mapping[int, Rehearsal]
    ) -> None:
        proposal_id = int(proposal.id or 0)
        rehearsal = rehearsals.get(proposal_id, Rehearsal())
        try:
            require_safe(rehearsal)
            await self._executor.validate_proposal(proposal_id, rehearsal.blast)
        except RequestError as error:
            await self._cancel(proposal_id, str(error))
        except ConflictError:
            log.debug(
                "moved_on", proposal_id=proposal_id
            )  # somebody else validated or cancelled it

    async def _validate_together(
        self, steps: Sequence[ActionProposal], rehearsals: Mapping[int, Rehearsal]
    ) -> bool:
        """Validate a workflow in one transaction; False: its steps have to be taken one by one."""
        said = {int(one.id or 0): rehearsals.get(int(one.id or 0), Rehearsal()) for one in steps}
        try:
            for rehearsal in said.values():
                require_safe(rehearsal)
            blasts = {step_id: rehearsal.blast for step_id, rehearsal in said.items()}
            await self._executor.validate_workflow(int(steps[0].workflow_id or 0), blasts)
        except (RequestError, ConflictError):
            return False
        return True

    async def _cancel(self, proposal_id: int, reason: str) -> None:
        try:
            await self._actions.cancel_proposal(proposal_id, cancelled_by=AGENT, reason=reason)
        except ConflictError:
            log.info("not_cancelled", proposal_id=proposal_id)

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
        for proposal_id in await self._executor.settle_expired(self._subject):
            log.warning("recovered", proposal_id=proposal_id)

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
            await self._actions.reset_for_retry(proposal_id)
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
            await self._give_up(proposal_id, str(error))
        except (RefusedError, ConflictError) as error:
            if self._is_unsafe_for_long(proposal_id, error):
                await self._give_up(proposal_id, str(error))
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

    async def _give_up(self, proposal_id: int, reason: str) -> None:
        """Cancel what a breaker stops: its ticket is then escalated, and says why."""
        proposal = await self._actions.get_proposal(proposal_id)
        await self._cancel(proposal_id, reason)
        if proposal is not None and proposal.ticket_id is not None:
            await self._tickets.comment(proposal.ticket_id, author=AGENT, body=reason)

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


def _by_workflow(proposals: Iterable[ActionProposal]) -> list[list[ActionProposal]]:
    """Return what belongs to one workflow together, and what belongs to none alone."""
    found: dict[tuple[int | None, int | None], list[ActionProposal]] = {}
    for one in proposals:
        alone = one.id if one.workflow_id is None else None
        found.setdefault((one.workflow_id, alone), []).append(one)
    return list(found.values())


def _as_workflow(diagnosis: Diagnosis) -> WorkflowRecommendation:
    return WorkflowRecommendation(
        name="remedy", description=diagnosis.cause, actions=diagnosis.actions
    )
