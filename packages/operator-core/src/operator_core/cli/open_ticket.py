"""`operator tickets open`: a problem that a person has seen."""

import re
from typing import Annotated

import typer

from operator_core.cli.context import Session, show
from operator_core.cli.render import hint, stacked
from operator_core.cli.text import given
from operator_core.cli.views_tickets import next_of, ticket_panel
from operator_core.db.tickets import TicketDB
from operator_core.errors import RequestError
from operator_core.monitor.types import Violation
from operator_core.types import Severity

BY_HAND = "manual"
"""The rule of tickets that people open; no monitor resolves them."""

_MAX_SLUG_CHARS = 40


async def open_ticket(
    session: Session,
    *,
    message: Annotated[str, typer.Option("--message", "-m", help="What is wrong, in words.")],
    severity: Annotated[
        Severity, typer.Option("--severity", help="How bad it is.")
    ] = Severity.WARNING,
    subject: Annotated[str | None, typer.Option("--subject", help="The cluster.")] = None,
    target: Annotated[
        str, typer.Option("--target", help="What is broken there, such as store-4.")
    ] = "",
    key: Annotated[
        str | None,
        typer.Option("--key", help="The problem's identity, RULE:TARGET; one open ticket a key."),
    ] = None,
) -> None:
    """Open a ticket by hand; one that is open for the same key is seen again.

    Example:
      operator tickets open -m "store 4 is slow" --subject prod --target store-4

    Next: operator tickets comment 1 "what I know"
    """
    text = given(message, "--message")
    violation = _violation(text, severity, target.strip(), key)
    async with TicketDB(session.db_path) as db:
        ticket = await db.report(
            violation,
            subject=given(subject, "--subject") if subject else None,
            reported_by=session.person,
        )
    show(session, ticket, lambda: stacked(ticket_panel(ticket), hint(next_of(ticket, None))))


def _violation(message: str, severity: Severity, target: str, key: str | None) -> Violation:
    rule = BY_HAND
    if key is not None:
        rule, _, in_key = given(key, "--key").partition(":")
        if target and in_key and target != in_key:
            raise RequestError(f"--key names the target {in_key!r} and --target says {target!r}.")
        target = target or in_key
    elif not target:
        target = re.sub(r"\W+", "-", message.lower()).strip("-")[:_MAX_SLUG_CHARS] or "-"
    return Violation(
        invariant=given(rule, "The rule in --key"),
        target=target,
        message=message,
        severity=severity,
    )
