"""The moments of an incident, in order: for the terminal, for a page, for a program; pure."""

import html
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from operator_core.clock import from_text, to_text
from operator_core.db import rows
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows
from operator_core.types import JsonObject

_WORDS = {
    "ticket_opened": ("ticket", "ticket opened"),
    "ticket_reopened": ("ticket", "the problem came back"),
    "ticket_acknowledged": ("ticket", "a person has seen it"),
    "ticket_held": ("ticket", "held"),
    "ticket_unheld": ("ticket", "let go of"),
    "ticket_commented": ("ticket", "comment"),
    "ticket_phase": ("follow", "phase"),
    "ticket_resolved": ("verify", "resolved"),
    "remedy_watched": ("verify", "the remedy has ended, its proof begins"),
    "remedy_verified": ("verify", "the remedy is verified"),
    "remedy_not_verified": ("verify", "the remedy is not verified"),
    "proposal_created": ("propose", "proposed"),
    "proposal_validated": ("propose", "found valid"),
    "proposal_approved": ("approve", "approved"),
    "proposal_rejected": ("approve", "rejected"),
    "approval_given": ("approve", "approval given"),
    "workflow_in_progress": ("execute", "workflow began"),
    "workflow_completed": ("execute", "workflow completed"),
    "workflow_failed": ("execute", "workflow failed"),
    "workflow_cancelled": ("execute", "workflow cancelled"),
    "workflow_created": ("propose", "workflow proposed"),
    "workflow_approved": ("approve", "workflow approved"),
    "execution_started": ("execute", "started"),
    "execution_progress": ("execute", "progress"),
    "execution_completed": ("execute", "completed"),
    "execution_failed": ("execute", "failed"),
    "execution_in_doubt": ("execute", "in doubt"),
}
_TOLD_BY_ROWS = frozenset({"ticket_diagnosed"})
_SHOWN_KEYS = (
    "message",
    "resolution",
    "reason",
    "phase",
    "body",
    "error",
    "policy",
    "text",
    "reasons",
)
_MAX_CHARS = 400


class Moment(NamedTuple):
    """One moment.

    Attributes:
        at: when.
        seconds: since the incident began.
        stage: of the loop.
        what: what happened.
        who: who did it.
        ids: what it was about.
        detail: more, in words.
    """

    at: datetime
    seconds: float
    stage: str
    what: str
    who: str
    ids: str = ""
    detail: str = ""

    def to_json(self) -> JsonObject:
        """Return it for a program."""
        return {**self._asdict(), "at": to_text(self.at)}


def timeline(incident: IncidentRows) -> list[Moment]:
    """Return every moment of an incident, the first sighting first."""
    ticket = incident["tickets"][0]
    began = from_text(ticket["first_seen_at"])
    actions = {row["id"]: row["action_name"] for row in incident["proposals"]}
    first = Moment(began, 0.0, "detect", "first seen", "monitor", detail=ticket["message"])
    rest = [*_diagnosed(incident["diagnoses"]), *_told(incident["events"], actions)]
    moments = sorted([first, *rest], key=lambda one: one.at)
    return [one._replace(seconds=(one.at - began).total_seconds()) for one in moments]


def _diagnosed(diagnoses: Iterable[Row]) -> Iterator[Moment]:
    for row in diagnoses:
        made = rows.diagnosis(row)
        ruled_out = "; ".join(
            f"not {one.hypothesis}: {one.rejected_because}" for one in made.alternatives
        )
        struck = f"; {len(made.struck)} claims struck" if made.struck else ""
        yield Moment(
            from_text(row["created_at"]),
            0.0,
            "diagnose",
            f"{made.cause} ({made.hypothesis}, {made.confidence:.0%}{struck})",
            made.diagnoser,
            f"diagnosis {row['id']}",
            _cut(ruled_out),
        )


def _told(events: Iterable[Row], actions: dict[int, str]) -> Iterator[Moment]:
    for row in events:
        if row["event_type"] in _TOLD_BY_ROWS:
            continue
        stage, words = _WORDS.get(row["event_type"], ("", row["event_type"].replace("_", " ")))
        data = json.loads(row["event_data"])
        said = [_said(data[key]) for key in _SHOWN_KEYS if data.get(key)]
        yield Moment(
            from_text(row["timestamp"]),
            0.0,
            stage,
            words,
            row["actor"],
            _ids(row, actions),
            _cut("; ".join(said)),
        )


def _said(value: object) -> str:
    return "; ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _ids(row: Row, actions: dict[int, str]) -> str:
    if row["proposal_id"] is not None:
        action = actions.get(row["proposal_id"], "")
        return f"action {row['proposal_id']} {action}".strip()
    if row["workflow_id"] is not None:
        return f"workflow {row['workflow_id']}"
    return f"ticket {row['ticket_id']}" if row["ticket_id"] is not None else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"


# --- a page ---------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } p { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--soft); }
td small { display: block; color: var(--soft); }
tr.diagnose td:nth-child(2) { color: #a3f; } tr.execute td:nth-child(2) { color: #08c; }
tr.approve td:nth-child(2) { color: #06f; } tr.verify td:nth-child(2) { color: #2a4; }
tr.ticket td:nth-child(2), tr.detect td:nth-child(2) { color: #d33; }
"""


def page(incident: IncidentRows) -> str:
    """Return the timeline as one HTML file that needs nothing else; all text is escaped."""
    ticket = incident["tickets"][0]
    title = html.escape(f"Ticket {ticket['id']}: {ticket['message']}")
    state = html.escape(f"{ticket['subject'] or 'no cluster'}, {ticket['status']}")
    moments = "\n".join(_row(one) for one in timeline(incident))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1><p>{state}</p>\n<table><thead><tr><th>after</th><th>stage</th>"
        f"<th>what</th><th>who</th><th>about</th></tr></thead><tbody>\n{moments}\n"
        "</tbody></table></body></html>\n"
    )


def _row(one: Moment) -> str:
    what, who, ids, detail = map(html.escape, (one.what, one.who, one.ids, one.detail))
    more = f"<small>{detail}</small>" if detail else ""
    at = html.escape(to_text(one.at))
    return (
        f'<tr class="{html.escape(one.stage)}"><td title="{at}">{one.seconds:.1f} s</td>'
        f"<td>{html.escape(one.stage)}</td><td>{what}{more}</td><td>{who}</td><td>{ids}</td></tr>"
    )
