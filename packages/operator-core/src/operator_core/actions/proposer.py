"""`ActionProposer`: from a recommendation to a valid proposal; nothing happens to a cluster."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from operator_core import db as stores
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.compensation import compensation_of
from operator_core.actions.policy.request import BlastRadius
from operator_core.actions.recovery import Recovery
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionProposal
from operator_core.actions.validation import validate_action_params
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.config import approval_mode as approval_mode_of_environment
from operator_core.db import rows
from operator_core.db.checked import CheckedCall
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.sharing import LedgerCalls
from operator_core.process import OwnName

if TYPE_CHECKING:
    from operator_core.agent.diagnosis import ActionRecommendation


class ActionProposer:
    """Proposes actions and workflows, and checks them against the registry."""

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
        """Wire a proposer, or what stands on it.

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
        self._calls = LedgerCalls(db_path, clock)
        self._registry = registry
        self._safety = safety
        self._auditor = auditor
        self._approval_mode = (
            approval_mode_of_environment() if approval_mode is None else approval_mode
        )
        self._retry_config = retry_config or RetryConfig()
        self._owner = OwnName(owner)
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
        return str(self._owner)

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
        async with self._calls as ledger:
            return await stores.ActionDB(ledger).create_proposal(proposal, acting=True)

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
        async with self._calls as ledger:
            return await stores.ActionDB(ledger).create_workflow(
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
        async with self._calls as ledger:
            return await stores.ActionDB(ledger).validate_proposal(
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
        async with self._calls as ledger:
            return await stores.WorkflowDB(ledger).validate(
                workflow_id,
                lambda step: self._checked(known.get(int(step.id or 0)), step),
                auto_approve=not self._approval_mode,
            )

    def _checked(self, blast: BlastRadius | None, proposal: ActionProposal) -> CheckedCall:
        definition = self._registry.require(proposal.action_name)
        parameters = validate_action_params(definition, proposal.parameters)
        return CheckedCall(parameters, definition.disruptive, definition, blast)
