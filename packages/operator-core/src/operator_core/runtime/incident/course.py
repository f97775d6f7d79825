"""Judges again the looks on which a ticket opened, came back, was diagnosed and ended; pure."""

import json
import re
from collections.abc import Iterator

from operator_core.clock import from_text, to_text
from operator_core.db import diagnoses, rows
from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, IncidentRows, looks_of
from operator_core.db.tickets import MONITOR
from operator_core.monitor.judge import Judgement, judge
from operator_core.monitor.retention import KeptAs
from operator_core.monitor.types import Observation
from operator_core.runtime.incident.replayed import Means, Replayed, replayed
from operator_core.runtime.incident.watched import is_snoozed, may_be_snoozed, rules_at

OPENED, REOPENED = "ticket_opened", "ticket_reopened"
_LOOK_NAMED = re.compile(r"no longer seen in observation (\d+)$")


def detect(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The rule still finds the problem where it was found, and still does not where it was gone.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    for row in incident["diagnoses"] if is_of_monitor(incident) else ():
        look = looks_of(incident, diagnoses.of_row(row)).get(int(row["observation_id"] or 0))
        if look is not None:
            yield _standing(incident, means, look)
    for event in incident["events"]:
        look = opening_look(incident, event)
        if look is not None:
            yield _opened(incident, means, look, event)
        look = closing_look(incident, event)
        if look is not None:
            yield _gone(incident, means, look, event)


def is_of_monitor(incident: IncidentRows) -> bool:
    """Return whether a rule saw the problem: a person may open a ticket of anything."""
    opened = (one for one in incident["events"] if one["event_type"] == OPENED)
    return all(one["actor"] == MONITOR for one in opened)


def opening_look(incident: IncidentRows, event: Row) -> Observation | None:
    """Return the look on which the monitor opened a ticket, or let it come back.

    Args:
        incident: its rows.
        event: a row of its audit.
    """
    if event["event_type"] not in {OPENED, REOPENED} or event["actor"] != MONITOR:
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


# --- one look -------------------------------------------------------------------------


def _standing(incident: IncidentRows, means: Means, look: Observation) -> Replayed:
    """The problem that was diagnosed stands on that look: it is seen, or not yet gone for long."""
    now = {"stands": _stands(incident, means, look)}
    at, what = look.observed_at, _about(incident, look)
    return replayed(at, "detect", what, {"stands": True}, now)


def _stands(incident: IncidentRows, means: Means, look: Observation) -> bool:
    """Return whether a look lets a ticket stay open."""
    own = _own(incident, means, look)
    if own is None or not _is_whole(own, incident):
        return True
    since = look.observed_at
    for row in reversed(_looks_before(incident, to_text(look.observed_at))):
        before = rows.observation(row)
        judged = _own(incident, means, before)
        if judged is not None and _is_broken(judged, incident):
            return look.observed_at - since < own.clear or _waits(incident)
        since = before.observed_at if judged is not None else since
    return False


def _waits(incident: IncidentRows) -> bool:
    """Return whether a ticket may stay open although its problem is gone: held, or to be proven."""
    is_held = any(one["event_type"] == "ticket_held" for one in incident["events"])
    return is_held or bool(incident["verifications"])


def _opened(incident: IncidentRows, means: Means, look: Observation, event: Row) -> Replayed:
    """The problem is seen and not snoozed; a ticket opened once its grace was over, no later."""
    own, since = _own(incident, means, look), incident["tickets"][0]["first_seen_at"]
    key = _key(incident)
    now: dict[str, object] = {
        "broken": own is not None and _is_broken(own, incident),
        "snoozed": is_snoozed(incident, to_text(look.observed_at), event["timestamp"]),
    }
    recorded: dict[str, object] = {"broken": True, "snoozed": False}
    if event["event_type"] == OPENED and own is not None:
        told = json.loads(event["event_data"]).get("message")
        recorded |= {"in_grace": False, "due_before": None, "message": told}
        now["message"] = next((one.message for one in own.violations if one.key == key), None)
        lasted = from_text(event["timestamp"]) - from_text(since)
        now |= {"in_grace": lasted < own.grace, "due_before": _due_before(incident, means, look)}
    at = from_text(event["timestamp"])
    return replayed(at, "open", _about(incident, look), recorded, now)


def _due_before(incident: IncidentRows, means: Means, opening: Observation) -> int | None:
    """Return the first of several looks on which the ticket was due before it opened, if any.

    A single one proves nothing: a rehearsal may have made it, and the monitor never saw it.
    """
    first_seen, last = incident["tickets"][0]["first_seen_at"], to_text(opening.observed_at)
    looks = _looks_before(incident, last)
    times = [*(row["observed_at"] for row in looks[1:]), last]
    due = [
        int(row["id"])
        for row, next_at in zip(looks, times, strict=False)
        if row["observed_at"] >= first_seen
        and row["kept_as"] != KeptAs.EVIDENCE
        and not may_be_snoozed(incident, row["observed_at"], next_at)
        and _is_due(incident, means, row)
    ]
    return due[0] if len(due) > 1 else None


def _is_due(incident: IncidentRows, means: Means, row: Row) -> bool:
    """Return whether a problem outlasts its grace, and is none that Operator itself made."""
    own = _own(incident, means, rows.observation(row))
    lasted = from_text(row["observed_at"]) - from_text(incident["tickets"][0]["first_seen_at"])
    return (
        own is not None
        and lasted >= own.grace
        and any(one.key == _key(incident) and one.meant_after is None for one in own.violations)
    )


def _gone(incident: IncidentRows, means: Means, look: Observation, event: Row) -> Replayed:
    own = _own(incident, means, look)
    now = own and {"broken": _is_broken(own, incident), "seen": _is_seen(own, incident)}
    recorded = {"broken": False, "seen": True}
    at = from_text(event["timestamp"])
    return replayed(at, "resolve", _about(incident, look), recorded, now)


# --- the ticket's own rule ------------------------------------------------------------


def _own(incident: IncidentRows, means: Means, look: Observation) -> Judgement | None:
    """Return what a look says by the ticket's own rule; None: it could not be judged."""
    name = incident["tickets"][0]["invariant_name"]
    rules = rules_at(incident, means.subject, to_text(look.observed_at))
    return next((one for one in judge(rules, look) if one.name == name), None)


def _key(incident: IncidentRows) -> str:
    return str(incident["tickets"][0]["violation_key"])


def _is_broken(own: Judgement, incident: IncidentRows) -> bool:
    return any(one.key == _key(incident) for one in own.violations)


def _is_whole(own: Judgement, incident: IncidentRows) -> bool:
    target = incident["tickets"][0]["target"]
    return not _is_broken(own, incident) and own.clears(target)


def _is_seen(own: Judgement, incident: IncidentRows) -> bool:
    return _is_broken(own, incident) or _is_whole(own, incident)


def _looks_before(incident: IncidentRows, at: str) -> list[Row]:
    return [row for row in incident[LOOKS] if row["observed_at"] < at]


def _about(incident: IncidentRows, look: Observation) -> str:
    return f"{_key(incident)} in observation {look.id}"
