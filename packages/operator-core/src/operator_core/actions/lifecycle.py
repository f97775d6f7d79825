"""The life cycles of proposals and workflows, each one table."""

from enum import StrEnum

from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.lifecycle import Machine


class ActionEvent(StrEnum):
    """What can happen to a proposal."""

    VALIDATE = "validate"
    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    ABORT = "abort"
    DOUBT = "doubt"
    RETRY = "retry"


class WorkflowEvent(StrEnum):
    """What can happen to a workflow."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


ACTION_MACHINE: Machine[ActionStatus, ActionEvent] = Machine(
    "proposal",
    {
        (ActionStatus.PROPOSED, ActionEvent.VALIDATE): ActionStatus.VALIDATED,
        (ActionStatus.PROPOSED, ActionEvent.CANCEL): ActionStatus.CANCELLED,
        (ActionStatus.VALIDATED, ActionEvent.CANCEL): ActionStatus.CANCELLED,
        (ActionStatus.VALIDATED, ActionEvent.CLAIM): ActionStatus.EXECUTING,
        # Called off, and an operator before 0.3.0 had sent it: its effect may have happened.
        (ActionStatus.VALIDATED, ActionEvent.DOUBT): ActionStatus.EXECUTING,
        (ActionStatus.EXECUTING, ActionEvent.COMPLETE): ActionStatus.COMPLETED,
        (ActionStatus.EXECUTING, ActionEvent.FAIL): ActionStatus.FAILED,
        # Stopped before its effect was sent, or surely undone: ended by the kill switch.
        (ActionStatus.EXECUTING, ActionEvent.ABORT): ActionStatus.CANCELLED,
        (ActionStatus.FAILED, ActionEvent.RETRY): ActionStatus.VALIDATED,
    },
)

WORKFLOW_MACHINE: Machine[WorkflowStatus, WorkflowEvent] = Machine(
    "workflow",
    {
        (WorkflowStatus.PENDING, WorkflowEvent.START): WorkflowStatus.IN_PROGRESS,
        # A pending workflow may go to any end: a person can settle it outside Operator.
        (WorkflowStatus.PENDING, WorkflowEvent.COMPLETE): WorkflowStatus.COMPLETED,
        (WorkflowStatus.PENDING, WorkflowEvent.FAIL): WorkflowStatus.FAILED,
        (WorkflowStatus.PENDING, WorkflowEvent.CANCEL): WorkflowStatus.CANCELLED,
        (WorkflowStatus.IN_PROGRESS, WorkflowEvent.COMPLETE): WorkflowStatus.COMPLETED,
        (WorkflowStatus.IN_PROGRESS, WorkflowEvent.FAIL): WorkflowStatus.FAILED,
        (WorkflowStatus.IN_PROGRESS, WorkflowEvent.CANCEL): WorkflowStatus.CANCELLED,
    },
)
