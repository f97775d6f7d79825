"""What becomes of an action or a workflow that is proposed and executed in one go."""

from typing import NamedTuple

from operator_core.actions.types import ActionProposal, ActionRecord


class ActionRun(NamedTuple):
    """An action that was proposed, and executed if it may be.

    Attributes:
        proposal: the proposal as it was when it was claimed, or as it waits.
        record: the record of the attempt; None: it was not claimed.
        refused: why not; what was proposed waits, and `execute_proposal` may be tried again.
    """

    proposal: ActionProposal
    record: ActionRecord | None = None
    refused: Exception | None = None


class WorkflowRun(NamedTuple):
    """A workflow that was proposed, and executed as far as it may be.

    Attributes:
        workflow_id: the workflow.
        records: the records of the attempts on its steps, in order.
        refused: why its first step was not claimed, if it was not; then it waits.
    """

    workflow_id: int
    records: list[ActionRecord]
    refused: Exception | None = None
