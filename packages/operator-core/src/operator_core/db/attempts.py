"""Attempts: the claim that starts one, and the ways it can end, as functions of a transaction.

An attempt belongs to its owner by the fencing number that the claim gave it. Whoever took the
work over in the meantime has a higher one, and what the old owner writes finds no row.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from operator_core.actions import approval
from operator_core.actions.lifecycle import WORKFLOW_MACHINE
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    Outcome,
    WorkflowStatus,
)
from operator_core.actions.verdict import GateFacts, refusal
from operator_core.clock import to_text
from operator_core.db import changes, proposals, rows, safety
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import (
    ConflictError,
    ConstraintError,
    LimitError,
    LostLeaseError,
    RequestError,
    TransitionError,
)
from operator_core.types import JsonObject


@dataclass(frozen=True)
class ClaimTerms:
    """On what terms an executor claims; ``subject`` is the one it acts on, where it has a name."""

    owner: str
    ledger_id: str
    lease_seconds: float
    require_approval: bool
    subject: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A claimed proposal and the record of the attempt."""

    proposal: ActionProposal
    record: ActionRecord

    @property
    def proposal_id(self) -> int:
        """The proposal's id."""
        return self.record.proposal_id


@dataclass(frozen=True)
class Ending:
    """How an attempt ended.

    Attributes:
        outcome: what is known of the effect.
        message: what went wrong, if anything.
        result: what the action returned.
        next_retry_at: for a sure failure: when it is tried again; None: not any more.
        follower_delay_seconds: how long the next step has to wait.
        stopped: the attempt was stopped on request, and surely had no effect.
    """

    outcome: Outcome
    message: str | None = None
    result: JsonObject | None = None
    next_retry_at: datetime | None = None
    follower_delay_seconds: float = 0.0
    stopped: bool = field(default=False)


def claim(tx: Tx, proposal_id: int, terms: ClaimTerms, stamp: Stamp) -> Attempt:
    """Take a proposal for execution, if the gate lets it through right now.

    Raises:
        NotFoundError: there is no such proposal.
        RefusedError: the gate is closed (mode, kill switch, approval, not due, a limit).
        ConflictError: it is not validated, or its workflow has ended.
        RequestError: it is for another subject than the executor's.
    """
    proposal = rows.proposal(changes.get(tx, "proposal", proposal_id))
    if None not in (proposal.subject, terms.subject) and proposal.subject != terms.subject:
        raise RequestError(
            f"Proposal {proposal_id} is for subject {proposal.subject!r}, not {terms.subject!r}."
        )
    facts = _facts(tx, proposal, stamp.now)
    refused = refusal(proposal, facts, require_approval=terms.require_approval)
    if refused is not None:
        raise refused
    row = _take(tx, proposal_id, terms, stamp)
    record = _begin_record(tx, row, terms, stamp)
    proposals.settle_workflow(tx, row, stamp)
    return Attempt(rows.proposal(row), record)


def _facts(tx: Tx, proposal: ActionProposal, now: datetime) -> GateFacts:
    state = safety.state_of_claim(tx)
    facts = GateFacts(mode=state.mode, killed=state.killed_at is not None, now=now)
    if proposal.depends_on_proposal_id is not None:
        dependency = changes.get(tx, "proposal", proposal.depends_on_proposal_id)
        facts = replace(facts, dependency=ActionStatus(dependency["status"]))
    if proposal.workflow_id is not None:
        workflow = changes.get(tx, "workflow", proposal.workflow_id)
        facts = replace(
            facts,
            workflow=WorkflowStatus(workflow["status"]),
            workflow_approved=workflow["approved_at"] is not None,
            workflow_covers=_covers(workflow, proposal),
            workflow_paused=workflow["paused_at"] is not None,
        )
    if proposal.compensates_proposal_id is not None:
        undone = changes.get(tx, "proposal", proposal.compensates_proposal_id)
        facts = replace(facts, undone=ActionStatus(undone["status"]))
    return facts


def _covers(workflow: Row, proposal: ActionProposal) -> bool:
    return approval.covers(json.loads(workflow["approved_steps"] or "{}"), proposal)


def _take(tx: Tx, proposal_id: int, terms: ClaimTerms, stamp: Stamp) -> Row:
    lease_end = to_text(stamp.now + timedelta(seconds=terms.lease_seconds))
    params: Params = {"owner": terms.owner, "lease_expires_at": lease_end}
    data = {"owner": terms.owner}
    change = Change("proposal.claim", "execution_started", data, params)
    try:
        return changes.apply(tx, proposal_id, change, stamp)
    except ConstraintError as error:
        raise LimitError(
            f"Another disruptive action runs on the subject of proposal {proposal_id}; it waits "
            "until that one has ended."
        ) from error


def _begin_record(tx: Tx, row: Row, terms: ClaimTerms, stamp: Stamp) -> ActionRecord:
    record = tx.one(
        "record.insert",
        proposal_id=row["id"],
        started_at=stamp.text,
        completed_at=None,
        success=None,
        error_message=None,
        result_data=None,
        outcome=None,
        idempotency_key=f"operator:{terms.ledger_id}:{row['id']}:{row['effect']}",
        owner=terms.owner,
        fence=row["fence"],
    )
    if record is None:
        raise ConstraintError("the record of the attempt was not stored")
    return rows.record(record)


# --- the end of an attempt ------------------------------------------------------------


def finish(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> ActionRecord:
    """Write how an attempt ended, and what follows for retries and the workflow.

    Raises:
        LostLeaseError: somebody else has taken the work over.
    """
    endings = {
        Outcome.SUCCEEDED: _succeed,
        Outcome.FAILED: _stop if ending.stopped else _fail,
        Outcome.UNKNOWN: _doubt,
    }
    try:
        row = endings[ending.outcome](tx, attempt, ending, stamp)
    except TransitionError as error:
        raise LostLeaseError(
            f"Proposal {attempt.proposal_id} was taken over or settled by somebody else while it "
            "ran; what this process wanted to write was dropped."
        ) from error
    record = _end_record(tx, attempt, ending, stamp)
    proposals.settle_workflow(tx, row, stamp)
    return record


def _fence(attempt: Attempt) -> Params:
    return {"fence": attempt.proposal.fence}


def _succeed(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    change = Change("proposal.complete", "execution_completed", {}, _fence(attempt))
    row = changes.apply(tx, attempt.proposal_id, change, stamp)
    if ending.follower_delay_seconds > 0:
        due = to_text(stamp.now + timedelta(seconds=ending.follower_delay_seconds))
        tx.run("proposal.delay_followers", id=row["id"], scheduled_at=due, now=stamp.text)
    return row


def _fail(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    data = {"error": ending.message}
    change = Change("proposal.fail", "execution_failed", data, _fence(attempt))
    changes.apply(tx, attempt.proposal_id, change, stamp)
    row = proposals.count_failure(tx, attempt.proposal_id, ending.message, stamp)
    if ending.next_retry_at is None:
        tx.run("proposal.set_counted", id=row["id"], counted=1, now=stamp.text)
        proposals.tell_exhausted(tx, row, ending.message, stamp)
        return row
    return proposals.set_next_retry(tx, row["id"], ending.next_retry_at, stamp, counted=True)


def _stop(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    data = {"reason": ending.message}
    change = Change("proposal.abort", "execution_stopped", data, _fence(attempt))
    return changes.apply(tx, attempt.proposal_id, change, stamp)


def _doubt(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    params = {**_fence(attempt), "error": ending.message}
    data = {"error": ending.message}
    change = Change("proposal.mark_in_doubt", "execution_in_doubt", data, params)
    return changes.apply(tx, attempt.proposal_id, change, stamp)


def _end_record(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> ActionRecord:
    known = {Outcome.SUCCEEDED: 1, Outcome.FAILED: 0}
    row = tx.one(
        "record.finish",
        id=attempt.record.id,
        now=stamp.text,
        success=known.get(ending.outcome),
        outcome=ending.outcome.value,
        error_message=ending.message,
        result_data=rows.to_json(ending.result) if ending.result is not None else None,
    )
    if row is None:
        raise ConstraintError("the record of the attempt is gone")
    return rows.record(row)


def settle_in_doubt(tx: Tx, proposal_id: int, ending: Ending, stamp: Stamp) -> ActionRecord:
    """End an attempt in doubt by a person's word; a sure failure is not retried by itself.

    Raises:
        ConflictError: the proposal is not in doubt.
    """
    row = changes.get(tx, "proposal", proposal_id)
    latest = tx.one("record.latest", proposal_id=proposal_id)
    if not row["in_doubt"]:
        raise ConflictError(f"Proposal {proposal_id} is {row['status']}, not in doubt.")
    terms = ClaimTerms(stamp.actor, "", 0.0, require_approval=False)
    record = rows.record(latest) if latest else _begin_record(tx, row, terms, stamp)
    return finish(tx, Attempt(rows.proposal(row), record), ending, stamp)


# --- leases ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Hold:
    """How an owner stands to its attempt."""

    owned: bool
    cancel_requested: bool
    killed: bool

    @property
    def why(self) -> str:
        """Why it is asked to stop; empty: it is not."""
        if self.killed:
            return "kill switch"
        return "cancel requested" if self.cancel_requested else ""


def look(tx: Tx, attempt: Attempt) -> Hold:
    """Return whether the attempt is still its owner's, and whether it is asked to stop."""
    row = tx.one("proposal.running", id=attempt.proposal_id)
    if row is None:
        return Hold(owned=False, cancel_requested=False, killed=False)
    running = row["status"] == ActionStatus.EXECUTING
    return Hold(
        owned=running and row["fence"] == attempt.proposal.fence,
        cancel_requested=row["cancel_requested_at"] is not None,
        killed=row["killed_at"] is not None,
    )


def renew(tx: Tx, attempt: Attempt, lease_seconds: float, stamp: Stamp) -> bool:
    """Renew the lease of an attempt; False: it belongs to somebody else now."""
    return bool(
        tx.run(
            "proposal.renew_lease",
            id=attempt.proposal_id,
            fence=attempt.proposal.fence,
            owner=attempt.proposal.owner,
            lease_expires_at=to_text(stamp.now + timedelta(seconds=lease_seconds)),
            now=stamp.text,
        )
    )


def take_over(tx: Tx, proposal: ActionProposal, terms: ClaimTerms, stamp: Stamp) -> Attempt:
    """Take the work of an owner whose lease has ended; its own writes find no row any more.

    Raises:
        TransitionError: somebody else was first.
    """
    lease_end = to_text(stamp.now + timedelta(seconds=terms.lease_seconds))
    params: Params = {
        "owner": terms.owner,
        "lease_expires_at": lease_end,
        "fence": proposal.fence,
    }
    data = {"from": proposal.owner, "to": terms.owner}
    change = Change("proposal.take_over", "execution_taken_over", data, params)
    row = changes.apply(tx, int(proposal.id or 0), change, stamp)
    latest = tx.one("record.latest", proposal_id=row["id"])
    record = rows.record(latest) if latest else _begin_record(tx, row, terms, stamp)
    return Attempt(rows.proposal(row), record)


def release(tx: Tx, attempt: Attempt, error: str, due: datetime, stamp: Stamp) -> None:
    """Let an idempotent action be sent again under the same key, no sooner than ``due``.

    Where its workflow has ended meanwhile it may not be sent again, and stays in doubt.
    """
    if _workflow_has_ended(tx, attempt):
        finish(tx, attempt, Ending(Outcome.UNKNOWN, error), stamp)
        return
    params = {**_fence(attempt), "error": error, "scheduled_at": to_text(due)}
    change = Change("proposal.release", "execution_released", {"error": error}, params)
    changes.apply(tx, attempt.proposal_id, change, stamp)
    _end_record(tx, attempt, Ending(Outcome.UNKNOWN, error), stamp)


def _workflow_has_ended(tx: Tx, attempt: Attempt) -> bool:
    step = attempt.proposal
    if step.workflow_id is None or step.compensates_proposal_id is not None:
        return False
    state = WorkflowStatus(changes.get(tx, "workflow", step.workflow_id)["status"])
    return not WORKFLOW_MACHINE.events_of(state)
