"""`operator tickets`: the problems of all clusters, and what a person says to them."""

from typing import Annotated

import typer

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
from operator_core.cli.open_ticket import open_ticket
from operator_core.cli.render import hint, stacked
from operator_core.cli.text import given
from operator_core.cli.views import event_table, proposal_table, said, workflow_table
from operator_core.cli.views_diagnosis import diagnosis_brief, former_table, ruled_out_table
from operator_core.cli.views_tickets import (
    comment_lines,
    follower_table,
    next_of,
    proof_table,
    ticket_panel,
    ticket_table,
)
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.groups import GroupDB
from operator_core.db.tickets import TicketDB
from operator_core.db.verifications import VerifyDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import NotFoundError
from operator_core.monitor.types import Ticket, TicketStatus

app = new_group(
    """Problems: one ticket for each thing that is broken at a cluster.

    Example:
      operator tickets list

    Next: operator tickets show 1
    """
)

command(app, "open", ledger=False)(open_ticket)


@command(app, "list", reads=True)
async def list_tickets(
    session: Session,
    *,
    status: Annotated[
        TicketStatus | None, typer.Option("--status", help="Only tickets in this state.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only tickets of this cluster.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved tickets too.")] = False,
    limit: Limit = PAGE,
    after: After = 0,
) -> None:
    """List tickets that are not resolved.

    Example:
      operator tickets list --subject prod --status open
      operator tickets list --all --json

    Next: operator tickets show 1
    """
    async with TicketDB(session.db_path) as db:
        found = await db.list_tickets(
            status,
            subject=subject,
            unresolved=not every and status is None,
            after_id=after,
            limit=limit + 1,
        )
        snoozes = await WatchingDB(db.ledger).active_snoozes(subject)
    tickets = page(found, limit, lambda one: one.id)
    show(session, tickets, lambda: ticket_table(tickets, snoozes))


@command(app, "show", reads=True)
async def show_ticket(session: Session, ticket_id: Id) -> None:
    """Show a ticket: its cause, what was ruled out, what follows it, actions, history.

    Example:
      operator tickets show 1

    Next: operator diagnose 1, or operator tickets ack 1
    """
    async with TicketDB(session.db_path) as db:
        ticket = await _require(db, ticket_id)
        comments = await db.list_comments(ticket_id)
        diagnoses = await db.list_diagnoses(ticket_id)
        followers = await GroupDB(db.ledger).followers(ticket_id)
        actions = ActionDB(db.ledger)
        workflows = await actions.list_workflows(ticket_id=ticket_id)
        proposals = await actions.list_proposals(ticket_id=ticket_id)
        events = await ControlDB(db.ledger).list_events(ticket_id=ticket_id)
        proofs = await VerifyDB(db.ledger).list(ticket_id)
        snoozes = await WatchingDB(db.ledger).active_snoozes(ticket.subject)
    latest = diagnoses[-1] if diagnoses else None
    data = {
        "ticket": ticket,
        "diagnosis": latest,
        "former_diagnoses": diagnoses[:-1],
        "followers": followers,
        "comments": comments,
        "workflows": workflows,
        "proposals": proposals,
        "verifications": proofs,
        "events": events,
    }
    show(
        session,
        data,
        lambda: stacked(
            ticket_panel(ticket, snoozes),
            diagnosis_brief(latest),
            ruled_out_table(latest),
            former_table(diagnoses[:-1]),
            follower_table(followers),
            workflow_table(workflows, "Workflows") if workflows else None,
            proposal_table(proposals, "Actions") if proposals else None,
            proof_table(proofs),
            comment_lines(comments),
            event_table(events, "History"),
            hint(next_of(ticket, latest)),
        ),
    )


@command(app, "ack")
async def acknowledge(session: Session, ticket_id: Id) -> None:
    """Say that you have seen an open ticket.

    Example:
      operator tickets ack 1

    Next: operator diagnose 1
    """
    async with TicketDB(session.db_path) as db:
        ticket = await db.acknowledge(ticket_id, actor=session.person)
    show(session, ticket, lambda: said(f"Ticket {ticket_id} is acknowledged by {session.person}."))


@command(app, "comment")
async def comment(
    session: Session,
    ticket_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False)],
) -> None:
    """Add a comment to a ticket.

    Example:
      operator tickets comment 1 "disk was replaced at noon"

    Next: operator tickets show 1
    """
    async with TicketDB(session.db_path) as db:
        row = await db.comment(ticket_id, author=session.person, body=given(text, "The comment"))
    show(session, row, lambda: said(f"Ticket {ticket_id} has your comment."))


@command(app, "resolve")
async def resolve(
    session: Session,
    ticket_id: Id,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="How it was resolved.")
    ] = "resolved by hand",
) -> None:
    """Resolve a ticket; what was proposed for it and not started is cancelled.

    Example:
      operator tickets resolve 1 --reason "replaced the disk"

    Next: operator tickets list
    """
    async with TicketDB(session.db_path) as db:
        ticket = await db.resolve(
            ticket_id, actor=session.person, resolution=given(reason, "--reason")
        )
    show(session, ticket, lambda: said(f"Ticket {ticket_id} is resolved."))


@command(app, "hold")
async def hold(
    session: Session,
    ticket_id: Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why nobody may act.")] = "",
) -> None:
    """Keep the agent's hands off a ticket until you let go.

    Example:
      operator tickets hold 1 --reason "I am looking at it"

    Next: operator tickets unhold 1
    """
    async with TicketDB(session.db_path) as db:
        ticket = await db.hold(ticket_id, actor=session.person, reason=reason.strip())
    show(session, ticket, lambda: said(f"Ticket {ticket_id} is held: the agent leaves it alone."))


@command(app, "unhold")
async def unhold(session: Session, ticket_id: Id) -> None:
    """Let the agent work on a ticket again.

    Example:
      operator tickets unhold 1

    Next: operator tickets show 1
    """
    async with TicketDB(session.db_path) as db:
        ticket = await db.unhold(ticket_id, actor=session.person)
    show(session, ticket, lambda: said(f"Ticket {ticket_id} is free: the agent may work on it."))


async def _require(db: TicketDB, ticket_id: int) -> Ticket:
    ticket = await db.get_ticket(ticket_id)
    if ticket is None:
        raise NotFoundError("Ticket", ticket_id)
    return ticket
