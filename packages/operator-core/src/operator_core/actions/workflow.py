"""How the states of a workflow's steps add up to the state of the workflow; pure."""

from collections.abc import Sequence
from typing import NamedTuple

from operator_core.actions.lifecycle import WorkflowEvent
from operator_core.actions.types import ActionStatus, WorkflowStatus

_ENDED = (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)
_STARTED = (ActionStatus.EXECUTING, ActionStatus.COMPLETED, ActionStatus.FAILED)


class Step(NamedTuple):
    """What the roll-up needs to know of one step."""

    status: ActionStatus
    retry_waits: bool = False


class RollUp(NamedTuple):
    """What must happen to the workflow, and whether its remaining steps are cancelled."""

    event: WorkflowEvent | None = None
    cancel_rest: bool = False
    reason: str = ""


def roll_up(status: WorkflowStatus, steps: Sequence[Step]) -> RollUp:
    """Return what follows for a workflow from its steps.

    A step that failed for good stops the rest; one that waits for a retry does not.
    """
    if status in _ENDED:
        return RollUp()
    if any(step.status is ActionStatus.FAILED and not step.retry_waits for step in steps):
        return RollUp(WorkflowEvent.FAIL, cancel_rest=True, reason="an earlier step failed")
    if any(step.status is ActionStatus.CANCELLED for step in steps):
        return RollUp(WorkflowEvent.CANCEL, cancel_rest=True, reason="a step was cancelled")
    if all(step.status is ActionStatus.COMPLETED for step in steps):
        return RollUp(WorkflowEvent.COMPLETE)
    if status is WorkflowStatus.PENDING and any(step.status in _STARTED for step in steps):
        return RollUp(WorkflowEvent.START)
    return RollUp()
