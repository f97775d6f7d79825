"""Taking back a remedy that did not hold: what undoes its steps is proposed, the last one first.

It goes the way of every proposal: it is rehearsed, the gate decides, a person may have to approve.
"""

from operator_core.actions.compensation import undo_of
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.remedy import Remedy
from operator_core.actions.types import ActionProposal
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger
from operator_core.errors import ConflictError, OperatorError
from operator_core.monitor.verification import ROLLBACK_BY

ROLLBACK = "rollback"
"""The name of the workflow that takes a remedy back."""


class Rollback:
    """Proposes to take remedies back."""

    def __init__(self, ledger: Ledger, executor: ActionExecutor) -> None:
        """Take an open ledger and what proposes."""
        self._actions = ActionDB(ledger)
        self._executor = executor

    async def propose(self, ticket_id: int, remedy: Remedy) -> str:
        """Propose to take back what a remedy did, in one transaction.

        Args:
            ticket_id: its ticket.
            remedy: what was done; each of its steps is completed.

        Returns:
            Why nothing was proposed; empty: something was.

        Raises:
            ConflictError: somebody else changed what it goes by; try again.
        """
        undoing = [undo for step in reversed(remedy.steps) for undo in await self._undo(step)]
        if not undoing:
            return "nothing takes the remedy back"
        description = f"Takes back the remedy of ticket {ticket_id}, which is not verified"
        try:
            await self._executor.propose_workflow(
                ROLLBACK, description, undoing, ticket_id, proposed_by=ROLLBACK_BY
            )
        except ConflictError:
            raise
        except OperatorError as error:
            return f"taking the remedy back was refused: {error}"
        return ""

    async def _undo(self, step: ActionProposal) -> list[ActionRecommendation]:
        """Return what takes a step back: what its result says, else what was declared."""
        records = await self._actions.list_records(int(step.id or 0))
        undo = undo_of(records[-1].result_data if records else None, step.compensation)
        if undo is None:
            return []
        return [
            ActionRecommendation(
                action_name=undo.action_name,
                parameters=undo.parameters,
                reason=f"takes back action {step.id} ({step.action_name}), which is not verified",
            )
        ]
