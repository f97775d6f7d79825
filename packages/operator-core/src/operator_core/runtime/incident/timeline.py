"""The moments of an incident, in order: for the terminal, for a page, for a program; pure."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from operator_core.actions.event_words import words_of
from operator_core.clock import from_text, to_text
from operator_core.db import diagnoses, rows
from operator_core.db.engine import Row
from operator_core.db.exports import SNOOZED, WATCHING, IncidentRows
from operator_core.types import JsonObject

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
    "settings",
)
_MAX_CHARS = 400
_RANKS = {"detect": 0, "ticket": 1, "diagnose": 2}
"""What comes first of what happened at one moment; all else in the order of the audit."""


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
    # The ticket's words are those of its last look: numbers in them were not there yet.
    problem = ticket["violation_key"] or ticket["message"]
    first = Moment(began, 0.0, "detect", "first seen", "monitor", detail=problem)
    events = [*incident["events"], *_watching(incident)]
    rest = [*_diagnosed(incident["diagnoses"]), *_told(events, actions)]
    moments = sorted([first, *rest], key=lambda one: (one.at, _RANKS.get(one.stage, len(_RANKS))))
    return [one._replace(seconds=(one.at - began).total_seconds()) for one in moments]


def _watching(incident: IncidentRows) -> Iterator[Row]:
    """Yield who snoozed the problem, and who changed its rule while it was there."""
    ticket = incident["tickets"][0]
    for row in incident[WATCHING]:
        told = json.loads(row["event_data"])
        is_own = told.get("rule") == ticket["invariant_name"]
        if "snooze_id" in told or (is_own and row["timestamp"] >= ticket["first_seen_at"]):
            yield row


def _diagnosed(found: Iterable[Row]) -> Iterator[Moment]:
    for row in found:
        made = diagnoses.of_row(row)
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
        stage, words = words_of(row["event_type"])
        data = json.loads(row["event_data"])
        said = [_said(data[key]) for key in _SHOWN_KEYS if data.get(key)]
        said += [f"until {data['until'][:19]}Z"] if row["event_type"] == SNOOZED else []
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
    if isinstance(value, dict):
        return rows.to_json(value)
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
