"""The gate: the one pure function that decides whether an effect may happen now.

The claim calls it inside its transaction and refuses when it does; there is no other way from
a proposal to an effect.
"""

from datetime import datetime
from typing import NamedTuple

from operator_core.actions.policy.ruling import PolicyFacts, policy_refusal
from operator_core.actions.types import ActionProposal, ActionStatus, WorkflowStatus
from operator_core.errors import (
    ApprovalRequiredError,
    BlindError,
    ConflictError,
    NotReadyError,
    ObserveOnlyError,
    OperatorError,
    TransitionError,
    UnsafeNowError,
)
from operator_core.types import RunMode

_LIVE_WORKFLOW = (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS)
_UNDONE_WORKFLOW = (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)


class GateFacts(NamedTuple):
    """What the ledger says, read in the transaction of the claim.

    Attributes:
        mode: the run mode; observe where it was never set.
        killed: whether the kill switch holds.
        now: the present moment.
        dependency: state of the proposal that this one depends on, if any.
        workflow: state of the workflow that this one is a step of, if any.
        workflow_approved: whether that workflow is approved.
        workflow_covers: whether that approval covers this step as it is now.
        workflow_paused: whether that workflow is paused.
        undone: state of the step that this one undoes, if it undoes one.
        policy: what the policy in force has to look at; None: no policy ever was in force.
        unseen: what of the cluster is seen too little for the action, with the reasons.
        worse: what a rehearsal on the cluster as it is says would be less safe.
    """

    mode: RunMode
    killed: bool
    now: datetime
    dependency: ActionStatus | None = None
    workflow: WorkflowStatus | None = None
    workflow_approved: bool = False
    workflow_covers: bool = False
    workflow_paused: bool = False
    undone: ActionStatus | None = None
    policy: PolicyFacts | None = None
    unseen: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()


def refusal(
    proposal: ActionProposal, facts: GateFacts, *, require_approval: bool
) -> OperatorError | None:
    """Return why the effect of a proposal may not happen now; None: it may.

    Args:
        proposal: the proposal as it stands in the ledger.
        facts: what else the ledger says.
        require_approval: whether a person must have approved it, where no policy is in force.
    """
    if proposal.status is not ActionStatus.VALIDATED and not proposal.awaits_resend:
        return TransitionError(
            f"Proposal {proposal.id} is {proposal.status.value}, not validated: it cannot be "
            "executed."
        )
    return (
        _switch(facts)
        or _workflow(proposal, facts)
        or _hold(proposal)
        or _approval(proposal, facts, require_approval=require_approval)
        or _readiness(proposal, facts)
        or _sight(proposal, facts)
        or (policy_refusal(facts.policy) if facts.policy else None)
        or _safety(proposal, facts)
    )


def _switch(facts: GateFacts) -> OperatorError | None:
    if facts.killed:
        return ObserveOnlyError(
            "The kill switch is on: nothing is executed. Run `operator mode execute` to lift it."
        )
    return None if facts.mode is RunMode.EXECUTE else ObserveOnlyError()


def _workflow(proposal: ActionProposal, facts: GateFacts) -> OperatorError | None:
    if facts.workflow is None:
        return None
    if facts.workflow_paused:
        return NotReadyError(
            f"Workflow {proposal.workflow_id} is paused. Run `operator workflows resume "
            f"{proposal.workflow_id}` to let it go on."
        )
    if proposal.compensates_proposal_id is not None:
        return _compensation(proposal, facts)
    if facts.workflow in _LIVE_WORKFLOW:
        return None
    return ConflictError(
        f"Proposal {proposal.id} is a step of workflow {proposal.workflow_id}, which is "
        f"{facts.workflow.value}."
    )


def _compensation(proposal: ActionProposal, facts: GateFacts) -> OperatorError | None:
    """A compensation runs after the end of its workflow, and undoes what was surely done."""
    if facts.workflow in _UNDONE_WORKFLOW and facts.undone is ActionStatus.COMPLETED:
        return None
    return ConflictError(
        f"Proposal {proposal.id} undoes proposal {proposal.compensates_proposal_id} of workflow "
        f"{proposal.workflow_id}: only a completed step of a failed or cancelled workflow is "
        "undone."
    )


def _hold(proposal: ActionProposal) -> OperatorError | None:
    """What a backup knew of may have been done since then, so no policy lets it run."""
    if not proposal.held:
        return None
    return ApprovalRequiredError(
        f"Proposal {proposal.id} is held: the ledger was restored from a backup, and it may have "
        "been done since then. Look at the cluster, then run `operator actions approve "
        f"{proposal.id}`, or approve its workflow."
    )


def _sight(proposal: ActionProposal, facts: GateFacts) -> OperatorError | None:
    """Who cannot see acts on nothing; the next look may show enough."""
    if not facts.unseen:
        return None
    return BlindError(
        f"Proposal {proposal.id} waits until enough is seen: {'; '.join(facts.unseen)}."
    )


def _safety(proposal: ActionProposal, facts: GateFacts) -> OperatorError | None:
    """What was safe when it was rehearsed need not be safe on the cluster as it is now."""
    if not facts.worse:
        return None
    return UnsafeNowError(
        f"Proposal {proposal.id} waits: rehearsed on the cluster as it is now it makes that less "
        f"safe: {'; '.join(facts.worse)}."
    )


def _approval(
    proposal: ActionProposal, facts: GateFacts, *, require_approval: bool
) -> OperatorError | None:
    if facts.policy is not None:
        return None  # the policy alone says whose word it takes
    covered = facts.workflow_approved and facts.workflow_covers
    if not require_approval or proposal.is_approved or covered:
        return None
    if facts.workflow_approved:
        return ApprovalRequiredError(
            f"Proposal {proposal.id} is not what was approved with workflow "
            f"{proposal.workflow_id}: it was added or changed since. Look at it, then run "
            f"`operator actions approve {proposal.id}`."
        )
    return ApprovalRequiredError(
        f"Proposal {proposal.id} waits for approval. Run `operator actions approve "
        f"{proposal.id}`"
        + (f" or `operator workflows approve {proposal.workflow_id}`." if facts.workflow else ".")
    )


def _readiness(proposal: ActionProposal, facts: GateFacts) -> OperatorError | None:
    if facts.dependency is not None and facts.dependency is not ActionStatus.COMPLETED:
        return NotReadyError(
            f"Proposal {proposal.id} depends on proposal {proposal.depends_on_proposal_id}, "
            f"which is {facts.dependency.value}, not completed."
        )
    if proposal.scheduled_at is not None and proposal.scheduled_at > facts.now:
        return NotReadyError(
            f"Proposal {proposal.id} is not due before {proposal.scheduled_at.isoformat()}."
        )
    again_at = proposal.lease_expires_at if proposal.awaits_resend else None
    if again_at is not None and again_at > facts.now:
        return NotReadyError(
            f"Proposal {proposal.id} was sent, and is not sent again before {again_at.isoformat()}."
        )
    return None
