"""Undoing what a failed workflow has done, as functions of a transaction.

The compensations are made in the transaction that ends the workflow. Where a step still runs
or is in doubt then, the workflow remembers that they are due, and they are made in the
transaction that ends that step: what is in doubt is undone by nobody.
"""

from datetime import datetime
from typing import NamedTuple

from operator_core.actions import approval, compensation
from operator_core.actions.types import ActionProposal, ActionStatus, WorkflowProposal
from operator_core.db import changes, effects, rows
from operator_core.db.changes import Change, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import ConstraintError

_WAITS = (ActionStatus.PROPOSED, ActionStatus.VALIDATED)
_LOST = (ActionStatus.FAILED, ActionStatus.CANCELLED)


class _Approval(NamedTuple):
    """An approval that a compensation goes by; held: it needs one of its own in any case."""

    by: str | None = None
    at: datetime | None = None
    of: str | None = None
    held: bool = False


def begin(tx: Tx, workflow_id: int, stamp: Stamp) -> None:
    """Undo the completed steps of a workflow that has just ended, as soon as nothing runs."""
    tx.run("workflow.set_compensation_due", id=workflow_id, due=1, now=stamp.text)
    go_on(tx, changes.get(tx, "workflow", workflow_id), stamp)


def go_on(tx: Tx, workflow: Row, stamp: Stamp) -> None:
    """Make the compensations of a workflow that has ended, if they are due and nothing runs."""
    if not workflow["compensation_due"]:
        return
    found = tx.all("proposal.list_of_workflow", workflow_id=workflow["id"])
    others = effects.not_ours(tx, workflow["id"])
    steps = [rows.proposal(row) for row in found if row["id"] not in others]
    if not compensation.may_begin(steps):
        return
    tx.run("workflow.set_compensation_due", id=workflow["id"], due=0, now=stamp.text)
    first = 1 + max((step.execution_order for step in steps), default=0)
    before: int | None = None
    for order, step in enumerate(compensation.to_undo(steps), first):
        undo = compensation.undoing(step, order, before)
        before = _insert(tx, undo, _approval_of(step, rows.workflow(workflow)), stamp)


def forget(tx: Tx, stamp: Stamp) -> None:
    """Undo nothing more than what is proposed already: the kill switch was pulled."""
    tx.run("workflow.forget_compensations", now=stamp.text)


def settle(tx: Tx, ended: Row, stamp: Stamp) -> None:
    """Stop undoing where a compensation has failed for good or was cancelled."""
    retry_waits = ended["next_retry_at"] is not None and ended["retry_count"] < ended["max_retries"]
    if ended["status"] not in _LOST or retry_waits:
        return
    reason = f"compensation {ended['id']} is {ended['status']}: nothing more is undone"
    change = Change("proposal.cancel", "proposal_cancelled", {"reason": reason})
    for row in tx.all("proposal.list_of_workflow", workflow_id=ended["workflow_id"]):
        if row["compensates_proposal_id"] is not None and row["status"] in _WAITS:
            changes.apply(tx, row["id"], change, stamp)


def _approval_of(step: ActionProposal, workflow: WorkflowProposal) -> _Approval:
    """Return the approval of a step: it covers what undoes the step too."""
    if step.held:
        return _Approval(held=True)
    if step.is_approved:
        return _Approval(step.approved_by, step.approved_at, f"action {step.id}")
    if workflow.approved_at is not None and approval.covers(workflow.approved_steps, step):
        return _Approval(workflow.approved_by, workflow.approved_at, f"workflow {workflow.id}")
    return _Approval()


def _insert(tx: Tx, undo: ActionProposal, given: _Approval, stamp: Stamp) -> int:
    own = {"proposed_at": stamp.now, "validated_at": stamp.now}
    approved = {"approved_at": given.at, "approved_by": given.by}
    params = rows.proposal_params(undo.model_copy(update=own | approved))
    row = tx.one("proposal.insert", now=stamp.text, **params)
    if row is None:
        raise ConstraintError("the compensation was not stored")
    data = {
        "action_name": undo.action_name,
        "compensates": undo.compensates_proposal_id,
        "approved_by": given.by,
        "covered_by_approval_of": given.of,
    }
    changes.tell(tx, "proposal", row, Change("", "compensation_proposed", data), stamp)
    if given.held:
        changes.apply(tx, row["id"], Change("proposal.hold", "proposal_held"), stamp)
    return int(row["id"])
