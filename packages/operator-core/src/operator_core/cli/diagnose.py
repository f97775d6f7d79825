"""`operator diagnose`: what causes a ticket, each claim with what was seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from typer.core import TyperGroup

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.investigate import InvestigateStage
from operator_core.agent.support import looks_named_by, recheck_report
from operator_core.cli.context import Id, Session, command, new_group, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.incident_files import (
    IncidentFile,
    OptionalTicket,
    Unsealed,
    read_archive,
    require_one,
    rows_that_are_rows,
)
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import facts, hint, stacked
from operator_core.cli.views_diagnosis import claim_table, diagnosis_view, former_table
from operator_core.db import diagnoses
from operator_core.db.control import ControlDB
from operator_core.db.exports import looks_of
from operator_core.db.ledger import LedgerAddress
from operator_core.db.sqlite.reading import undisturbed
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, NotFoundError, RequestError
from operator_core.monitor.types import Observation, Ticket
from operator_core.runtime.incident.archive import Archive
from operator_core.runtime.plugins import connect
from operator_core.types import JsonObject

if TYPE_CHECKING:
    from typer._click import Context

_SHOW = "show"

Checkable = tuple[Diagnosis, Mapping[int, Observation]]
"""A diagnosis, and the looks that its claims name, by id."""


class _DiagnoseGroup(TyperGroup):
    """`diagnose 1` is short for `diagnose show 1`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Put the short form's command in, unless another one is named or help is asked for."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = new_group(
    "Show what causes a ticket, and how we know.\n\nExample:\n  operator diagnose 1\n"
    "  operator diagnose recheck 1\n\nNext: operator actions list --ticket 1",
    cls=_DiagnoseGroup,
)


@command(app, _SHOW)
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
      operator diagnose recheck 1

    Next: operator actions list --ticket 1
    """
    configure_logs(debug=session.debug)
    async with TicketDB(session.db_path) as db:
        ticket = await _ticket(db, ticket_id)
        found = await db.list_diagnoses(ticket_id)
        found = found or [await _made(db, ticket)]
        checkable = [(one, await db.list_looks(looks_named_by(one))) for one in found]
    if recheck:
        _show_recheck(session, checkable)
        return
    diagnosis, looks = checkable[-1]
    show(
        session,
        diagnosis,
        lambda: stacked(
            diagnosis_view(diagnosis, looks),
            former_table(found[:-1]),
            hint(_next_of(ticket, diagnosis)),
        ),
    )


@command(app, "recheck", ledger=False)
async def recheck_again(
    session: Session,
    ticket_id: OptionalTicket = None,
    incident: IncidentFile = None,
    diagnosis_id: Annotated[
        int | None,
        typer.Option("--diagnosis", help="Only this one of the ticket's; all, if none is named."),
    ] = None,
    *,
    unsealed: Unsealed = False,
) -> None:
    """Evaluate every claim of a ticket's diagnoses again, offline.

    Each claim names the look it was made on. The same rows give the same
    answer on every machine, to the byte with --json. Exits with 1 if a
    diagnosis does not stand any more, also one that was superseded.

    Example:
      operator diagnose recheck 1
      operator diagnose recheck 1 --diagnosis 2
      operator diagnose recheck --incident incident-1.zip
    """
    require_one(ticket_id, incident)
    if incident is not None:
        checkable = _exported(
            await read_archive(incident, unsealed=unsealed), incident, diagnosis_id
        )
    else:
        session.require_ledger()
        with undisturbed(session.db_path) as path:
            checkable = await _stored(path, int(ticket_id or 0), diagnosis_id)
    _show_recheck(session, checkable)


def _exported(archive: Archive, file: Path, wanted: int | None) -> list[Checkable]:
    if not archive.rows["diagnoses"]:
        raise RequestError(f"{file} holds no diagnosis.")
    with rows_that_are_rows():
        found = [diagnoses.of_row(row) for row in archive.rows["diagnoses"]]
        return [(one, looks_of(archive.rows, one)) for one in _wanted(found, wanted)]


async def _stored(path: LedgerAddress, ticket_id: int, wanted: int | None) -> list[Checkable]:
    async with TicketDB(path) as db:
        await _ticket(db, ticket_id)
        found = await db.list_diagnoses(ticket_id)
        if not found:
            raise RequestError(
                f"Ticket {ticket_id} has no diagnosis yet: run `operator diagnose {ticket_id}`."
            )
        named = _wanted(found, wanted)
        return [(one, await db.list_looks(looks_named_by(one))) for one in named]


def _wanted(found: Sequence[Diagnosis], wanted: int | None) -> list[Diagnosis]:
    """Return the diagnosis that is named, or all.

    Raises:
        RequestError: it is not among them.
    """
    named = [one for one in found if wanted in (None, one.id)]
    if not named:
        numbers = ", ".join(str(one.id) for one in found)
        raise RequestError(f"Diagnosis {wanted} is not of this ticket; it has {numbers}.")
    return named


async def _ticket(db: TicketDB, ticket_id: int) -> Ticket:
    ticket = await db.get_ticket(ticket_id)
    if ticket is None:
        raise NotFoundError("Ticket", ticket_id)
    return ticket


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


def _show_recheck(session: Session, checkable: Sequence[Checkable]) -> None:
    """Show what the claims of diagnoses meet with today; the last one leads, as it is in force."""
    if not all(looks for one, looks in checkable if one.evidence or one.struck):
        raise RequestError("The observation behind this diagnosis is not kept; nothing to check.")
    *former, report = [recheck_report(*one) for one in checkable]
    pairs = list(zip([*former, report], checkable, strict=True))
    show(
        session,
        {**report, "former": former},
        lambda: stacked(*(part for one in pairs for part in _recheck_view(*one))),
    )
    if not all(one["is_unchanged"] for one, _ in pairs):
        raise typer.Exit(EXIT_WRONG)


def _recheck_view(report: JsonObject, checked: Checkable) -> tuple[RenderableType | None, ...]:
    diagnosis, looks = checked
    changed = {
        "cause": diagnosis.cause,
        "claims": f"{len(report['held'])} hold, {len(report['struck'])} struck",
        "confidence": f"{diagnosis.confidence:.0%} before, {report['confidence']:.0%} now",
        "cause now": None if report["is_unchanged"] else report["hypothesis_now"],
    }
    claims = [*diagnosis.evidence, *(one.claim for one in diagnosis.struck)]
    title = f"Diagnosis {diagnosis.id}, checked again"
    return facts(title, changed), claim_table("Claims", claims, looks)


def _next_of(ticket: Ticket, diagnosis: Diagnosis) -> str:
    if diagnosis.escalate:
        return "A person is needed: the rules alone cannot decide this."
    return f"Next: operator actions list --ticket {ticket.id}"
