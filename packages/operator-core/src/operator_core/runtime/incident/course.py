"""Judges again the looks on which a ticket opened, came back, was diagnosed and ended; pure."""

import json
import re
from collections.abc import Iterator

from operator_core.clock import from_text
from operator_core.db import diagnoses, rows
from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, IncidentRows, looks_of
from operator_core.monitor.judge import Judgement, judge
from operator_core.monitor.types import Observation
from operator_core.runtime.incident.replayed import Means, Replayed, replayed, rules_of
from operator_core.types import JsonObject

_OPENS = frozenset({"ticket_opened", "ticket_reopened"})
_LOOK_NAMED = re.compile(r"no longer seen in observation (\d+)$")


def detect(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The rule still finds the problem where it was found, and still does not where it was gone.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    for row in incident["diagnoses"]:
        look = looks_of(incident, diagnoses.of_row(row)).get(int(row["observation_id"] or 0))
        if look is not None:
            yield _seen(incident, means, look, look.observed_at.isoformat(), "detect")
    for event in incident["events"]:
        look = opening_look(incident, event)
        if look is not None:
            yield _seen(incident, means, look, event["timestamp"], "open")
        look = closing_look(incident, event)
        if look is not None:
            yield _gone(incident, means, look, event)


def opening_look(incident: IncidentRows, event: Row) -> Observation | None:
    """Return the look on which a ticket opened or came back: the last one up to that moment.

    Args:
        incident: its rows.
        event: a row of its audit.
    """
    if event["event_type"] not in _OPENS:
        return None
    before = [row for row in incident[LOOKS] if row["observed_at"] <= event["timestamp"]]
    return rows.observation(before[-1]) if before else None


def closing_look(incident: IncidentRows, event: Row) -> Observation | None:
    """Return the look on which the monitor ended a ticket; None where somebody else did.

    Args:
        incident: its rows.
        event: a row of its audit.
    """
    if event["event_type"] != "ticket_resolved":
        return None
    named = _LOOK_NAMED.search(str(json.loads(event["event_data"]).get("resolution", "")))
    wanted = int(named[1]) if named else None
    return next((rows.observation(row) for row in incident[LOOKS] if row["id"] == wanted), None)


def _seen(incident: IncidentRows, means: Means, look: Observation, at: str, stage: str) -> Replayed:
    key = incident["tickets"][0]["violation_key"]
    broken = (one for rule in _judged(incident, means, look) for one in rule.violations)
    found = any(one.key == key for one in broken)
    what = f"{key} in observation {look.id}"
    return replayed(from_text(at), stage, what, {"broken": True}, {"broken": found})


def _gone(incident: IncidentRows, means: Means, look: Observation, event: Row) -> Replayed:
    ticket = incident["tickets"][0]
    judged = {one.name: one for one in _judged(incident, means, look)}
    found = judged.get(ticket["invariant_name"])
    now = found and _state(found, ticket)
    what = f"{ticket['violation_key']} in observation {look.id}"
    recorded = {"broken": False, "seen": True}
    return replayed(from_text(event["timestamp"]), "resolve", what, recorded, now)


def _state(judgement: Judgement, ticket: Row) -> JsonObject:
    broken = any(one.key == ticket["violation_key"] for one in judgement.violations)
    return {"broken": broken, "seen": broken or judgement.clears(ticket["target"])}


def _judged(incident: IncidentRows, means: Means, look: Observation) -> list[Judgement]:
    return judge(rules_of(incident, means.subject), look)
