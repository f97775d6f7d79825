"""`WorkflowDB`: pausing a workflow, and letting it go on."""

from operator_core.actions.types import WorkflowProposal
from operator_core.db import changes, rows
from operator_core.db.changes import Change
from operator_core.db.store import Store


class WorkflowDB(Store):
    """What is done to a workflow while it runs; each method is one durable transaction."""

    async def pause(self, workflow_id: int, *, paused_by: str) -> WorkflowProposal:
        """Let no further step of a workflow start; one that runs, runs to its end.

        Raises:
            NotFoundError: there is no such workflow.
            TransitionError: it has ended, or is paused already.
        """
        stamp = self._stamp(paused_by)
        change = Change("workflow.pause", "workflow_paused", {}, {"paused_by": paused_by})
        return rows.workflow(
            await self._write(lambda tx: changes.apply(tx, workflow_id, change, stamp))
        )

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
