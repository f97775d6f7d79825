"""`operator workflows`: actions that run one after the other under one approval."""

from typing import Annotated

import typer

from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.cli.approving import outcome, require_oneself, standing_of, words_table
from operator_core.cli.context import (
    PAGE,
    After,
    Id,
    Limit,
    Session,
    command,
    new_group,
    page,
    show,
)
from operator_core.cli.render import hint, stacked
from operator_core.cli.views import event_table, said, workflow_table, workflow_view
from operator_core.cli.views_rehearsal import steps_view
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.rehearsals import RehearsalDB, Rehearsed
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import NotFoundError

app = new_group(
    """Workflows: actions in order, approved once, stopped by the first failure.

    Example:
      operator workflows list --status pending

    Next: operator workflows show 1, then approve or cancel it
    """
)

_DECIDABLE = (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS)


@command(app, "list", reads=True)
async def list_workflows(
    session: Session,
    status: Annotated[
        WorkflowStatus | None, typer.Option("--status", help="Only workflows in this state.")
    ] = None,
    ticket: Annotated[
        int | None, typer.Option("--ticket", min=1, max=2**63 - 1, help="Only of this ticket.")
    ] = None,
    limit: Limit = PAGE,
    after: After = 0,
) -> None:
    """List workflows.

    Example:
      operator workflows list --status pending

    Next: operator workflows show 1
    """
    async with ActionDB(session.db_path) as db:
        found = await db.list_workflows(status, ticket_id=ticket, after_id=after, limit=limit + 1)
    workflows = page(found, limit, lambda one: one.id)
    show(session, workflows, lambda: workflow_table(workflows))


@command(app, "show", reads=True)
async def show_workflow(session: Session, workflow_id: Id) -> None:
    """Show a workflow with its steps and history.

    Example:
      operator workflows show 1

    Next: operator workflows approve 1
    """
    async with ActionDB(session.db_path) as db:
        workflow = await db.get_workflow(workflow_id)
        if workflow is None:
            raise NotFoundError("Workflow", workflow_id)
        steps = await db.list_workflow_actions(workflow_id)
        events = await ControlDB(db.ledger).list_events(workflow_id=workflow_id)
        standing = await standing_of(db.ledger, "workflow", workflow_id)
        rehearsed = await _rehearsed(RehearsalDB(db.ledger), steps)
    data = {
        "workflow": workflow,
        "steps": steps,
        "rehearsals": [one.to_json() for _, one in rehearsed],
        "events": events,
        "approvals": standing.words,
    }
    show(
        session,
        data,
        lambda: stacked(
            workflow_view(workflow, steps),
            steps_view(rehearsed),
            words_table(standing),
            event_table(events, "History"),
            hint(_next_of(workflow)),
        ),
    )


async def _rehearsed(db: RehearsalDB, steps: list[ActionProposal]) -> list[tuple[str, Rehearsed]]:
    """Return the newest rehearsal of each step that was rehearsed, with its action's name."""
    found = [(one.action_name, await db.latest(int(one.id or 0))) for one in steps]
    return [(name, one) for name, one in found if one is not None]


def _next_of(workflow: WorkflowProposal) -> str:
    if workflow.paused_at is not None:
        return f"Paused. Next: operator workflows resume {workflow.id}"
    if workflow.status not in _DECIDABLE:
        return ""
    if workflow.approved_at is not None:
        return "Approved. `operator up` executes it in execute mode."
    return f"Next: operator workflows approve {workflow.id}, or cancel instead of approve"


@command(app, "approve")
async def approve(session: Session, workflow_id: Id) -> None:
    """Approve a workflow: exactly the steps it has now.

    Under a policy this is your word; others may have to give theirs too.

    Example:
      operator workflows approve 1

    Next: operator workflows show 1
    """
    async with ActionDB(session.db_path) as db:
        await require_oneself(session, db.ledger)
        workflow = await db.approve_workflow(workflow_id, session.person)
        standing = await standing_of(db.ledger, "workflow", workflow_id)
    approved = workflow.approved_at is not None
    sentence = outcome(f"Workflow {workflow_id}", session.person, standing, approved=approved)
    show(session, workflow, lambda: stacked(said(sentence), hint(_next_of(workflow))))


@command(app, "cancel")
async def cancel(
    session: Session,
    workflow_id: Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "",
) -> None:
    """Cancel a workflow and the steps that have not started.

    What its completed steps did is undone, last step first, as far as an
    action is known that does that. A step that runs is waited for. (The kill
    switch undoes nothing.)

    Example:
      operator workflows cancel 1 --reason "not tonight"

    Next: operator workflows show 1
    """
    async with ActionDB(session.db_path) as db:
        workflow = await db.cancel_workflow(
            workflow_id, cancelled_by=session.person, reason=reason.strip()
        )
        steps = await db.list_workflow_actions(workflow_id)
    show(
        session,
        workflow,
        lambda: stacked(said(f"Workflow {workflow_id} is cancelled."), hint(_left_over(steps))),
    )


def _left_over(steps: list[ActionProposal]) -> str:
    """Say what still runs, and what undoes the completed steps."""
    running = [one.id for one in steps if one.status is ActionStatus.EXECUTING]
    undoing = [one.id for one in steps if one.compensates_proposal_id is not None]
    told = [f"Step {one} still runs: operator actions cancel {one}" for one in running]
    told += [f"Undone by action {one}: operator actions show {one}" for one in undoing]
    return "\n".join(told)


@command(app, "pause")
async def pause(session: Session, workflow_id: Id) -> None:
    """Let no further step of a workflow start; one that runs, runs to its end.

    Example:
      operator workflows pause 1

    Next: operator workflows resume 1, or operator workflows cancel 1
    """
    async with WorkflowDB(session.db_path) as db:
        workflow = await db.pause(workflow_id, paused_by=session.person)
    sentence = f"Workflow {workflow_id} is paused: no further step starts."
    show(session, workflow, lambda: stacked(said(sentence), hint(_next_of(workflow))))


@command(app, "resume")
async def resume(session: Session, workflow_id: Id) -> None:
    """Let a paused workflow go on where it stands.

    Example:
      operator workflows resume 1

    Next: operator workflows show 1
    """
    async with WorkflowDB(session.db_path) as db:
        workflow = await db.resume(workflow_id, resumed_by=session.person)
    sentence = f"Workflow {workflow_id} goes on."
    show(session, workflow, lambda: stacked(said(sentence), hint(_next_of(workflow))))
