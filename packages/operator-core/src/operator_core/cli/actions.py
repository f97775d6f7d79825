"""`operator actions`: what is proposed, and a person's decision on it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from operator_core.actions.types import ActionProposal, ActionStatus
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
from operator_core.cli.propose import executor_of, propose
from operator_core.cli.render import hint, stacked
from operator_core.cli.views import (
    event_table,
    proposal_panel,
    proposal_table,
    record_table,
    said,
)
from operator_core.cli.views_rehearsal import rehearsal_view
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.rehearsals import RehearsalDB
from operator_core.errors import NotFoundError, RequestError

app = new_group(
    """Actions: single steps that somebody wants done, and where they stand.

    Example:
      operator actions list --status validated

    Next: operator actions show 1, then approve or reject it
    """
)
command(app, "propose", ledger=False)(propose)


@command(app, "list", reads=True)
async def list_actions(
    session: Session,
    *,
    status: Annotated[
        ActionStatus | None, typer.Option("--status", help="Only actions in this state.")
    ] = None,
    ticket: Annotated[int | None, typer.Option("--ticket", min=1, max=2**63 - 1)] = None,
    workflow: Annotated[int | None, typer.Option("--workflow", min=1, max=2**63 - 1)] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only of this cluster.")] = None,
    limit: Limit = PAGE,
    after: After = 0,
) -> None:
    """List actions with their parameters and reasons.

    Example:
      operator actions list --status validated
      operator actions list --ticket 1 --json

    Next: operator actions show 1
    """
    async with ActionDB(session.db_path) as db:
        found = await db.list_proposals(
            status,
            ticket_id=ticket,
            workflow_id=workflow,
            subject=subject,
            after_id=after,
            limit=limit + 1,
        )
    actions = page(found, limit, lambda one: one.id)
    show(session, actions, lambda: proposal_table(actions))


@command(app, "show", reads=True)
async def show_action(session: Session, action_id: Id) -> None:
    """Show an action with its attempts and history.

    Example:
      operator actions show 1

    Next: operator actions approve 1, or operator actions reject 1
    """
    async with ActionDB(session.db_path) as db:
        action = await _require(db, action_id)
        records = await db.list_records(action_id)
        events = await ControlDB(db.ledger).list_events(proposal_id=action_id)
        standing = await standing_of(db.ledger, "proposal", action_id)
        rehearsed = await RehearsalDB(db.ledger).latest(action_id)
    data = {
        "proposal": action,
        "rehearsal": rehearsed and rehearsed.to_json(),
        "records": records,
        "events": events,
        "approvals": standing.words,
    }
    show(
        session,
        data,
        lambda: stacked(
            proposal_panel(action),
            rehearsal_view(rehearsed),
            words_table(standing),
            record_table(records),
            event_table(events, "History"),
            hint(next_of(action)),
        ),
    )


def next_of(action: ActionProposal) -> str:
    """Return what a person can do about an action."""
    if action.in_doubt or action.awaits_resend:
        so = "In doubt." if action.in_doubt else "No answer came, and it is sent again when due."
        return f"{so} Look at the cluster, then: operator actions settle {action.id} --done"
    if action.status is ActionStatus.FAILED:
        return f"Next: operator actions retry {action.id}"
    if action.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
        if action.is_approved:
            return "Approved. `operator up` executes it in execute mode."
        if action.workflow_id is not None:
            return f"A step: decide on the whole with operator workflows show {action.workflow_id}"
        return f"Next: operator actions approve {action.id}, or operator actions reject {action.id}"
    return ""


@command(app, "approve")
async def approve(session: Session, action_id: Id) -> None:
    """Approve an action; it runs when it is due and Operator may act.

    Under a policy this is your word; others may have to give theirs too.

    Example:
      operator actions approve 1

    Next: operator actions show 1
    """
    async with ActionDB(session.db_path) as db:
        await require_oneself(session, db.ledger)
        action = await db.approve_proposal(action_id, session.person)
        standing = await standing_of(db.ledger, "proposal", action_id)
    told = outcome(f"Action {action_id}", session.person, standing, approved=action.is_approved)
    show(session, action, lambda: stacked(said(told), hint(next_of(action))))


@command(app, "reject")
async def reject(
    session: Session,
    action_id: Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why not.")] = "",
) -> None:
    """Reject an action: it is cancelled, and its workflow with it.

    Example:
      operator actions reject 1 --reason "not during the day"

    Next: operator tickets list
    """
    await _decide(
        session,
        lambda db: db.reject_proposal(action_id, session.person, reason.strip()),
        f"Action {action_id} is rejected.",
    )


@command(app, "cancel")
async def cancel(
    session: Session,
    action_id: Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "",
) -> None:
    """Cancel an action; one that runs is asked to stop, and waited for.

    Example:
      operator actions cancel 1

    Next: operator actions show 1
    """
    executor = executor_of(session, None)
    action = await executor.cancel_proposal(
        action_id, cancelled_by=session.person, reason=reason.strip()
    )
    outcome = "in doubt: nobody knows if it happened" if action.in_doubt else action.status.value
    show(
        session,
        action,
        lambda: stacked(said(f"Action {action_id} is {outcome}."), hint(next_of(action))),
    )


@command(app, "retry")
async def retry(session: Session, action_id: Id) -> None:
    """Let an action that failed be tried again at once.

    Example:
      operator actions retry 1

    Next: operator actions show 1
    """
    async with ActionDB(session.db_path) as db:
        await db.reset_for_retry(action_id, actor=session.person)
        action = await _require(db, action_id)
    show(
        session,
        action,
        lambda: stacked(said(f"Action {action_id} may be tried again."), hint(next_of(action))),
    )


@command(app, "settle")
async def settle(
    session: Session,
    action_id: Id,
    done: Annotated[
        bool | None,
        typer.Option("--done/--not-done", help="Whether the effect happened.", show_default=False),
    ] = None,
) -> None:
    """Say whether an action in doubt happened; only you can see it now.

    What waits to be sent again can be settled too, and is not sent then.

    Example:
      operator actions settle 1 --not-done

    Next: operator actions show 1
    """
    if done is None:
        raise RequestError("Say --done or --not-done: look at the cluster first.")
    async with ExecutionDB(session.db_path) as db:
        record = await db.settle_by_person(action_id, happened=done, person=session.person)
    answer = "happened" if done else "did not happen"
    show(session, record, lambda: said(f"Action {action_id} is settled: it {answer}."))


async def _decide(
    session: Session, decide: Callable[[ActionDB], Awaitable[ActionProposal]], sentence: str
) -> None:
    async with ActionDB(session.db_path) as db:
        action = await decide(db)
    show(session, action, lambda: stacked(said(sentence), hint(next_of(action))))


async def _require(db: ActionDB, action_id: int) -> ActionProposal:
    action = await db.get_proposal(action_id)
    if action is None:
        raise NotFoundError("Proposal", action_id)
    return action
