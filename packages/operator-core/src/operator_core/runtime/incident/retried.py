"""Decides again whether a failed attempt is tried again, or a lost one taken over; pure."""

import json
from collections.abc import Iterator
from datetime import timedelta

from operator_core.actions.retry import RetryConfig
from operator_core.clock import from_text, to_text
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows
from operator_core.runtime.incident.replayed import Means, Replayed, replayed

TAKEN_OVER = "execution_taken_over"
RETRIED = frozenset({"retry_scheduled", "retry_exhausted"})


def retry(incident: IncidentRows, _means: Means) -> Iterator[Replayed]:
    """A failure is tried again as often as the proposal says, and when the backoff does.

    Args:
        incident: its rows.
        _means: nothing of it rules here.
    """
    limits = {row["id"]: row["max_retries"] for row in incident["proposals"]}
    for event in incident["events"]:
        limit = limits.get(event["proposal_id"])
        if event["event_type"] not in RETRIED or limit is None or is_permanent(event, limit):
            continue
        told, failures = json.loads(event["event_data"]), failures_before(incident, event)
        due = told.get("next_retry_at")
        recorded = {"again": due is not None, "failures": told["retry_count"], "due": due}
        again = _due(event, failures, limit)
        now = {"again": again is not None, "failures": failures, "due": again}
        at = from_text(event["timestamp"])
        yield replayed(at, "retry", f"proposal {event['proposal_id']}", recorded, now)


def _due(event: Row, failures: int, limit: int) -> str | None:
    """Return when the backoff ends that begins with an event; None: nothing is tried again."""
    told, at = json.loads(event["event_data"]), from_text(event["timestamp"])
    rule = RetryConfig(**told.get("backoff", {}))
    wait = rule.wait(failures, limit, str(event["proposal_id"]))
    if wait is None:
        return None
    due: str | None = told.get("next_retry_at")
    if is_drawn(event) and due is not None:  # it may be any that the backoff allows
        return min(due, to_text(at + timedelta(seconds=rule.longest_seconds(failures - 1))))
    return to_text(at + timedelta(seconds=wait.seconds))


def take_over(incident: IncidentRows, _means: Means) -> Iterator[Replayed]:
    """Work is taken from an owner once its lease has ended, and not before.

    Args:
        incident: its rows.
        _means: nothing of it rules here.
    """
    for event in incident["events"]:
        ended = lease_of(event) if event["event_type"] == TAKEN_OVER else None
        if ended is not None:
            what = f"proposal {event['proposal_id']}"
            at, now = from_text(event["timestamp"]), ended <= event["timestamp"]
            yield replayed(at, "take over", what, {"has_ended": True}, {"has_ended": now})


def lease_of(event: Row) -> str | None:
    """Return when the lease ended whose work was taken over; None: nothing tells."""
    told: str | None = json.loads(event["event_data"]).get("lease_expires_at")
    return told


def is_drawn(event: Row) -> bool:
    """Return whether a wait was not reckoned from the proposal: chosen, or drawn at random."""
    return "backoff" not in json.loads(event["event_data"])


def is_permanent(event: Row, limit: int) -> bool:
    """Return whether nothing was tried again although tries were left: the action said so."""
    told = json.loads(event["event_data"])
    is_last = event["event_type"] == "retry_exhausted"
    return is_last and RetryConfig().should_retry(int(told["retry_count"]), limit)


def failures_before(incident: IncidentRows, event: Row) -> int:
    """Return how often a proposal was found to have failed up to an event."""
    return sum(
        row["event_type"] == "failure_counted"
        for row in incident["events"]
        if row["proposal_id"] == event["proposal_id"] and row["id"] < event["id"]
    )
