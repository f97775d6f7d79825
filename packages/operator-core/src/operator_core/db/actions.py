"""`ActionDB`: proposals, workflows and records in the ledger."""

from collections.abc import Callable
from datetime import datetime

from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    Outcome,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.db import changes, proposals, rows, safety
from operator_core.db.checked import CheckedCall
from operator_core.db.creation import Chain, Creation, create_chains, create_each, head_of
from operator_core.db.dispatch import DispatchDB
from operator_core.db.engine import Tx
from operator_core.db.store import ALL_ROWS, SYSTEM_ACTOR, Store
from operator_core.db.validations import Validation, validate_each
from operator_core.errors import NotFoundError
from operator_core.types import DEFAULT_PAGE_SIZE, JsonObject

DEFAULT_PERSON = "user"
"""Who approves where nobody says who."""


class ActionDB(Store):
    """Proposals, workflows and records; each method is one durable transaction."""

    _row_to_proposal = staticmethod(rows.proposal)
    _row_to_record = staticmethod(rows.record)
    _row_to_workflow = staticmethod(rows.workflow)

    # --- proposals --------------------------------------------------------------------

    async def create_proposal(
        self, proposal: ActionProposal, *, acting: bool = False
    ) -> ActionProposal:
        """Store a proposal and return it with its id.

        Args:
            proposal: the proposal.
            acting: whether it is refused where Operator may not act.

        Raises:
            ObserveOnlyError: Operator may not act, and `acting` was given.
            RequestError: it is executing, or its parameters are no JSON.
            NotFoundError: it names a ticket, workflow or proposal that does not exist.
        """
        stamp = self._shared_stamp(proposal.proposed_by)
        return await self._item(create_each, Creation(proposal, stamp, acting))

    async def get_proposal(self, proposal_id: int) -> ActionProposal | None:
        """Return a proposal, or None where there is none with this id."""
        row = await self._read(lambda tx: tx.one("proposal.get", id=proposal_id))
        return rows.proposal(row) if row else None

    async def list_proposals(
        self,
        status: ActionStatus | None = None,
        *,
        ticket_id: int | None = None,
        workflow_id: int | None = None,
        subject: str | None = None,
        after_id: int = 0,
        limit: int = ALL_ROWS,
    ) -> list[ActionProposal]:
        """Return proposals in order of id; each filter narrows the list."""
        narrow = (ticket_id, workflow_id, subject) == (None, None, None) and status is not None
        found = await self._read(
            lambda tx: tx.all(
                "proposal.list_by_status" if narrow else "proposal.list",
                status=ActionStatus(status).value if status else None,
                ticket_id=ticket_id,
                workflow_id=workflow_id,
                subject=subject,
                after_id=after_id,
                limit=limit,
            )
        )
        return [rows.proposal(row) for row in found]

    async def update_proposal_status(self, proposal_id: int, status: ActionStatus) -> None:
        """Move a proposal along its life cycle; never into executing, never back for a retry.

        Raises:
            NotFoundError: there is no such proposal.
            TransitionError: the life cycle has no such transition.
        """
        wanted = rows.known(ActionStatus, status)
        stamp = self._stamp(SYSTEM_ACTOR)
        await self._write(lambda tx: proposals.set_status(tx, proposal_id, wanted, stamp))

    async def validate_proposal(
        self,
        proposal_id: int,
        check: Callable[[ActionProposal], CheckedCall],
        *,
        auto_approve: bool,
    ) -> ActionProposal:
        """Mark a proposal valid with its canonical parameters.

        Args:
            proposal_id: the proposal.
            check: checks the proposal, purely; what it raises is raised here, and nothing is
                changed.
            auto_approve: whether the policy approves it in the same step.
        """
        stamp = self._shared_stamp(SYSTEM_ACTOR)
        validation = Validation(proposal_id, check, auto_approve, stamp)
        return self.ledger.offered(await self._item(validate_each, validation))

    async def cancel_proposal(
        self, proposal_id: int, *, cancelled_by: str = DEFAULT_PERSON, reason: str = ""
    ) -> ActionProposal:
        """Cancel a proposal that has not started.

        Raises:
            TransitionError: it has started or ended.
        """
        stamp = self._stamp(cancelled_by)
        return rows.proposal(
            await self._write(lambda tx: proposals.cancel(tx, proposal_id, reason, stamp))
        )

    async def request_cancel(self, proposal_id: int, *, cancelled_by: str) -> ActionProposal:
        """Ask the owner of a running proposal to stop it."""
        stamp = self._stamp(cancelled_by)
        return rows.proposal(
            await self._write(lambda tx: safety.request_cancel(tx, proposal_id, stamp))
        )

    async def cancel_all_pending(self, *, reason: str = "cancel all", actor: str = "user") -> int:
        """Cancel all that waits, retries and workflows too; return how many proposals."""
        stamp = self._stamp(actor)
        report = await self._write(lambda tx: safety.cancel_pending(tx, reason, stamp))
        return len(report.cancelled)

    async def approve_proposal(
        self, proposal_id: int, approved_by: str = DEFAULT_PERSON
    ) -> ActionProposal:
        """Approve a proposal that has not started.

        Raises:
            TransitionError: it has started or ended, or is approved already.
        """
        stamp = self._stamp(approved_by)
        row = await self._write(lambda tx: proposals.approve(tx, proposal_id, stamp))
        return self.ledger.offered(rows.proposal(row))

    async def reject_proposal(
        self, proposal_id: int, rejected_by: str = DEFAULT_PERSON, reason: str = ""
    ) -> ActionProposal:
        """Reject a proposal that has not started: it is cancelled.

        Raises:
            TransitionError: it has started or ended.
        """
        stamp = self._stamp(rejected_by)
        return rows.proposal(
            await self._write(lambda tx: proposals.reject(tx, proposal_id, reason, stamp))
        )

    # --- records ----------------------------------------------------------------------

    async def create_record(self, record: ActionRecord) -> ActionRecord:
        """Store the record of an attempt.

        Raises:
            NotFoundError: there is no such proposal.
        """

        def work(tx: Tx) -> ActionRecord:
            changes.get(tx, "proposal", record.proposal_id)
            row = tx.one(
                "record.insert",
                proposal_id=record.proposal_id,
                started_at=rows.text_or_none(record.started_at),
                completed_at=rows.text_or_none(record.completed_at),
                success=None if record.success is None else int(record.success),
                error_message=record.error_message,
                result_data=None
                if record.result_data is None
                else rows.to_json(record.result_data),
                outcome=record.outcome.value if record.outcome else None,
                idempotency_key=record.idempotency_key,
                owner=record.owner,
                fence=record.fence,
            )
            return rows.record(row or {})

        return await self._write(work)

    async def update_record(
        self,
        record_id: int,
        success: bool,  # noqa: FBT001 - the seeds' signature
        error_message: str | None = None,
        result_data: JsonObject | None = None,
    ) -> None:
        """Write the end of an attempt into its record.

        Raises:
            NotFoundError: there is no such record.
        """
        outcome = Outcome.SUCCEEDED if success else Outcome.FAILED
        text = None if result_data is None else rows.to_json(result_data)
        now = self.ledger.now_text()
        row = await self._write(
            lambda tx: tx.one(
                "record.finish",
                id=record_id,
                now=now,
                success=int(success),
                outcome=outcome.value,
                error_message=error_message,
                result_data=text,
            )
        )
        if row is None:
            raise NotFoundError("Record", record_id)

    async def get_record(self, record_id: int) -> ActionRecord | None:
        """Return the record of an attempt, or None."""
        row = await self._read(lambda tx: tx.one("record.get", id=record_id))
        return rows.record(row) if row else None

    async def list_records(self, proposal_id: int) -> list[ActionRecord]:
        """Return the records of a proposal's attempts, oldest first."""
        found = await self._read(lambda tx: tx.all("record.list", proposal_id=proposal_id))
        return [rows.record(row) for row in found]

    # --- workflows --------------------------------------------------------------------

    async def create_workflow(
        self,
        name: str,
        description: str,
        actions: list[ActionProposal],
        ticket_id: int | None = None,
        *,
        subject: str | None = None,
        acting: bool = False,
    ) -> int:
        """Store a workflow with its steps in one transaction and return its id.

        The steps are chained: each depends on the one before it. The given models are not
        changed.

        Raises:
            ObserveOnlyError: Operator may not act, and `acting` was given.
            RequestError: there is no step, or one cannot be stored.
            NotFoundError: the ticket does not exist.
        """
        head = WorkflowProposal(
            name=name, description=description, ticket_id=ticket_id, subject=subject
        )
        stamp = self._shared_stamp(actions[0].proposed_by if actions else SYSTEM_ACTOR)
        row = await self._item(create_chains, Chain(head_of(head), actions, stamp, acting))
        return int(row["id"])

    async def list_workflow_actions(self, workflow_id: int) -> list[ActionProposal]:
        """Return the steps of a workflow in execution order."""
        found = await self._read(
            lambda tx: tx.all("proposal.list_of_workflow", workflow_id=workflow_id)
        )
        return [rows.proposal(row) for row in found]

    async def get_workflow(self, workflow_id: int) -> WorkflowProposal | None:
        """Return a workflow, or None where there is none with this id."""
        row = await self._read(lambda tx: tx.one("workflow.show", id=workflow_id))
        return rows.workflow(row) if row else None

    async def list_workflows(
        self,
        status: WorkflowStatus | None = None,
        *,
        ticket_id: int | None = None,
        after_id: int = 0,
        limit: int = ALL_ROWS,
    ) -> list[WorkflowProposal]:
        """Return workflows in order of id; each filter narrows the list."""
        state = WorkflowStatus(status).value if status else None
        found = await self._read(
            lambda tx: tx.all(
                "workflow.list", status=state, ticket_id=ticket_id, after_id=after_id, limit=limit
            )
        )
        return [rows.workflow(row) for row in found]

    async def update_workflow_status(self, workflow_id: int, status: WorkflowStatus) -> None:
        """Move a workflow along its life cycle; its end cancels steps that have not started.

        Raises:
            NotFoundError: there is no such workflow.
            TransitionError: the life cycle has no such transition.
        """
        wanted = rows.known(WorkflowStatus, status)
        stamp = self._stamp(SYSTEM_ACTOR)
        await self._write(lambda tx: proposals.set_workflow_status(tx, workflow_id, wanted, stamp))

    async def approve_workflow(
        self, workflow_id: int, approved_by: str = DEFAULT_PERSON
    ) -> WorkflowProposal:
        """Approve a workflow: exactly the steps it has.

        Raises:
            TransitionError: it has ended, or is approved already.
        """
        stamp = self._stamp(approved_by)
        return rows.workflow(
            await self._write(lambda tx: proposals.approve_workflow(tx, workflow_id, stamp))
        )

    async def cancel_workflow(
        self, workflow_id: int, *, cancelled_by: str = DEFAULT_PERSON, reason: str = ""
    ) -> WorkflowProposal:
        """Cancel a workflow and its steps that have not started."""
        stamp = self._stamp(cancelled_by)
        return rows.workflow(
            await self._write(lambda tx: proposals.cancel_workflow(tx, workflow_id, reason, stamp))
        )

    # --- schedule and retries ---------------------------------------------------------

    async def list_ready_scheduled(self) -> list[ActionProposal]:
        """Return scheduled proposals that are due, approved and whose dependency is complete."""
        now = self.ledger.now_text()
        found = await self._read(lambda tx: tx.all("proposal.ready_scheduled", now=now))
        return [rows.proposal(row) for row in found]

    async def list_ready(
        self, *, subject: str | None = None, limit: int = DEFAULT_PAGE_SIZE
    ) -> list[ActionProposal]:
        """Return what can be claimed now, in the order it is due; a subject's and nobody's.

        First comes what is to be sent again: it was begun, and nobody knows what came of it.
        """
        given = {"now": self.ledger.now_text(), "subject": subject, "limit": limit}
        found = await self._read(
            lambda tx: tx.all("proposal.resend_due", **given) + tx.all("proposal.ready", **given)
        )
        return [rows.proposal(row) for row in found[:limit]]

    async def update_scheduled_at(self, proposal_id: int, scheduled_at: datetime | None) -> None:
        """Set or clear the time before which a proposal does not run.

        Raises:
            TransitionError: it has started or ended.
        """
        stamp = self._stamp(SYSTEM_ACTOR)
        await self._write(lambda tx: proposals.schedule(tx, proposal_id, scheduled_at, stamp))

    async def list_retry_eligible(self) -> list[ActionProposal]:
        """Return failed proposals with retries left whose next try is due."""
        now = self.ledger.now_text()
        found = await self._read(lambda tx: tx.all("proposal.retry_eligible", now=now))
        return [rows.proposal(row) for row in found]

    async def increment_retry_count(
        self, proposal_id: int, error_message: str | None = None
    ) -> None:
        """Count one failure of a failed proposal and keep its error.

        Raises:
            TransitionError: the proposal has not failed.
        """
        stamp = self._stamp(SYSTEM_ACTOR)
        await self._write(lambda tx: proposals.count_failure(tx, proposal_id, error_message, stamp))

    async def update_next_retry(self, proposal_id: int, next_retry_at: datetime | None) -> None:
        """Set when a failed proposal is tried again; None: not any more.

        Raises:
            TransitionError: the proposal has not failed.
        """
        stamp = self._stamp(SYSTEM_ACTOR)
        await self._write(
            lambda tx: proposals.set_next_retry(tx, proposal_id, next_retry_at, stamp)
        )

    async def reset_for_retry(self, proposal_id: int, *, actor: str = SYSTEM_ACTOR) -> None:
        """Take a failed proposal with retries left back to validated.

        Raises:
            TransitionError: it has not failed, or has no retries left.
        """
        stamp = self._stamp(actor)
        await self._write(lambda tx: proposals.reset_for_retry(tx, proposal_id, stamp))

    async def next_due_at(self) -> str | None:
        """Return when the next proposal, retry or schedule becomes due, as text."""
        return await DispatchDB(self.ledger).next_due_at()
