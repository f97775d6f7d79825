"""`ActionExecutor`: proposes, validates, executes and cancels, through the ledger and the gate."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from operator_core import db as stores
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.compensation import compensation_of
from operator_core.actions.execution import carry_out
from operator_core.actions.looking import look, needs_look
from operator_core.actions.policy.request import BlastRadius
from operator_core.actions.recovery import Recovery
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig, Wait
from operator_core.actions.safety import SafetyController
from operator_core.actions.terms import Terms
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
)
from operator_core.actions.validation import validate_action_params
from operator_core.clock import SYSTEM_CLOCK, Clock, monotonic_seconds
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.config import approval_mode as approval_mode_of_environment
from operator_core.db import rows
from operator_core.db.checked import CheckedCall
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.executions import ExecutionDB
from operator_core.db.gate import BLIND, Sight
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.onward import OnwardDB
from operator_core.errors import ConflictError, NotFoundError
from operator_core.process import new_owner
from operator_core.subject import Subject

if TYPE_CHECKING:
    from operator_core.agent.diagnosis import ActionRecommendation

CANCEL_WAIT_SECONDS = 2.0
_CANCEL_LOOK_SECONDS = 0.1


class ActionExecutor:
    """The one way from a recommendation to an effect."""

    def __init__(  # noqa: PLR0913, PLR0917 - the seeds' signature
        self,
        db_path: LedgerAddress | Ledger,
        registry: ActionRegistry,
        safety: SafetyController,
        auditor: ActionAuditor,
        approval_mode: bool | None = None,  # noqa: FBT001 - the seeds' signature
        retry_config: RetryConfig | None = None,
        *,
        owner: str | None = None,
        lease_seconds: float = DEFAULT_LEASE_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Wire an executor.

        Args:
            db_path: a ledger's path, or an open ledger.
            registry: the actions that may be called.
            safety: the switch.
            auditor: for events that are no change of state.
            approval_mode: whether a person must approve; None: as ``OPERATOR_APPROVAL_MODE``
                says, which is no if it is not set.
            retry_config: backoff and ceiling of retries.
            owner: name of this executor in leases.
            lease_seconds: how long a claim holds without being renewed.
            clock: the source of time.

        Raises:
            ConfigurationError: ``OPERATOR_APPROVAL_MODE`` has an unknown value.
        """
        self.db_path = db_path
        self._registry = registry
        self._safety = safety
        self._auditor = auditor
        self._approval_mode = (
            approval_mode_of_environment() if approval_mode is None else approval_mode
        )
        self._retry_config = retry_config or RetryConfig()
        self._owner = owner or new_owner()
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._recovery = Recovery(registry)

    @property
    def approval_mode(self) -> bool:
        """Whether a person must approve before anything is executed."""
        return self._approval_mode

    @property
    def retry_config(self) -> RetryConfig:
        """Backoff and ceiling of retries."""
        return self._retry_config

    @property
    def owner(self) -> str:
        """The name of this executor in leases."""
        return self._owner

    # --- propose ----------------------------------------------------------------------

    async def propose_action(
        self,
        recommendation: "ActionRecommendation",
        ticket_id: int | None = None,
        *,
        proposed_by: str = "agent",
        scheduled_at: datetime | None = None,
    ) -> ActionProposal:
        """Store a recommendation as a proposal.

        Args:
            recommendation: what is to be done.
            ticket_id: the ticket it is for.
            proposed_by: who wants it.
            scheduled_at: it does not run before this; None: at once.

        Raises:
            ObserveOnlyError: Operator may not act.
            UnknownActionError: the action is not registered (a ValueError).
            ValidationError: the parameters do not fit; names every fault.
        """
        await self._safety.ensure()
        proposal = self._proposal(recommendation, ticket_id, proposed_by)
        proposal.scheduled_at = scheduled_at
        async with stores.ActionDB(self.db_path, clock=self._clock) as db:
            return await db.create_proposal(proposal, acting=True)

    async def propose_workflow(
        self,
        name: str,
        description: str,
        action_recommendations: "Sequence[ActionRecommendation]",
        ticket_id: int | None = None,
        *,
        proposed_by: str = "agent",
    ) -> int:
        """Store recommendations as one workflow and return its id.

        All actions are checked before anything is stored, and all is stored in one
        transaction.

        Raises:
            ObserveOnlyError: Operator may not act.
            RequestError: there is no action (a ValueError).
            UnknownActionError: an action is not registered (a ValueError).
            ValidationError: parameters do not fit.
        """
        await self._safety.ensure()
        steps = [self._proposal(rec, ticket_id, proposed_by) for rec in action_recommendations]
        async with stores.ActionDB(self.db_path, clock=self._clock) as db:
            return await db.create_workflow(
                name,
                description,
                steps,
                ticket_id,
                subject=self._registry.subject_name,
                acting=True,
            )

    def _proposal(
        self, recommendation: "ActionRecommendation", ticket_id: int | None, proposed_by: str
    ) -> ActionProposal:
        definition = self._registry.require(recommendation.action_name)
        parameters = validate_action_params(definition, recommendation.parameters)
        undo = compensation_of(
            recommendation.compensation, definition, parameters, self._registry.require
        )
        return rows.begun(
            {
                "subject": self._registry.subject_name,
                "ticket_id": ticket_id,
                "action_name": definition.name,
                "action_type": definition.action_type,
                "parameters": parameters,
                "compensation": undo,
                "reason": recommendation.reason,
                "proposed_at": self._clock.now(),
                "proposed_by": proposed_by,
                "max_retries": self._retry_config.max_attempts,
                "disruptive": definition.disruptive,
            }
        )

    # --- validate ---------------------------------------------------------------------

    async def validate_proposal(
        self, proposal_id: int, blast: BlastRadius | None = None
    ) -> ActionProposal:
        """Check a proposal against the registry and mark it validated.

        Where no approval is required the policy approves it in the same step.

        Args:
            proposal_id: the proposal.
            blast: how much it touches, where it was rehearsed.

        Raises:
            NotFoundError: there is no such proposal.
            UnknownActionError: its action is not registered.
            ValidationError: its parameters do not fit.
            TransitionError: it is not proposed any more.
        """
        async with stores.ActionDB(self.db_path, clock=self._clock) as db:
            return await db.validate_proposal(
                proposal_id, partial(self._checked, blast), auto_approve=not self._approval_mode
            )

    async def validate_workflow(
        self, workflow_id: int, blasts: Mapping[int, BlastRadius | None] | None = None
    ) -> list[ActionProposal]:
        """Check all steps of a workflow and mark them validated, in one transaction.

        Args:
            workflow_id: the workflow.
            blasts: by step, how much it touches, where it was rehearsed.

        Raises:
            NotFoundError: there is no such workflow.
            OperatorError: what `validate_proposal` raises for a step; then none is validated.
        """
        known = blasts or {}
        async with stores.WorkflowDB(self.db_path, clock=self._clock) as db:
            return await db.validate(
                workflow_id,
                lambda step: self._checked(known.get(int(step.id or 0)), step),
                auto_approve=not self._approval_mode,
            )

    def _checked(self, blast: BlastRadius | None, proposal: ActionProposal) -> CheckedCall:
        definition = self._registry.require(proposal.action_name)
        parameters = validate_action_params(definition, proposal.parameters)
        return CheckedCall(parameters, definition.disruptive, definition, blast)

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
        async with ExecutionDB(self.db_path, clock=self._clock) as db:
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
        async with ExecutionDB(self.db_path, clock=self._clock) as db:
            terms = self._terms(db, await self._sight(db, first_id, subject))
            onward = self._terms(db, Sight(self._registry.get_definition)).claim
            needs = partial(self._needs_look, subject)
            steps = OnwardDB(db.ledger, onward, needs, _unless_cancelled(may_go_on))
            records: list[ActionRecord] = []
            taken: tuple[Attempt, float] | None = await steps.take(first_id, terms.claim)
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
        async with ExecutionDB(self.db_path, clock=self._clock) as db:
            return await self._recovery.settle_expired(db, subject, self._terms(db))

    def _terms(self, db: ExecutionDB, sight: Sight = BLIND) -> Terms:
        claim = ClaimTerms(
            owner=self._owner,
            ledger_id=db.ledger.ledger_id,
            lease_seconds=self._lease_seconds,
            require_approval=self._approval_mode,
            subject=self._registry.subject_name,
            sight=sight,
        )
        return Terms(claim, self._retry_in, db.ledger.clock)

    # --- cancel -----------------------------------------------------------------------

    async def cancel_proposal(
        self, proposal_id: int, *, cancelled_by: str = "user", reason: str = ""
    ) -> ActionProposal:
        """Cancel a proposal; a running one is asked to stop, and its end is waited for.

        Raises:
            NotFoundError: there is no such proposal.
            ConflictError: it has ended, or its running call could not be stopped in time.
        """
        async with stores.ActionDB(self.db_path, clock=self._clock) as db:
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
        async with ExecutionDB(self.db_path, clock=self._clock) as db:
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
