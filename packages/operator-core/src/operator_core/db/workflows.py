"""`WorkflowDB`: validating a workflow as a whole, pausing it, and letting it go on."""

from collections.abc import Callable

from operator_core.actions.types import ActionProposal, WorkflowProposal
from operator_core.db import changes, rows
from operator_core.db.changes import Change
from operator_core.db.checked import CheckedCall
from operator_core.db.engine import Row, Tx
from operator_core.db.store import SYSTEM_ACTOR, Store
from operator_core.db.validations import WorkflowValidation, validate_workflows


class WorkflowDB(Store):
    """What is done to a workflow as a whole; each method is one durable transaction."""

    async def validate(
        self,
        workflow_id: int,
        check: Callable[[ActionProposal], CheckedCall],
        *,
        auto_approve: bool,
    ) -> list[ActionProposal]:
        """Mark all steps of a workflow valid, as `validate_proposal` does with one, or none.

        Raises:
            NotFoundError: there is no such workflow.
            TransitionError: a step is not proposed any more.
        """
        stamp = self._shared_stamp(SYSTEM_ACTOR)
        validation = WorkflowValidation(workflow_id, check, auto_approve, stamp)
        steps = await self._item(validate_workflows, validation)
        self.ledger.offered(steps[0])  # the others wait for it
        return steps

    async def pause(self, workflow_id: int, *, paused_by: str) -> WorkflowProposal:
        """Let no further step of a workflow start; one that runs, runs to its end.

        Raises:
            NotFoundError: there is no such workflow.
            TransitionError: it has ended, or is paused already.
        """
        change = Change("workflow.pause", "workflow_paused", {}, {"paused_by": paused_by})

        def work(tx: Tx) -> Row:
            changes.get(tx, "workflow", workflow_id)  # waits for a claim that goes on
            return changes.apply(tx, workflow_id, change, self._stamp(paused_by))

        return rows.workflow(await self._write(work))

    async def resume(self, workflow_id: int, *, resumed_by: str) -> WorkflowProposal:
        """Let a paused workflow go on where it stands.

        Raises:
            NotFoundError: there is no such workflow.
            TransitionError: it is not paused.
        """
        stamp = self._stamp(resumed_by)
        change = Change("workflow.resume", "workflow_resumed")
        return rows.workflow(
            await self._write(lambda tx: changes.apply(tx, workflow_id, change, stamp))
        )
