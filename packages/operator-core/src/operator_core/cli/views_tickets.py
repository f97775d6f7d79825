"""How tickets look."""

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from operator_core.agent.diagnosis import Diagnosis
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.cli.text import one_line
from operator_core.cli.views import by, parameters_text
from operator_core.clock import from_text
from operator_core.monitor.types import Snooze, Ticket, TicketStatus
from operator_core.monitor.verification import Verification
from operator_core.types import JsonObject


def ticket_state(ticket: Ticket, snoozes: Sequence[Snooze] = ()) -> Text:
    """Return where a ticket stands, with its phase, hold and snooze."""
    extra = [ticket.phase.value] if ticket.phase else []
    extra += ["held"] if ticket.held else []
    if ticket.status is not TicketStatus.RESOLVED and snooze_of(ticket, snoozes):
        extra.append("snoozed")
    return word(" ".join([ticket.status.value, *(f"({one})" for one in extra)]))


def snooze_of(ticket: Ticket, snoozes: Sequence[Snooze]) -> Snooze | None:
    """Return the active snooze that a ticket falls under, the one that ends last."""
    mine = [one for one in snoozes if one.covers_ticket(ticket)]
    return max(mine, key=lambda one: one.until, default=None)


def ticket_table(tickets: Sequence[Ticket], snoozes: Sequence[Snooze] = ()) -> RenderableType:
    """Return tickets as a table, or what to do where there is none; and what is snoozed."""
    if not tickets:
        return stacked(_no_tickets(), snooze_line(snoozes))
    rows = (
        (
            one.id,
            ticket_state(one, snoozes),
            one.severity,
            one.subject,
            one.target,
            one.message,
            one.last_seen_at,
        )
        for one in tickets
    )
    names = ("id", "status", "severity", "cluster", "target", "what", "last seen")
    return stacked(table("", names, rows), snooze_line(snoozes))


def snooze_line(snoozes: Sequence[Snooze]) -> RenderableType | None:
    """Return a line that says that problems are kept quiet, or None where none are."""
    if not snoozes:
        return None
    what = ", ".join(":".join(filter(None, (one.rule, one.target))) for one in snoozes)
    return hint(f"Snoozed: {one_line(what)}. See operator snooze list")


def _no_tickets() -> RenderableType:
    return hint(
        "No tickets. Nothing is broken, or nobody watches: `operator up` watches, "
        "`operator tickets list --all` shows resolved ones."
    )


def ticket_panel(ticket: Ticket, snoozes: Sequence[Snooze] = ()) -> Panel:
    """Return a ticket's facts."""
    snooze = snooze_of(ticket, snoozes)
    return facts(
        f"Ticket {ticket.id}",
        {
            "what": ticket.message,
            "status": ticket_state(ticket, snoozes),
            "severity": ticket.severity,
            "cluster": ticket.subject,
            "target": ticket.target,
            "rule": ticket.invariant_name,
            "first seen": ticket.first_seen_at,
            "last seen": ticket.last_seen_at,
            "seen": f"{ticket.occurrence_count} times, came back {ticket.flap_count} times",
            "acknowledged": by(ticket.acknowledged_by, ticket.acknowledged_at),
            "held": by(ticket.held_by, None) if ticket.held else None,
            "held because": ticket.hold_reason,
            "snoozed until": snooze.until if snooze else None,
            "snoozed because": snooze.reason if snooze else None,
            "resolved": by(ticket.resolved_by, ticket.resolved_at),
            "resolution": ticket.resolution,
            "readings": parameters_text(ticket.metric_snapshot or {}),
        },
    )


def comment_lines(comments: Iterable[JsonObject]) -> RenderableType | None:
    """Return comments, or None where there are none."""
    rows = [(from_text(one["created_at"]), one["author"], one["body"]) for one in comments]
    return table("Comments", ("when", "who", "what"), rows) if rows else None


def proof_table(proofs: Iterable[Verification]) -> RenderableType | None:
    """Return how far the proofs of remedies have come, or None where there are none."""
    rows = [
        (
            ", ".join(str(number) for number in one.proposals),
            one.verdict.value.replace("_", " "),
            "; ".join(one.reasons) or f"gone in {one.looks} looks",
            one.ended_at,
            one.decided_at,
        )
        for one in proofs
    ]
    names = ("actions", "verdict", "because", "remedy ended", "decided")
    return table("Proof of the remedy", names, rows) if rows else None


def next_of(ticket: Ticket, diagnosis: Diagnosis | None) -> str:
    """Return what a person can do about a ticket."""
    if ticket.status is TicketStatus.RESOLVED:
        return "Resolved. A problem that comes back soon opens this ticket again."
    if diagnosis is None:
        return f"Next: operator diagnose {ticket.id}"
    return f"Next: operator diagnose {ticket.id} for the evidence, operator actions list to decide."
