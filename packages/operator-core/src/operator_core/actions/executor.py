"""`ActionExecutor`: proposes, validates, executes and cancels, through the ledger and the gate."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from operator_core import db as stores
from operator_core.actions.execution import carry_out
from operator_core.actions.looking import look, needs_look
from operator_core.actions.proposer import ActionProposer
from operator_core.actions.retry import Wait
from operator_core.actions.runs import ActionRun, WorkflowRun
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionProposal, ActionRecord, ActionStatus, WorkflowProposal
from operator_core.clock import monotonic_seconds
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.creation import head_of
from operator_core.db.executions import ExecutionDB
from operator_core.db.gate import BLIND, Sight
from operator_core.db.onward import OnwardDB
from operator_core.db.starts import Start, Started
from operator_core.db.workflow_starts import WorkflowStart
from operator_core.errors import ConflictError, LimitError, NotFoundError, RefusedError
from operator_core.subject import Subject

if TYPE_CHECKING:
    from operator_core.agent.diagnosis import ActionRecommendation

CANCEL_WAIT_SECONDS = 2.0
_CANCEL_LOOK_SECONDS = 0.1


class _Began(NamedTuple):
    """What became of a proposal, on what terms, and the monotonic time before it was claimed."""

    started: Started
    terms: Terms
    asked_seconds: float


class ActionExecutor(ActionProposer):
    """The one way from a recommendation to an effect."""

    # --- execute ----------------------------------------------------------------------

    async def execute_proposal(
        self, proposal_id: int, subject: Subject | None = None
    ) -> ActionRecord:
        """Execute a validated proposal once and return the record of the attempt.

        An attempt that fails is a record that says so, not an exception.

        Raises:
            NotFoundError: there is no such proposal.
            RefusedError: the gate is closed (observe, kill switch, approval, not due, limit);
                nothing was tried and no retry is burnt.
            ConflictError: it is not validated, or somebody else took it.
            RequestError: its action or parameters are not valid any more; it has failed.
        """
        await self._safety.ensure()
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            terms = self._terms(db, await self._sight(db, proposal_id, subject))
            asked_seconds = monotonic_seconds()
            attempt = await db.claim(proposal_id, terms.claim)
            return await carry_out(
                db, attempt, subject, self._registry, terms, asked_seconds=asked_seconds
            )

    async def execute_steps(
        self,
        first_id: int,
        subject: Subject | None = None,
        *,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> list[ActionRecord]:
        """Execute a proposal, and the steps after it in its workflow as long as each may start.

        A step that cannot be claimed together with the end of the one before it ends the list:
        it is not due, the gate is closed, or the cluster has to be looked at first. It waits for
        `execute_proposal`.

        Args:
            first_id: the first proposal.
            subject: the cluster.
            may_go_on: asked before each further step.

        Raises:
            OperatorError: what `execute_proposal` raises for a proposal, or for a step.
        """
        await self._safety.ensure()
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            terms = self._terms(db, await self._sight(db, first_id, subject))
            steps = self._onward(db, subject, may_go_on)
            taken = await steps.take(first_id, terms.claim)
            return await self._carry_on(steps, taken, subject, terms)

    def _onward(
        self, db: ExecutionDB, subject: Subject | None, may_go_on: Callable[[], bool]
    ) -> OnwardDB:
        needs = partial(self._needs_look, subject)
        return OnwardDB(
            db.ledger, self._terms_unseen(db).claim, needs, _unless_cancelled(may_go_on)
        )

    async def _carry_on(
        self, steps: OnwardDB, first: tuple[Attempt, float], subject: Subject | None, terms: Terms
    ) -> list[ActionRecord]:
        """Carry out an attempt, and those on the steps after it that were claimed with its end."""
        records: list[ActionRecord] = []
        taken: tuple[Attempt, float] | None = first
        while taken is not None:
            attempt, asked_seconds = taken
            record = await carry_out(
                steps, attempt, subject, self._registry, terms, asked_seconds=asked_seconds
            )
            records.append(record)
            taken = steps.taken()
        return records

    def _needs_look(self, subject: Subject | None, action_name: str) -> bool:
        return needs_look(self._registry.get_definition(action_name), subject)

    async def _sight(self, db: ExecutionDB, proposal_id: int, subject: Subject | None) -> Sight:
        return await look(db, proposal_id, subject, self._registry)

    async def settle_expired(self, subject: Subject) -> list[int]:
        """Settle the attempts on this subject whose owner went away; return their proposals."""
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            return await self._recovery.settle_expired(db, subject, self._terms(db))

    def _terms(self, db: ExecutionDB, sight: Sight = BLIND) -> Terms:
        claim = ClaimTerms(
            owner=self.owner,
            ledger_id=db.ledger.ledger_id,
            lease_seconds=self._lease_seconds,
            require_approval=self._approval_mode,
            subject=self._registry.subject_name,
            sight=sight,
        )
        return Terms(claim, self._retry_in, db.ledger.clock)

    def _terms_unseen(self, db: ExecutionDB) -> Terms:
        """Return the terms of a claim that no look at the cluster comes before."""
        return self._terms(db, Sight(self._registry.get_definition))

    # --- in one go --------------------------------------------------------------------

    async def run_action(
        self,
        recommendation: "ActionRecommendation",
        subject: Subject | None = None,
        ticket_id: int | None = None,
        *,
        proposed_by: str = "agent",
    ) -> ActionRun:
        """Propose an action, validate it and execute it, if it may be executed right now.

        All that comes before the effect is one transaction, where the cluster does not have to
        be looked at first. What waits for an approval, or for its turn, is left as a proposal.

        Args:
            recommendation: what is to be done.
            subject: the cluster; a tool needs none.
            ticket_id: the ticket it is for.
            proposed_by: who wants it.

        Raises:
            OperatorError: what `propose_action` raises, then nothing is stored; or what
                `execute_proposal` raises of an attempt that began.
        """
        await self._safety.ensure()
        proposal = self._proposal(recommendation, ticket_id, proposed_by)
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            began = await self._start(db, proposal, subject)
            proposal, attempt, refused = began.started
            if attempt is None:
                return ActionRun(proposal, refused=refused)
            record = await carry_out(
                db,
                attempt,
                subject,
                self._registry,
                began.terms,
                asked_seconds=began.asked_seconds,
            )
            return ActionRun(proposal, record)

    async def run_workflow(
        self,
        name: str,
        description: str,
        action_recommendations: "Sequence[ActionRecommendation]",
        subject: Subject | None = None,
        ticket_id: int | None = None,
        *,
        proposed_by: str = "agent",
    ) -> WorkflowRun:
        """Propose a workflow, validate it and execute it, as far as it may be right now.

        All that comes before the first effect is one transaction, as in `run_action`; then it
        goes on as `execute_steps` does.

        Args:
            name: of the workflow.
            description: what it is for.
            action_recommendations: its steps in order.
            subject: the cluster; tools need none.
            ticket_id: the ticket it is for.
            proposed_by: who wants it.

        Raises:
            OperatorError: what `propose_workflow` raises, then nothing is stored; or what
                `execute_steps` raises of an attempt that began.
        """
        await self._safety.ensure()
        steps = [self._proposal(rec, ticket_id, proposed_by) for rec in action_recommendations]
        workflow = WorkflowProposal(
            name=name,
            description=description,
            ticket_id=ticket_id,
            subject=self._registry.subject_name,
        )
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            workflow_id, began = await self._start_workflow(db, workflow, steps, subject)
            attempt, refused = began.started.attempt, began.started.refused
            if attempt is None:
                return WorkflowRun(workflow_id, [], refused)
            onward, first = self._onward(db, subject, lambda: True), (attempt, began.asked_seconds)
            records = await self._carry_on(onward, first, subject, began.terms)
            return WorkflowRun(workflow_id, records)

    async def _start(
        self, db: ExecutionDB, proposal: ActionProposal, subject: Subject | None
    ) -> _Began:
        terms, asked_seconds = self._terms_unseen(db), monotonic_seconds()
        if not self._needs_look(subject, proposal.action_name):
            call, auto = self._checked(None, proposal), not self._approval_mode
            start = Start(proposal, call, auto, terms.claim, terms.clock)
            with suppress(LimitError):  # what it lacks to run holds up no proposal
                return _Began(await db.start(start), terms, asked_seconds)
        stored = await stores.ActionDB(db.ledger).create_proposal(proposal, acting=True)
        return await self._claim(db, await self.validate_proposal(int(stored.id or 0)), subject)

    async def _start_workflow(
        self,
        db: ExecutionDB,
        head: WorkflowProposal,
        steps: list[ActionProposal],
        subject: Subject | None,
    ) -> tuple[int, _Began]:
        terms, asked_seconds = self._terms_unseen(db), monotonic_seconds()
        if steps and not self._needs_look(subject, steps[0].action_name):
            calls, auto = [self._checked(None, one) for one in steps], not self._approval_mode
            start = WorkflowStart(head_of(head), steps, calls, auto, terms.claim, terms.clock)
            with suppress(LimitError):  # what it lacks to run holds up no proposal
                workflow_id, started = await db.start_workflow(start)
                return workflow_id, _Began(started, terms, asked_seconds)
        workflow_id = await stores.ActionDB(db.ledger).create_workflow(
            head.name, head.description, steps, head.ticket_id, subject=head.subject, acting=True
        )
        first, *_ = await self.validate_workflow(workflow_id)
        return workflow_id, await self._claim(db, first, subject)

    async def _claim(
        self, db: ExecutionDB, valid: ActionProposal, subject: Subject | None
    ) -> _Began:
        """Look at the cluster where that is needed, and claim a proposal if that may be."""
        proposal_id = int(valid.id or 0)
        terms = self._terms(db, await self._sight(db, proposal_id, subject))
        asked_seconds = monotonic_seconds()
        try:
            attempt = await db.claim(proposal_id, terms.claim)
        except (RefusedError, ConflictError) as error:
            return _Began(Started(valid, refused=error), terms, asked_seconds)
        return _Began(Started(attempt.proposal, attempt), terms, asked_seconds)

    # --- cancel -----------------------------------------------------------------------

    async def cancel_proposal(
        self, proposal_id: int, *, cancelled_by: str = "user", reason: str = ""
    ) -> ActionProposal:
        """Cancel a proposal; a running one is asked to stop, and its end is waited for.

        Raises:
            NotFoundError: there is no such proposal.
            ConflictError: it has ended, or its running call could not be stopped in time.
        """
        async with self._calls as ledger:
            db = stores.ActionDB(ledger)
            proposal = await _require(db, proposal_id)
            if proposal.status is not ActionStatus.EXECUTING:
                return await db.cancel_proposal(
                    proposal_id, cancelled_by=cancelled_by, reason=reason
                )
            await db.request_cancel(proposal_id, cancelled_by=cancelled_by)
            return await self._stopped(db, proposal_id)

    async def _stopped(self, db: "stores.ActionDB", proposal_id: int) -> ActionProposal:
        for _ in range(int(CANCEL_WAIT_SECONDS / _CANCEL_LOOK_SECONDS)):
            proposal = await _require(db, proposal_id)
            if proposal.status is not ActionStatus.EXECUTING or proposal.in_doubt:
                return proposal
            await self._clock.sleep(_CANCEL_LOOK_SECONDS)
        raise ConflictError(
            f"Proposal {proposal_id} still runs: its owner was asked to stop it and has not "
            f"answered within {CANCEL_WAIT_SECONDS:g} s. Look at it again."
        )

    # --- retry ------------------------------------------------------------------------

    async def schedule_next_retry(self, proposal_id: int, error_message: str) -> datetime | None:
        """Count a failure and set when a failed proposal is tried again.

        Returns:
            When the next try is due; None: its tries are used up.

        Raises:
            NotFoundError: there is no such proposal (a ValueError).
            TransitionError: it has not failed.
        """
        async with self._calls as ledger:
            db = ExecutionDB(ledger)
            retry_in = partial(self._retry_in, proposal_id)
            return await db.schedule_retry(proposal_id, error_message, retry_in)

    def _retry_in(self, proposal_id: int, failures: int, limit: int) -> Wait | None:
        return self._retry_config.wait(failures, limit, str(proposal_id))


def _unless_cancelled(may_go_on: Callable[[], bool]) -> Callable[[], bool]:
    """Who is asked to stop while a step ends takes no further one."""
    task = asyncio.current_task()
    return lambda: may_go_on() and not (task is not None and task.cancelling())


async def _require(db: "stores.ActionDB", proposal_id: int) -> ActionProposal:
    proposal = await db.get_proposal(proposal_id)
    if proposal is None:
        raise NotFoundError("Proposal", proposal_id)
    return proposal
