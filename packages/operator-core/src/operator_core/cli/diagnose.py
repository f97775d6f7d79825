"""`operator diagnose`: what causes a ticket, each claim with what was seen."""

from typing import Annotated

import typer

from operator_core.actions.registry import ActionRegistry
from operator_core.agent import rules
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.evidence import holds
from operator_core.agent.investigate import InvestigateStage
from operator_core.cli.context import Id, Session, command, new_app, show
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import facts, hint, stacked
from operator_core.cli.views_diagnosis import claim_table, diagnosis_view
from operator_core.db.control import ControlDB
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, NotFoundError, RequestError
from operator_core.monitor.types import Observation, Ticket
from operator_core.runtime.plugins import connect

app = new_app()


@command(app, "diagnose")
async def diagnose(
    session: Session,
    ticket_id: Id,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Evaluate every claim again on its observation.")
    ] = False,
) -> None:
    """Show what causes a ticket, and how we know.

    A ticket without a diagnosis gets one from the latest observation:
    offline, by rules, without a key.

    Example:
      operator diagnose 1
      operator diagnose 1 --recheck

    Next: operator actions list --ticket 1
    """
    configure_logs(debug=session.debug)
    async with TicketDB(session.db_path) as db:
        ticket = await db.get_ticket(ticket_id)
        if ticket is None:
            raise NotFoundError("Ticket", ticket_id)
        found = await db.list_diagnoses(ticket_id)
        diagnosis = found[-1] if found else await _made(db, ticket)
        observation = await _observation(db, diagnosis)
    if recheck:
        _show_recheck(session, diagnosis, observation)
        return
    show(
        session,
        diagnosis,
        lambda: stacked(diagnosis_view(diagnosis, observation), hint(_next_of(ticket, diagnosis))),
    )


async def _made(db: TicketDB, ticket: Ticket) -> Diagnosis:
    """Make the first diagnosis of a ticket from the latest observation, and store it."""
    if ticket.subject is None:
        raise RequestError(
            f"Ticket {ticket.id} belongs to no cluster: there is nothing to diagnose it with."
        )
    subject = await connect(await ControlDB(db.ledger).get_subject(ticket.subject))
    try:
        stage = InvestigateStage(db.ledger, subject, ActionRegistry(subject))
        diagnosis = await stage.diagnose(ticket)
    finally:
        await subject.close()
    if diagnosis is not None:
        return diagnosis
    if await db.latest_observation(ticket.subject) is None:
        raise RequestError(
            f"{ticket.subject} was not observed yet: let `operator monitor run` look at it first."
        )
    raise ConflictError(f"Ticket {ticket.id} was resolved and has no diagnosis.")


async def _observation(db: TicketDB, diagnosis: Diagnosis) -> Observation | None:
    if diagnosis.observation_id is None:
        return None
    try:
        return await db.get_observation(diagnosis.observation_id)
    except NotFoundError:
        return None


def _show_recheck(session: Session, diagnosis: Diagnosis, observation: Observation | None) -> None:
    if observation is None:
        raise RequestError("The observation behind this diagnosis is not kept; nothing to check.")
    now = rules.recheck(diagnosis, observation)
    struck = [claim for claim in diagnosis.evidence if not holds(claim, observation)]
    data = {
        "ticket_id": diagnosis.ticket_id,
        "observation_id": observation.id,
        "held": now.evidence,
        "struck": struck,
        "confidence_before": diagnosis.confidence,
        "confidence": now.confidence,
    }
    changed = {
        "cause": diagnosis.cause,
        "claims": f"{len(now.evidence)} hold, {len(struck)} struck",
        "confidence": f"{diagnosis.confidence:.0%} before, {now.confidence:.0%} now",
    }
    show(
        session,
        data,
        lambda: stacked(
            facts("Checked again", changed), claim_table("Claims", diagnosis.evidence, observation)
        ),
    )


def _next_of(ticket: Ticket, diagnosis: Diagnosis) -> str:
    if diagnosis.escalate:
        return "A person is needed: the rules alone cannot decide this."
    return f"Next: operator actions list --ticket {ticket.id}"
