"""What was done before an attempt, as limits, cooldowns and breakers count it; pure.

A claim writes down up to which attempt it counted and whether earlier ones had helped by then; the
attempts themselves, those of other incidents too, are a table of the archive.
"""

import json
from collections.abc import Iterator
from datetime import timedelta

from operator_core.actions.policy import LoadedPolicy
from operator_core.actions.policy.limits import watched
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.policy.ruling import Usage
from operator_core.clock import from_text, to_text
from operator_core.db.decisions import COUNTED, SOURCES
from operator_core.db.engine import Row
from operator_core.db.exports import ATTEMPTS, MAX_ATTEMPTS, IncidentRows
from operator_core.types import JsonObject


def counted(decision: Row) -> JsonObject | None:
    """Return what a claim's limits went by; None: an older version did not write it down.

    Args:
        decision: of the claim.
    """
    found: JsonObject | None = json.loads(decision["revisions"]).get(COUNTED)
    return found


def sources(decision: Row) -> JsonObject | None:
    """Return how a claim saw its sources; None: its action needs none, or nothing tells.

    Args:
        decision: of the claim.
    """
    found: JsonObject | None = json.loads(decision["revisions"]).get(SOURCES)
    return found


def is_whole(incident: IncidentRows) -> bool:
    """Return whether the archive has all attempts that may have been counted."""
    return len(incident[ATTEMPTS]) < MAX_ATTEMPTS


def usage_at(
    incident: IncidentRows, decision: Row, loaded: LoadedPolicy, request: PolicyRequest
) -> Usage:
    """Return what the limits of a policy need to know at a claim; nothing, of an older version.

    Args:
        incident: its rows.
        decision: of the claim.
        loaded: the policy, the recorded one or another.
        request: what it was asked then.
    """
    told = counted(decision)
    if told is None:
        return Usage()
    limits, is_recorded = watched(loaded, request), loaded.digest == decision["policy_hash"]
    before = [*_before(incident, decision, told if is_recorded else {})]
    if is_recorded:
        last = told.get("last_at")
    else:
        seconds = limits.cooldown.seconds if limits.cooldown else 0.0
        last = _last(before, decision, to_text(request.now - timedelta(seconds=seconds)))
    past = [PolicyRequest.of_json(json.loads(row["request"])) for row in before]
    helped = told["helped"] if "helped" in told else _helped(incident, decision)
    return Usage(limits, past, from_text(last) if last else None, helped)


def _before(incident: IncidentRows, decision: Row, told: JsonObject) -> Iterator[Row]:
    """Yield the attempts that were there to be counted; those begun together are not."""
    for row in incident[ATTEMPTS]:
        is_seen = row["id"] <= told["to"] if "to" in told else row["at"] < decision["at"]
        if is_seen and row["id"] < decision["id"]:
            yield row


def _last(before: list[Row], decision: Row, since: str) -> str | None:
    """Return when the same was last done to the same target, by another proposal."""
    found = [
        row["at"]
        for row in before
        if _is_same_remedy(row, decision)
        and row["proposal_id"] != decision["proposal_id"]
        and row["at"] > since
    ]
    return max(found, default=None)


def _helped(incident: IncidentRows, decision: Row) -> list[bool]:
    """Return whether a remedy had helped, by the incident's own attempts: others' are not told."""
    found = [
        row
        for row in incident["decisions"]
        if row["helped"] is not None
        and row["id"] < decision["id"]
        and _is_same_remedy(row, decision)
    ]
    return [bool(row["helped"]) for row in reversed(found)]


def _is_same_remedy(row: Row, decision: Row) -> bool:
    keys = ("action_name", "target", "subject")
    return all((row[key] or "") == (decision[key] or "") for key in keys)
