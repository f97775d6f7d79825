"""How a problem was watched at a moment: by which settings, and whether it was snoozed; pure.

Both are folded from the audit's events of rules and snoozes, which are a table of the archive.
"""

import json
from collections.abc import Iterator

from operator_core.db.engine import Row
from operator_core.db.exports import (
    RULE_RESET,
    RULE_SET,
    SNOOZE_ENDED,
    SNOOZED,
    WATCHING,
    IncidentRows,
)
from operator_core.monitor.tuning import tuned
from operator_core.monitor.types import Invariant, RuleSettings
from operator_core.subject import FullSubject
from operator_core.types import JsonObject


def rules_at(incident: IncidentRows, subject: FullSubject, at: str) -> list[Invariant]:
    """Return the rules of an incident's cluster with the settings that it had at a moment.

    Args:
        incident: its rows.
        subject: the plugin's subject.
        at: the moment, as text.
    """
    return list(tuned(subject.invariants(), _settings_at(incident, at)))


def _settings_at(incident: IncidentRows, at: str) -> dict[str, RuleSettings]:
    """Return the settings at a moment; of rules whose changes nothing tells, those at the end."""
    found: dict[str, object] = {
        row["rule"]: json.loads(row["settings"]) for row in incident["rule_settings"]
    }
    changes = [*_told(incident, RULE_SET), *_told(incident, RULE_RESET)]
    for _, told in changes:
        found.pop(told["rule"], None)
    for event, told in sorted(changes, key=lambda one: int(one[0]["id"])):
        if event["timestamp"] <= at:
            found[told["rule"]] = told.get("settings", {})
    return {rule: RuleSettings.model_validate(one) for rule, one in found.items()}


def is_snoozed(incident: IncidentRows, since: str, until: str) -> bool:
    """Return whether the problem was snoozed all the time between two moments.

    Args:
        incident: its rows.
        since: the first moment, as text.
        until: the last one.
    """
    return any(begin < since and end > until for begin, end in _snoozes(incident))


def may_be_snoozed(incident: IncidentRows, since: str, until: str) -> bool:
    """Return whether the problem was snoozed at any time between two moments.

    Args:
        incident: its rows.
        since: the first moment, as text.
        until: the last one.
    """
    return any(begin <= until and end >= since for begin, end in _snoozes(incident))


def _snoozes(incident: IncidentRows) -> Iterator[tuple[str, str]]:
    """Yield from when to when the problem was snoozed, each time."""
    ended = {told["snooze_id"]: event for event, told in _told(incident, SNOOZE_ENDED)}
    for event, told in _told(incident, SNOOZED):
        end = ended.get(told["snooze_id"])
        yield event["timestamp"], min(told["until"], end["timestamp"]) if end else told["until"]


def _told(incident: IncidentRows, kind: str) -> Iterator[tuple[Row, JsonObject]]:
    found = (row for row in incident[WATCHING] if row["event_type"] == kind)
    return ((row, json.loads(row["event_data"])) for row in found)
