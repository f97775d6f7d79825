"""What can be done to proposals and their workflows, as functions of a transaction."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from operator_core.actions import approval
from operator_core.actions.lifecycle import (
    ACTION_MACHINE,
    WORKFLOW_MACHINE,
    ActionEvent,
    WorkflowEvent,
)
from operator_core.actions.retry import Wait
from operator_core.actions.types import ActionProposal, ActionStatus, WorkflowStatus
from operator_core.actions.validation import same_json
from operator_core.actions.workflow import Step, roll_up
from operator_core.clock import to_text
from operator_core.db import approvals, changes, compensations, policies, resends, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import ConstraintError, TransitionError
from operator_core.types import JsonObject

_DIRECT: dict[ActionStatus, tuple[ActionEvent, Params]] = {
    ActionStatus.VALIDATED: (
        ActionEvent.VALIDATE,
        {"parameters": None, "disruptive": None, "approved_at": None, "approved_by": None},
    ),
    ActionStatus.COMPLETED: (ActionEvent.COMPLETE, {"fence": None}),
    ActionStatus.FAILED: (ActionEvent.FAIL, {"fence": None, "key_spent": 1}),
    ActionStatus.CANCELLED: (ActionEvent.CANCEL, {}),
}
_WORKFLOW_EVENTS = {
    WorkflowStatus.IN_PROGRESS: WorkflowEvent.START,
    WorkflowStatus.COMPLETED: WorkflowEvent.COMPLETE,
    WorkflowStatus.FAILED: WorkflowEvent.FAIL,
    WorkflowStatus.CANCELLED: WorkflowEvent.CANCEL,
}

RetryRule = Callable[[int, int], Wait | None]
"""Says for (failures so far, limit) when to try again; None: not any more."""


def set_status(tx: Tx, proposal_id: int, status: ActionStatus, stamp: Stamp) -> Row:
    """Move a proposal along its life cycle, but never into executing nor back for a retry.

    Raises:
        TransitionError: the life cycle has no such transition, or it is not for this function.
    """
    current = ActionStatus(changes.get(tx, "proposal", proposal_id)["status"])
    if status not in _DIRECT:
        raise TransitionError(
            f"Proposal {proposal_id} is {current.value}: only a claim makes it executing, and "
            "nothing makes it proposed again."
        )
    event, params = _DIRECT[status]
    ACTION_MACHINE.after(current, event)
    change = Change(f"proposal.{event.value}", f"proposal_{status.value}", {}, params)
    move = resends.call_off if event is ActionEvent.CANCEL else changes.apply
    row = move(tx, proposal_id, change, stamp)
    settle_workflow(tx, row, stamp)
    return row


def is_for_others(proposal: ActionProposal, parameters: JsonObject) -> bool:
    """Return whether a proposal's approval was given for other arguments than these."""
    return proposal.approved_at is not None and not same_json(proposal.parameters, parameters)


def void_approval(tx: Tx, proposal: ActionProposal, stamp: Stamp) -> None:
    """Take back the approval of a proposal that was given for other arguments."""
    data = {"approved_by": proposal.approved_by, "approved": proposal.parameters}
    change = Change("proposal.void_approval", "approval_voided", data)
    changes.apply(tx, int(proposal.id or 0), change, stamp)


def approve(tx: Tx, proposal_id: int, stamp: Stamp) -> Row:
    """Approve a proposal that has not started; a second approval is refused.

    Under a policy it is one person's word, and approves where it is the last one needed.
    """
    loaded = policies.in_force(tx)
    if loaded is not None:
        return approvals.give(tx, "proposal", proposal_id, loaded, stamp)
    data = {"approved_by": stamp.actor}
    change = Change("proposal.approve", "proposal_approved", data, {"approved_by": stamp.actor})
    return changes.apply(tx, proposal_id, change, stamp)


def reject(tx: Tx, proposal_id: int, reason: str, stamp: Stamp) -> Row:
    """Reject a proposal that has not started: it is cancelled, and its workflow with it."""
    params = {"rejected_by": stamp.actor, "reason": reason}
    change = Change("proposal.reject", "proposal_rejected", {**params}, {**params})
    row = resends.call_off(tx, proposal_id, change, stamp)
    settle_workflow(tx, row, stamp)
    return row


def cancel(tx: Tx, proposal_id: int, reason: str, stamp: Stamp) -> Row:
    """Cancel a proposal that has not started, and the steps that wait for it."""
    change = Change("proposal.cancel", "proposal_cancelled", {"reason": reason})
    row = resends.call_off(tx, proposal_id, change, stamp)
    settle_workflow(tx, row, stamp)
    return row


def cancel_each(tx: Tx, kind: str, found: Sequence[Row], reason: str, stamp: Stamp) -> None:
    """Cancel rows of a kind that this transaction has just read, and that may be cancelled."""
    change = Change(f"{kind}.cancel", f"{kind}_cancelled", {"reason": reason})
    _change_each(tx, change.statement, found, {"now": stamp.text})
    changes.tell_each(tx, kind, [(row, change, stamp) for row in found])


def _change_each(tx: Tx, statement: str, found: Sequence[Row], params: Params) -> None:
    """Change rows alike that this transaction has just read and holds."""
    wanted = [{"id": row["id"], **params} for row in found]
    if wanted and tx.each(statement, wanted) != len(wanted):
        raise ConstraintError(f"{statement}: a row is not as it was just read")


def schedule(tx: Tx, proposal_id: int, when: datetime | None, stamp: Stamp) -> Row:
    """Set or clear the time before which a proposal does not run."""
    text = to_text(when) if when else None
    change = Change(
        "proposal.schedule", "proposal_scheduled", {"scheduled_at": text}, {"scheduled_at": text}
    )
    return changes.apply(tx, proposal_id, change, stamp)


# --- retries --------------------------------------------------------------------------


def count_failure(tx: Tx, proposal_id: int, error: str | None, stamp: Stamp) -> Row:
    """Count one failure and keep its error."""
    change = Change("proposal.count_failure", "failure_counted", {"error": error}, {"error": error})
    return changes.apply(tx, proposal_id, change, stamp)


def retry_later(
    tx: Tx, proposal_id: int, wait: Wait, stamp: Stamp, *, counted: bool = False
) -> Row:
    """Let a failed proposal be tried again after its backoff, from this moment on."""
    when = stamp.now + timedelta(seconds=wait.seconds)
    return set_next_retry(tx, proposal_id, when, stamp, counted=counted, backoff=wait.backoff)


def set_next_retry(
    tx: Tx,
    proposal_id: int,
    when: datetime | None,
    stamp: Stamp,
    *,
    counted: bool = False,
    backoff: dict[str, float] | None = None,
) -> Row:
    """Set when a failed proposal is tried again; None: not any more.

    Args:
        tx: the transaction.
        proposal_id: the proposal.
        when: the moment.
        stamp: who and when.
        counted: whether the failure before it is counted already.
        backoff: the numbers of the one that says so, where nobody chose the moment.
    """
    text = to_text(when) if when else None
    row = changes.get(tx, "proposal", proposal_id)
    params: Params = {"next_retry_at": text, "failure_counted": int(counted)}
    change = replace(_next_retry(text, row, backoff), params=params)
    changed = changes.apply(tx, proposal_id, change, stamp)
    settle_workflow(tx, changed, stamp)
    return changed


def drop_retries(tx: Tx, failed: Sequence[Row], stamp: Stamp) -> None:
    """Try failed proposals not again that this transaction has just read; their workflows end."""
    dropped: Params = {"next_retry_at": None, "failure_counted": 0, "now": stamp.text}
    _change_each(tx, "proposal.set_next_retry", failed, dropped)
    told = [(row, _next_retry(None, row), stamp) for row in failed]
    changes.tell_each(tx, "proposal", told)


def _next_retry(text: str | None, row: Row, backoff: dict[str, float] | None = None) -> Change:
    """Return what the audit says of when a failed proposal is tried again."""
    data: JsonObject = {"next_retry_at": text, "retry_count": row["retry_count"]}
    if backoff is not None:
        data["backoff"] = backoff
    return Change("proposal.set_next_retry", "retry_scheduled" if text else "retry_cleared", data)


def reset_for_retry(tx: Tx, proposal_id: int, stamp: Stamp) -> Row:
    """Take a failed proposal back to validated, if it has retries left and may still run."""
    step = changes.get(tx, "proposal", proposal_id)
    workflow_id = step["workflow_id"]
    if workflow_id is not None and step["compensates_proposal_id"] is None:
        state = WorkflowStatus(changes.get(tx, "workflow", workflow_id)["status"])
        if not WORKFLOW_MACHINE.events_of(state):
            raise TransitionError(
                f"Proposal {proposal_id} is a step of workflow {workflow_id}, which is "
                f"{state.value}: propose the workflow anew instead of trying the step again."
            )
    return changes.apply(tx, proposal_id, Change("proposal.retry", "retry_started"), stamp)


def schedule_retry(
    tx: Tx, proposal_id: int, error: str | None, retry_in: RetryRule, stamp: Stamp
) -> datetime | None:
    """Count a failure that was not counted yet, and set when the next try is due.

    Args:
        tx: the transaction.
        proposal_id: a failed proposal.
        error: what went wrong.
        retry_in: says for (failures, limit) how long until the next try; None: there is none.
        stamp: who and when.
    """
    row = changes.get(tx, "proposal", proposal_id)
    if row["failure_counted"]:
        due = rows.time_or_none(row["next_retry_at"])
        tx.run("proposal.set_counted", id=proposal_id, counted=int(due is None), now=stamp.text)
        return due
    row = count_failure(tx, proposal_id, error, stamp)
    wait = retry_in(row["retry_count"], row["max_retries"])
    if wait is not None:
        waits = retry_later(tx, proposal_id, wait, stamp)
        return rows.time_or_none(waits["next_retry_at"])
    if row["next_retry_at"] is not None:
        set_next_retry(tx, proposal_id, None, stamp)
    tell_exhausted(tx, row, error, stamp)
    settle_workflow(tx, changes.get(tx, "proposal", proposal_id), stamp)
    return None


def tell_exhausted(tx: Tx, row: Row, error: str | None, stamp: Stamp) -> None:
    """Write into the audit that a failed proposal will not be tried again."""
    counts = {"retry_count": row["retry_count"], "max_retries": row["max_retries"]}
    change = Change("", "retry_exhausted", {**counts, "last_error": error})
    changes.tell(tx, "proposal", row, change, stamp)


# --- workflows ------------------------------------------------------------------------


def approve_workflow(tx: Tx, workflow_id: int, stamp: Stamp) -> Row:
    """Approve a workflow: exactly the steps it has, as they are; under a policy, see above."""
    loaded = policies.in_force(tx)
    if loaded is not None:
        return approvals.give(tx, "workflow", workflow_id, loaded, stamp)
    found = tx.all("proposal.list_of_workflow", workflow_id=workflow_id)
    steps = approval.approved_steps(rows.proposal(row) for row in found)
    data = {"approved_by": stamp.actor, "steps": [row["id"] for row in found], "calls": steps}
    params = {"approved_by": stamp.actor, "approved_steps": rows.to_json(steps)}
    change = Change("workflow.approve", "workflow_approved", data, params)
    row = changes.apply(tx, workflow_id, change, stamp)
    tx.run("proposal.let_go_of_workflow", workflow_id=workflow_id, now=stamp.text)
    return row


def cancel_workflow(tx: Tx, workflow_id: int, reason: str, stamp: Stamp) -> Row:
    """Cancel a workflow and the steps that have not started; undo what it has done."""
    change = Change("workflow.cancel", "workflow_cancelled", {"reason": reason})
    row = changes.apply(tx, workflow_id, change, stamp)
    _cancel_rest(tx, workflow_id, f"workflow cancelled: {reason}", stamp)
    compensations.begin(tx, workflow_id, stamp)
    return row


def set_workflow_status(tx: Tx, workflow_id: int, status: WorkflowStatus, stamp: Stamp) -> Row:
    """Move a workflow along its life cycle; its end cancels the steps that have not started."""
    current = WorkflowStatus(changes.get(tx, "workflow", workflow_id)["status"])
    event = _WORKFLOW_EVENTS.get(status)
    if event is None:
        raise TransitionError(f"Workflow {workflow_id} is {current.value}: it never goes back.")
    WORKFLOW_MACHINE.after(current, event)
    row = changes.apply(
        tx, workflow_id, Change(f"workflow.{event.value}", f"workflow_{status.value}"), stamp
    )
    if status is not WorkflowStatus.IN_PROGRESS:
        _cancel_rest(tx, workflow_id, f"workflow {status.value}", stamp)
    if status in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
        compensations.begin(tx, workflow_id, stamp)
    return row


def settle_workflow(tx: Tx, step: Row, stamp: Stamp) -> None:
    """Bring a workflow up to date after one of its steps has changed."""
    settle_each(tx, [(step, stamp)])


def settle_each(tx: Tx, changed: Iterable[tuple[Row, Stamp]]) -> None:
    """Bring workflows up to date after steps of theirs have changed."""
    steps = []
    for step, stamp in changed:
        if step["workflow_id"] is None:
            continue
        if step["compensates_proposal_id"] is None:
            steps.append((step, stamp))
        else:
            compensations.settle(tx, step, stamp)
    workflows = changes.get_each(tx, "workflow", (step["workflow_id"] for step, _ in steps))
    live: dict[int, Stamp] = {}
    for step, stamp in steps:
        workflow = workflows[step["workflow_id"]]
        if WORKFLOW_MACHINE.events_of(rows.WORKFLOW_STATES[workflow["status"]]):
            live[workflow["id"]] = stamp
        else:
            _settle_late(tx, workflow, step, stamp)
    if live:
        _roll_up_each(tx, [workflows[one] for one in live], live)


def _roll_up_each(tx: Tx, workflows: Sequence[Row], stamps: Mapping[int, Stamp]) -> None:
    """Let the states of live workflows follow from those of their steps."""
    steps: dict[int, list[Step]] = {}
    for row in tx.all("workflow.states_of_steps", ids=json.dumps(sorted(stamps))):
        steps.setdefault(row["workflow_id"], []).append(_step(row))
    verdicts = [
        (row, roll_up(rows.WORKFLOW_STATES[row["status"]], steps[row["id"]])) for row in workflows
    ]
    for event in WorkflowEvent:
        moved = [row for row, verdict in verdicts if verdict.event is event]
        if moved:
            _move_each(tx, moved, event, stamps)
    for row, verdict in verdicts:
        if verdict.cancel_rest:
            _cancel_rest(tx, row["id"], verdict.reason, stamps[row["id"]])
            compensations.begin(tx, row["id"], stamps[row["id"]])


def start_each(tx: Tx, workflows: Sequence[Row], stamps: Mapping[int, Stamp]) -> None:
    """Start pending workflows, one of whose steps was just claimed; stamps by their ids."""
    if workflows:
        _move_each(tx, workflows, WorkflowEvent.START, stamps)


def _move_each(
    tx: Tx, workflows: Sequence[Row], event: WorkflowEvent, stamps: Mapping[int, Stamp]
) -> None:
    params = [{"id": row["id"], "now": stamps[row["id"]].text} for row in workflows]
    if tx.each(f"workflow.{event.value}", params) != len(workflows):
        raise changes.refused("workflow", workflows[0], event.value)
    after = (
        WORKFLOW_MACHINE.after(rows.WORKFLOW_STATES[row["status"]], event) for row in workflows
    )
    told = [
        (row, Change("", f"workflow_{status.value}"), stamps[row["id"]])
        for row, status in zip(workflows, after, strict=True)
    ]
    changes.tell_each(tx, "workflow", told)


def _settle_late(tx: Tx, workflow: Row, step: Row, stamp: Stamp) -> None:
    """Bring an ended workflow up to date after a step that ran on has changed."""
    if step["status"] == ActionStatus.FAILED and step["next_retry_at"] is not None:
        set_next_retry(tx, step["id"], None, stamp)
    else:
        compensations.go_on(tx, workflow, stamp)


def _step(row: Row) -> Step:
    waits = row["next_retry_at"] is not None and row["retry_count"] < row["max_retries"]
    return Step(rows.ACTION_STATES[row["status"]], retry_waits=waits)


def _cancel_rest(tx: Tx, workflow_id: int, reason: str, stamp: Stamp) -> None:
    change = Change("proposal.cancel", "proposal_cancelled", {"reason": reason})
    for row in tx.all("proposal.list_of_workflow", workflow_id=workflow_id):
        if row["status"] in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
            resends.call_off(tx, row["id"], change, stamp)
        elif row["status"] == ActionStatus.EXECUTING:
            resends.give_up(tx, row["id"], f"{reason}.", stamp)
        elif row["status"] == ActionStatus.FAILED and row["next_retry_at"] is not None:
            set_next_retry(tx, row["id"], None, stamp)
